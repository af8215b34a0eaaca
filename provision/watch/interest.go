package watch

import (
	"net/netip"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/provision"
)

// Interest is what counts: the objects of an owner, and what a wanted state
// names. A nil Interest counts everything.
type Interest struct {
	owner   provision.Owner
	devices map[string]bool
	routes  map[netip.Prefix]bool
}

// InterestIn returns the interest in a state. Underlays count: the MTU depends
// on theirs.
func InterestIn(owner provision.Owner, wanted *provision.State) *Interest {
	i := &Interest{owner: owner, devices: map[string]bool{}, routes: map[netip.Prefix]bool{}}
	for _, x := range wanted.Interfaces {
		i.devices[x.Name] = true
		if x.Underlay != "" {
			i.devices[x.Underlay] = true
		}
	}
	for _, r := range wanted.Routes {
		i.routes[r.Dst] = true
	}
	return i
}

func (i *Interest) sa(sa *netlinkx.SA) bool {
	return i == nil || sa.ReqID == 0 || i.owner.ReqID.Has(sa.ReqID)
}

// policy counts those without templates too: they may block, or let out, what
// is ours. So do those of which an event does not tell the templates.
func (i *Interest) policy(p *netlinkx.Policy) bool {
	if i == nil || len(p.Templates) == 0 || p.IfID != 0 && i.owner.IfID.Has(p.IfID) {
		return true
	}
	for _, t := range p.Templates {
		if i.owner.ReqID.Has(t.ReqID) {
			return true
		}
	}
	return false
}

func (i *Interest) device(name string) bool { return i == nil || i.devices[name] }

// route counts routes to one of the destinations, and all to one of the devices.
func (i *Interest) route(dst netip.Prefix, dev string) bool {
	return i == nil || i.routes[dst] || i.devices[dev]
}
