package vti

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// run takes the steps of one move.
type run struct {
	s *Session
	m *Move
	// read when the first route needs them
	routes  []*Route
	devices map[int32]int32
	// lost are routes that could not be brought back. Their guards stay.
	lost []*Route
}

// walk takes steps in order. Between the first and the last that interrupt
// traffic it does not let itself be interrupted.
func (s *Session) walk(ctx context.Context, m *Move, steps []*Step) (*Done, error) {
	r := &run{s: s, m: m}
	d := &Done{Move: m}
	var begun time.Time
	for _, st := range steps {
		if !st.Cut {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
		}
		if st.Cut && begun.IsZero() {
			begun = time.Now()
		}
		if err := r.take(context.WithoutCancel(ctx), st); err != nil {
			return nil, fmt.Errorf("%s: %w", st, err)
		}
		if st.Cut {
			d.Interrupted = time.Since(begun)
		}
		if s.cfg.OnStep != nil {
			s.cfg.OnStep(m, st)
		}
	}
	return d, nil
}

func (r *run) take(ctx context.Context, st *Step) error {
	switch st.op {
	case opGuard:
		return r.s.kernel.addGuard(ctx, st.guard)
	case opUnguard:
		return r.unguard(ctx)
	case opInterface, opName, opUp, opStopBack, opNameBack, opRemove:
		return r.iface(ctx, st.op)
	case opPolicy:
		return r.s.cfg.XFRM.UpdatePolicy(ctx, r.m.Policies[st.policy])
	case opPolicyBack:
		p := r.m.Policies[st.policy]
		id := p.ID()
		id.Index, id.Selector = 0, p.Selector
		return gone(r.s.cfg.XFRM.DeletePolicy(ctx, id))
	case opOldPolicyGone:
		return gone(r.s.cfg.XFRM.DeletePolicy(ctx, r.m.Old[st.policy]))
	case opSA:
		return r.rebind(ctx, st.sa, binding{st.sa.ID, 0}, binding{st.sa.bound(), r.m.IfID})
	case opSABack:
		return r.rebind(ctx, st.sa, binding{st.sa.bound(), r.m.IfID}, binding{st.sa.ID, 0})
	case opRoute, opRouteBack:
		return r.route(ctx, st)
	case opCheck:
		return r.check(ctx)
	case opCheckBack:
		return r.checkBack(ctx)
	}
	return r.source(ctx, st)
}

// gone is err unless it tells that something is not there.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// source takes a step about a VTI. It is found by its ifindex, because its name
// changes.
func (r *run) source(ctx context.Context, st *Step) error {
	links, src := r.s.cfg.Links, st.source
	v, err := r.find(ctx, src)
	if err != nil {
		return err
	}
	if v == nil {
		if st.op == opSourceGone {
			return nil
		}
		return fmt.Errorf("vti %s (ifindex %d) is gone: another process deleted it", src.Name, src.Index)
	}
	switch st.op {
	case opStop:
		_, err = links.ChangeVTI(ctx, v.Name, &ifaces.Change{Up: netlinkx.Some(false)})
		return err
	case opPark:
		return r.park(ctx, src, v)
	case opUnpark:
		return r.unpark(ctx, src, v)
	}
	return gone(links.DeleteVTI(ctx, v.Name))
}

func (r *run) find(ctx context.Context, src *Source) (*ifaces.VTI, error) {
	v, err := r.s.cfg.Links.GetVTIByIndex(ctx, src.Index)
	var kind *ifaces.KindError
	switch {
	case errors.As(err, &kind):
		return nil, nil
	case err != nil:
		return nil, gone(err)
	case v.Name != src.Name && v.Name != src.Parked:
		return nil, nil
	}
	return v, nil
}

func (r *run) park(ctx context.Context, src *Source, v *ifaces.VTI) error {
	if err := r.s.cfg.Links.SetAddresses(ctx, v.Name, nil); err != nil {
		return err
	}
	if err := r.s.kernel.alias(ctx, v.Name, v.Index, v.AltNames, false); err != nil {
		return err
	}
	if v.Name == src.Parked {
		return nil
	}
	return r.s.cfg.Links.Rename(ctx, v.Name, src.Parked)
}

func (r *run) unpark(ctx context.Context, src *Source, v *ifaces.VTI) error {
	links := r.s.cfg.Links
	if v.Name != src.Name {
		if err := links.Rename(ctx, v.Name, src.Name); err != nil {
			return err
		}
	}
	if err := r.s.kernel.alias(ctx, src.Name, src.Index, missing(src.AltNames, v.AltNames), true); err != nil {
		return err
	}
	if v.Up != src.Up {
		if _, err := links.ChangeVTI(ctx, src.Name, &ifaces.Change{Up: netlinkx.Some(src.Up)}); err != nil {
			return err
		}
	}
	return links.SetAddresses(ctx, src.Name, src.Addresses)
}

func missing(want, have []string) (out []string) {
	for _, n := range want {
		if !slices.Contains(have, n) {
			out = append(out, n)
		}
	}
	return out
}

func (r *run) route(ctx context.Context, st *Step) error {
	if r.routes == nil {
		var err error
		if r.routes, err = r.s.kernel.routes(ctx); err != nil {
			return err
		}
		if r.devices, err = r.swapped(ctx, st.op == opRoute); err != nil {
			return err
		}
	}
	if st.route.among(r.routes, r.devices) {
		return nil
	}
	err := r.s.kernel.addRoute(ctx, st.route, r.devices)
	if err != nil && st.op == opRouteBack {
		// the rest is worth more than this one
		r.lost = append(r.lost, st.route)
		r.s.note("%v; the guard behind it stays: make the route again, and delete route %s with metric %d", err, st.route, st.route.Metric+1)
		return nil
	}
	return err
}

// unguard removes the guards, but for those of routes that were lost.
func (r *run) unguard(ctx context.Context) error {
	var errs []error
	for _, g := range r.m.Guards {
		if !slices.ContainsFunc(r.lost, func(o *Route) bool { return o.Dst == g.Dst && o.Table == g.Table && o.Metric+1 == g.Metric }) {
			errs = append(errs, r.s.kernel.deleteGuard(ctx, g))
		}
	}
	return errors.Join(errs...)
}

// swapped says which ifindex takes the place of which: none on the way back.
func (r *run) swapped(ctx context.Context, forward bool) (map[int32]int32, error) {
	if !forward {
		return nil, nil
	}
	l, err := r.s.cfg.Links.GetByIfID(ctx, r.m.IfID)
	if err != nil {
		return nil, err
	}
	m := map[int32]int32{}
	for _, src := range r.m.Sources {
		m[src.Index] = l.Index
	}
	return m, nil
}
