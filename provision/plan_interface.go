package provision

import (
	"net/netip"
	"slices"

	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// displace finds interfaces of ours that have to go before others can come: the
// kernel cannot change what is below an interface, and an if_id belongs to one.
func (p *planner) displace() {
	wants := map[uint32]ID{}
	for _, want := range p.w.Interfaces {
		id := want.id()
		wants[want.IfID] = id
		if got := p.o.ifaces[id]; got != nil && p.ours(id) && got.Underlay != want.Underlay {
			p.displaced[id] = true
		}
	}
	for _, got := range p.o.Interfaces {
		id := got.id()
		by, wanted := wants[got.IfID]
		if !wanted || by == id {
			continue
		}
		if !p.ours(id) {
			reason := "its if_id belongs to " + string(id) + ", which is not ours"
			if p.ours(by) && p.o.ifaces[by] == nil {
				reason += "; if somebody has renamed it: ip link set " + got.Name + " down, ip link set " + got.Name + " name " + p.w.ifaces[by].Name
			}
			p.refuse(by, reason)
			continue
		}
		p.displaced[id] = true
	}
}

func (p *planner) interfaces() {
	for _, got := range p.o.Interfaces {
		if p.displaced[got.id()] {
			p.dropDisplaced(got)
		}
	}
	for _, want := range p.w.Interfaces {
		id := want.id()
		got := p.o.ifaces[id]
		kind, taken := p.o.Devices[id]
		switch {
		case taken && kind == ifaces.Kind:
			p.refuse(id, "its name belongs to an XFRM interface with the SAs of another network namespace: choose another name")
		case taken && kind == "":
			p.refuse(id, "its name belongs to another device: choose another name")
		case taken:
			p.refuse(id, "its name belongs to another device ("+kind+"): choose another name")
		case got == nil:
			at := stCreateInterface
			if p.o.ifIDs[want.IfID] {
				at = stInterface
			}
			p.newInterface(want, Create, at)
		case !p.ours(id):
			p.accept(id, interfaceInTheWay(want, got))
		case p.displaced[id]:
			p.newInterface(want, Replace, stInterface)
		default:
			p.keepInterface(want, got)
		}
	}
	for _, got := range p.o.Interfaces {
		id := got.id()
		if p.w.ifaces[id] != nil || p.displaced[id] || !p.ours(id) || !p.owner.IfID.Has(got.IfID) {
			continue
		}
		if !p.opts.Prune {
			p.left = append(p.left, id)
			continue
		}
		p.add(stInterfaceGone, &Step{Verb: Delete, ID: id, Interface: got})
	}
}

// dropDisplaced deletes an interface behind guards for all that is routed to
// it: the kernel deletes its routes with it.
func (p *planner) dropDisplaced(got *Interface) {
	p.guardWhile(got, "while "+got.Name+" is replaced", func(*Route) bool { return true })
	s := &Step{Verb: Delete, ID: got.id(), Interface: got, Why: "it cannot become what is wanted in place",
		Loss: "all through it, until it is back: it is dropped, not sent in clear"}
	p.add(stDisplace, s)
}

// guardWhile puts guards below the routes to a device that the kernel is going
// to delete, and takes them away in the end.
func (p *planner) guardWhile(i *Interface, why string, goes func(*Route) bool) {
	for _, r := range p.o.Routes {
		if !r.leadsTo(i) || !goes(r) {
			continue
		}
		g := &Route{Dst: r.Dst, Metric: GuardMetric, NetNS: r.NetNS}
		id := routeID(g)
		planned := func(s *Step) bool { return s.ID == id }
		if p.o.routes[id] != nil || p.w.routes[id] != nil || slices.ContainsFunc(p.steps[stTempGuard], planned) {
			continue
		}
		p.add(stTempGuard, &Step{Verb: Create, ID: id, Route: g, Why: why})
		p.add(stGuardGone, &Step{Verb: Delete, ID: id, Route: g, Why: why})
	}
}

func (p *planner) newInterface(want *Interface, verb Verb, at stage) {
	id := want.id()
	p.add(at, &Step{Verb: verb, ID: id, Interface: want})
	for _, a := range want.Addresses {
		p.address(stAddress, Create, want, a)
	}
	p.add(stUp, &Step{Verb: Change, ID: id, Interface: want, Up: true, Why: "up"})
}

func (p *planner) address(at stage, verb Verb, i *Interface, prefix netip.Prefix) {
	a := &Address{NetNS: i.NetNS, Dev: i.Name, Prefix: prefix}
	p.add(at, &Step{Verb: verb, ID: a.id(), Address: a})
}

// keepInterface changes an interface in place.
func (p *planner) keepInterface(want, got *Interface) {
	id := want.id()
	why, loss := "", ""
	if want.IfID != got.IfID {
		why, loss = "if_id", "packets under way with the old if_id"
	}
	if want.MTU != 0 && want.MTU != got.MTU {
		why = joinWords(why, "mtu")
	}
	if why != "" {
		p.add(stInterface, &Step{Verb: Change, ID: id, Interface: want, WasInterface: got, Why: why, Loss: loss})
	}
	p.addresses(want, got)
	if !got.Up {
		p.add(stUp, &Step{Verb: Change, ID: id, Interface: want, WasInterface: got, Up: true, Why: "up"})
	}
}

// lookups plans whether packets meet policies before interfaces. Guards that
// block what goes out without if_id would block what goes to the interface too,
// so they need it while they stay, also where the interface is another's: it
// changes nothing for him.
func (p *planner) lookups() {
	guarded := slices.ContainsFunc(p.left, func(id ID) bool {
		pol := p.o.policies[id]
		return pol != nil && pol.Dir == netlinkx.PolicyOut && pol.IfID == 0 && pol.Action == netlinkx.ActionBlock
	})
	for _, want := range p.w.Interfaces {
		id := want.id()
		got := p.o.ifaces[id]
		if got == nil || got.NoXFRM == want.NoXFRM || p.displaced[id] || !want.NoXFRM && (guarded || !p.ours(id)) {
			continue
		}
		s := &Step{Verb: Change, ID: id, Interface: want, WasInterface: got, policies: true, Why: "disable_xfrm off"}
		at := stIndirect
		if want.NoXFRM {
			at, s.Why = stDirect, "disable_xfrm on"
		}
		p.add(at, s)
	}
}

func joinWords(a, b string) string {
	if a == "" {
		return b
	}
	return a + ", " + b
}

// addresses changes what an interface has. Two of the kernel's ways need care.
// An IPv4 address takes those of its subnet along that came after it (kernel:
// __inet_del_ifa), so they are given again. And with its last IPv4 address a
// device loses all IPv4 routes (kernel: fib_disable_ip), so new addresses come
// first where they can, and else the routes are made again, above guards.
func (p *planner) addresses(want, got *Interface) {
	var gone []netip.Prefix // subnets
	kept := slices.Clone(got.Addresses)
	for _, a := range got.Addresses {
		id := (&Address{NetNS: want.NetNS, Dev: want.Name, Prefix: a}).id()
		if slices.Contains(want.Addresses, a) || !p.ours(id) {
			continue
		}
		sibling := a.Addr().Is4() && slices.ContainsFunc(want.Addresses, func(b netip.Prefix) bool { return b.Masked() == a.Masked() })
		if !sibling && !p.opts.Prune {
			p.left = append(p.left, id)
			continue
		}
		if a.Addr().Is4() {
			gone = append(gone, a.Masked())
		}
		p.address(stAddressGone, Delete, want, a)
	}
	away := func(a netip.Prefix) bool { return a.Addr().Is4() && slices.Contains(gone, a.Masked()) }
	for _, a := range want.Addresses {
		switch {
		case away(a):
			p.address(stAddressLate, Create, want, a)
		case !slices.Contains(got.Addresses, a):
			p.address(stAddress, Create, want, a)
			kept = append(kept, a)
		}
	}
	if gone != nil && !slices.ContainsFunc(kept, func(a netip.Prefix) bool { return a.Addr().Is4() && !away(a) }) {
		p.emptied[want.id()] = true
		p.guardWhile(want, "while "+want.Name+" has no IPv4 address", (*Route).is4)
	}
}

func (r *Route) is4() bool { return r.Dst.Addr().Is4() }

func (r *Route) leadsTo(i *Interface) bool {
	return r.NetNS == i.NetNS && slices.Contains(r.devices(), i.Name)
}
