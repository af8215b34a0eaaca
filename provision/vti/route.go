package vti

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/mdlayher/netlink"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Route attributes (RTA_*) and flags of linux/rtnetlink.h.
const (
	rtaDst       = 1
	rtaOIF       = 4
	rtaGateway   = 5
	rtaPriority  = 6
	rtaMultipath = 9
	rtaCacheinfo = 12
	rtaTable     = 15
	rtaVia       = 18
	rtaNHID      = 30
	sizeRtMsg    = 12
	sizeNextHop  = 8
	// of RTNH_F_*, those that are a wish and not a state: pervasive, onlink
	nextHopWish = 2 | 4
)

// decodeRoute reads a route message: struct rtmsg and its attributes.
//
//	0       1         2         3    4      5         6      7     8..11
//	family  dst bits  src bits  tos  table  protocol  scope  type  flags
func decodeRoute(b []byte) (*Route, error) {
	if len(b) < sizeRtMsg {
		return nil, fmt.Errorf("route message of %d bytes", len(b))
	}
	r := &Route{Raw: slices.Clone(b), Table: uint32(b[4]), Proto: b[5], Type: b[7]}
	dst := netlinkx.Family(b[0]).Unspecified()
	err := eachAttr(b[sizeRtMsg:], func(typ uint16, v []byte) error {
		switch typ {
		case rtaDst:
			a, ok := netip.AddrFromSlice(v)
			if !ok {
				return fmt.Errorf("destination of %d bytes", len(v))
			}
			dst = a
		case rtaGateway, rtaVia:
			r.Gateway = true
		case rtaNHID:
			r.Object = true
		case rtaMultipath:
			return eachHop(v, func(h []byte) {
				r.Devs = append(r.Devs, int32(binary.NativeEndian.Uint32(h[4:])))
				r.Gateway = r.Gateway || int(binary.NativeEndian.Uint16(h)) > sizeNextHop
			})
		case rtaOIF, rtaPriority, rtaTable:
			if len(v) != 4 {
				return fmt.Errorf("attribute %d of %d bytes", typ, len(v))
			}
			n := binary.NativeEndian.Uint32(v)
			switch typ {
			case rtaOIF:
				r.Dev = int32(n)
			case rtaPriority:
				r.Metric = n
			default:
				r.Table = n
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("route message: %w", err)
	}
	r.Dst = netip.PrefixFrom(dst, int(b[1]))
	return r, nil
}

// eachAttr calls fn for each attribute; its value is a part of b.
func eachAttr(b []byte, fn func(typ uint16, v []byte) error) error {
	for len(b) >= 4 {
		n := int(binary.NativeEndian.Uint16(b))
		if n < 4 || n > len(b) {
			return fmt.Errorf("attribute of %d bytes, %d are left", n, len(b))
		}
		if err := fn(binary.NativeEndian.Uint16(b[2:])&0x3fff, b[4:n]); err != nil {
			return err
		}
		b = b[min((n+3)&^3, len(b)):]
	}
	return nil
}

// eachHop calls fn for each struct rtnexthop, attributes included:
//
//	0..1    2      3     4..7
//	length  flags  hops  ifindex
func eachHop(b []byte, fn func(h []byte)) error {
	for len(b) >= sizeNextHop {
		n := int(binary.NativeEndian.Uint16(b))
		if n < sizeNextHop || n > len(b) {
			return fmt.Errorf("next hop of %d bytes, %d are left", n, len(b))
		}
		fn(b[:n])
		b = b[min((n+3)&^3, len(b)):]
	}
	return nil
}

// message returns the request for the route with other devices, by ifindex;
// what tells of its state is left out. It is also what routes are compared by.
func (r *Route) message(devices map[int32]int32) []byte {
	b := slices.Clone(r.Raw[:sizeRtMsg])
	binary.NativeEndian.PutUint32(b[8:], binary.NativeEndian.Uint32(b[8:])&nextHopWish)
	swap := func(v []byte) {
		if to, ok := devices[int32(binary.NativeEndian.Uint32(v))]; ok {
			binary.NativeEndian.PutUint32(v, uint32(to))
		}
	}
	type attr struct {
		typ uint16
		v   []byte
	}
	var attrs []attr
	// both walks have succeeded in decodeRoute
	_ = eachAttr(r.Raw[sizeRtMsg:], func(typ uint16, v []byte) error {
		v = slices.Clone(v)
		switch typ {
		case rtaCacheinfo:
			return nil
		case rtaOIF:
			swap(v)
		case rtaMultipath:
			_ = eachHop(v, func(h []byte) {
				swap(h[4:8])
				h[2] &= nextHopWish
			})
		}
		attrs = append(attrs, attr{typ, v})
		return nil
	})
	slices.SortStableFunc(attrs, func(a, b attr) int { return int(a.typ) - int(b.typ) })
	for _, a := range attrs {
		b = binary.NativeEndian.AppendUint16(b, uint16(len(a.v)+4))
		b = binary.NativeEndian.AppendUint16(b, a.typ)
		b = append(b, a.v...)
		b = append(b, make([]byte, -len(a.v)&3)...)
	}
	return b
}

// among reports whether routes hold one that is r with other devices.
func (r *Route) among(routes []*Route, devices map[int32]int32) bool {
	want := r.message(devices)
	return slices.ContainsFunc(routes, func(o *Route) bool { return bytes.Equal(o.message(nil), want) })
}

// flags are those of the request that makes the route again. Of several routes
// to one destination with one metric, IPv4 keeps the order; a route of several
// next hops is still there without the one that went.
func (r *Route) flags() netlink.HeaderFlags {
	switch {
	case len(r.Devs) > 0:
		return netlink.Create | netlink.Replace
	case r.Dst.Addr().Is4():
		return netlink.Create | netlink.Append
	}
	return netlink.Create
}

// message returns the request for the guard.
func (g Guard) message() []byte {
	b := make([]byte, sizeRtMsg)
	b[0], b[1], b[5], b[7] = uint8(netlinkx.FamilyOf(g.Dst.Addr())), uint8(g.Dst.Bits()), protoStatic, typeUnreach
	attr := func(typ uint16, v []byte) {
		b = binary.NativeEndian.AppendUint16(b, uint16(len(v)+4))
		b = binary.NativeEndian.AppendUint16(b, typ)
		b = append(b, v...)
	}
	if g.Dst.Bits() > 0 {
		attr(rtaDst, g.Dst.Addr().AsSlice())
	}
	attr(rtaPriority, binary.NativeEndian.AppendUint32(nil, g.Metric))
	attr(rtaTable, binary.NativeEndian.AppendUint32(nil, g.Table))
	return b
}

// decodeRule reads a rule message (struct fib_rule_hdr and attributes).
func decodeRule(b []byte) (Rule, error) {
	const (
		fraPriority = 6
		fraFwMark   = 10
		fraFwMask   = 16
	)
	if len(b) < sizeRtMsg {
		return Rule{}, fmt.Errorf("rule message of %d bytes", len(b))
	}
	r := Rule{Family: netlinkx.Family(b[0])}
	err := eachAttr(b[sizeRtMsg:], func(typ uint16, v []byte) error {
		to := map[uint16]*uint32{fraPriority: &r.Priority, fraFwMark: &r.Mark, fraFwMask: &r.Mask}[typ]
		if to != nil && len(v) == 4 {
			*to = binary.NativeEndian.Uint32(v)
		}
		return nil
	})
	return r, err
}
