package encap

import (
	"net/netip"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Arrived is what the outer header of a received packet said. Tunnel mode
// needs TOS only.
type Arrived struct {
	TOS, TTL  uint8
	FlowLabel uint32
	ID        uint16 // IPv4
	DF        bool   // IPv4

	// Transport mode gives the inner packet the outer header. If the socket
	// passed it on, Header is that: IPv4 with its options, or IPv6 with the
	// extension headers before ESP or UDP (borrowed; it may lie in the buffer
	// before the payload). Else it is made up from the fields above and Src
	// and Dst.
	Header   []byte
	Src, Dst netip.Addr
}

// Decap makes the inner packet from the opened payload buf[off:off+n], and
// returns where in buf it lies. It writes into buf[off-Room:off] at most, and
// may change TOS and checksum in the inner header. nextHeader is that of the
// ESP trailer. What stands behind the inner packet's own length is left off:
// it is TFC padding.
//
// The addresses of a tunnel's inner packet are not checked here; that is the
// inbound policy's work. Errors are ErrHeader, ErrFamily and ErrRoom.
func (t *Transform) Decap(buf []byte, off, n int, nextHeader byte, a *Arrived) (from, length int, err error) {
	switch t.mode {
	case netlinkx.ModeTunnel:
		length, err = t.decapTunnel(buf[off:off+n], nextHeader, a)
		return off, length, err
	case netlinkx.ModeTransport:
		return t.decapTransport(buf, off, n, nextHeader, a)
	}
	return t.decapBEET(buf, off, n, nextHeader, a)
}

func (t *Transform) decapTunnel(p []byte, nextHeader byte, a *Arrived) (int, error) {
	switch nextHeader {
	case protoIPIP:
		return t.decapTunnel4(p, a)
	case protoIPv6:
		return t.decapTunnel6(p, a)
	}
	return 0, ErrFamily
}

func (t *Transform) decapTunnel4(p []byte, a *Arrived) (int, error) {
	if len(p) < v4Len || p[0]>>4 != 4 {
		return 0, ErrHeader
	}
	total := int(be16(p[2:]))
	if ihl := int(p[0]&15) * 4; ihl < v4Len || total < ihl || total > len(p) {
		return 0, ErrHeader
	}
	if tos := t.innerTOS(p[1], a.TOS); tos != p[1] {
		// RFC 1624: the sum changes by as much as the TOS.
		sum := uint32(^be16(p[10:])) + uint32(^uint16(p[1])) + uint32(tos)
		put16(p[10:], fold(sum))
		p[1] = tos
	}
	return total, nil
}

func (t *Transform) decapTunnel6(p []byte, a *Arrived) (int, error) {
	if len(p) < v6Len || p[0]>>4 != 6 {
		return 0, ErrHeader
	}
	total := v6Len + int(be16(p[4:]))
	if total > len(p) {
		return 0, ErrHeader
	}
	tos := t.innerTOS(p[0]<<4|p[1]>>4, a.TOS)
	p[0], p[1] = 0x60|tos>>4, tos<<4|p[1]&15
	return total, nil
}

// innerTOS brings outer marks into the inner TOS: the DSCP if the SA says so,
// and congestion experienced on the way, unless the sender of the inner packet
// knows no ECN (IP_ECN_set_ce; RFC 6040 would drop such a packet).
func (t *Transform) innerTOS(inner, outer uint8) uint8 {
	if t.flags&netlinkx.FlagDecapDSCP != 0 {
		inner = outer&^3 | inner&3
	}
	if t.flags&netlinkx.FlagNoECN == 0 && outer&3 == 3 && inner&3 != 0 {
		inner |= 3
	}
	return inner
}

func (t *Transform) decapTransport(buf []byte, off, n int, nextHeader byte, a *Arrived) (int, int, error) {
	hlen := len(a.Header)
	if hlen == 0 {
		if !t.sameFamily(a) {
			return 0, 0, ErrFamily
		}
		if t.v6 {
			hlen = v6Len
		} else {
			hlen = v4Len
		}
	}
	from := off - hlen
	if from < 0 {
		return 0, 0, ErrRoom
	}
	if hlen+n > 0xffff+t.lengthGrace() {
		return 0, 0, ErrHeader
	}
	h := buf[from:off]
	switch {
	case len(a.Header) == 0:
		t.makeUp(h, nextHeader, n, a)
	case t.v6:
		return from, hlen + n, t.restore6(h, nextHeader, n, a)
	default:
		return from, hlen + n, t.restore4(h, nextHeader, n, a)
	}
	return from, hlen + n, nil
}

func (t *Transform) sameFamily(a *Arrived) bool {
	return a.Src.IsValid() && a.Dst.IsValid() && a.Src.Is6() == t.v6 && a.Dst.Is6() == t.v6
}

// makeUp builds the header of a transport-mode packet whose own is not known.
func (t *Transform) makeUp(h []byte, nextHeader byte, n int, a *Arrived) {
	if t.v6 {
		src, dst := a.Src.As16(), a.Dst.As16()
		put6(h, nextHeader, n, a)
		copy(h[8:], src[:])
		copy(h[24:], dst[:])
		return
	}
	src, dst := a.Src.As4(), a.Dst.As4()
	copy(h[12:], src[:])
	copy(h[16:], dst[:])
	put4(h, nextHeader, n, a)
}

func (t *Transform) restore4(h []byte, nextHeader byte, n int, a *Arrived) error {
	if len(h) < v4Len || a.Header[0]>>4 != 4 || int(a.Header[0]&15)*4 != len(h) {
		return ErrHeader
	}
	copy(h, a.Header)
	h[9], h[10], h[11] = nextHeader, 0, 0
	put16(h[2:], uint16(len(h)+n))
	put16(h[10:], fold(sum16(h)))
	return nil
}

// restore6 also finds the last extension header, whose next header it changes.
func (t *Transform) restore6(h []byte, nextHeader byte, n int, a *Arrived) error {
	if len(h) < v6Len || a.Header[0]>>4 != 6 {
		return ErrHeader
	}
	copy(h, a.Header)
	patch := 6
	for at := v6Len; at < len(h); {
		if at+8 > len(h) {
			return ErrHeader
		}
		patch = at
		if at += 8 + 8*int(h[at+1]); at > len(h) {
			return ErrHeader
		}
	}
	h[patch] = nextHeader
	put16(h[4:], uint16(len(h)-v6Len+n))
	return nil
}

// decapBEET puts a header with the SA's inner addresses before the payload;
// the rest of it comes from the outer header, options from the pseudo header.
func (t *Transform) decapBEET(buf []byte, off, n int, nextHeader byte, a *Arrived) (from, length int, err error) {
	opt := 0
	if !t.innerV6 && nextHeader == protoBEETPH {
		size := 0
		if size, opt, err = pseudo(buf[off : off+n]); err != nil {
			return 0, 0, err
		}
		nextHeader = buf[off]
		off, n = off+size, n-size
	}
	hlen := v4Len
	if t.innerV6 {
		hlen = v6Len
	}
	if from = off - hlen; from < 0 {
		return 0, 0, ErrRoom
	}
	h := buf[from : off+opt]
	switch {
	case t.innerV6 && n <= 0xffff:
		copy(h[8:], t.beetSrc[:])
		copy(h[24:], t.beetDst[:])
		put6(h, nextHeader, n, a)
	case !t.innerV6 && v4Len+n <= 0xffff:
		copy(h[12:], t.beetSrc[:4])
		copy(h[16:], t.beetDst[:4])
		put4(h, nextHeader, n-opt, a)
	default:
		return 0, 0, ErrHeader
	}
	return from, hlen + n, nil
}

// pseudo returns the length of the pseudo header, padding included, and that
// of the options behind it.
func pseudo(p []byte) (size, options int, err error) {
	if len(p) < 4 {
		return 0, 0, ErrHeader
	}
	size = 4 + int(p[2])
	options = 8*int(p[1]) + 8 - size
	if options < 0 || options&3 != 0 || options > Room-v4Len || size+options > len(p) {
		return 0, 0, ErrHeader
	}
	return size, options, nil
}

// put4 fills an IPv4 header, options included if any, around its addresses.
func put4(h []byte, proto byte, n int, a *Arrived) {
	h[0], h[1] = 0x40|byte(len(h)/4), a.TOS
	put16(h[2:], uint16(len(h)+n))
	put16(h[4:], a.ID)
	put16(h[6:], 0)
	if a.DF {
		h[6] = 0x40
	}
	h[8], h[9], h[10], h[11] = a.TTL, proto, 0, 0
	put16(h[10:], fold(sum16(h)))
}

// put6 fills an IPv6 header but for its addresses.
func put6(h []byte, next byte, n int, a *Arrived) {
	h[0], h[1] = 0x60|a.TOS>>4, a.TOS<<4|byte(a.FlowLabel>>16)&15
	put16(h[2:], uint16(a.FlowLabel))
	put16(h[4:], uint16(n))
	h[6], h[7] = next, a.TTL
}
