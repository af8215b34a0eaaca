package flow

import (
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xaddr"
)

// In reports whether the packet is in a selector (xfrm_selector_match, which
// does not compare the family).
func (f *Flow) In(s *netlinkx.Selector) bool {
	return (f.DstPort^s.DstPort.Port)&s.DstPort.Mask == 0 &&
		(f.SrcPort^s.SrcPort.Port)&s.SrcPort.Mask == 0 &&
		(s.Proto == 0 || s.Proto == f.Proto) &&
		(s.IfIndex == 0 || uint32(s.IfIndex) == f.IfIndex) &&
		(*xaddr.Addr)(&f.Dst).Within(s.Dst) && (*xaddr.Addr)(&f.Src).Within(s.Src)
}
