package vti

import (
	"net/netip"
	"slices"

	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Bound is what works for one VTI: policies by its keys, SAs by the templates
// of these and by its keys.
type Bound struct {
	Out, In []*netlinkx.Policy // in: fwd ones too
	OutSAs  []*netlinkx.SA
	InSAs   []*netlinkx.SA
	// Elsewhere are policies with its mark whose templates name other endpoints:
	// what they protect, the VTI drops.
	Elsewhere []*netlinkx.Policy
	// Orphans are SAs between its endpoints with its mark that no policy asks for.
	Orphans []*netlinkx.SA
}

// policies returns all that were bound.
func (b *Bound) policies() []*netlinkx.Policy { return slices.Concat(b.Out, b.In) }

// bind finds what works for v.
func (s *State) bind(v *ifaces.VTI) *Bound {
	b := &Bound{}
	for _, p := range s.Policies {
		if p.IfID != 0 || p.Dir.Socket() {
			continue
		}
		key, src, dst := v.IKey, v.Remote, v.Local
		if p.Dir == netlinkx.PolicyOut {
			key, src, dst = v.OKey, v.Local, v.Remote
		}
		switch {
		case !hits(p.Mark, key) || p.Mark.Mask == 0:
		case !between(p, src, dst):
			b.Elsewhere = append(b.Elsewhere, p)
		case p.Dir == netlinkx.PolicyOut:
			b.Out = append(b.Out, p)
		default:
			b.In = append(b.In, p)
		}
	}
	for _, sa := range s.SAs {
		s.bindSA(v, b, sa)
	}
	return b
}

func (s *State) bindSA(v *ifaces.VTI, b *Bound, sa *netlinkx.SA) {
	if sa.IfID != 0 {
		return
	}
	asked := func(list []*netlinkx.Policy, key uint32) bool {
		return hits(sa.Mark, key) && slices.ContainsFunc(list, func(p *netlinkx.Policy) bool { return asks(p, sa) })
	}
	switch {
	case asked(b.Out, v.OKey):
		b.OutSAs = append(b.OutSAs, sa)
	case asked(b.In, v.IKey):
		b.InSAs = append(b.InSAs, sa)
	case sa.Mark.Mask == 0: // whose it is cannot be said
	case hits(sa.Mark, v.OKey) && is(sa.Src, v.Local) && is(sa.Dst, v.Remote), hits(sa.Mark, v.IKey) && is(sa.Src, v.Remote) && is(sa.Dst, v.Local):
		b.Orphans = append(b.Orphans, sa)
	}
}

// hits reports whether a packet with that mark is meant (xfrm_mark_get and its
// users). The absent mark means all.
func hits(m netlinkx.Mark, key uint32) bool { return key&m.Mask == m.Value }

// is compares an endpoint with that of a VTI, where none is any.
func is(a, end netip.Addr) bool { return !end.IsValid() || a == end }

// between reports whether a policy's templates end where the VTI does. A
// policy without templates blocks or passes wherever.
func between(p *netlinkx.Policy, src, dst netip.Addr) bool {
	for _, t := range p.Templates {
		open := func(a netip.Addr) bool { return !a.IsValid() || a.IsUnspecified() }
		if !open(t.Src) && !is(t.Src, src) || !open(t.Dst) && !is(t.Dst, dst) {
			return false
		}
	}
	return true
}

// asks reports whether a template of p may take the SA (xfrm_state_find,
// xfrm_state_ok), marks aside.
func asks(p *netlinkx.Policy, sa *netlinkx.SA) bool {
	same := func(want, have netip.Addr) bool { return !want.IsValid() || want.IsUnspecified() || want == have }
	return slices.ContainsFunc(p.Templates, func(t netlinkx.Template) bool {
		return t.Proto == sa.Proto && t.Mode == sa.Mode && (t.ReqID == 0 || t.ReqID == sa.ReqID) && (t.SPI == 0 || t.SPI == sa.SPI) &&
			same(t.Src, sa.Src) && same(t.Dst, sa.Dst)
	})
}

// others returns the policies outside of b that an SA may serve as well.
func (s *State) others(b *Bound, sa *netlinkx.SA) (out []*netlinkx.Policy) {
	ours := b.policies()
	for _, p := range s.Policies {
		if !slices.Contains(ours, p) && p.IfID == sa.IfID && asks(p, sa) && hits(sa.Mark, p.Mark.Value) {
			out = append(out, p)
		}
	}
	return out
}
