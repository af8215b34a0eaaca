package provision

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"

	"github.com/jsimonetti/rtnetlink/v2"
	"github.com/mdlayher/netlink"

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
	iffUp         = 1
)

// routes reads and writes routes of the main table in one namespace.
type routes struct{ conn *rtnetlink.Conn }

func dialRoutes(ns netlinkx.NetNS) (*routes, error) {
	cfg := &netlink.Config{}
	if !ns.IsZero() {
		f, err := ns.Open()
		if err != nil {
			return nil, err
		}
		defer f.Close() // the socket needs it no longer
		cfg.NetNS = int(f.Fd())
	}
	conn, err := rtnetlink.Dial(cfg)
	if err != nil {
		return nil, fmt.Errorf("open routing socket: %w", err)
	}
	return &routes{conn}, nil
}

func (r *routes) close() error { return r.conn.Close() }

// list returns the routes of the main table. Names are those of the XFRM
// interfaces; routes to other devices, or of other types, are told apart well
// enough to see that they are not ours.
func (r *routes) list(names map[uint32]string) ([]*Route, error) {
	all, err := r.conn.Route.List()
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	var out []*Route
	for i := range all {
		if m := &all[i]; m.Table == rtTableMain && m.Flags&rtCloned == 0 {
			out = append(out, observedRoute(m, names))
		}
	}
	return out, nil
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

func (r *routes) add(rt *Route, hops []uint32, replace bool) error {
	if replace {
		return r.conn.Route.Replace(rt.message(hops...))
	}
	return r.conn.Route.Add(rt.message(hops...))
}

func (r *routes) delete(rt *Route) error { return r.conn.Route.Delete(rt.message()) }

// up sets a device up. Package ifaces would read its addresses back, for which
// the kernel looks at those of all devices: with thousands of interfaces that
// takes longer than all else. Everything is read back in the end.
func (r *routes) up(index uint32) error {
	return r.conn.Link.Set(&rtnetlink.LinkMessage{Index: index, Flags: iffUp, Change: iffUp})
}

// DeviceMTU returns the MTU of a device in a namespace, in bytes.
func DeviceMTU(ns netlinkx.NetNS, name string) (int, error) {
	r, err := dialRoutes(ns)
	if err != nil {
		return 0, err
	}
	m, err := r.conn.Execute(&rtnetlink.LinkMessage{Attributes: &rtnetlink.LinkAttributes{Name: name}}, rtmGetLink, netlink.Request)
	if err := errors.Join(err, r.close()); err != nil {
		return 0, err
	}
	for _, x := range m {
		if l, ok := x.(*rtnetlink.LinkMessage); ok && l.Attributes != nil && l.Attributes.Name == name {
			return int(l.Attributes.MTU), nil
		}
	}
	return 0, fmt.Errorf("no such device: %w", fs.ErrNotExist)
}
