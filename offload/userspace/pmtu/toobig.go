package pmtu

import (
	"errors"

	"github.com/xfrmctl/xfrmctl/gsogro/segment"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/flow"
)

// ErrNoAnswer: no ICMP error may be sent about this packet (RFC 1812 section
// 4.3.2.7, RFC 4443 section 2.4): it is an ICMP error itself, not the first
// fragment, or its addresses do not name one host each.
var ErrNoAnswer = errors.New("pmtu: no ICMP error may be sent about this packet")

// Most bytes of an ICMP error, all headers included: RFC 1812 section
// 4.3.2.3, RFC 4443 section 2.4 (c).
const (
	MaxError4 = 576
	MaxError6 = 1280
)

const (
	tosInternetControl = 0xc0 // precedence of ICMP errors, RFC 1812 section 4.3.2.5
	hopLimit           = 64
	dontFragment       = 0x4000
)

// AppendTooBig appends to buf the ICMP error that tells the sender of pkt to
// send no more than mtu bytes: fragmentation needed, or ICMPv6 Packet Too Big. f
// is the Flow of pkt. The error comes from the packet's destination, for a
// source address of this host would be refused as martian when it arrives
// through a TUN device. An IPv6 mtu under 1280 counts as 1280. With room for
// MaxError6 bytes in buf nothing is allocated. ErrNoAnswer: nothing may be sent.
func AppendTooBig(buf, pkt []byte, f *flow.Flow, mtu uint32) ([]byte, error) {
	if uint32(len(pkt)) < f.TotalLen || !answerable(pkt, f) {
		return buf, ErrNoAnswer
	}
	pkt = pkt[:f.TotalLen]
	if f.Family == netlinkx.FamilyIPv6 {
		return appendTooBig6(buf, pkt, f, max(mtu, MinIPv6)), nil
	}
	return appendTooBig4(buf, pkt, f, min(mtu, 0xffff)), nil
}

func answerable(pkt []byte, f *flow.Flow) bool {
	if f.FragOffset != 0 || f.Multicast() || !oneHost(f) {
		return false
	}
	up := pkt[min(int(f.HeaderLen), len(pkt)):]
	switch {
	case f.Family == netlinkx.FamilyIPv4 && f.Proto == flow.ProtoICMP:
		return len(up) > 0 && icmp4Query(up[0])
	case f.Family == netlinkx.FamilyIPv6 && f.Proto == flow.ProtoICMPv6:
		const informational, redirect = 128, 137
		return len(up) > 0 && up[0] >= informational && up[0] != redirect
	}
	return true
}

// icmp4Query: a request or reply, not an error and not an unknown type (kernel:
// icmp_pointers).
func icmp4Query(t uint8) bool {
	switch t {
	case 0, 8, 9, 10, 13, 14, 15, 16, 17, 18:
		return true
	}
	return false
}

// oneHost: source and destination are addresses that one host can have.
func oneHost(f *flow.Flow) bool {
	for _, a := range [...]*[16]byte{&f.Src, &f.Dst} {
		switch f.Family {
		case netlinkx.FamilyIPv4:
			if a[0] == 0 || a[0] >= 0xe0 {
				return false
			}
		case netlinkx.FamilyIPv6:
			if a[0] == 0xff || *a == [16]byte{} {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// extend makes buf longer by n bytes, which are zero.
func extend(buf []byte, n int) []byte {
	old := len(buf)
	if cap(buf)-old < n {
		buf = append(buf, make([]byte, n)...)
	} else {
		buf = buf[:old+n]
		clear(buf[old:])
	}
	return buf
}

func appendTooBig4(buf, pkt []byte, f *flow.Flow, mtu uint32) []byte {
	quote := pkt[:min(len(pkt), MaxError4-ipv4Len-icmpLen)]
	at := len(buf)
	buf = extend(buf, ipv4Len+icmpLen+len(quote))
	p := buf[at:]
	p[0], p[1] = 0x45, f.TOS&0x1e|tosInternetControl
	be.PutUint16(p[2:], uint16(len(p)))
	be.PutUint16(p[6:], dontFragment)
	p[8], p[9] = hopLimit, flow.ProtoICMP
	copy(p[12:16], f.Dst[:4])
	copy(p[16:20], f.Src[:4])
	be.PutUint16(p[10:], ^segment.Sum(p[:ipv4Len]))
	m := p[ipv4Len:]
	m[0], m[1] = icmp4Unreachable, icmp4FragNeeded
	be.PutUint16(m[6:], uint16(mtu))
	copy(m[icmpLen:], quote)
	be.PutUint16(m[2:], ^segment.Sum(m))
	return buf
}

func appendTooBig6(buf, pkt []byte, f *flow.Flow, mtu uint32) []byte {
	quote := pkt[:min(len(pkt), MaxError6-ipv6Len-icmpLen)]
	at := len(buf)
	buf = extend(buf, ipv6Len+icmpLen+len(quote))
	p := buf[at:]
	m := p[ipv6Len:]
	p[0] = 0x60
	be.PutUint16(p[4:], uint16(len(m)))
	p[6], p[7] = flow.ProtoICMPv6, hopLimit
	copy(p[8:24], f.Dst[:])
	copy(p[24:40], f.Src[:])
	m[0] = icmp6TooBig
	be.PutUint32(m[4:], mtu)
	copy(m[icmpLen:], quote)
	sum := segment.AddSums(segment.Sum(m), segment.PseudoSum(p[8:24], p[24:40], flow.ProtoICMPv6, len(m)))
	be.PutUint16(m[2:], ^sum)
	return buf
}
