package interop_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/tests/engine"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
	"github.com/xfrmctl/xfrmctl/tests/traffic"
)

// rekeys is how many times keys are replaced.
func rekeys(t *testing.T) int {
	t.Helper()
	text := os.Getenv("XFRMCTL_REKEYS")
	if text == "" {
		return map[bool]int{true: 5, false: 50}[short()]
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("XFRMCTL_REKEYS: not a number above 0: %q", text)
	}
	return n
}

// A stream is numbered datagrams in one direction.
type stream struct {
	from, to *endpoint
	sent     atomic.Uint64
	came     atomic.Uint64
	arrived  traffic.Numbers // the receiver's until it ends
	refused  atomic.Uint64
}

// ahead is how many datagrams of a stream are under way at most: no queue
// overflows, so that whatever is lost was lost by changing keys.
const ahead = 48

func (s *stream) send(stop *atomic.Bool) {
	b := make([]byte, 400)
	lost := uint64(0)
	for waited := 0; !stop.Load(); {
		if s.sent.Load()-s.came.Load()-lost >= ahead {
			time.Sleep(100 * time.Microsecond)
			if waited++; waited > int(patience/(100*time.Microsecond)) { // they are lost: go on, to count more
				lost = s.sent.Load() - s.came.Load()
			}
			continue
		}
		waited = 0
		if s.sent.Load()%16 == 0 {
			time.Sleep(500 * time.Microsecond) // or a guest's only processor does nothing else
		}
		binary.NativeEndian.PutUint64(b, s.sent.Load())
		s.sent.Add(1)
		if err := s.from.send(b); err != nil {
			s.refused.Add(1)
		}
	}
}

// pass waits until all that was sent so far has come, but not for ever.
func (s *stream) pass() {
	sent := s.sent.Load()
	for start := time.Now(); s.came.Load() < sent && time.Since(start) < patience; {
		time.Sleep(time.Millisecond)
	}
}

// receive ends after the sender, when all has come and nothing more comes, or
// when nothing has come for as long as a datagram may take.
func (s *stream) receive(stop *atomic.Bool) error {
	for quiet := time.Duration(0); ; {
		a, err := s.to.poll()
		if errors.Is(err, unix.EAGAIN) {
			if quiet += tick; stop.Load() && (s.came.Load() >= s.sent.Load() || quiet > patience) {
				return nil
			}
			continue
		}
		if err != nil {
			return err
		}
		quiet = 0
		s.arrived.Arrived(binary.NativeEndian.Uint64(a.data))
		s.came.Add(1)
	}
}

func TestRekeyKernelWithKernel(t *testing.T) {
	notUnderEmulation(t)
	p := sandbox.NewPair(t)
	rekey(t, p, newKernelSide(t, p.A, 0), newKernelSide(t, p.B, 1), 20) // the harness, not the kernel
}

// rekey replaces the keys of a tunnel again and again under load: the new SAs
// are there on both sides before the old ones go.
func rekey(t *testing.T, p *sandbox.Pair, a, b side, times int) {
	c := combination{suite: suites[0], form: forms[0], esn: true}
	join(t, c, 0x100, a, b)
	x, y := endpoints(t, c, a, b)
	w := listen(t, p)
	w.take()
	streams := []*stream{{from: x, to: y}, {from: y, to: x}}
	var stop atomic.Bool
	var senders, receivers sync.WaitGroup
	errs := make([]error, len(streams))
	for i, s := range streams {
		senders.Go(func() { s.send(&stop) })
		receivers.Go(func() { errs[i] = s.receive(&stop) })
	}
	packets, clear, first := 0, 0, outer{}
	replaced := replace(t, c, [2]side{a, b}, times, func() {
		seen := w.take()
		n, f := inClear(seen)
		if packets += len(seen); n > 0 && clear == 0 {
			first = f
		}
		clear += n
	}, func() {
		streams[0].pass()
		streams[1].pass()
	})
	stop.Store(true)
	senders.Wait()
	receivers.Wait()
	for i, s := range streams {
		if err := errors.Join(errs[i], s.arrived.Verdict(s.sent.Load(), s.refused.Load())); err != nil {
			t.Errorf("%s: %v; %s; %s", [2]string{"A to B", "B to A"}[i], err, a.counters(t), b.counters(t))
		}
	}
	if clear > 0 {
		t.Errorf("%d packets in clear, the first %v", clear, first)
	}
	t.Logf("%d times new keys, %d and %d datagrams, %d packets on the wire", replaced, streams[0].sent.Load(), streams[1].sent.Load(), packets)
}

// replace replaces SAs. It calls drain before old ones go, and look after each
// time.
func replace(t *testing.T, c combination, sides [2]side, times int, look, drain func()) (done int) {
	t.Helper()
	ids := [2]int{sides[0].ifID(c.form.mode), sides[1].ifID(c.form.mode)}
	sessions := [2]*engine.Session{sides[0].session(t), sides[1].session(t)}
	outerAddr, _ := c.form.addresses()
	both := func(lines [2]string) {
		for i, s := range sessions {
			if _, err := s.Do(lines[i]); err != nil {
				t.Fatalf("after %d times: %v", done, err)
			}
		}
	}
	for spi := 0x100; done < times; done++ {
		keys := [2]string{c.suite.fresh(), c.suite.fresh()}
		var in, out, old [2]string
		for side := range 2 {
			add := func(from int) string {
				return fmt.Sprintf("state add %s if_id %d\n", c.sa(outerAddr, from, spi+2+from, keys[from]), ids[side])
			}
			in[side], out[side] = add(1-side), add(side)
			for from := range 2 {
				old[side] += fmt.Sprintf("state delete dst %s proto esp spi 0x%x\n", outerAddr[1-from], spi+from)
			}
		}
		both(in)
		both(out)
		drain() // what is under way with the old keys
		both(old)
		spi += 2
		look()
	}
	return done
}
