package replay

import (
	"fmt"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// legacyWindow is the most that the kernel's 32-bit bitmap holds.
const legacyWindow = 32

// Legacy returns the state as XFRMA_REPLAY_VAL: bit i of the bitmap is number
// Seq-i. OSeq is left 0, it is not the window's. For windows without ESN of at
// most 32 packets; more do not fit.
func (w *Window) Legacy() netlinkx.ReplayState {
	r := netlinkx.ReplayState{Seq: uint32(w.top)}
	for i := uint32(0); i < min(w.size, legacyWindow); i++ {
		if w.seen(i) {
			r.Bitmap |= 1 << i
		}
	}
	return r
}

// SetLegacy replaces the state by one that Legacy returned or a user gave.
func (w *Window) SetLegacy(r netlinkx.ReplayState) {
	w.reset(uint64(r.Seq))
	for i := uint32(0); i < min(w.size, legacyWindow); i++ {
		if r.Bitmap>>i&1 != 0 {
			w.see(i)
		}
	}
}

// Extended writes the state as XFRMA_REPLAY_ESN_VAL into r: Seq, SeqHi and the
// bitmap, of which it keeps BitmapLen if that is enough for the window.
// OSeq and OSeqHi are the caller's and stay. Bitmap memory is reused if long
// enough.
//
// The bitmap is a ring of as many bits as the window has packets; number n
// lies at (n-1) mod the window's size, counted from Seq as a 32-bit number.
func (w *Window) Extended(r *netlinkx.ReplayESN) {
	r.Seq, r.SeqHi = uint32(w.top), uint32(w.top>>32)
	r.BitmapLen = max(r.BitmapLen, (w.size+31)/32)
	if uint64(cap(r.Bitmap)) < uint64(r.BitmapLen) {
		r.Bitmap = make([]uint32, r.BitmapLen)
	}
	r.Bitmap = r.Bitmap[:r.BitmapLen]
	clear(r.Bitmap)
	// Places up to the highest number's hold the numbers just below it, those
	// behind it the ones before these: two runs, both ascending.
	pos, top := w.place(), uint32(w.top)
	for at := uint32(0); at < w.size; at += 32 {
		newer := lowest(int64(pos) + 1 - int64(at))
		older := lowest(int64(w.size)-int64(at)) &^ newer
		r.Bitmap[at/32] = w.bits(top-pos+at)&newer | w.bits(top-pos-w.size+at)&older
	}
}

// lowest returns n set bits, 0 to 32.
func lowest(n int64) uint32 { return uint32(1<<min(max(n, 0), 32) - 1) }

// bits returns the bits of 32 numbers, n first.
func (w *Window) bits(n uint32) uint32 {
	i, shift := n&w.mask/64, n%64
	return uint32(w.ring[i]>>shift | w.ring[w.next(i)]<<(64-shift))
}

// SetExtended replaces the state by one that Extended wrote or a user gave. A
// nil bitmap is an empty one. It refuses a bitmap too short for the window.
func (w *Window) SetExtended(r *netlinkx.ReplayESN) error {
	if r.Bitmap != nil && uint64(len(r.Bitmap))*32 < uint64(w.size) {
		return fmt.Errorf("replay window of %d packets: bitmap of %d bits is too short", w.size, 32*len(r.Bitmap))
	}
	top := uint64(r.Seq)
	if w.esn {
		top |= uint64(r.SeqHi) << 32
	}
	w.reset(top)
	at := w.place()
	for i := uint32(0); r.Bitmap != nil && i < w.size; i++ {
		if r.Bitmap[at/32]>>(at%32)&1 != 0 {
			w.see(i)
		}
		at = w.before(at)
	}
	return nil
}

func (w *Window) reset(top uint64) {
	w.top = top
	clear(w.ring)
}

// seen reports whether number top-i is recorded.
func (w *Window) seen(i uint32) bool {
	n := uint32(w.top) - i
	return w.ring[n&w.mask/64]>>(n%64)&1 != 0
}

func (w *Window) see(i uint32) {
	n := uint32(w.top) - i
	w.ring[n&w.mask/64] |= 1 << (n % 64)
}

// place returns where Linux keeps the highest number; each lower one lies
// before it, around the end of the ring.
func (w *Window) place() uint32 {
	if w.size == 0 {
		return 0
	}
	return (uint32(w.top) - 1) % w.size
}

func (w *Window) before(at uint32) uint32 {
	if at == 0 {
		return w.size - 1
	}
	return at - 1
}
