package vti

import (
	"context"
	"slices"
)

// latecomers takes into a move what came to its interface after the conversion:
// a route that went with the interface and had no guard would let out in clear
// what it led into the tunnel. SAs and policies are left where they are.
func (s *Session) latecomers(ctx context.Context, m *Move) error {
	l, err := s.cfg.Links.GetByIfID(ctx, m.IfID)
	if err != nil || l.Name != m.Name {
		return gone(err)
	}
	src := m.Sources[0]
	for _, a := range l.Addresses {
		if !a.Automatic() && !slices.ContainsFunc(m.addresses(), a.Same) {
			src.Addresses = append(src.Addresses, a)
			s.note("%s: address %s came after the conversion; the VTI gets it", m.Name, a.Prefix)
		}
	}
	routes, err := s.kernel.routes(ctx)
	if err != nil {
		return err
	}
	back := map[int32]int32{l.Index: src.Index}
	var known []*Route
	for _, o := range m.Sources {
		known = append(known, o.Routes...)
	}
	for _, r := range routes {
		if !r.through(l.Index) || slices.ContainsFunc(known, func(o *Route) bool { return o.Dst == r.Dst && o.Table == r.Table && o.Metric == r.Metric }) {
			continue
		}
		late, err := decodeRoute(r.message(back))
		if err != nil {
			return err
		}
		src.Routes = append(src.Routes, late)
		if g, ok := late.guard(); ok && !slices.Contains(m.Guards, g) {
			m.Guards = append(m.Guards, g)
		}
		if !late.automatic() {
			s.note("%s: route %s came after the conversion; it goes through the VTI", m.Name, late)
		}
	}
	return s.lateSAs(ctx, m)
}

// lateSAs tells of SAs that belong to the interface and to no VTI.
func (s *Session) lateSAs(ctx context.Context, m *Move) error {
	for sa, err := range s.cfg.XFRM.ScanSAs(ctx, nil) {
		if err != nil {
			return err
		}
		ours := slices.ContainsFunc(m.SAs, func(rb *Rebind) bool { return binding{rb.bound(), m.IfID}.is(sa) })
		if sa.IfID == m.IfID && !ours {
			s.note("%s came after the conversion: it has if_id %#x and no mark, and the VTI does not use it", sa, m.IfID)
		}
	}
	return nil
}
