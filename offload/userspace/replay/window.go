// Package replay is the anti-replay window of RFC 4303 section 3.4.3 and
// appendix A2: which sequence numbers an inbound SA has seen, and, with
// extended sequence numbers, the half that packets do not carry.
//
// State goes in and out in the forms in which Linux reports it
// (netlinkx.ReplayState, netlinkx.ReplayESN), bit for bit.
//
// The order of use is Check, verify the packet, Commit. Start with New.
package replay

import "math/bits"

// Verdict is what the window says to a sequence number.
type Verdict uint8

// Verdicts. All but OK mean: drop the packet.
const (
	OK        Verdict = iota
	Old               // left of the window; the kernel counts it in SA.Stats.ReplayWindow
	Duplicate         // seen before; the kernel counts it in SA.Stats.Replay
	Zero              // sequence number 0, which no sender uses; the kernel does not count it
)

// String returns the verdict in words.
func (v Verdict) String() string {
	switch v {
	case OK:
		return "ok"
	case Old:
		return "too old"
	case Duplicate:
		return "seen before"
	}
	return "sequence number 0"
}

// Window is the replay state of one inbound SA. It is not safe for concurrent
// use: whoever holds the SA holds a lock. Memory is one bit per packet of the
// window, rounded up to a power of two.
type Window struct {
	size uint32 // packets; 0: no protection
	mask uint32 // bits in the ring, a power of two, less one
	esn  bool
	top  uint64 // highest number authenticated
	// ring has the bit of number n at n & mask. Only bits of numbers in
	// (top-size, top] mean anything.
	ring []uint64
}

// New returns an empty window of size packets. 0 switches protection off:
// every number is OK and nothing is recorded. Linux allows up to 4096; larger
// ones work. esn says whether numbers have 64 bits.
func New(size uint32, esn bool) *Window {
	w := &Window{size: size, esn: esn}
	if size > 0 {
		n := uint32(64)
		if size > 64 {
			n = 1 << bits.Len32(size-1)
		}
		w.mask = n - 1
		w.ring = make([]uint64, n/64)
	}
	return w
}

// Size returns the size of the window in packets.
func (w *Window) Size() uint32 { return w.size }

// ESN reports whether sequence numbers have 64 bits.
func (w *Window) ESN() bool { return w.esn }

// Top returns the highest sequence number committed, 0 if none.
func (w *Window) Top() uint64 { return w.top }

// Check says whether a packet with this sequence number (its low half with
// ESN) may be new, and the whole number to authenticate it with. It changes
// nothing.
func (w *Window) Check(seq uint32) (seq64 uint64, v Verdict) {
	if !w.esn || w.size == 0 {
		return uint64(seq), w.verdict(uint64(seq))
	}
	seq64, ok := w.infer(seq)
	if !ok {
		return seq64, Old
	}
	return seq64, w.verdict(seq64)
}

// infer finds the number with the low half seq that lies in the window or, if
// none does, the next one above it (RFC 4303 appendix A2.2). It reports false
// if that would lie before the first number of all.
func (w *Window) infer(seq uint32) (uint64, bool) {
	hi := w.top &^ 0xffffffff
	low := uint32(w.top)
	bottom := low - w.size + 1 // modulo 2^32
	if low >= w.size-1 {
		// Case A: the window lies within one subspace.
		if seq < bottom {
			hi += 1 << 32
		}
		return hi | uint64(seq), true
	}
	// Case B: the window spans two subspaces.
	if seq >= bottom {
		if hi == 0 {
			return uint64(seq), false
		}
		hi -= 1 << 32
	}
	return hi | uint64(seq), true
}

// verdict judges a whole number.
func (w *Window) verdict(seq uint64) Verdict {
	switch {
	case w.size == 0:
		return OK
	case seq == 0:
		return Zero
	case seq > w.top:
		return OK
	case w.top-seq >= uint64(w.size):
		return Old
	case w.ring[uint32(seq)&w.mask/64]>>(seq%64)&1 != 0:
		return Duplicate
	}
	return OK
}

// Commit records the number of a packet that was authenticated, as Check gave
// it. It judges again, because another packet may have been committed since:
// unless it returns OK the packet must be dropped.
func (w *Window) Commit(seq64 uint64) Verdict {
	if v := w.verdict(seq64); v != OK || w.size == 0 {
		return v
	}
	if seq64 > w.top {
		w.advance(seq64)
	}
	w.ring[uint32(seq64)&w.mask/64] |= 1 << (seq64 % 64)
	return OK
}

// advance makes to the highest number and forgets the bits that its ring
// places had before.
func (w *Window) advance(to uint64) {
	step := to - w.top
	if step > uint64(w.mask) {
		clear(w.ring)
		w.top = to
		return
	}
	at, last := uint32(w.top+1)&w.mask, uint32(to)&w.mask
	keepLow := uint64(1)<<(at%64) - 1
	keepHigh := ^uint64(0) << (last % 64) << 1 // two shifts: by 64 in all leaves 0
	w.top = to
	i, end := at/64, last/64
	if i == end && at <= last {
		w.ring[i] &= keepLow | keepHigh
		return
	}
	w.ring[i] &= keepLow
	for i = w.next(i); i != end; i = w.next(i) {
		w.ring[i] = 0
	}
	w.ring[end] &= keepHigh
}

func (w *Window) next(i uint32) uint32 { return (i + 1) & (w.mask / 64) }
