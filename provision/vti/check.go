package vti

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// check reads back what a conversion has made, and names the first difference.
func (r *run) check(ctx context.Context) error {
	l, err := r.s.cfg.Links.GetByIfID(ctx, r.m.IfID)
	if err != nil {
		return err
	}
	if l.Name != r.m.Name || l.MTU != r.m.MTU {
		return fmt.Errorf("the interface reads back as %s mtu %d, not %s mtu %d", l.Name, l.MTU, r.m.Name, r.m.MTU)
	}
	if err := addressesAre(l.Name, r.m.addresses(), l.Addresses); err != nil {
		return err
	}
	for _, p := range r.m.Policies {
		if err := r.checkPolicy(ctx, p); err != nil {
			return err
		}
	}
	if err := r.checkSAs(ctx, func(rb *Rebind) binding { return binding{rb.bound(), r.m.IfID} }); err != nil {
		return err
	}
	return r.checkRoutes(ctx, true)
}

// checkBack does the same for an undo.
func (r *run) checkBack(ctx context.Context) error {
	for _, src := range r.m.Sources {
		v, err := r.s.cfg.Links.GetVTI(ctx, src.Name)
		if err != nil {
			return err
		}
		if v.Index != src.Index || v.Up != src.Up {
			return fmt.Errorf("vti %s reads back as ifindex %d up %t, not %d and %t", src.Name, v.Index, v.Up, src.Index, src.Up)
		}
		if err := addressesAre(v.Name, src.Addresses, v.Addresses); err != nil {
			return err
		}
	}
	if err := r.checkSAs(ctx, func(rb *Rebind) binding { return binding{rb.ID, 0} }); err != nil {
		return err
	}
	return r.checkRoutes(ctx, false)
}

func addressesAre(dev string, want, have []ifaces.Address) error {
	for _, a := range want {
		if !slices.ContainsFunc(have, a.Same) {
			return fmt.Errorf("address %s of %s is missing", a.Prefix, dev)
		}
	}
	return nil
}

func (r *run) checkPolicy(ctx context.Context, want *netlinkx.Policy) error {
	id := want.ID()
	id.Index, id.Selector = 0, want.Selector
	have, err := r.s.cfg.XFRM.GetPolicy(ctx, id)
	if err != nil {
		return err
	}
	if have.Action != want.Action || have.Priority != want.Priority || !slices.Equal(have.Templates, want.Templates) {
		return fmt.Errorf("%s reads back otherwise than it was sent", want)
	}
	return nil
}

// checkSAs looks for each SA in its new form, and that nothing of the old one,
// or of the copy, is left.
func (r *run) checkSAs(ctx context.Context, form func(*Rebind) binding) error {
	all, err := r.s.cfg.XFRM.ListSAs(ctx, nil)
	if err != nil {
		return err
	}
	for _, rb := range r.m.SAs {
		for _, sa := range all {
			same := sa.SPI == rb.ID.SPI && sa.Proto == rb.ID.Proto && (sa.Dst == rb.ID.Dst || sa.Dst == rb.Parking)
			if same && !form(rb).is(sa) {
				return fmt.Errorf("%s if_id %#x is there as well", sa, sa.IfID)
			}
		}
	}
	return nil
}

func (r *run) checkRoutes(ctx context.Context, forward bool) error {
	devices, err := r.swapped(ctx, forward)
	if err != nil {
		return err
	}
	have, err := r.s.kernel.routes(ctx)
	if err != nil {
		return err
	}
	for _, src := range r.m.Sources {
		for _, route := range ordered(src.Routes) {
			if !route.among(have, devices) && !slices.Contains(r.lost, route) {
				return fmt.Errorf("route %s is missing", route)
			}
		}
	}
	return nil
}

// stale reports whether the journal tells of a namespace that is no more: its
// inode was used again.
func (s *Session) stale(ctx context.Context, m *Move) (bool, error) {
	if m.Phase == Finishing {
		return false, nil
	}
	r := &run{s: s, m: m}
	for _, src := range m.Sources {
		if v, err := r.find(ctx, src); err != nil || v != nil {
			return false, err
		}
	}
	_, err := s.cfg.Links.GetByIfID(ctx, m.IfID)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return false, err
}
