package vti

import (
	"context"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// observe reads what there is. Keys are dropped at once; whether there are any
// is kept.
func (s *Session) observe(ctx context.Context) (*State, error) {
	out := &State{Hidden: map[SAKey]bool{}}
	var err error
	if out.VTIs, err = s.cfg.Links.ListVTIs(ctx); err != nil {
		return nil, err
	}
	if out.Interfaces, err = s.cfg.Links.List(ctx); err != nil {
		return nil, err
	}
	if out.SAs, err = s.cfg.XFRM.ListSAs(ctx, nil); err != nil {
		return nil, err
	}
	for _, sa := range out.SAs {
		if hidden(sa) {
			out.Hidden[KeyOf(sa.ID())] = true
		}
		dropKeys(sa)
	}
	if out.Policies, err = s.cfg.XFRM.ListPolicies(ctx); err != nil {
		return nil, err
	}
	if out.Routes, err = s.kernel.routes(ctx); err != nil {
		return nil, err
	}
	if out.Rules, err = s.kernel.rules(ctx); err != nil {
		return nil, err
	}
	if out.Names, err = s.kernel.names(ctx); err != nil {
		return nil, err
	}
	var names []string
	for _, v := range out.VTIs {
		names = append(names, v.Name)
	}
	out.Settings, err = readSettings(s.cfg.NetNS, names)
	return out, err
}

// eachKey calls fn with the place of each key of an SA.
func eachKey(sa *netlinkx.SA, fn func(*netlinkx.Key)) {
	if sa.AEAD != nil {
		fn(&sa.AEAD.Key)
	}
	for _, a := range []*netlinkx.Algo{sa.Auth, sa.Crypt} {
		if a != nil {
			fn(&a.Key)
		}
	}
	if sa.AuthTrunc != nil {
		fn(&sa.AuthTrunc.Key)
	}
}

func dropKeys(sa *netlinkx.SA) { eachKey(sa, func(k *netlinkx.Key) { *k = netlinkx.Key{} }) }

// hidden reports whether the kernel shows zeros in place of a key, as it does
// under lockdown.
func hidden(sa *netlinkx.SA) bool {
	found := false
	eachKey(sa, func(k *netlinkx.Key) {
		zeros := k.Len() > 0
		for _, b := range k.Reveal() {
			zeros = zeros && b == 0
		}
		found = found || zeros
	})
	return found
}
