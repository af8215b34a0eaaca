package sadb

import (
	"encoding/binary"
	"net/netip"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/flow"
)

// leads reports whether an address begins with a prefix, whose family is not
// looked at, as in the kernel's addr_match.
func leads(p netip.Prefix, a rawAddr) bool {
	q := rawOf(p.Addr())
	return sameBits(&q, (*[16]byte)(&a), p.Bits())
}

// sameBits reports whether two addresses begin with the same n bits.
func sameBits(a *rawAddr, b *[16]byte, n int) bool {
	ah, al := a.words()
	bh, bl := binary.BigEndian.Uint64(b[:]), binary.BigEndian.Uint64(b[8:])
	switch {
	case n <= 0:
		return true
	case n <= 64:
		return (ah^bh)>>(64-n) == 0
	case n >= 128:
		return ah == bh && al == bl
	}
	return ah == bh && (al^bl)>>(128-n) == 0
}

// matchSelector is xfrm_selector_match: the family is not compared.
func matchSelector(s *netlinkx.Selector, f *flow.Flow) bool {
	if s.DstPort.Mask != 0 && (f.DstPort^s.DstPort.Port)&s.DstPort.Mask != 0 ||
		s.SrcPort.Mask != 0 && (f.SrcPort^s.SrcPort.Port)&s.SrcPort.Mask != 0 ||
		s.Proto != 0 && s.Proto != f.Proto || s.IfIndex != 0 && uint32(s.IfIndex) != f.IfIndex {
		return false
	}
	if s.Dst.Bits() > 0 {
		if d := rawOf(s.Dst.Addr()); !sameBits(&d, &f.Dst, s.Dst.Bits()) {
			return false
		}
	}
	if s.Src.Bits() > 0 {
		if d := rawOf(s.Src.Addr()); !sameBits(&d, &f.Src, s.Src.Bits()) {
			return false
		}
	}
	return true
}
