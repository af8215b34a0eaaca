package flow

import (
	"net/netip"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Protocol numbers that Dissect knows (IANA, "Assigned Internet Protocol
// Numbers").
const (
	ProtoHopByHop = 0
	ProtoICMP     = 1
	ProtoIPIP     = 4
	ProtoTCP      = 6
	ProtoUDP      = 17
	ProtoDCCP     = 33
	ProtoIPv6     = 41
	ProtoRouting  = 43
	ProtoFragment = 44
	ProtoGRE      = 47
	ProtoESP      = 50
	ProtoAH       = 51
	ProtoICMPv6   = 58
	ProtoNone     = 59
	ProtoDestOpts = 60
	ProtoSCTP     = 132
	ProtoMH       = 135
	ProtoUDPLite  = 136
)

// Flow is what is known of one packet. The caller owns it and reuses it:
// Dissect overwrites everything except Mark, IfIndex and IfID, which are the
// caller's. The zero value is ready for use. Safe for concurrent reading.
type Flow struct {
	Src, Dst [16]byte // an IPv4 address in the first 4 bytes, the rest zero (xfrm_address_t)

	Mark    uint32 // packet mark; set by the caller
	IfIndex uint32 // interface; set by the caller, 0 for any
	IfID    uint32 // if_id of the XFRM interface; set by the caller, 0 for none

	GREKey    uint32 // key of GRE (RFC 2890); 0 without one
	FlowLabel uint32 // IPv6 only, 20 bits
	FragID    uint32 // identification; in IPv6 only with a fragment header
	TotalLen  uint32 // whole packet in bytes by its own header; at most what was handed in

	// SrcPort and DstPort are what a selector's ports are compared with
	// (kernel: xfrm_flowi_sport, xfrm_flowi_dport): ports of TCP, UDP, UDP-Lite
	// and SCTP; type and code of ICMP and ICMPv6; type of a mobility header
	// and 0; upper and lower half of a GRE key; 0 otherwise, also for DCCP, for
	// every fragment, and where the packet ends before them.
	SrcPort, DstPort uint16

	HeaderLen  uint16 // offset of the upper layer: behind the IPv4 header, or the IPv6 extension headers
	FragHeader uint16 // offset of the IPv6 fragment header; 0 without
	FragOffset uint16 // of this fragment in the datagram, in bytes

	Family netlinkx.Family // FamilyIPv4 or FamilyIPv6
	Proto  uint8           // upper layer; of a fragment, what its header says
	TOS    uint8           // type of service, or traffic class
	TTL    uint8           // or hop limit

	DF       bool // IPv4 don't fragment
	MF       bool // more fragments follow
	Fragment bool // one part of a datagram; false for IPv6 atomic fragments as well (RFC 6946)
}

// SrcAddr is Src as an address; invalid in the zero Flow.
func (f *Flow) SrcAddr() netip.Addr { return f.addr(&f.Src) }

// DstAddr is Dst as an address; invalid in the zero Flow.
func (f *Flow) DstAddr() netip.Addr { return f.addr(&f.Dst) }

func (f *Flow) addr(a *[16]byte) netip.Addr {
	switch f.Family {
	case netlinkx.FamilyIPv4:
		return netip.AddrFrom4([4]byte(a[:4]))
	case netlinkx.FamilyIPv6:
		return netip.AddrFrom16(*a)
	}
	return netip.Addr{}
}

// Multicast says that the destination is a multicast address, or IPv4's
// limited broadcast.
func (f *Flow) Multicast() bool {
	if f.Family == netlinkx.FamilyIPv6 {
		return f.Dst[0] == 0xff
	}
	return f.Dst[0]&0xf0 == 0xe0 || [4]byte(f.Dst[:4]) == [4]byte{255, 255, 255, 255}
}
