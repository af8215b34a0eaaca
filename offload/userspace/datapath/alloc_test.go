package datapath

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/datapath/outer"
)

// repeatQueue gives the same packets again and again, and takes everything.
type repeatQueue struct {
	memoryQueue
	packets [][]byte
	next    int
}

func (q *repeatQueue) Read(b []byte) (int, error) {
	if q.next == len(q.packets) {
		q.next = 0
		return 0, unix.EAGAIN
	}
	q.next++
	return copy(b, q.packets[q.next-1]), nil
}

func (q *repeatQueue) Write(b []byte) (int, error) { return len(b), nil }

// repeatSocket receives the same datagrams again and again, and sends nowhere.
type repeatSocket struct {
	memorySocket
	datagrams []outer.Message
	done      bool
}

func (s *repeatSocket) Send(r *outer.Run, sent *outer.Sent) { sent.Packets += r.Packets }

func (s *repeatSocket) Recv(b *outer.Batch, most int) (int, error) {
	if s.done = !s.done; !s.done {
		return 0, unix.EAGAIN
	}
	n := min(len(s.datagrams), most)
	for i := range n {
		b.Put(i, &s.datagrams[i], s.key.V6)
	}
	return n, nil
}

// repeat makes ends whose sources never dry up: a's device, b's socket.
func repeat(t testing.TB, tt *testing.T, s setup) (a, b *end) {
	t.Helper()
	a, b = newPair(tt, s)
	src, dst := s.inner()
	whole, _ := super(src, dst, 1, 1200, 44)
	q := &repeatQueue{packets: [][]byte{whole, plain(udpPacket(src, dst, 1, 64, true)), plain(udpPacket(src, dst, 2, 64, true))}}
	a.queue.reads = append([][]byte(nil), q.packets...)
	a.work() // b's sockets hold what to repeat
	q.number = a.queue.number
	w := a.plane.workers[0]
	for _, source := range w.sources {
		if d, ok := source.(*deviceSource); ok {
			d.queue = q
		}
		if d, ok := source.(*socketSource); ok {
			d.socket = &repeatSocket{memorySocket: memorySocket{end: a, key: d.key, number: d.FD()}}
		}
	}
	for _, source := range b.plane.workers[0].sources {
		if d, ok := source.(*deviceSource); ok {
			d.queue = &repeatQueue{memoryQueue: memoryQueue{number: d.FD()}}
		}
		if d, ok := source.(*socketSource); ok {
			d.socket = &repeatSocket{memorySocket: memorySocket{end: b, key: d.key, number: d.FD()}, datagrams: b.sockets[d.key].waits}
		}
	}
	return a, b
}

// TestNoAllocations: carrying packets takes no memory, in either direction.
func TestNoAllocations(t *testing.T) {
	for _, udp := range []bool{false, true} {
		a, b := repeat(t, t, setup{mode: netlinkx.ModeTunnel, udp: udp})
		for name, e := range map[string]*end{"out": a, "in": b} {
			work := e.worker()
			before := e.plane.Stats().carried()
			if n := testing.AllocsPerRun(200, work); n != 0 {
				t.Errorf("%s, udp %t: %.1f allocations a batch, want 0", name, udp, n)
			}
			if n := e.plane.Stats().carried() - before; n < 40*200 {
				t.Errorf("%s: only %d packets were carried", name, n)
			}
		}
		if n := b.plane.Stats().Own[InDelivered]; n < 40*200 {
			t.Errorf("only %d packets were delivered", n)
		}
		check(t, a, b)
	}
}

// worker returns a function that carries one batch of each source.
func (e *end) worker() func() {
	w := e.plane.workers[0]
	var all []source
	for _, s := range w.sources {
		all = append(all, s)
	}
	return func() {
		for _, s := range all {
			w.heat(s)
		}
		w.round()
		w.round()
		w.shown.set(&w.stats)
	}
}

// BenchmarkOut and BenchmarkIn are a batch of one TCP super-packet of 44
// segments of 1,200 bytes and two small packets, I/O left out.
func BenchmarkOut(b *testing.B) { benchmark(b, true) }

// BenchmarkIn is the other direction.
func BenchmarkIn(b *testing.B) { benchmark(b, false) }

func benchmark(b *testing.B, out bool) {
	b.ReportAllocs()
	b.SetBytes(44 * 1200)
	var t testing.T
	x, y := repeat(b, &t, setup{mode: netlinkx.ModeTunnel, udp: true})
	e := y
	if out {
		e = x
	}
	work := e.worker()
	b.ResetTimer()
	for b.Loop() {
		work()
	}
}
