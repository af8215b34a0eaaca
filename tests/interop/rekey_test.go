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

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// rekeys is how many times keys are replaced.
func rekeys(t *testing.T) int {
	t.Helper()
	text := os.Getenv("XFRMCTL_REKEYS")
	if text == "" {
		return map[bool]int{true: 20, false: 100}[short()]
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
	sent     uint64
	arrived  []uint8 // how many times each number came; the receiver's until it ends
	refused  atomic.Uint64
}

// A stream sends burst datagrams each pace, at best.
const (
	pace  = 300 * time.Microsecond
	burst = 4
)

func (s *stream) send(stop *atomic.Bool) {
	b := make([]byte, 400)
	for !stop.Load() {
		for range burst {
			binary.NativeEndian.PutUint64(b, s.sent)
			if err := s.from.send(b); err != nil {
				s.refused.Add(1)
			}
			s.sent++
		}
		time.Sleep(pace)
	}
}

// receive ends when nothing has come for as long as a datagram may take.
func (s *stream) receive() error {
	for {
		a, err := s.to.receive()
		if errors.Is(err, unix.EAGAIN) {
			return nil
		}
		if err != nil {
			return err
		}
		n := binary.NativeEndian.Uint64(a.data)
		for uint64(len(s.arrived)) <= n {
			s.arrived = append(s.arrived, 0)
		}
		s.arrived[n]++
	}
}

// verdict says what is wrong with what arrived.
func (s *stream) verdict() error {
	lost, twice := s.sent-uint64(len(s.arrived)), 0
	for _, n := range s.arrived {
		switch {
		case n == 0:
			lost++
		case n > 1:
			twice++
		}
	}
	if lost > 0 || twice > 0 || s.refused.Load() > 0 || s.sent == 0 {
		return fmt.Errorf("of %d: %d lost, %d arrived twice, %d not taken", s.sent, lost, twice, s.refused.Load())
	}
	return nil
}

func TestRekeyKernelWithKernel(t *testing.T) {
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
		receivers.Go(func() { errs[i] = s.receive() })
	}
	packets, clear, first := 0, 0, outer{}
	replaced := replace(t, c, [2]side{a, b}, times, func() {
		seen := w.take()
		n, f := inClear(seen)
		if packets += len(seen); n > 0 && clear == 0 {
			first = f
		}
		clear += n
	})
	stop.Store(true)
	senders.Wait()
	receivers.Wait()
	for i, s := range streams {
		if err := errors.Join(errs[i], s.verdict()); err != nil {
			t.Errorf("%s: %v; %s; %s", [2]string{"A to B", "B to A"}[i], err, a.counters(t), b.counters(t))
		}
	}
	if clear > 0 {
		t.Errorf("%d packets in clear, the first %v", clear, first)
	}
	t.Logf("%d times new keys, %d and %d datagrams, %d packets on the wire", replaced, streams[0].sent, streams[1].sent, packets)
}

// replace replaces SAs, and calls look after each time.
func replace(t *testing.T, c combination, sides [2]side, times int, look func()) (done int) {
	t.Helper()
	ids := [2]int{sides[0].ifID(c.form.mode), sides[1].ifID(c.form.mode)}
	sessions := [2]*session{sides[0].session(t), sides[1].session(t)}
	outerAddr, _ := c.form.addresses()
	both := func(lines [2]string) {
		for i, s := range sessions {
			if err := s.do(lines[i]); err != nil {
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
		time.Sleep(5 * time.Millisecond) // what is under way with the old keys
		both(old)
		spi += 2
		look()
	}
	return done
}
