package pmtu

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"github.com/xfrmctl/xfrmctl/gsogro/segment"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Why an ICMP message teaches nothing, built once.
var (
	ErrNotError   = errors.New("pmtu: not an ICMP error")
	ErrTruncated  = errors.New("pmtu: ICMP message too short")
	ErrChecksum   = errors.New("pmtu: checksum of the ICMP message is wrong")
	ErrNotESP     = errors.New("pmtu: the ICMP error quotes something else than ESP")
	ErrShortQuote = errors.New("pmtu: the ICMP error quotes too little to tell the SA")
)

// Types and codes of ICMP errors (RFC 792, RFC 1191, RFC 4443).
const (
	icmp4Unreachable  = 3
	icmp4FragNeeded   = 4 // code of icmp4Unreachable
	icmp4TimeExceeded = 11
	icmp4Parameter    = 12

	icmp6Unreachable = 1
	icmp6TooBig      = 2
	icmp6Parameter   = 4

	icmpLen = 8
)

const (
	protoHopByHop = 0
	protoUDP      = 17
	protoRouting  = 43
	protoFragment = 44
	protoESP      = 50
	protoDestOpts = 60

	ipv4Len = 20
	ipv6Len = 40
	udpLen  = 8
)

var be = binary.BigEndian

// Quote is what an ICMP error says about an ESP packet of ours. The caller owns
// it and reuses it. Nothing of it is authenticated.
type Quote struct {
	Family     netlinkx.Family
	Type, Code uint8  // of the ICMP error
	TooBig     bool   // fragmentation needed, or Packet Too Big
	MTU        uint32 // with TooBig: of the next hop, in bytes; 0 from IPv4 routers that do not say

	Src, Dst         netip.Addr // of the quoted packet: we sent it from Src
	Encap            bool       // ESP in UDP, with the ports below
	SrcPort, DstPort uint16
	SPI              netlinkx.SPI
	Seq              uint32 // low half of the sequence number; 0 if the quote ends before it
}

// Parse4 reads an IPv4 packet that holds an ICMP message, as a raw socket
// gives it. On error, which is one of this package's sentinels, q holds
// nothing.
func (q *Quote) Parse4(pkt []byte) error {
	*q = Quote{}
	if len(pkt) < ipv4Len {
		return ErrTruncated
	}
	ihl, total := int(pkt[0]&0xf)*4, int(be.Uint16(pkt[2:]))
	if pkt[0]>>4 != 4 || ihl < ipv4Len || total > len(pkt) || total < ihl+icmpLen {
		return ErrTruncated
	}
	m := pkt[ihl:total]
	if segment.Sum(m) != 0xffff {
		return ErrChecksum
	}
	r := Quote{Family: netlinkx.FamilyIPv4, Type: m[0], Code: m[1]}
	switch r.Type {
	case icmp4Unreachable, icmp4TimeExceeded, icmp4Parameter:
	default:
		return ErrNotError
	}
	if r.Type == icmp4Unreachable && r.Code == icmp4FragNeeded {
		r.TooBig, r.MTU = true, uint32(be.Uint16(m[6:]))
	}
	if err := r.quoted4(m[icmpLen:]); err != nil {
		return err
	}
	*q = r
	return nil
}

// Parse6 reads an ICMPv6 message without its IPv6 header, as a raw socket gives
// it; the kernel has verified its checksum. Errors as for Parse4.
func (q *Quote) Parse6(m []byte) error {
	*q = Quote{}
	if len(m) < icmpLen {
		return ErrTruncated
	}
	r := Quote{Family: netlinkx.FamilyIPv6, Type: m[0], Code: m[1]}
	if r.Type < icmp6Unreachable || r.Type > icmp6Parameter {
		return ErrNotError
	}
	if r.Type == icmp6TooBig {
		r.TooBig, r.MTU = true, be.Uint32(m[4:])
	}
	if err := r.quoted6(m[icmpLen:]); err != nil {
		return err
	}
	*q = r
	return nil
}

// quoted4 reads the packet that caused the error. Its total length may have
// been changed on the way and exceeds the quote: it is not looked at.
func (q *Quote) quoted4(p []byte) error {
	if len(p) < ipv4Len {
		return ErrShortQuote
	}
	ihl := int(p[0]&0xf) * 4
	if p[0]>>4 != 4 || ihl < ipv4Len {
		return ErrNotESP
	}
	if be.Uint16(p[6:])&0x1fff != 0 {
		return ErrShortQuote // not the first fragment: no SPI
	}
	q.Src, q.Dst = netip.AddrFrom4([4]byte(p[12:16])), netip.AddrFrom4([4]byte(p[16:20]))
	if len(p) < ihl {
		return ErrShortQuote
	}
	return q.quotedESP(p[9], p[ihl:])
}

func (q *Quote) quoted6(p []byte) error {
	if len(p) < ipv6Len {
		return ErrShortQuote
	}
	if p[0]>>4 != 6 {
		return ErrNotESP
	}
	q.Src, q.Dst = netip.AddrFrom16([16]byte(p[8:24])), netip.AddrFrom16([16]byte(p[24:40]))
	next, p := p[6], p[ipv6Len:]
	for {
		n := 8
		switch next {
		case protoHopByHop, protoRouting, protoDestOpts, protoFragment:
		default:
			return q.quotedESP(next, p)
		}
		if len(p) < n {
			return ErrShortQuote
		}
		if next != protoFragment {
			n = (int(p[1]) + 1) * 8
		} else if be.Uint16(p[2:])&^7 != 0 {
			return ErrShortQuote
		}
		if len(p) < n {
			return ErrShortQuote
		}
		next, p = p[0], p[n:]
	}
}

// quotedESP reads ESP, in UDP or not. UDP with four bytes of zeros is IKE, and
// a single 0xff a keepalive (RFC 3948 section 2).
func (q *Quote) quotedESP(proto uint8, p []byte) error {
	switch proto {
	case protoESP:
	case protoUDP:
		if len(p) < udpLen {
			return ErrShortQuote
		}
		q.Encap, q.SrcPort, q.DstPort = true, be.Uint16(p), be.Uint16(p[2:])
		p = p[udpLen:]
	default:
		return ErrNotESP
	}
	if len(p) < 4 {
		return ErrShortQuote
	}
	if q.SPI = netlinkx.SPI(be.Uint32(p)); q.SPI == 0 {
		return ErrNotESP
	}
	if len(p) >= 8 {
		q.Seq = be.Uint32(p[4:])
	}
	return nil
}
