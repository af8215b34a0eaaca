package document

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/xfrmctl/xfrmctl/provision/keys"
)

// check finds what is wrong with a document as a whole.
func (d *Document) check(top *yaml.Node) {
	const form = "owner: {name: NAME, reqid: A-B, if_id: A-B}, with ranges that nobody else uses here"
	switch {
	case d.Owner.at == (spot{}):
		d.r.missing(top, "the document has no owner: %s", form)
	case !d.Owner.Name.Set || !d.Owner.ReqID.Set || !d.Owner.IfID.Set:
		if hasFields(d.Owner.node) {
			d.r.missing(d.Owner.node, "the owner is not complete: %s", form)
		}
	case d.Owner.ReqID.V.Len() < uint64(len(d.Tunnels)):
		d.r.fail(d.Owner.ReqID.at, "the range has fewer reqids than there are tunnels")
	case d.Owner.IfID.V.Len() < uint64(len(d.Tunnels)):
		d.r.fail(d.Owner.IfID.at, "the range has fewer if_ids than there are tunnels")
	}
	c := &checker{Document: d, names: map[string]bool{}, places: map[string]string{}, routes: map[string]*Tunnel{}}
	for _, t := range d.Tunnels {
		c.tunnel(t)
	}
}

// checker finds what tunnels may not share. places are things of which a node
// has one, with the tunnel that has it.
type checker struct {
	*Document
	names  map[string]bool
	places map[string]string
	routes map[string]*Tunnel
}

func (c *checker) tunnel(t *Tunnel) {
	if !t.Name.Set {
		if hasFields(t.node) {
			c.r.missing(t.node, "the tunnel has no name")
		}
		return
	}
	if c.names[t.Name.V] {
		c.r.fail(t.Name.at, "tunnel %s is there twice", t.Name.V)
	}
	c.names[t.Name.V] = true
	if !c.between(t) {
		return
	}
	c.shared(t)
	c.keysOf(t)
	c.trafficOf(t)
	c.interfaceOf(t)
	c.limitsOf(t)
	if t.TFCPad.Set && !t.tunnelMode() {
		c.r.fail(t.TFCPad.at, "only tunnel mode pads")
	}
}

func (t *Tunnel) tunnelMode() bool { return t.Mode.V != "transport" }

// between looks at the nodes of a tunnel; without them nothing else makes sense.
func (c *checker) between(t *Tunnel) bool {
	a, b := t.Between[0], t.Between[1]
	if !a.Set || !b.Set {
		c.r.missing(t.node, "tunnel %s does not say which two nodes it is between", t.Name.V)
		return false
	}
	for _, end := range t.Between {
		if c.Nodes[end.V] == nil {
			c.r.fail(end.at, "node %q is not in nodes", end.V)
			return false
		}
	}
	if a.V == b.V {
		c.r.fail(b.at, "both ends are %s", b.V)
		return false
	}
	c.ends(t)
	x, y := c.at(t, a.V).Endpoint, c.at(t, b.V).Endpoint
	switch {
	case x.Set && x.V == y.V:
		c.r.fail(b.at, "both ends have the endpoint %s", y.V)
	case x.Set && y.Set && x.V.Is4() != y.V.Is4():
		c.r.fail(b.at, "endpoint %s of %s is of another family than %s of %s", y.V, b.V, x.V, a.V)
	}
	return x.Set && y.Set
}

// at returns a node as a tunnel sees it; borrowed.
func (d *Document) at(t *Tunnel, node string) *Node {
	endpoint, underlay := t.Endpoints[node], t.Underlays[node]
	if !endpoint.Set && !underlay.Set {
		return d.Nodes[node]
	}
	n := *d.Nodes[node]
	if endpoint.Set {
		n.Endpoint = endpoint
	}
	if underlay.Set {
		n.Underlay = underlay
	}
	return &n
}

// ends looks for endpoints and underlays of nodes that are no ends of the tunnel.
func (c *checker) ends(t *Tunnel) {
	for node, v := range t.Endpoints {
		if !t.endsAt(node) {
			c.r.fail(v.at, "%s is not an end of this tunnel", node)
		}
	}
	for _, named := range []map[string]Value[string]{t.Underlays, t.NetNS} {
		for node, v := range named {
			if !t.endsAt(node) {
				c.r.fail(v.at, "%s is not an end of this tunnel", node)
			}
		}
	}
}

func (t *Tunnel) endsAt(node string) bool { return node == t.Between[0].V || node == t.Between[1].V }

func (t *Tunnel) routed() bool { return t.Routes.V != "false" }

// shared refuses what two tunnels of one node cannot both have.
func (c *checker) shared(t *Tunnel) {
	take := func(at spot, scope, what string) {
		key := scope + " " + what
		if other, taken := c.places[key]; taken {
			c.r.fail(at, "%s belongs to tunnel %s already", what, other)
			return
		}
		c.places[key] = t.Name.V
	}
	if t.ReqID.Set {
		if !c.Owner.ReqID.V.Has(t.ReqID.V) {
			c.r.fail(t.ReqID.at, "reqid %d is outside of the owner's range", t.ReqID.V)
		}
		take(t.ReqID.at, "", fmt.Sprintf("reqid %d", t.ReqID.V))
	}
	if t.IfID.Set {
		if !c.Owner.IfID.V.Has(t.IfID.V) {
			c.r.fail(t.IfID.at, "if_id %d is outside of the owner's range", t.IfID.V)
		}
		take(t.IfID.at, "", fmt.Sprintf("if_id %d", t.IfID.V))
	}
	if t.Interface.Set {
		for _, end := range t.Between {
			netns := t.NetNS[end.V].V
			take(t.Interface.at, end.V+" "+netns, "interface "+t.Interface.V)
			if t.Interface.V == c.at(t, end.V).Underlay.V && netns == "" {
				c.r.fail(t.Interface.at, "interface %s cannot be its own underlay", t.Interface.V)
			}
		}
	}
	for dir, spi := range t.SPI {
		if _, to, ok := t.direction(dir); !ok {
			c.r.fail(spi.at, "%q is no direction of this tunnel: %s", dir, t.directions())
		} else {
			take(spi.at, to, fmt.Sprintf("spi %#x to %s", spi.V, to))
		}
	}
}

// direction takes "A-to-B" apart.
func (t *Tunnel) direction(s string) (from, to string, ok bool) {
	from, to, ok = strings.Cut(s, "-to-")
	a, b := t.Between[0].V, t.Between[1].V
	return from, to, ok && (from == a && to == b || from == b && to == a)
}

func (t *Tunnel) directions() string {
	a, b := t.Between[0].V, t.Between[1].V
	return a + "-to-" + b + ", " + b + "-to-" + a
}

func (c *checker) keysOf(t *Tunnel) {
	k := &t.Keys
	for dir, v := range k.Static {
		if _, _, ok := t.direction(dir); !ok {
			c.r.fail(v.at, "keys has no field %q; known are derive, epoch, %s", dir, t.directions())
		}
	}
	switch {
	case k.at == (spot{}):
		c.r.missing(t.node, "tunnel %s has no keys", t.Name.V)
	case k.Derive.at != (spot{}) && len(k.Static) > 0:
		c.r.fail(k.at, "keys are derived or given, not both")
	case k.Derive.at != (spot{}) || !hasFields(k.node):
	case len(k.Static) != 2:
		c.r.missing(k.node, "keys go one way: a tunnel needs derive, or a key for each of %s", t.directions())
	case t.suite().AEAD != "":
		c.r.fail(k.at, "static keys are not for %s: after a restart its counter begins anew, and a (key, IV) pair that comes again breaks it (RFC 8221 section 5); use derive, or a cipher like aes-cbc-256-sha256", t.suite().Name)
	case k.Clock():
		c.r.fail(k.Start.at, "a clock of epochs belongs to derive: keys in files are made by people")
	case k.Epoch.V > 1:
		for _, v := range k.Static {
			if _, err := keys.OfEpoch(v.V, k.Epoch.V); err != nil {
				c.r.fail(k.Epoch.at, "epoch: %v", err)
			}
		}
	}
}

func (t *Tunnel) suite() *Suite { return suiteOf(t.Cipher.V) }

func (c *checker) interfaceOf(t *Tunnel) {
	if !t.Interface.Set && t.Interface.at != (spot{}) {
		return // said already
	}
	if !t.Interface.Set {
		for _, v := range []Value[uint32]{t.IfID, t.MTU} {
			if v.Set {
				c.r.fail(v.at, "this is for an interface, and the tunnel has none")
			}
		}
		for _, v := range t.NetNS {
			c.r.fail(v.at, "this is for an interface, and the tunnel has none")
		}
		for _, who := range slices.Sorted(maps.Keys(t.Addresses)) {
			c.r.fail(t.addressesAt(who), "tunnel %s has addresses for %s and no interface", t.Name.V, who)
		}
		c.without(t)
		return
	}
	if !t.tunnelMode() {
		c.r.fail(t.Interface.at, "transport mode takes no interface")
	}
	v6 := slices.ContainsFunc(t.Traffic, func(x Traffic) bool { return x.Prefix[t.Between[0].V].V.Addr().Is6() })
	had := map[netip.Addr]string{}
	for _, who := range slices.Sorted(maps.Keys(t.Addresses)) {
		list := t.Addresses[who]
		if !t.endsAt(who) {
			c.r.fail(t.addressesAt(who), "tunnel %s has addresses for %s, which is not an end of it", t.Name.V, who)
			continue
		}
		for _, v := range list {
			if other := had[v.V.Addr()]; v.Set && other != "" {
				c.r.fail(v.at, "address %s is that of %s already", v.V.Addr(), other)
			}
			had[v.V.Addr()] = who
			c.subnet(t, who, v)
			v6 = v6 || v.Set && v.V.Addr().Is6()
		}
	}
	if t.Guard.Set && t.Guard.V == "routes" && !t.routed() {
		c.r.fail(t.Guard.at, "guard: there are no routes to guard, because the tunnel says routes: false")
	}
	if t.MTU.Set && v6 && t.MTU.V < minIPv6 {
		c.r.fail(t.MTU.at, "mtu %d is too small: IPv6 needs %d (RFC 8200 section 5)", t.MTU.V, minIPv6)
	}
}

// without refuses words that need an interface, of a tunnel that has none.
func (c *checker) without(t *Tunnel) {
	if t.Routes.Set && t.Routes.V == "multipath" {
		c.r.fail(t.Routes.at, "routes lead to an interface, and the tunnel has none")
	}
	if t.Guard.Set && (t.Guard.V == "routes" || t.Guard.V == "policies") {
		c.r.fail(t.Guard.at, "guards are for what is routed to an interface, and the tunnel has none: its policies refuse clear text themselves")
	}
}

// subnet refuses an address that brings a route with which the tunnel would take
// its own outer packets. Its own endpoint is on the way to nobody: an interface may
// have that address too.
func (c *checker) subnet(t *Tunnel, who string, v Value[netip.Prefix]) {
	if !v.Set || t.NetNS[who].Set {
		return
	}
	for _, end := range t.Between {
		if e := c.at(t, end.V).Endpoint.V; end.V != who && v.V.Contains(e) {
			c.r.fail(v.at, "address %s brings a route to %s, which has endpoint %s in it: packets to it would go into the tunnel that they come out of", v.V, v.V.Masked(), e)
			return
		}
	}
}

// addressesAt is where addresses of a node stand.
func (t *Tunnel) addressesAt(who string) spot {
	if list := t.Addresses[who]; len(list) > 0 {
		return list[0].at
	}
	return t.at
}

// minIPv6 is the least MTU of a link that carries IPv6, in bytes.
const minIPv6 = 1280

func (c *checker) limitsOf(t *Tunnel) {
	l := &t.Limits
	for _, p := range [][2]Value[uint64]{{l.SoftBytes, l.HardBytes}, {l.SoftPackets, l.HardPackets}, {l.SoftSeconds, l.HardSeconds}} {
		if p[0].Set && p[1].Set && p[0].V >= p[1].V {
			c.r.fail(p[0].at, "the soft limit %d is not below the hard one, %d: its event would come too late", p[0].V, p[1].V)
		}
	}
}
