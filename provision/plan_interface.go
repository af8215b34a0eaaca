package provision

import (
	"net/netip"
	"slices"
)

// displace finds interfaces of ours that have to go before others can come: the
// kernel cannot change what is below an interface, and an if_id belongs to one.
func (p *planner) displace() {
	wants := map[uint32]string{}
	for _, want := range p.w.Interfaces {
		wants[want.IfID] = want.Name
		id := interfaceID(want.Name)
		if got := p.o.ifaces[id]; got != nil && p.ours(id) && got.Underlay != want.Underlay {
			p.displaced[want.Name] = true
		}
	}
	for _, got := range p.o.Interfaces {
		name, wanted := wants[got.IfID]
		id := interfaceID(got.Name)
		if !wanted || name == got.Name {
			continue
		}
		if !p.ours(id) {
			p.refuse(interfaceID(name), "its if_id belongs to interface "+got.Name+", which is not ours")
			continue
		}
		p.displaced[got.Name] = true
	}
}

func (p *planner) interfaces() {
	for _, got := range p.o.Interfaces {
		if p.displaced[got.Name] {
			p.dropDisplaced(got)
		}
	}
	for _, want := range p.w.Interfaces {
		id := interfaceID(want.Name)
		got := p.o.ifaces[id]
		switch {
		case got == nil:
			at := stCreateInterface
			if p.o.ifIDs[want.IfID] {
				at = stInterface
			}
			p.newInterface(want, Create, at)
		case !p.ours(id):
			p.accept(id, interfaceInTheWay(want, got))
		case p.displaced[want.Name]:
			p.newInterface(want, Replace, stInterface)
		default:
			p.keepInterface(want, got)
		}
	}
	for _, got := range p.o.Interfaces {
		id := interfaceID(got.Name)
		if p.w.ifaces[id] != nil || p.displaced[got.Name] || !p.ours(id) || !p.owner.IfID.Has(got.IfID) {
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
	p.guardWhile(got.Name, "while "+got.Name+" is replaced", func(*Route) bool { return true })
	s := &Step{Verb: Delete, ID: interfaceID(got.Name), Interface: got, Why: "it cannot become what is wanted in place",
		Loss: "all through it, until it is back: it is dropped, not sent in clear"}
	p.add(stDisplace, s)
}

// guardWhile puts guards below the routes to a device that the kernel is going
// to delete, and takes them away in the end.
func (p *planner) guardWhile(dev, why string, goes func(*Route) bool) {
	for _, r := range p.o.Routes {
		if !slices.Contains(r.devices(), dev) || !goes(r) {
			continue
		}
		g := &Route{Dst: r.Dst, Metric: GuardMetric}
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
	id := interfaceID(want.Name)
	p.add(at, &Step{Verb: verb, ID: id, Interface: want})
	for _, a := range want.Addresses {
		p.addAddress(want.Name, a)
	}
	p.add(stUp, &Step{Verb: Change, ID: id, Interface: want, Up: true, Why: "up"})
}

func (p *planner) addAddress(dev string, a netip.Prefix) {
	p.add(stAddress, &Step{Verb: Create, ID: addressID(dev, a), Address: &Address{dev, a}})
}

// keepInterface changes an interface in place.
func (p *planner) keepInterface(want, got *Interface) {
	id := interfaceID(want.Name)
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
	dev := want.Name
	var gone []netip.Prefix // subnets
	kept := slices.Clone(got.Addresses)
	for _, a := range got.Addresses {
		if slices.Contains(want.Addresses, a) || !p.ours(addressID(dev, a)) {
			continue
		}
		sibling := a.Addr().Is4() && slices.ContainsFunc(want.Addresses, func(b netip.Prefix) bool { return b.Masked() == a.Masked() })
		if !sibling && !p.opts.Prune {
			p.left = append(p.left, addressID(dev, a))
			continue
		}
		if a.Addr().Is4() {
			gone = append(gone, a.Masked())
		}
		p.add(stAddressGone, &Step{Verb: Delete, ID: addressID(dev, a), Address: &Address{dev, a}})
	}
	away := func(a netip.Prefix) bool { return a.Addr().Is4() && slices.Contains(gone, a.Masked()) }
	for _, a := range want.Addresses {
		switch {
		case away(a):
			p.add(stAddressLate, &Step{Verb: Create, ID: addressID(dev, a), Address: &Address{dev, a}})
		case !slices.Contains(got.Addresses, a):
			p.addAddress(dev, a)
			kept = append(kept, a)
		}
	}
	if gone != nil && !slices.ContainsFunc(kept, func(a netip.Prefix) bool { return a.Addr().Is4() && !away(a) }) {
		p.emptied[dev] = true
		p.guardWhile(dev, "while "+dev+" has no IPv4 address", (*Route).is4)
	}
}

func (r *Route) is4() bool { return r.Dst.Addr().Is4() }
