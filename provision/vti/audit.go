package vti

import (
	"fmt"
	"slices"

	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Finding is something worth knowing about a VTI, in plain words.
type Finding struct {
	Fault bool // it does not work, or works otherwise than it looks
	Text  string
}

// Device is a VTI with all that belongs to it.
type Device struct {
	*ifaces.VTI
	Bound    *Bound
	Routes   []*Route
	Settings map[string]string // disable_policy and disable_xfrm
	Findings []Finding
	// Obstacles say why it cannot be converted; none: it can, to an interface
	// with that IfID.
	Obstacles []string
	IfID      uint32
	// Moved: it was converted and waits for Finish or Undo.
	Moved bool
}

// Report is what there is to say about the VTIs of a namespace.
type Report struct {
	Devices  []*Device
	Findings []Finding // that belong to no device
}

// Inspect finds the VTIs, what is bound to them and what is wrong with it. It is
// pure. moves are those in the journal.
func Inspect(s *State, moves []*Move) *Report {
	r := &Report{}
	for _, v := range s.VTIs {
		if v.Fallback() {
			continue
		}
		a := &auditor{s: s, d: &Device{VTI: v, Bound: s.bind(v), Settings: map[string]string{}}}
		for _, route := range s.Routes {
			if route.through(v.Index) {
				a.d.Routes = append(a.d.Routes, route)
			}
		}
		for _, k := range []string{"ipv4/disable_policy", "ipv4/disable_xfrm", "ipv6/disable_policy"} {
			if x, ok := s.Settings[v.Name][k]; ok {
				a.d.Settings[k] = x
			}
		}
		a.d.Moved = movedIn(moves, v)
		if a.d.Moved {
			a.note("it was converted; vti convert --finish deletes it, --undo brings it back")
		} else {
			a.all()
		}
		r.Devices = append(r.Devices, a.d)
	}
	r.Findings = strays(s, r.Devices)
	return r
}

func movedIn(moves []*Move, v *ifaces.VTI) bool {
	return slices.ContainsFunc(moves, func(m *Move) bool {
		return slices.ContainsFunc(m.Sources, func(src *Source) bool { return src.Index == v.Index })
	})
}

type auditor struct {
	s *State
	d *Device
}

func (a *auditor) fault(format string, args ...any) {
	a.d.Findings = append(a.d.Findings, Finding{true, fmt.Sprintf(format, args...)})
}

func (a *auditor) note(format string, args ...any) {
	a.d.Findings = append(a.d.Findings, Finding{false, fmt.Sprintf(format, args...)})
}

func (a *auditor) all() {
	a.device()
	a.policies()
	a.sas()
	a.peers()
	if why := a.s.managed(a.d.Bound); why != "" {
		a.note("%s: an IKE daemon seems to own its SAs", why)
	}
	p := &planner{s: a.s, chosen: a.s.VTIs, taken: map[uint32]bool{}, names: map[string]bool{}}
	p.occupied()
	if a.d.Obstacles = p.obstacles(a.d.VTI); a.d.Obstacles == nil {
		a.d.IfID = p.move(a.d.VTI).IfID
	}
}

func (a *auditor) device() {
	d := a.d
	if d.OKey == 0 || d.IKey == 0 {
		a.fault("it has no key in at least one direction (0): policies for it have no mark, and so protect, or drop, all traffic of the machine")
	}
	if d.ContextID.Valid {
		a.note("it was made in another network namespace: its SAs and policies are there")
		return
	}
	if !d.Up {
		a.note("it is down")
	}
	for _, family := range []string{"ipv4", "ipv6"} {
		if d.Settings[family+"/disable_policy"] == "1" {
			a.note("%s disable_policy is on: what arrives through it is not checked against policies when it is delivered or forwarded, only against those with its ikey", family)
		}
	}
	if d.Settings["ipv4/disable_xfrm"] == "1" {
		a.note("ipv4 disable_xfrm is on: policies without its mark do not apply to what is routed to it")
	}
}

func (a *auditor) policies() {
	b := a.d.Bound
	in := slices.ContainsFunc(b.In, func(p *netlinkx.Policy) bool { return p.Dir == netlinkx.PolicyIn })
	if a.d.OKey != 0 && len(b.Out) == 0 {
		a.fault("no out policy has mark %d (its okey): it drops all that is sent", a.d.OKey)
	}
	if a.d.IKey != 0 && !in {
		a.fault("no in policy has mark %d (its ikey): it drops all that arrives", a.d.IKey)
	}
	for _, p := range b.Elsewhere {
		mine := func(v *ifaces.VTI) bool { return slices.Contains(a.s.bind(v).policies(), p) }
		if !slices.ContainsFunc(a.s.VTIs, mine) {
			a.fault("%s has its mark, but its template ends elsewhere: what it protects is dropped", p)
		}
	}
	for _, p := range b.policies() {
		for _, t := range p.Templates {
			if t.Mode != netlinkx.ModeTunnel {
				a.fault("%s wants mode %s: a vti drops all but tunnel mode", p, t.Mode)
			}
		}
		if m := p.Mark; m.Mask != ^uint32(0) {
			a.note("%s looks at a part of the mark only (mask %#x): other marks match as well", p, m.Mask)
		}
		a.served(p)
	}
}

// served looks for an SA for a policy.
func (a *auditor) served(p *netlinkx.Policy) {
	list := a.d.Bound.InSAs
	if p.Dir == netlinkx.PolicyOut {
		list = a.d.Bound.OutSAs
	}
	if len(p.Templates) > 0 && p.Dir != netlinkx.PolicyFwd && !slices.ContainsFunc(list, func(sa *netlinkx.SA) bool { return asks(p, sa) }) {
		a.fault("%s finds no SA: one with its reqid, endpoints and mark is missing", p)
	}
}

func (a *auditor) sas() {
	b := a.d.Bound
	families := map[netlinkx.Family]bool{}
	for _, p := range b.policies() {
		families[p.Selector.Family] = true
	}
	for _, sa := range slices.Concat(b.OutSAs, b.InSAs) {
		if f := sa.Selector.Family; f != 0 && sa.Flags&netlinkx.FlagAFUnspec == 0 && families[other(f)] {
			a.fault("%s carries %s only: there are policies of both families, and it lacks flag af-unspec", sa, f)
		}
		if list := a.s.others(b, sa); len(list) > 0 {
			a.note("%s also serves the %s, which is not bound to this vti", sa, list[0])
		}
	}
	for _, sa := range b.Orphans {
		a.fault("%s has its mark, but no policy asks for it (reqid %d, mode %s)", sa, sa.ReqID, sa.Mode)
	}
}

func other(f netlinkx.Family) netlinkx.Family {
	if f == netlinkx.FamilyIPv4 {
		return netlinkx.FamilyIPv6
	}
	return netlinkx.FamilyIPv4
}

// peers compares with the other VTIs.
func (a *auditor) peers() {
	d := a.d
	for _, v := range a.s.VTIs {
		if v.Index == d.Index || v.Fallback() {
			continue
		}
		if v.Kind == d.Kind && v.Local == d.Local && v.Remote == d.Remote {
			a.fault("%s has the same endpoints: the kernel does not look at keys and gives all that arrives to one of the two", v)
		}
		if v.OKey == d.OKey && d.OKey != 0 {
			a.note("%s has the same key: their policies must not be for the same traffic; vti convert --merge gives both one interface", v)
		}
	}
	if !d.Remote.IsValid() {
		a.note("its remote is any: it takes what arrives from every address that no other vti names")
	}
	for _, r := range a.s.Rules {
		if r.Mark != 0 && d.OKey&r.Mask == r.Mark {
			a.note("rule %d looks at its okey: the ESP packets are routed by it", r.Priority)
		}
	}
}

// strays are SAs and policies with a mark that no VTI has.
func strays(s *State, devices []*Device) (out []Finding) {
	keyed := func(m netlinkx.Mark) bool {
		return slices.ContainsFunc(devices, func(d *Device) bool { return hits(m, d.IKey) || hits(m, d.OKey) })
	}
	if len(devices) == 0 {
		return nil
	}
	for _, p := range s.Policies {
		if p.Mark.Mask != 0 && p.IfID == 0 && !keyed(p.Mark) {
			out = append(out, Finding{false, fmt.Sprintf("%s: no vti has its mark as key", p)})
		}
	}
	for _, sa := range s.SAs {
		if sa.Mark.Mask != 0 && sa.IfID == 0 && !keyed(sa.Mark) {
			out = append(out, Finding{false, fmt.Sprintf("%s: no vti has its mark as key", sa)})
		}
	}
	return out
}
