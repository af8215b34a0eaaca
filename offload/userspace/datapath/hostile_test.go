package datapath

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/xfrmctl/xfrmctl/gsogro/segment"
	"github.com/xfrmctl/xfrmctl/offload/userspace/datapath/outer"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xaddr"
)

// mutate changes a copy of b in one to four places, and its length at times.
func mutate(r *rand.Rand, b []byte) []byte {
	b = bytes.Clone(b)
	for range 1 + r.IntN(4) {
		if len(b) == 0 {
			return b
		}
		switch r.IntN(5) {
		case 0:
			b = b[:r.IntN(len(b)+1)]
		case 1:
			b = append(b, b[:r.IntN(len(b)+1)]...)
		default: // headers are what is interesting
			b[r.IntN(min(len(b), 80))] = byte(r.Uint32())
		}
	}
	return b[:min(len(b), 65535)]
}

// hostile is how many packets TestHostile gives each setup in each direction.
const hostile = 4000

// TestHostile feeds mutated packets to devices and sockets, with good ones
// between, and adds up what became of them.
func TestHostile(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	n := hostile
	if testing.Short() {
		n /= 10
	}
	for _, s := range setups() {
		if s.esn {
			continue
		}
		a, b := newPair(t, s)
		src, dst := s.inner()
		oa, ob := s.addresses()
		given := uint64(0)
		for i := range n {
			p := plain(udpPacket(src, dst, uint16(i), r.IntN(1400), r.IntN(2) == 0))
			if i%7 == 0 {
				p, _ = super(src, dst, r.Uint32(), 500+r.IntN(800), 2+r.IntN(30))
			}
			if i%3 != 0 {
				p = mutate(r, p)
			}
			a.queue.reads = append(a.queue.reads, p)
			if i%16 != 0 {
				continue
			}
			a.work()
			disturb(r, b, xaddr.Of(oa), xaddr.Of(ob))
			b.work()
			given += uint64(len(b.queue.writes))
			b.queue.writes = b.queue.writes[:0]
		}
		check(t, a, b)
		st := b.plane.Stats()
		if st.Own[InDelivered] == 0 || st.InDropped() == 0 || a.plane.Stats().OutDropped() == 0 {
			t.Errorf("%v: nothing delivered, or nothing dropped: the test tests nothing", s)
		}
		if st.Own[InDelivered] < given {
			t.Errorf("%v: %d writes to the device, but only %d packets delivered", s, given, st.Own[InDelivered])
		}
	}
}

// disturb mutates half of what waits in an end's sockets, and adds noise.
func disturb(r *rand.Rand, e *end, src, dst xaddr.Addr) {
	for _, socket := range e.sockets {
		for j := range socket.waits {
			if r.IntN(2) == 0 {
				m := &socket.waits[j]
				m.Data = mutate(r, m.Data)
				if m.Segment > 0 {
					m.Segment = 1 + r.IntN(2*len(m.Data)+1)
				}
				m.Truncated = r.IntN(20) == 0
			}
		}
		socket.waits = append(socket.waits, outer.Message{Data: mutate(r, make([]byte, 60)), Src: src, Dst: dst})
	}
}

// FuzzInside seals fuzzed bytes as the payload of authentic packets: what a
// peer with the key could send.
func FuzzInside(f *testing.F) {
	src, dst := tunnel.inner()
	f.Add(udpPacket(src, dst, 1, 40, true), byte(4))
	f.Add([]byte{}, byte(59))
	f.Add(bytes.Repeat([]byte{0x60}, 60), byte(41))
	f.Fuzz(func(t *testing.T, inside []byte, next byte) {
		if len(inside) > 60000 {
			return
		}
		_, b := newPair(t, tunnel)
		b.inject(sealed(t, b, inside, next))
		check(t, b)
		if n := b.plane.Stats().Own[InPackets]; n != 1 {
			t.Errorf("%d packets counted, want 1", n)
		}
	})
}

// FuzzDevice feeds a device with any bytes.
func FuzzDevice(f *testing.F) {
	src, dst := tunnel.inner()
	whole, _ := super(src, dst, 1, 100, 5)
	f.Add(whole)
	f.Add(plain(udpPacket(src, dst, 1, 40, true)))
	f.Fuzz(func(t *testing.T, p []byte) {
		a, b := newPair(t, tunnel)
		a.queue.reads = [][]byte{p[:min(len(p), segment.HeaderLen+65535)]}
		a.work()
		b.work()
		check(t, a, b)
	})
}
