package vti

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Options say what NewPlan may do.
type Options struct {
	// Static: SAs are nobody else's, whatever they look like.
	Static bool
	// Merge gives VTIs with the same keys one interface together.
	Merge bool
}

// Refusal is a VTI that cannot be converted.
type Refusal struct {
	Name    string
	Reasons []string
}

// RefusedError tells why nothing is converted.
type RefusedError struct{ Refusals []Refusal }

// Error returns all reasons in one line.
func (e *RefusedError) Error() string { return strings.Join(e.Lines(), "; ") }

// Lines returns the reasons of each VTI.
func (e *RefusedError) Lines() (all []string) {
	for _, r := range e.Refusals {
		all = append(all, r.Name+": "+strings.Join(r.Reasons, "; "))
	}
	return all
}

// NewPlan plans the conversion of the VTIs of those names, of all that can be
// one when there are none. It is pure. Errors are *RefusedError: one VTI that
// cannot be converted keeps all from being.
func NewPlan(s *State, names []string, opts Options) (*Plan, error) {
	p := &planner{s: s, opts: opts, taken: map[uint32]bool{}, names: map[string]bool{}}
	p.occupied()
	if err := p.choose(names); err != nil {
		return nil, err
	}
	var refused []Refusal
	for _, v := range p.chosen {
		if reasons := p.obstacles(v); len(reasons) > 0 {
			refused = append(refused, Refusal{v.Name, reasons})
		}
	}
	if refused == nil {
		for _, v := range p.chosen {
			if reasons := p.add(v); len(reasons) > 0 {
				refused = append(refused, Refusal{v.Name, reasons})
			}
		}
	}
	if refused != nil {
		return nil, &RefusedError{refused}
	}
	return &p.plan, nil
}

type planner struct {
	s      *State
	opts   Options
	chosen []*ifaces.VTI
	taken  map[uint32]bool // if_ids
	names  map[string]bool
	parked int // SAs so far
	plan   Plan
}

func (p *planner) occupied() {
	for _, l := range p.s.Interfaces {
		p.taken[l.IfID] = true
	}
	for _, sa := range p.s.SAs {
		p.taken[sa.IfID] = true
	}
	for _, pol := range p.s.Policies {
		p.taken[pol.IfID] = true
	}
	for _, n := range p.s.Names {
		p.names[n] = true
	}
}

// choose puts those that take packets from anywhere first: while one of them is
// left, the kernel gives it what arrives for those that are gone.
func (p *planner) choose(names []string) error {
	for _, n := range names {
		v := p.s.vti(n)
		if v == nil {
			return &RefusedError{[]Refusal{{n, []string{"there is no vti of that name"}}}}
		}
		if !slices.Contains(p.chosen, v) {
			p.chosen = append(p.chosen, v)
		}
	}
	if len(names) == 0 {
		for _, v := range p.s.VTIs {
			if !v.Fallback() {
				p.chosen = append(p.chosen, v)
			}
		}
	}
	slices.SortStableFunc(p.chosen, func(a, b *ifaces.VTI) int { return width(b) - width(a) })
	return nil
}

// width is how many of its endpoints are any.
func width(v *ifaces.VTI) int {
	n := 0
	for _, a := range []netip.Addr{v.Local, v.Remote} {
		if !a.IsValid() {
			n++
		}
	}
	return n
}

// add plans the move of one VTI.
func (p *planner) add(v *ifaces.VTI) (reasons []string) {
	m := p.partner(v)
	if m == nil {
		m = p.move(v)
		p.plan.Moves = append(p.plan.Moves, m)
	}
	src := p.source(v)
	if m.MTU > v.MTU {
		m.MTU = v.MTU
	}
	m.Sources = append(m.Sources, src)
	b := p.s.bind(v)
	for _, pol := range p.rebound(b, m.IfID) {
		if slices.ContainsFunc(m.Policies, func(o *netlinkx.Policy) bool { return samePolicy(o, pol) }) {
			return []string{fmt.Sprintf("%s: another vti that shall be merged with this one has a policy for the same traffic", pol)}
		}
		m.Policies = append(m.Policies, pol)
	}
	for _, pol := range b.policies() {
		id := pol.ID()
		id.Index, id.Selector = 0, pol.Selector
		m.Old = append(m.Old, id)
	}
	for _, sa := range b.OutSAs {
		m.SAs = append(m.SAs, p.rebind(sa, true))
	}
	for _, sa := range b.InSAs {
		m.SAs = append(m.SAs, p.rebind(sa, false))
	}
	return p.guard(m, src)
}

// partner is the move that v shall be a part of.
func (p *planner) partner(v *ifaces.VTI) *Move {
	if !p.opts.Merge {
		return nil
	}
	for _, m := range p.plan.Moves {
		if o := p.s.vti(m.Name); o != nil && o.IKey == v.IKey && o.OKey == v.OKey && o.UnderlayName == v.UnderlayName {
			return m
		}
	}
	return nil
}

func (p *planner) move(v *ifaces.VTI) *Move {
	id := v.OKey
	for id == 0 || p.taken[id] {
		id++
	}
	p.taken[id] = true
	return &Move{
		Name: v.Name, Temp: p.name("new-", v), IfID: id, Dev: v.UnderlayName, MTU: v.MTU, TxQueue: v.TxQueue, Group: v.Group, Alias: v.Alias,
	}
}

// maxName is the length of the longest device name.
const maxName = 15

// name makes a name from that of v.
func (p *planner) name(prefix string, v *ifaces.VTI) string {
	n := prefix + v.Name
	for i := v.Index; len(n) > maxName || p.names[n]; i++ {
		n = fmt.Sprintf("%s%d", prefix, i)
	}
	p.names[n] = true
	return n
}

func (p *planner) source(v *ifaces.VTI) *Source {
	src := &Source{Name: v.Name, Parked: p.name("old-", v), Index: v.Index, Up: v.Up, AltNames: v.AltNames, Settings: map[string]string{}}
	for _, a := range v.Addresses {
		if a.Automatic() {
			p.note("%s: the link-local address %s is the kernel's, which gives the interface another", v.Name, a.Prefix.Addr())
			continue
		}
		src.Addresses = append(src.Addresses, a)
	}
	for _, r := range p.s.Routes {
		if r.through(v.Index) {
			src.Routes = append(src.Routes, r)
		}
	}
	for k, x := range p.s.Settings[v.Name] {
		if k == "ipv4/disable_policy" || k == "ipv6/disable_policy" {
			if x != "0" {
				p.note("%s: %s is not taken over: the interface checks what arrives against its policies", v.Name, strings.Replace(k, "/", " ", 1))
			}
			continue
		}
		src.Settings[k] = x
	}
	if v.Qdisc != "" && v.Qdisc != "noqueue" && v.Qdisc != "noop" {
		p.note("%s: its queueing discipline %s is not taken over: set it again", v.Name, v.Qdisc)
	}
	return src
}

func (p *planner) note(format string, args ...any) {
	p.plan.Notes = append(p.plan.Notes, fmt.Sprintf(format, args...))
}

// rebound returns the policies of the interface: those of the VTI, with the
// if_id in place of the mark. What a VTI forwards is checked as incoming only;
// for an XFRM interface the kernel asks for fwd policies too.
func (p *planner) rebound(b *Bound, ifID uint32) (out []*netlinkx.Policy) {
	for _, old := range b.policies() {
		pol := *old
		pol.Mark, pol.IfID, pol.Index, pol.Usage = netlinkx.Mark{}, ifID, 0, netlinkx.Usage{}
		out = append(out, &pol)
	}
	for _, in := range slices.Clone(out) {
		fwd := *in
		fwd.Dir = netlinkx.PolicyFwd
		if in.Dir == netlinkx.PolicyIn && !slices.ContainsFunc(out, func(o *netlinkx.Policy) bool { return samePolicy(o, &fwd) }) {
			out = append(out, &fwd)
		}
	}
	return out
}

func samePolicy(a, b *netlinkx.Policy) bool {
	return a.Dir == b.Dir && a.Selector == b.Selector && a.Mark == b.Mark && a.IfID == b.IfID
}

// rebind chooses where a copy of the SA waits: addresses that no packet is sent
// to (RFC 1122 section 3.2.1.3, RFC 6666).
func (p *planner) rebind(sa *netlinkx.SA, out bool) *Rebind {
	p.parked++
	n := p.parked
	parking := netip.AddrFrom4([4]byte{127, 255, byte(n >> 8), byte(n)})
	if sa.Dst.Is6() {
		parking = netip.AddrFrom16([16]byte{0: 1, 14: byte(n >> 8), 15: byte(n)})
	}
	return &Rebind{ID: sa.ID(), Src: sa.Src, Out: out, Parking: parking}
}

// guard plans a guard behind each route of a VTI: where it goes, the next best
// route may lead out in clear.
func (p *planner) guard(m *Move, src *Source) (reasons []string) {
	for _, r := range src.Routes {
		g, ok := r.guard()
		if !ok {
			continue
		}
		taken := func(o *Route) bool {
			return o.Dst == g.Dst && o.Table == g.Table && o.Metric == g.Metric && !o.through(src.Index)
		}
		switch {
		case r.Metric == metricHighest:
			reasons = append(reasons, fmt.Sprintf("route %s has the highest metric: no guard fits behind it", r))
		case slices.ContainsFunc(p.s.Routes, taken):
			reasons = append(reasons, fmt.Sprintf("another route %s has metric %d, where the guard shall stand", r, g.Metric))
		case !slices.Contains(m.Guards, g):
			m.Guards = append(m.Guards, g)
		}
	}
	return reasons
}

// guard returns what stands behind the route; nothing that is not for one link
// alone goes without.
func (r *Route) guard() (g Guard, ok bool) {
	a := r.Dst.Addr()
	ok = r.Type == typeUnicast && !(a.Is6() && a.IsLinkLocalUnicast()) && !a.IsMulticast()
	return Guard{r.Dst, r.Table, r.Metric + 1}, ok
}
