// Package encap is what surrounds ESP: the outer IP header, the UDP header of
// RFC 3948, and what tunnel, transport and BEET mode make of the inner packet,
// out and in. It does what Linux does (net/xfrm/xfrm_output.c, xfrm_input.c),
// field by field: TOS, ECN, DF, TTL, flow label, options.
//
// It neither encrypts nor sends. A packet goes out by Plan, Write, the ESP
// transform, Finish; it comes in by the ESP transform and Decap.
//
// Start with New.
package encap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

const (
	v4Len  = 20
	v6Len  = 40
	udpLen = 8

	protoIPIP   = 4
	protoUDP    = 17
	protoIPv6   = 41
	protoESP    = 50
	protoBEETPH = 94 // pseudo header that carries IPv4 options in BEET mode

	extHopByHop = 0
	extRouting  = 43
	extFragment = 44
	extDest     = 60

	defaultTTL = 64 // net.ipv4.ip_default_ttl, net.ipv6.conf.*.hop_limit
)

// Room is how many bytes before the payload Decap may need: the longest IPv4
// header, or an IPv6 header.
const Room = 60

// MaxHeader is the most bytes that Write puts before ESP in tunnel and BEET
// mode. In transport mode it is the packet's own header and 8.
const MaxHeader = v6Len + udpLen

// Errors of Plan, Write and Decap. Nothing is formatted per packet.
var (
	// ErrHeader is a packet whose IP header is malformed or cut off.
	ErrHeader = errors.New("encap: malformed IP header")
	// ErrFamily is a packet of a family that the mode or the SA cannot carry.
	ErrFamily = errors.New("encap: packet of a family that this SA cannot carry")
	// ErrFragment is a fragment in transport or BEET mode, which carry whole
	// packets only (RFC 4301 section 4.1).
	ErrFragment = errors.New("encap: fragment in transport or BEET mode")
	// ErrRoom is a buffer without room for the header.
	ErrRoom = errors.New("encap: no room for the header")
	// ErrTooLong is a packet that does not fit the length field.
	ErrTooLong = errors.New("encap: packet longer than an IP packet")
)

// Params says how an SA wraps packets.
type Params struct {
	// Mode is tunnel, transport or BEET.
	Mode netlinkx.Mode
	// Src and Dst are the SA's addresses, on the outer header.
	Src, Dst netip.Addr
	// InnerSrc and InnerDst are BEET's inner addresses, those of the SA's
	// selector. Other modes ignore them.
	InnerSrc, InnerDst netip.Addr
	// Encap asks for UDP encapsulation, nil for plain ESP. Only the ports
	// matter here.
	Encap *netlinkx.Encap
	// Flags: NoECN, DecapDSCP and NoPMTUDisc count, in tunnel mode.
	Flags netlinkx.SAFlags
	// ExtraFlags: DontEncapDSCP counts, in tunnel mode.
	ExtraFlags netlinkx.SAExtraFlags
	// TTL is the outer TTL or hop limit in tunnel mode, 0 for 64.
	TTL uint8
}

// Transform wraps and unwraps the packets of one SA. It is immutable and safe
// for concurrent use.
type Transform struct {
	mode       netlinkx.Mode
	v6         bool // outer
	innerV6    bool // BEET
	udp        bool
	flags      netlinkx.SAFlags
	keepDSCP   bool // outer DSCP stays 0
	ttl        uint8
	template   [MaxHeader]byte
	sum        uint32 // of the IPv4 template
	beetSrc    [16]byte
	beetDst    [16]byte
	headerSize int
}

// New returns the transform of an SA. It refuses other modes and addresses of
// mixed or no family.
func New(p Params) (*Transform, error) {
	switch p.Mode {
	case netlinkx.ModeTunnel, netlinkx.ModeTransport, netlinkx.ModeBEET:
	default:
		return nil, fmt.Errorf("mode %s: the userspace engine carries tunnel, transport and beet", p.Mode)
	}
	if err := samePair(p.Src, p.Dst); err != nil {
		return nil, fmt.Errorf("outer addresses: %w", err)
	}
	t := &Transform{
		mode: p.Mode, v6: p.Dst.Is6(), udp: p.Encap != nil, flags: p.Flags, ttl: p.TTL,
		keepDSCP: p.ExtraFlags&netlinkx.ExtraDontEncapDSCP != 0,
	}
	if t.ttl == 0 {
		t.ttl = defaultTTL
	}
	if p.Mode == netlinkx.ModeBEET {
		if err := samePair(p.InnerSrc, p.InnerDst); err != nil {
			return nil, fmt.Errorf("inner addresses of beet mode, from the selector: %w", err)
		}
		t.innerV6 = p.InnerDst.Is6()
		copy(t.beetSrc[:], p.InnerSrc.AsSlice())
		copy(t.beetDst[:], p.InnerDst.AsSlice())
	}
	t.build(&p)
	return t, nil
}

func samePair(a, b netip.Addr) error {
	if !a.IsValid() || !b.IsValid() || a.Is4In6() || b.Is4In6() || a.Is4() != b.Is4() {
		return fmt.Errorf("%s and %s are not two addresses of one family", a, b)
	}
	return nil
}

// build makes the template of outer IP and UDP header.
func (t *Transform) build(p *Params) {
	b, proto := t.template[:], byte(protoESP)
	if t.udp {
		proto = protoUDP
	}
	if t.v6 {
		b[0], b[6], b[7] = 0x60, proto, t.ttl
		copy(b[8:], p.Src.AsSlice())
		copy(b[24:], p.Dst.AsSlice())
		t.headerSize = v6Len
	} else {
		b[0], b[8], b[9] = 0x45, t.ttl, proto
		copy(b[12:], p.Src.AsSlice())
		copy(b[16:], p.Dst.AsSlice())
		t.sum = sum16(b[:v4Len])
		t.headerSize = v4Len
	}
	if t.udp {
		binary.BigEndian.PutUint16(b[t.headerSize:], p.Encap.SrcPort)
		binary.BigEndian.PutUint16(b[t.headerSize+2:], p.Encap.DstPort)
		t.headerSize += udpLen
	}
}

// V6 reports whether the outer header is IPv6.
func (t *Transform) V6() bool { return t.v6 }

// UDP reports whether ESP travels in UDP.
func (t *Transform) UDP() bool { return t.udp }

// InnerMTU returns the longest inner packet whose outer packet is at most mtu
// bytes long, by the rule of the kernel's xfrm_state_mtu. maxPayload is the
// MaxPayload of the SA's cipher.
func (t *Transform) InnerMTU(mtu int, maxPayload func(int) int) int {
	outer := v4Len
	if t.v6 {
		outer = v6Len
	}
	n := mtu - outer
	if t.udp {
		n -= udpLen
	}
	switch t.mode {
	case netlinkx.ModeTunnel:
		outer = 0
	case netlinkx.ModeBEET:
		n -= t.beetGrowth()
	}
	n = maxPayload(n) + outer
	if t.v6 {
		return max(n, 1280) // IPV6_MIN_MTU
	}
	return n
}

// beetGrowth is by how much the kernel expects BEET mode to make a packet
// longer: room for a pseudo header before an IPv4 packet's options, and the
// difference between an IPv6 outer and an IPv4 inner header.
func (t *Transform) beetGrowth() int {
	const pseudoMax = 8
	switch {
	case t.innerV6:
		return 0
	case t.v6:
		return pseudoMax + v6Len - v4Len
	}
	return pseudoMax
}

// sum16 is the one's complement sum of b, of even length, not folded.
func sum16(b []byte) (sum uint32) {
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(b[0])<<8 | uint32(b[1])
	}
	return sum
}

// fold returns the Internet checksum of a sum.
func fold(sum uint32) uint16 {
	sum = sum>>16 + sum&0xffff
	sum += sum >> 16
	return ^uint16(sum)
}
