package ipxfrm

import (
	"encoding/binary"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// selector prints a selector and the end of its line; f is the family of the
// object around it.
func (t *textRecord) selector(s *netlinkx.Selector, f netlinkx.Family) {
	if s.Family != netlinkx.FamilyUnspec {
		f = s.Family
	}
	if f == netlinkx.FamilyUnspec {
		f = t.p.Family
	}
	t.str("src ").prefix(s.Src, f).str(" dst ").prefix(s.Dst, f).str(" ")
	if s.Proto != 0 {
		t.str("proto ").upper(s.Proto).str(" ")
	}
	t.ports(s)
	if s.IfIndex > 0 {
		t.str("dev ").device(s.IfIndex).str(" ")
	}
	if t.stats() {
		t.str("uid ").dec(uint64(s.User))
	}
	t.line()
}

// Upper-layer protocols whose selectors have no ports (IANA protocol numbers).
const (
	upperICMP     = 1
	upperGRE      = 47
	upperICMPv6   = 58
	upperMobility = 135
)

// ports prints what the port fields of a selector mean to its protocol.
func (t *textRecord) ports(s *netlinkx.Selector) {
	src, dst := "sport ", "dport "
	switch s.Proto {
	case upperICMP, upperICMPv6:
		src, dst = "type ", "code "
	case upperMobility:
		src = "type "
	case upperGRE:
		if s.SrcPort.Mask|s.DstPort.Mask != 0 {
			t.str("key ").dec(uint64(s.SrcPort.Port)<<16 + uint64(s.DstPort.Port)).str(" ")
		}
		return
	}
	if s.SrcPort.Mask != 0 {
		t.str(src).dec(uint64(s.SrcPort.Port)).str(" ")
	}
	switch {
	case s.DstPort.Mask == 0:
	case s.Proto != upperMobility:
		t.str(dst).dec(uint64(s.DstPort.Port)).str(" ")
	case t.stats():
		// ip forgets to swap this one
		var be [2]byte
		binary.BigEndian.PutUint16(be[:], s.DstPort.Port)
		t.str("(dport) 0x").hexPad(uint32(binary.NativeEndian.Uint16(be[:])), 4).str(" ")
	}
}
