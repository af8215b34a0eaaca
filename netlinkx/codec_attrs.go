package netlinkx

import (
	"bytes"
	"fmt"
)

func appendEncap(b []byte, e *Encap) []byte {
	if e == nil {
		return b
	}
	b, p := attr(b, AttrEncap, SizeEncap)
	host.PutUint16(p, uint16(e.Type))
	be.PutUint16(p[2:], e.SrcPort)
	be.PutUint16(p[4:], e.DstPort)
	putAddr(p[8:], e.OriginalAddr)
	return b
}

func (a *attrs) encap(e *Encap, f Family) *Encap {
	if !a.want(SizeEncap) {
		return nil
	}
	*e = Encap{EncapType(host.Uint16(a.data)), be.Uint16(a.data[2:]), be.Uint16(a.data[4:]), getAddr(a.data[8:], f)}
	return e
}

func appendSecCtx(b []byte, c *SecCtx) ([]byte, error) {
	if c == nil {
		return b, nil
	}
	if len(c.Context) > 0xffff-sizeAttr-SizeSecCtx-1 {
		return b, fmt.Errorf("security context of %d bytes is too long", len(c.Context))
	}
	n := len(c.Context) + 1
	b, p := attr(b, AttrSecCtx, SizeSecCtx+n)
	host.PutUint16(p, uint16(SizeSecCtx+n))
	host.PutUint16(p[2:], uint16(AttrSecCtx))
	p[4], p[5] = c.Alg, c.DOI
	host.PutUint16(p[6:], uint16(n))
	copy(p[SizeSecCtx:], c.Context)
	return b, nil
}

func (a *attrs) secCtx() *SecCtx {
	if len(a.data) < SizeSecCtx {
		a.fail(fmt.Sprintf("length %d, want at least %d", len(a.data), SizeSecCtx))
		return nil
	}
	if n := int(host.Uint16(a.data[6:])); !a.want(SizeSecCtx + n) {
		return nil
	}
	return &SecCtx{Alg: a.data[4], DOI: a.data[5], Context: string(bytes.TrimSuffix(a.data[SizeSecCtx:], []byte{0}))}
}

func appendOffload(b []byte, o *Offload) []byte {
	if o == nil {
		return b
	}
	b, p := attr(b, AttrOffloadDev, SizeOffload)
	host.PutUint32(p, uint32(o.IfIndex))
	p[4] = uint8(o.Flags)
	return b
}

func (a *attrs) offload(o *Offload) *Offload {
	if !a.want(SizeOffload) {
		return nil
	}
	*o = Offload{int32(host.Uint32(a.data)), OffloadFlags(a.data[4])}
	return o
}

func appendMark(b []byte, m Mark) []byte {
	if m == (Mark{}) {
		return b
	}
	return putMark(b, m)
}

func putMark(b []byte, m Mark) []byte {
	b, p := attr(b, AttrMark, 8)
	host.PutUint32(p, m.Value)
	host.PutUint32(p[4:], m.Mask)
	return b
}

func (a *attrs) mark() Mark {
	if !a.want(8) {
		return Mark{}
	}
	return Mark{host.Uint32(a.data), host.Uint32(a.data[4:])}
}

// appendOutputMark sends the value whenever there is a mask: the kernel
// ignores a mask alone.
func appendOutputMark(b []byte, m Mark) []byte {
	if m == (Mark{}) {
		return b
	}
	b = attrU32(b, AttrSetMark, m.Value)
	return attrU32NZ(b, AttrSetMarkMask, m.Mask)
}

func appendDir(b []byte, d Dir) []byte {
	if d == DirUnset {
		return b
	}
	b, p := attr(b, AttrSADir, 1)
	p[0] = uint8(d)
	return b
}

func appendIPTFS(b []byte, t *IPTFS) []byte {
	b = attrOpt32(b, AttrIPTFSDropTime, t.DropTime)
	if t.ReorderWindow.Valid {
		var p []byte
		b, p = attr(b, AttrIPTFSReorderWindow, 2)
		host.PutUint16(p, t.ReorderWindow.V)
	}
	if t.DontFrag {
		b, _ = attr(b, AttrIPTFSDontFrag, 0)
	}
	b = attrOpt32(b, AttrIPTFSInitDelay, t.InitDelay)
	b = attrOpt32(b, AttrIPTFSMaxQSize, t.MaxQSize)
	return attrOpt32(b, AttrIPTFSPktSize, t.PktSize)
}

func appendReplayVal(b []byte, r *ReplayState) []byte {
	b, p := attr(b, AttrReplayVal, SizeReplay)
	host.PutUint32(p, r.OSeq)
	host.PutUint32(p[4:], r.Seq)
	host.PutUint32(p[8:], r.Bitmap)
	return b
}

func (a *attrs) replayVal(r *ReplayState) *ReplayState {
	if !a.want(SizeReplay) {
		return nil
	}
	*r = ReplayState{host.Uint32(a.data), host.Uint32(a.data[4:]), host.Uint32(a.data[8:])}
	return r
}

// words returns how many 32-bit words a window takes.
func words(window uint32) uint32 { return (window + 31) / 32 }

// appendReplayESN writes struct xfrm_replay_state_esn. Without a declared
// length the bitmap has what the window takes.
func appendReplayESN(b []byte, r *ReplayESN, window uint32) ([]byte, error) {
	n := r.BitmapLen
	if n == 0 {
		n = words(window)
	}
	if r.Bitmap != nil && uint32(len(r.Bitmap)) != n {
		return b, fmt.Errorf("replay bitmap of %d words, declared %d", len(r.Bitmap), n)
	}
	b, p := attr(b, AttrReplayESNVal, SizeReplayESN+4*len(r.Bitmap))
	for i, v := range [...]uint32{n, r.OSeq, r.Seq, r.OSeqHi, r.SeqHi, window} {
		host.PutUint32(p[4*i:], v)
	}
	for i, w := range r.Bitmap {
		host.PutUint32(p[SizeReplayESN+4*i:], w)
	}
	return b, nil
}

// replayESN decodes into r, with the bitmap in store when it fits. A
// header-only attribute without counters, which is what a fresh state is
// encoded as, is nil.
func (a *attrs) replayESN(r *ReplayESN, store []uint32) (_ *ReplayESN, window uint32) {
	if len(a.data) < SizeReplayESN {
		a.fail(fmt.Sprintf("length %d, want at least %d", len(a.data), SizeReplayESN))
		return nil, 0
	}
	u := func(i int) uint32 { return host.Uint32(a.data[4*i:]) }
	*r = ReplayESN{BitmapLen: u(0), OSeq: u(1), Seq: u(2), OSeqHi: u(3), SeqHi: u(4)}
	window = u(5)
	if len(a.data) == SizeReplayESN && r.BitmapLen > 0 {
		if r.OSeq|r.Seq|r.OSeqHi|r.SeqHi == 0 && r.BitmapLen == words(window) {
			return nil, window
		}
		return r, window
	}
	if r.BitmapLen > 0xffff/4 || !a.want(SizeReplayESN+4*int(r.BitmapLen)) {
		a.fail(fmt.Sprintf("bitmap of %d words", r.BitmapLen))
		return nil, 0
	}
	if int(r.BitmapLen) > len(store) {
		store = make([]uint32, r.BitmapLen)
	}
	r.Bitmap = store[:r.BitmapLen:r.BitmapLen]
	for i := range r.Bitmap {
		r.Bitmap[i] = host.Uint32(a.data[SizeReplayESN+4*i:])
	}
	if r.BitmapLen == 0 {
		r.Bitmap = nil
	}
	return r, window
}
