package document

import (
	"net/netip"
	"slices"

	"github.com/xfrmctl/xfrmctl/provision"
)

// routeKey is what tells routes apart.
type routeKey struct {
	dst    netip.Prefix
	metric uint32
	netns  string
}

// routes lead the peer's prefixes to the interface, with a guard below each
// that answers "unreachable" while the interface is down or gone. Tunnels with
// one prefix share a route.
func (e *end) routes(s *provision.State) {
	for _, x := range e.selectors() {
		netns := e.t.NetNS[e.self.Name].V
		e.route(s, &provision.Route{Dst: x[1], Dev: e.t.Interface.V, Metric: provision.RouteMetric, NetNS: netns})
		if e.t.guardRoutes() {
			e.route(s, &provision.Route{Dst: x[1], Metric: provision.GuardMetric, NetNS: netns})
		}
	}
}

func (e *end) route(s *provision.State, add *provision.Route) {
	key := routeKey{add.Dst, add.Metric, add.NetNS}
	r := e.made[key]
	if r == nil {
		e.made[key] = add
		s.Routes = append(s.Routes, add)
		return
	}
	if r.Dev != add.Dev && !slices.Contains(r.More, add.Dev) {
		r.More = append(r.More, add.Dev)
	}
}
