package provision

import "slices"

// routes plans all routes but guards that go.
func (p *planner) routes() {
	for _, want := range p.w.Routes {
		id := routeID(want)
		got := p.o.routes[id]
		switch {
		case got == nil && want.Guard():
			p.add(stGuard, &Step{Verb: Create, ID: id, Route: want})
		case got == nil:
			p.add(stRoute, &Step{Verb: Create, ID: id, Route: want})
		case !p.ours(id):
			p.accept(id, routeDifferences(want, got))
		case !slices.Equal(got.devices(), want.devices()):
			p.add(stRoute, &Step{Verb: Change, ID: id, Route: want, WasRoute: got, Why: "dev"})
		case p.loses(got):
			p.add(stRoute, &Step{Verb: Replace, ID: id, Route: want, Why: "the kernel deletes it with what it belongs to"})
		}
	}
	for _, got := range p.o.Routes {
		id := routeID(got)
		if got.Guard() || p.w.routes[id] != nil || !p.ours(id) || p.goes(got) {
			continue
		}
		if !p.opts.Prune {
			p.left = append(p.left, id)
			continue
		}
		p.add(stRouteGone, &Step{Verb: Delete, ID: id, Route: got})
	}
}

// loses reports whether the kernel may delete a route in the course of the plan.
func (p *planner) loses(r *Route) bool {
	return p.goes(r) || r.is4() && slices.ContainsFunc(r.devices(), func(dev string) bool { return p.emptied[interfaceID(r.NetNS, dev)] })
}

// goes reports whether a route leads to an interface that is deleted.
func (p *planner) goes(r *Route) bool {
	return slices.ContainsFunc(r.devices(), func(dev string) bool { return p.displaced[interfaceID(r.NetNS, dev)] })
}

// guards removes guards of ours that guard nothing: no route of ours that stays
// unwanted has their destination.
func (p *planner) guards() {
	for _, got := range p.o.Routes {
		id := routeID(got)
		if !got.Guard() || p.w.routes[id] != nil || !p.ours(id) {
			continue
		}
		needed := slices.ContainsFunc(p.o.Routes, func(r *Route) bool {
			return !r.Guard() && r.Dst == got.Dst && r.NetNS == got.NetNS && !p.loses(r) && slices.Contains(p.left, routeID(r))
		})
		if needed {
			p.left = append(p.left, id)
			continue
		}
		p.add(stGuardGone, &Step{Verb: Delete, ID: id, Route: got})
	}
}
