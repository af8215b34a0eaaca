package provision

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"github.com/jsimonetti/rtnetlink/v2"
	"github.com/mdlayher/netlink"

	"github.com/xfrmctl/xfrmctl/ifaces/rtnl"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Numbers of linux/rtnetlink.h.
const (
	rtTableMain   = 254
	rtProtoStatic = 4
	rtUnicast     = 1
	rtUnreachable = 7
	rtScopeLink   = 253
	rtCloned      = 0x200
	rtmGetLink    = 18
	rtmNewRoute   = 24
	rtmDelRoute   = 25
	rtmGetRoute   = 26
	sizeofRtMsg   = 12
	rtaTable      = 15
)

// routes reads and writes routes of the main table in one namespace.
type routes struct{ conn *rtnl.Conn }

// dialRoutes connects with dial, or without one to the kernel.
func dialRoutes(ns netlinkx.NetNS, dial func() (netlinkx.Transport, error)) (*routes, error) {
	if dial == nil {
		dial = func() (netlinkx.Transport, error) { return rtnl.Dial(ns) }
	}
	t, err := dial()
	if err != nil {
		return nil, err
	}
	return &routes{rtnl.New(t)}, nil
}

func (r *routes) close() error { return r.conn.Close() }

// list returns the routes of the main table. Names are those of the XFRM
// interfaces; routes to other devices, or of other types, are told apart well
// enough to see that they are not ours.
func (r *routes) list(ctx context.Context, names map[uint32]string) ([]*Route, error) {
	var out []*Route
	for _, family := range []netlinkx.Family{netlinkx.FamilyIPv4, netlinkx.FamilyIPv6} {
		msgs, err := r.dump(ctx, family)
		if err != nil {
			return nil, fmt.Errorf("list routes: %w", err)
		}
		for i := range msgs {
			var m rtnetlink.RouteMessage
			if err := m.UnmarshalBinary(msgs[i].Data); err != nil {
				return nil, fmt.Errorf("list routes: %w", err)
			}
			if m.Table == rtTableMain && m.Flags&rtCloned == 0 {
				out = append(out, observedRoute(&m, names))
			}
		}
	}
	return out, nil
}

// dumpRetries is how often a list is read again that changed meanwhile.
const dumpRetries = 5

// dump asks for the main table alone, which kernels before 4.20 do not listen
// to: there is a local route for each address.
func (r *routes) dump(ctx context.Context, family netlinkx.Family) ([]netlink.Message, error) {
	body := make([]byte, sizeofRtMsg, sizeofRtMsg+8)
	body[0] = uint8(family)
	body = binary.NativeEndian.AppendUint16(body, 8)
	body = binary.NativeEndian.AppendUint16(body, rtaTable)
	body = binary.NativeEndian.AppendUint32(body, rtTableMain)
	for range dumpRetries {
		msgs, err := r.conn.Exchange(ctx, &rtnl.Message{Type: rtmGetRoute, Flags: netlink.Dump, Body: body})
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil // the table is made with its first route
		}
		if err != nil {
			return nil, err
		}
		interrupted := func(m netlink.Message) bool { return m.Header.Flags&netlink.DumpInterrupted != 0 }
		if !slices.ContainsFunc(msgs, interrupted) {
			return msgs, nil
		}
	}
	return nil, netlinkx.ErrDumpInterrupted
}

func observedRoute(m *rtnetlink.RouteMessage, names map[uint32]string) *Route {
	addr := netip.IPv4Unspecified()
	if m.Family == uint8(netlinkx.FamilyIPv6) {
		addr = netip.IPv6Unspecified()
	}
	if a, ok := netip.AddrFromSlice(m.Attributes.Dst); ok {
		addr = a
		if m.Family == uint8(netlinkx.FamilyIPv4) {
			addr = a.Unmap()
		}
	}
	out := &Route{Dst: netip.PrefixFrom(addr, int(m.DstLength)), Metric: m.Attributes.Priority}
	hops := m.Attributes.Multipath
	if len(hops) == 0 {
		hops = []rtnetlink.NextHop{{Hop: rtnetlink.RTNextHop{IfIndex: m.Attributes.OutIface}, Gateway: m.Attributes.Gateway}}
	}
	switch {
	case m.Type == rtUnreachable && out.Metric == GuardMetric:
	case m.Type != rtUnicast:
		out.Dev = fmt.Sprintf("(type %d)", m.Type)
	default:
		out.Dev = hopDevice(&hops[0], names)
		for k := range hops[1:] {
			out.More = append(out.More, hopDevice(&hops[1+k], names))
		}
	}
	return out
}

// hopDevice returns the interface that a next hop leads to, or what tells that
// it is none of ours.
func hopDevice(h *rtnetlink.NextHop, names map[uint32]string) string {
	name := names[h.Hop.IfIndex]
	if name == "" || h.Hop.Hops != 0 || h.Gateway != nil && !h.Gateway.Equal(sharedGateway()) {
		return fmt.Sprintf("if%d", h.Hop.IfIndex)
	}
	return name
}

// sharedGateway stands in the hops of IPv6 routes to several interfaces: the
// kernel takes only hops with a gateway there (kernel:
// ip6_route_multipath_add). An XFRM interface resolves no neighbours, so any
// will do.
func sharedGateway() net.IP { return net.ParseIP("fe80::1") }

// message is the request for a route; without hops it means any to its
// destination that has its metric.
func (rt *Route) message(hops ...uint32) *rtnetlink.RouteMessage {
	is4 := rt.Dst.Addr().Is4()
	m := &rtnetlink.RouteMessage{
		Family: uint8(netlinkx.FamilyOf(rt.Dst.Addr())), DstLength: uint8(rt.Dst.Bits()), Table: rtTableMain,
		Protocol: rtProtoStatic, Type: rtUnicast,
		Attributes: rtnetlink.RouteAttributes{Dst: net.IP(rt.Dst.Addr().AsSlice()), Priority: rt.Metric},
	}
	switch {
	case rt.Guard():
		m.Type = rtUnreachable
	case is4:
		m.Scope = rtScopeLink
	}
	if len(hops) == 1 {
		m.Attributes.OutIface = hops[0]
		return m
	}
	for _, index := range hops {
		hop := rtnetlink.NextHop{Hop: rtnetlink.RTNextHop{IfIndex: index}}
		if !is4 {
			hop.Gateway = sharedGateway()
		}
		m.Attributes.Multipath = append(m.Attributes.Multipath, hop)
	}
	return m
}

// request is the message with which a step's route is made, changed or deleted.
func (rt *Route) request(verb Verb, hops []uint32) (rtnl.Message, error) {
	m := rtnl.Message{Type: rtmNewRoute, Flags: netlink.Create | netlink.Excl}
	switch verb {
	case Delete:
		m.Type, m.Flags, hops = rtmDelRoute, 0, nil
	case Change, Replace:
		m.Flags = netlink.Create | netlink.Replace
	}
	var err error
	m.Body, err = rt.message(hops...).MarshalBinary()
	return m, err
}

// deviceName returns the name of a device of the session's namespace, "" when it
// is gone.
func (s *Session) deviceName(ctx context.Context, index int32) (string, error) {
	p, err := s.place("")
	if err != nil {
		return "", err
	}
	body, err := (&rtnetlink.LinkMessage{Index: uint32(index)}).MarshalBinary()
	if err != nil {
		return "", err
	}
	msgs, err := p.routes.conn.Exchange(ctx, &rtnl.Message{Type: rtmGetLink, Body: body})
	if errors.Is(err, syscall.ENODEV) {
		return "", nil
	}
	for i := range msgs {
		var l rtnetlink.LinkMessage
		if err := l.UnmarshalBinary(msgs[i].Data); err != nil {
			return "", err
		}
		if l.Attributes != nil {
			return l.Attributes.Name, nil
		}
	}
	return "", err
}

// DeviceMTU returns the MTU of a device in a namespace, in bytes; ENODEV when
// there is none of that name.
func DeviceMTU(ns netlinkx.NetNS, name string) (int, error) {
	r, err := dialRoutes(ns, nil)
	if err != nil {
		return 0, err
	}
	body, err := (&rtnetlink.LinkMessage{Attributes: &rtnetlink.LinkAttributes{Name: name}}).MarshalBinary()
	if err != nil {
		return 0, errors.Join(err, r.close())
	}
	msgs, err := r.conn.Exchange(context.Background(), &rtnl.Message{Type: rtmGetLink, Body: body})
	err = errors.Join(err, r.close())
	if errors.Is(err, syscall.ENODEV) {
		return 0, syscall.ENODEV // the rest says nothing to people
	}
	if err != nil {
		return 0, err
	}
	var l rtnetlink.LinkMessage
	for i := range msgs {
		if err := l.UnmarshalBinary(msgs[i].Data); err != nil {
			return 0, err
		}
		if l.Attributes != nil && l.Attributes.Name == name {
			return int(l.Attributes.MTU), nil
		}
	}
	return 0, syscall.ENODEV
}
