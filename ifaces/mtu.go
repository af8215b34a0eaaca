package ifaces

import (
	"errors"
	"fmt"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Lengths of headers in bytes.
const (
	ipv4Header  = 20
	ipv6Header  = 40
	espHeader   = 8 // SPI and sequence number (RFC 4303 section 2)
	espTrailer  = 2 // pad length and next header
	ahHeader    = 12
	udpHeader   = 8
	tcpPrefix   = 2 // length field of ESP in TCP (RFC 8229 section 3)
	beetOption  = 8 // longest pseudo header of BEET with IPv4 inside
	iptfsHeader = 4 // RFC 9347 section 6.1
	// MinMTU and MaxMTU are the kernel's limits for an XFRM interface.
	MinMTU = 68
	MaxMTU = 65535
)

// MTU returns the largest inner packet, IP header included, that fits into one
// packet of underlay bytes when sa carries it. It is the kernel's own figure
// (xfrm_state_mtu of net/xfrm/xfrm_state.c with the header lengths of
// net/ipv4/esp4.c, net/ipv6/esp6.c and their like), with which a packet is
// compared when it is sent: 1446 for AES-GCM with a 16-byte ICV in an IPv4
// tunnel over 1500.
//
// Of sa it reads Proto (zero: ESP), Mode, Family (zero: that of Dst or Src,
// else IPv4), Selector.Family (BEET), the algorithms without their keys, Flags,
// Encap and IPTFS.DontFrag. TFC padding never makes a packet longer than the
// MTU and does not count. IP-TFS that may fragment has no limit: MaxMTU. The
// result may be below the 1280 that IPv6 wants of a link; some kernels then
// count with 1280 and fragment the outer packet.
//
// Errors: errors.ErrUnsupported for an algorithm whose lengths are not known
// here or a mode that has no MTU.
func MTU(underlay int, sa *netlinkx.SA) (int, error) {
	family := outerFamily(sa)
	t, err := newTransform(sa, family)
	if err != nil {
		return 0, err
	}
	mtu, err := t.inner(underlay)
	if err != nil {
		return 0, err
	}
	if mtu < MinMTU {
		return 0, fmt.Errorf("mtu %d of the underlay leaves %d bytes for inner packets, fewer than %d", underlay, mtu, MinMTU)
	}
	return min(mtu, MaxMTU), nil
}

// transform is what of an SA takes room in a packet, in bytes.
type transform struct {
	header    int // in front of the payload, outer IP header included in tunnel mode
	icv       int
	block     int // payload and trailer fill whole blocks; 0: no trailer
	network   int // the IP header that stays outside in transport and BEET mode
	unlimited bool
}

func newTransform(sa *netlinkx.SA, family netlinkx.Family) (transform, error) {
	t, err := transform{}, error(nil)
	switch sa.Proto {
	case netlinkx.ProtoESP, 0:
		t, err = espTransform(sa)
	case netlinkx.ProtoAH:
		t, err = ahTransform(sa, family)
	case netlinkx.ProtoComp:
		// in the worst case nothing shrinks and no header is added
	default:
		return t, fmt.Errorf("mtu of protocol %s: %w", sa.Proto, errors.ErrUnsupported)
	}
	if err != nil {
		return t, err
	}
	switch sa.Mode {
	case netlinkx.ModeTunnel:
		t.header += ipHeader(family)
	case netlinkx.ModeTransport:
		t.network = ipHeader(family)
	case netlinkx.ModeBEET:
		t.network = ipHeader(family)
		t.header += beetHeader(sa, family)
	case netlinkx.ModeIPTFS:
		t.header += ipHeader(family) + iptfsHeader
		t.unlimited = !sa.IPTFS.DontFrag
	default:
		return t, fmt.Errorf("mtu of mode %s: %w", sa.Mode, errors.ErrUnsupported)
	}
	return t, nil
}

func (t transform) inner(underlay int) (int, error) {
	if t.unlimited {
		return MaxMTU, nil
	}
	room := underlay - t.header - t.icv
	if t.block == 0 {
		return room, nil
	}
	room -= t.network
	if room < t.block {
		return 0, fmt.Errorf("mtu %d of the underlay is smaller than the headers", underlay)
	}
	return room - room%t.block + t.network - espTrailer, nil
}

func espTransform(sa *netlinkx.SA) (transform, error) {
	c, icv, err := lengthsOf(sa)
	if err != nil {
		return transform{}, err
	}
	t := transform{header: espHeader + c.iv, icv: icv, block: max(4, c.block)}
	if sa.Encap == nil {
		return t, nil
	}
	switch sa.Encap.Type {
	case netlinkx.EncapESPinUDP:
		t.header += udpHeader
	case netlinkx.EncapESPinUDPNonIKE:
		t.header += udpHeader + 8 // the non-IKE marker of the old draft
	case netlinkx.EncapESPinTCP:
		t.header += tcpPrefix
	default:
		return t, fmt.Errorf("mtu with encapsulation %s: %w", sa.Encap.Type, errors.ErrUnsupported)
	}
	return t, nil
}

func ahTransform(sa *netlinkx.SA, family netlinkx.Family) (transform, error) {
	icv, err := authLength(sa)
	if err != nil {
		return transform{}, err
	}
	align := 8
	if family == netlinkx.FamilyIPv4 && sa.Flags&netlinkx.FlagAlign4 != 0 {
		align = 4
	}
	n := ahHeader + icv
	return transform{header: (n + align - 1) / align * align}, nil
}

// beetHeader is the room for what BEET mode may have to add. With IPv4 inside
// that is the pseudo header for IP options; with IPv4 inside IPv6 also the
// difference of the two headers.
func beetHeader(sa *netlinkx.SA, family netlinkx.Family) int {
	inner := sa.Selector.Family
	if inner == netlinkx.FamilyUnspec && sa.Flags&netlinkx.FlagAFUnspec == 0 {
		inner = family // as the kernel fills it in
	}
	switch {
	case inner == netlinkx.FamilyIPv6:
		return 0
	case family == netlinkx.FamilyIPv6:
		return beetOption + ipv6Header - ipv4Header
	}
	return beetOption
}

func outerFamily(sa *netlinkx.SA) netlinkx.Family {
	for _, f := range []netlinkx.Family{sa.Family, netlinkx.FamilyOf(sa.Dst), netlinkx.FamilyOf(sa.Src)} {
		if f != netlinkx.FamilyUnspec {
			return f
		}
	}
	return netlinkx.FamilyIPv4
}

func ipHeader(f netlinkx.Family) int {
	if f == netlinkx.FamilyIPv6 {
		return ipv6Header
	}
	return ipv4Header
}
