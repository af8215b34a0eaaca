// Package crash_test kills the userspace engine with SIGKILL at random moments
// of traffic, starts it again with the same keys, and looks at every packet
// that was on the wire: no key may ever have met the same IV twice, and traffic
// must go on.
//
// XFRMCTL_CRASHES is how many times; `make crash` does it 1,000 times.
package crash_test

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/xfrmctl/xfrmctl/tests/engine"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

func crashes(t *testing.T) int {
	t.Helper()
	text := os.Getenv("XFRMCTL_CRASHES")
	if text == "" {
		return map[bool]int{true: 3, false: 20}[testing.Short()]
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("XFRMCTL_CRASHES: not a number above 0: %q", text)
	}
	return n
}

func TestKilledEngineRepeatsNoIV(t *testing.T) {
	p := sandbox.NewPair(t)
	a, b := engine.Start(t, p.A), engine.Start(t, p.B)
	x := engine.NewTunnel(0x1000, true)
	x.Join(t, a, b)
	w := watch(t, p.A, x)
	s := startStream(t, p)
	s.goesOn(t, 0)
	for i := range crashes(t) {
		time.Sleep(time.Duration(rand.N(40_000)) * time.Microsecond)
		a.Kill()
		seen := s.arrived.Load()
		a.Restart(t)
		x.Attach(t, a, 0)
		a.Batch(t, x.SAs()+x.Policies(0))
		s.goesOn(t, seen)
		if i%100 == 99 {
			t.Logf("killed %d times: %d datagrams arrived, %d packets with %d different IVs", i+1, s.arrived.Load(), w.packets.Load(), w.different())
		}
	}
	s.end()
	w.end(t)
	t.Logf("%d datagrams arrived, %d packets on the wire, %d different IVs", s.arrived.Load(), w.packets.Load(), w.different())
	if w.repeated > 0 {
		t.Errorf("%d IVs were used twice with the same key", w.repeated)
	}
	if st := b.Stats(t); st.Counters["XfrmInStateSeqError"] > 0 || st.Counters["XfrmInStateProtoError"] > 0 {
		t.Errorf("the other side refused packets: %v", st)
	}
}

// A reboot without the journal must not be taken for a restart: the keys are
// refused, with a reason.
func TestLostJournalRefusesKeys(t *testing.T) {
	p := sandbox.NewPair(t)
	a := engine.Start(t, p.A)
	x := engine.NewTunnel(0x1000, true)
	a.Batch(t, x.SAs())
	a.Kill()
	if out, err := exec.Command("find", a.StateDir(), "-type", "f", "-delete").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	a.Restart(t)
	_, err := a.Run(x.SAs(), "--quiet", "-b", "-")
	if err == nil {
		t.Fatal("keys were taken although nobody knows how far they were used")
	}
	t.Log(err)
}
