package document

import (
	"fmt"
	"net/netip"
)

func (c *checker) trafficOf(t *Tunnel) {
	switch {
	case len(t.Traffic) > 0:
	case !t.tunnelMode():
		c.policy(t, t.at, host(c.at(t, t.Between[0].V).Endpoint.V), host(c.at(t, t.Between[1].V).Endpoint.V))
	case t.trafficAt != spot{}:
		c.r.failOnce(t.trafficAt, "tunnel %s has no traffic", t.Name.V)
	default:
		c.r.missing(t.node, "tunnel %s has no traffic", t.Name.V)
	}
	for _, x := range t.Traffic {
		strange := false
		for who, v := range x.Prefix {
			if !t.endsAt(who) {
				strange = true
				c.r.fail(v.at, "%s is not an end of this tunnel", who)
			}
		}
		a, b := x.Prefix[t.Between[0].V], x.Prefix[t.Between[1].V]
		if strange { // misspelled, probably
			continue
		}
		if a.at == (spot{}) || b.at == (spot{}) {
			c.r.failOnce(x.at, "traffic goes one way: it needs a prefix behind %s and one behind %s", t.Between[0].V, t.Between[1].V)
			continue
		}
		if !a.Set || !b.Set {
			continue // said already
		}
		if a.V.Addr().Is4() != b.V.Addr().Is4() {
			c.r.fail(b.at, "%s matches nothing that comes from %s: another family", b.V, a.V)
		}
		c.pair(t, a, b)
		c.policy(t, x.at, a.V, b.V)
		c.route(t, t.Between[0].V, b)
		c.route(t, t.Between[1].V, a)
	}
}

// host is an address as a prefix.
func host(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

// policy refuses traffic that has a policy already: of one tunnel, or of two that
// share the machine's policies because they have no interface.
func (c *checker) policy(t *Tunnel, at spot, a, b netip.Prefix) {
	scope := t.Name.V
	if !t.Interface.Set {
		scope = ""
	}
	for node, prefixes := range map[string][2]netip.Prefix{t.Between[0].V: {a, b}, t.Between[1].V: {b, a}} {
		key := fmt.Sprintf("policy %q %s %s %v %v", scope, node, prefixes, t.Mark.In.V, t.Mark.Out.V)
		if other, taken := c.places[key]; taken {
			c.r.fail(at, "traffic between %s and %s belongs to tunnel %s already", a, b, other)
			return
		}
		c.places[key] = t.Name.V
	}
}

// route refuses a second route to a prefix, unless both tunnels share it.
func (c *checker) route(t *Tunnel, node string, v Value[netip.Prefix]) {
	if !t.Interface.Set || !t.routed() {
		return
	}
	key := "route " + node + " " + v.V.String() + " " + t.NetNS[node].V
	if other := c.routes[key]; other != nil && other != t && (t.Routes.V != "multipath" || other.Routes.V != "multipath") {
		c.r.fail(v.at, "the route of %s to %s leads to tunnel %s already; with routes: multipath at both they share the traffic", node, v.V, other.Name.V)
		return
	}
	c.routes[key] = t
}

// pair looks at both prefixes of one kind of traffic.
func (c *checker) pair(t *Tunnel, a, b Value[netip.Prefix]) {
	for k, v := range []Value[netip.Prefix]{a, b} {
		node := c.at(t, t.Between[k].V)
		switch {
		case !t.tunnelMode() && (!v.V.IsSingleIP() || v.V.Addr() != node.Endpoint.V):
			c.r.fail(v.at, "transport mode carries the traffic of %s itself: %s", node.Name, node.Endpoint.V)
		case !t.Forward.V && !v.V.IsSingleIP():
			c.r.fail(v.at, "forward policy is missing: %s is a network behind %s, and what arrives for it is forwarded", v.V, node.Name)
		case a.V == b.V && t.Interface.Set && t.routed() && k == 1:
			c.r.fail(v.at, "%s is behind both ends: the route to it would lead both into the tunnel", v.V)
		case t.Interface.Set && t.routed():
			for _, end := range t.Between {
				if e := c.at(t, end.V).Endpoint.V; v.V.Contains(e) {
					c.r.fail(v.at, "the route to %s would lead packets to endpoint %s into the tunnel that they come out of; set routes: false and route them yourself", v.V, e)
					break
				}
			}
		}
	}
}
