package provision

import (
	"net/netip"
	"slices"
)

// displace finds interfaces of ours that have to go before others can come: the
// kernel cannot change what is below an interface, and an if_id belongs to one.
func (p *planner) displace() {
	p.displaced = map[string]bool{}
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
		case p.foreign(id):
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
	for _, r := range p.o.Routes {
		if r.Dev != got.Name {
			continue
		}
		g := &Route{Dst: r.Dst, Metric: GuardMetric}
		id := routeID(g)
		planned := func(s *Step) bool { return s.ID == id }
		if p.o.routes[id] != nil || p.w.routes[id] != nil || slices.ContainsFunc(p.steps[stTempGuard], planned) {
			continue
		}
		why := "while " + got.Name + " is replaced"
		p.add(stTempGuard, &Step{Verb: Create, ID: id, Route: g, Why: why})
		p.add(stGuardGone, &Step{Verb: Delete, ID: id, Route: g, Why: why})
	}
	s := &Step{Verb: Delete, ID: interfaceID(got.Name), Interface: got, Why: "it cannot become what is wanted in place",
		Loss: "all through it, until it is back: it is dropped, not sent in clear"}
	p.add(stDisplace, s)
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

// addresses changes what an interface has. An IPv4 address takes the others of
// its subnet along when it is deleted, unless it came after them (kernel:
// __inet_del_ifa), so those are given again.
func (p *planner) addresses(want, got *Interface) {
	dev := want.Name
	var gone []netip.Prefix
	for _, a := range got.Addresses {
		if slices.Contains(want.Addresses, a) {
			continue
		}
		id := addressID(dev, a)
		if !p.ours(id) {
			continue
		}
		at := stAddressGone
		if a.Addr().Is4() && slices.ContainsFunc(want.Addresses, func(b netip.Prefix) bool { return b.Masked() == a.Masked() }) {
			at = stAddress
			gone = append(gone, a.Masked())
		}
		s := &Step{Verb: Delete, ID: id, Address: &Address{dev, a}}
		if at == stAddressGone && !p.opts.Prune {
			p.left = append(p.left, id)
			continue
		}
		p.add(at, s)
	}
	for _, a := range want.Addresses {
		if !slices.Contains(got.Addresses, a) || a.Addr().Is4() && slices.Contains(gone, a.Masked()) {
			p.addAddress(dev, a)
		}
	}
}
