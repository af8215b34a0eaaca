package vti

import (
	"fmt"
	"slices"

	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// obstacles says why v cannot be converted; nothing when it can.
func (p *planner) obstacles(v *ifaces.VTI) []string {
	o := &obstacles{p: p, v: v, b: p.s.bind(v)}
	if o.device(); len(o.list) > 0 {
		return o.list
	}
	o.policies()
	o.sas()
	o.routes()
	o.neighbours()
	if why := p.s.managed(o.b); why != "" && !p.opts.Static {
		o.note("%s: an IKE daemon seems to own its SAs, and would make them anew with the mark. Give the connection there if_id_in and if_id_out %d in place of mark_in and mark_out, and make the interface with: xfrmctl iface add %s if_id %d. When the SAs are nobody's: --static", why, v.OKey, v.Name, v.OKey)
	}
	return o.list
}

type obstacles struct {
	p    *planner
	v    *ifaces.VTI
	b    *Bound
	list []string
}

func (o *obstacles) note(format string, args ...any) {
	o.list = append(o.list, fmt.Sprintf(format, args...))
}

func (o *obstacles) device() {
	v := o.v
	switch {
	case v.Fallback():
		o.note("it is the module's own device, which carries nothing")
	case v.ContextID.Valid:
		o.note("it was made in another network namespace, which has its SAs and policies: convert it there")
	case v.Master != 0:
		o.note("it belongs to a VRF or another master device (ifindex %d): take it out first", v.Master)
	case v.IKey == 0 || v.OKey == 0:
		o.note("it has no key in at least one direction: policies without a mark protect all traffic of the machine, not only that through it, and would not any more")
	case len(o.b.Out) == 0 && len(o.b.In) == 0:
		o.note("no policy has its keys as mark: there is nothing that could be moved")
	}
}

func (o *obstacles) policies() {
	for _, p := range o.b.policies() {
		switch {
		case len(p.Templates) > 1:
			o.note("%s has %d templates", p, len(p.Templates))
		case p.SecCtx != nil:
			o.note("%s has a security context", p)
		case p.Offload != nil:
			o.note("%s is carried by a network card", p)
		case p.Type.Valid && p.Type.V != netlinkx.PolicyMain:
			o.note("%s is a sub policy", p)
		case slices.ContainsFunc(p.Templates, func(t netlinkx.Template) bool { return t.Mode != netlinkx.ModeTunnel }):
			o.note("%s wants another mode than tunnel", p)
		}
		for _, other := range o.p.s.VTIs {
			if other != o.v && slices.Contains(o.p.s.bind(other).policies(), p) && !o.p.opts.Merge {
				o.note("%s is also %s's: their keys match one mark", p, other.Name)
			}
		}
	}
}

func (o *obstacles) sas() {
	for _, sa := range slices.Concat(o.b.OutSAs, o.b.InSAs) {
		switch {
		case o.p.s.Hidden[KeyOf(sa.ID())]:
			o.note("%s: the kernel does not show its key (lockdown), so it cannot be made again", sa)
		case sa.Proto != netlinkx.ProtoESP:
			o.note("%s is not ESP", sa)
		case sa.AEAD == nil && sa.Crypt == nil:
			o.note("%s is not complete: somebody is negotiating it", sa)
		case sa.Offload != nil:
			o.note("%s is offloaded to a network card: xfrmctl offload drain first", sa)
		case sa.SecCtx != nil || sa.CareOf.IsValid():
			o.note("%s has a security context or a care-of address", sa)
		}
		for _, p := range o.p.s.others(o.b, sa) {
			o.note("%s also serves the %s, which is not bound to this vti", sa, p)
		}
		if other := o.twin(sa); other != nil {
			o.note("%s has the same SPI and destination as %s: without marks the kernel cannot tell them apart", sa, other)
		}
	}
}

// twin finds another SA that only its mark tells from this one.
func (o *obstacles) twin(sa *netlinkx.SA) *netlinkx.SA {
	for _, other := range o.p.s.SAs {
		if other != sa && other.Dst == sa.Dst && other.SPI == sa.SPI && other.Proto == sa.Proto {
			return other
		}
	}
	return nil
}

func (o *obstacles) routes() {
	for _, r := range o.p.s.Routes {
		if r.Object && r.through(o.v.Index) {
			o.note("route %s goes by a next hop object", r)
		}
	}
	for _, r := range o.p.s.Rules {
		if r.Mark != 0 && o.v.OKey&r.Mask == r.Mark {
			o.note("rule %d routes by mark %#x/%#x: the ESP packets of a vti are routed as if they had its okey as mark, those of an XFRM interface are not", r.Priority, r.Mark, r.Mask)
		}
	}
}

// neighbours looks for VTIs that would be given what arrives for the interface:
// the kernel asks VTIs first (ip_vti's handler has the higher priority).
func (o *obstacles) neighbours() {
	for _, n := range o.p.s.VTIs {
		if n != o.v && n.Kind == o.v.Kind && n.Up && overlap(n, o.v) && !slices.Contains(o.p.chosen, n) {
			o.note("%s takes packets between the same addresses and would get those of the interface: convert both, or set it down", n)
		}
	}
}

// overlap reports whether some packet is between the endpoints of both.
func overlap(a, b *ifaces.VTI) bool {
	return (is(a.Local, b.Local) || !a.Local.IsValid()) && (is(a.Remote, b.Remote) || !a.Remote.IsValid())
}

// managed says what shows that a daemon negotiates the SAs of a VTI, "" nothing.
// charon and pluto give their sockets policies of their own; negotiated SAs end.
func (s *State) managed(b *Bound) string {
	if slices.ContainsFunc(s.Policies, func(p *netlinkx.Policy) bool { return p.Dir.Socket() }) {
		return "a process has policies on its sockets"
	}
	for _, sa := range slices.Concat(b.OutSAs, b.InSAs) {
		if l := sa.Limits; l.HardAdd != 0 || l.SoftAdd != 0 {
			return fmt.Sprintf("%s ends after a time", sa)
		}
	}
	return ""
}
