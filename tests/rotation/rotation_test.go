package rotation

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xfrmctl/xfrmctl/tests/engine"
)

// patient are the words for a step under load on a machine that has other
// things to do: an engine that gets no processor for a while has packets with
// old keys waiting, and counts none.
func patient() []string {
	quiet := "500ms"
	if os.Getenv("XFRMCTL_ROTATIONS") != "" { // a long run, on an idle machine
		quiet = "50ms"
	}
	return []string{"--wait", "60s", "--quiet-for", quiet}
}

// short reports whether an emulated kernel runs the test.
func short() bool { return os.Getenv("XFRMCTL_TEST_SHORT") != "" || testing.Short() }

// rotations is how many times keys are replaced.
func rotations(t *testing.T) int {
	t.Helper()
	return number(t, "XFRMCTL_ROTATIONS", map[bool]int{true: 1, false: 10}[short()])
}

// TestUnderLoad replaces the keys again and again: east first, on the
// operator's word, west on what it has received.
func TestUnderLoad(t *testing.T) {
	bothEngines(t, derived, func(t *testing.T, ends [2]*end) {
		n, window := rotations(t), highest(t, ends)
		for _, e := range ends {
			e.session = engine.Begin(t, e.ns, e.command("-b", "-"))
		}
		underLoad(t, ends, window, func() {
			for k := range n {
				once(t, ends)
				if k == 0 || k%100 == 99 {
					t.Logf("%d times new keys", k+1)
				}
			}
		})
		for _, e := range ends {
			if s := e.status(t); s.Epoch != uint64(n+1) || s.Phase != "settled" {
				t.Errorf("%s: %+v after %d rotations", e.name, s, n)
			}
			if out := e.verb(t, "apply"); !strings.Contains(out, ": 0 writes") || strings.Contains(out, "stay") {
				t.Errorf("apply of the same document after %d rotations: %s", n, out)
			}
		}
	})
}

// underLoad does something while datagrams go both ways.
func underLoad(t *testing.T, ends [2]*end, window uint64, do func()) {
	t.Helper()
	w, l := watch(t, ends), start(t, ends, window, patience)
	do()
	n, seconds, err := l.end()
	if err != nil {
		t.Error(err)
	}
	w.verdict(t)
	t.Logf("%d datagrams in %.1f s, %.0f a second, %d under way at most", n, seconds, float64(n)/seconds, 2*window)
}

// once replaces the keys once, and looks in the middle whether apply, diff and
// verify let it be.
func once(t *testing.T, ends [2]*end) {
	t.Helper()
	east, west := ends[0], ends[1]
	step := func(e *end, step, known string, words ...string) {
		t.Helper()
		out := e.verb(t, append(append([]string{"keys", "rotate", "--step", step}, patient()...), words...)...)
		if !strings.Contains(out, "step "+step+" taken") || !strings.Contains(out, known) {
			t.Fatalf("%s, step %s: %s, without %q", e.name, step, out, known)
		}
	}
	step(east, "inbound", "next: confirm")
	step(west, "inbound", "next: confirm")
	step(east, "confirm", "by your word", "--peer-ready")
	step(east, "outbound", "receives with epochs")
	step(west, "confirm", "packets came on the new inbound SA")
	step(west, "outbound", "receives with epochs")
	step(east, "drain", "has carried nothing for")
	step(west, "drain", "has carried nothing for")
	step(east, "delete", "is in force")
	step(west, "delete", "is in force")
}

// TestApplyLetsItBe: in each phase apply, diff and verify of the same document
// find nothing to do, and a step out of order is refused with the reason.
func TestApplyLetsItBe(t *testing.T) {
	notUnderEmulation(t)
	bothEngines(t, derived, func(t *testing.T, ends [2]*end) {
		east, west := ends[0], ends[1]
		refuse := func(step, why string) {
			t.Helper()
			out, err := east.try(east.about("keys", "rotate", "--step", step, "--wait", "0s")...)
			if err == nil || !strings.Contains(out, why) {
				t.Errorf("step %s: %v: %s, without %q", step, err, out, why)
			}
		}
		calm := func() {
			t.Helper()
			for _, verb := range []string{"diff", "verify", "apply"} {
				if out := east.verb(t, verb); strings.Contains(out, "stay") || verb == "apply" && !strings.Contains(out, ": 0 writes") {
					t.Errorf("%s in the middle: %s", verb, out)
				}
			}
			if out := east.verb(t, "apply", "--prune"); !strings.Contains(out, ": 0 writes") {
				t.Errorf("apply --prune in the middle: %s", out)
			}
		}
		l := start(t, ends, few, patience)
		refuse("confirm", "it begins with the new inbound SA")
		refuse("delete", "it begins with the new inbound SA")
		for _, x := range []struct {
			who   *end
			words []string
		}{
			{east, []string{"--step", "inbound"}}, {west, []string{"--step", "inbound"}}, {east, []string{"--peer-ready"}}, {east, nil}, {west, nil}, {west, nil}, {east, nil},
		} {
			x.who.verb(t, append(append([]string{"keys", "rotate"}, patient()...), x.words...)...)
			if x.who == east {
				calm()
			}
			if s := east.status(t); s.Phase == "inbound" {
				refuse("outbound", "it is not known yet that the peer can receive")
			}
		}
		refuse("outbound", "the old SAs are still there")
		east.verb(t, "keys", "rotate")
		calm()
		if _, _, err := l.end(); err != nil {
			t.Error(err)
		}
	})
}

// TestUnconfirmed: without a sign of the peer, and without the operator's word,
// nothing is sent with new keys.
func TestUnconfirmed(t *testing.T) {
	notUnderEmulation(t)
	bothEngines(t, derived, func(t *testing.T, ends [2]*end) {
		east := ends[0]
		east.verb(t, "keys", "rotate")
		out, err := east.try(east.about("keys", "rotate", "--wait", "300ms")...)
		if err == nil || !strings.Contains(out, "nothing has come on the new inbound SA") || !strings.Contains(out, "--peer-ready") {
			t.Errorf("%v: %s", err, out)
		}
		if s := east.status(t); s.Phase != "inbound" || s.Epoch != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// TestKilled kills the command at random times in each step of each rotation;
// the next run goes on from there.
func TestKilled(t *testing.T) {
	notUnderEmulation(t)
	bothEngines(t, derived, func(t *testing.T, ends [2]*end) {
		n, killed, runs := number(t, "XFRMCTL_KILLS", 1), 0, 0
		r := rand.New(rand.NewPCG(7, uint64(n)))
		underLoad(t, ends, few, func() {
			for k := 0; k < n || killed < n && k < 10*n; k++ {
				target := uint64(k + 2)
				took := 60 * time.Millisecond
				for !(ends[0].status(t).settledAt(target) && ends[1].status(t).settledAt(target)) {
					for i, e := range ends {
						words := append([]string{"keys", "rotate", "--epoch", fmt.Sprint(target), "--wait", "100ms", "--quiet-for", "50ms"}, word(t, ends[1-i], target)...)
						begun := time.Now()
						if kill(t, e, words, time.Duration(r.Int64N(2*int64(took)))) {
							killed++
							took += took / 4 // it may have been too little for any command
						} else {
							took = max(20*time.Millisecond, time.Since(begun))
						}
						runs++
					}
				}
			}
		})
		t.Logf("%d rotations, %d of %d commands killed", n, killed, runs)
		if killed < n {
			t.Errorf("only %d commands were killed on the way", killed)
		}
	})
}

func (s status) settledAt(epoch uint64) bool { return s.Phase == "settled" && s.Epoch == epoch }

// word is the operator's, who looks at the other end: it may be given when that
// receives with the new keys.
func word(t *testing.T, peer *end, target uint64) []string {
	t.Helper()
	if s := peer.status(t); s.Phase == "settled" && s.Epoch < target {
		return nil
	}
	peer.verb(t, "apply") // what a kill has cut off may be the SA itself
	return []string{"--peer-ready"}
}

// kill runs a command and kills it after a while, if it is not done by then.
func kill(t *testing.T, e *end, words []string, after time.Duration) (killed bool) {
	t.Helper()
	cmd := e.command(e.about(words...)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := e.ns.Do(cmd.Start); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(after, func() { cmd.Process.Kill() })
	err := cmd.Wait()
	timer.Stop()
	switch {
	case err == nil, strings.Contains(out.String(), "step confirm:"), strings.Contains(out.String(), "step drain:"):
		return false
	case strings.Contains(err.Error(), "killed"):
		return true
	}
	t.Fatalf("%s: %v: %v\n%s", e.name, words, err, out.String())
	return false
}

// TestStatic: keys in files are replaced by those in new files, which a command
// makes.
func TestStatic(t *testing.T) {
	notUnderEmulation(t)
	bothEngines(t, static, func(t *testing.T, ends [2]*end) {
		east := ends[0]
		out, err := east.try(east.about("keys", "rotate")...)
		if err == nil || !strings.Contains(out, "e2w.2: no such file") && !strings.Contains(out, "w2e.2: no such file") {
			t.Errorf("without files: %v: %s", err, out)
		}
		if out := east.do(t, "keys", "new", east.file(), "--epoch", "2"); out != filepath.Join(east.dir, "e2w.2")+"\n"+filepath.Join(east.dir, "w2e.2")+"\n" {
			t.Errorf("keys new: %q", out)
		}
		underLoad(t, ends, few, func() { once(t, ends) })
		copyKey(t, east, "e2w", "e2w.3")
		copyKey(t, east, "w2e", "w2e.3")
		out, err = east.try(east.about("keys", "rotate")...)
		if err == nil || !strings.Contains(out, "is that of an earlier SA") {
			t.Errorf("the first keys again: %v: %s", err, out)
		}
	})
}

func copyKey(t *testing.T, e *end, from, to string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(e.dir, from))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(e.dir, to), b, 0o600); err != nil {
		t.Fatal(err)
	}
}
