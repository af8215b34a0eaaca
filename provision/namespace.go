package provision

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// place is a namespace in which a session looks after interfaces and routes.
type place struct {
	netns    string // "" the session's
	links    *ifaces.Conn
	routes   *routes
	borrowed bool              // links is Config.Links
	index    map[string]uint32 // of XFRM interfaces, as last seen
}

func (p *place) close() error {
	err := p.routes.close()
	if !p.borrowed {
		err = errors.Join(err, p.links.Close())
	}
	return err
}

// place returns that of a name, which it connects to when it is first needed.
func (s *Session) place(netns string) (*place, error) {
	if p := s.places[netns]; p != nil {
		return p, nil
	}
	p := &place{netns: netns, links: s.cfg.Links, borrowed: netns == "", index: map[string]uint32{}}
	ns, dial := s.cfg.NetNS, s.cfg.Routes
	if netns != "" {
		ns, dial = netlinkx.NamedNetNS(netns), nil
	}
	var err error
	if p.routes, err = dialRoutes(ns, dial); err != nil {
		return nil, err
	}
	if !p.borrowed {
		if p.links, err = s.cfg.Links.In(ns); err != nil {
			return nil, errors.Join(err, p.routes.close())
		}
	}
	s.places[netns] = p
	return p, nil
}

// placesOf returns the places of what is wanted and of what is ours. A namespace
// that is gone has taken everything of ours along.
func (s *Session) placesOf(wanted *State) ([]*place, error) {
	need := map[string]bool{"": true}
	for _, i := range wanted.Interfaces {
		need[i.NetNS] = true
	}
	for _, r := range wanted.Routes {
		need[r.NetNS] = true
	}
	missed := map[string]bool{}
	for id := range s.store.objects {
		if netns := id.netnsOf(); !need[netns] {
			missed[netns] = true
		}
	}
	var all []*place
	for _, netns := range slices.Concat(slices.Sorted(maps.Keys(need)), slices.Sorted(maps.Keys(missed))) {
		p, err := s.place(netns)
		if errors.Is(err, fs.ErrNotExist) && missed[netns] {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// observe adds what the place has to a state. Interfaces that have the SAs and
// policies of another namespace than the session's are another's: they have
// their name here and no if_id of ours.
func (s *Session) observeAt(ctx context.Context, p *place, out *State) error {
	links, err := p.links.List(ctx)
	if err != nil {
		return err
	}
	home := netlinkx.Opt[int32]{}
	if p.netns != "" {
		if home, err = p.links.NamespaceID(ctx, s.cfg.Links); err != nil {
			return err
		}
	}
	names := map[uint32]string{}
	p.index = map[string]uint32{}
	for _, l := range links {
		i := observedInterface(l)
		i.NetNS = p.netns
		switch {
		case p.netns == "" && l.ContextID.Valid:
			continue // it works with the SAs of another namespace
		case p.netns == "" || home.Valid && l.ContextID == home:
		default:
			i.IfID = 0
		}
		if p.netns != "" && l.Underlay != 0 && i.IfID != 0 {
			if i.Underlay, err = s.deviceName(ctx, l.Underlay); err != nil {
				return err
			}
		}
		names[uint32(l.Index)], p.index[l.Name] = l.Name, uint32(l.Index)
		out.Interfaces = append(out.Interfaces, i)
	}
	routes, err := p.routes.list(ctx, names)
	for _, r := range routes {
		r.NetNS = p.netns
	}
	out.Routes = append(out.Routes, routes...)
	return err
}

// device returns the ifindex of an XFRM interface. One that was just made is
// looked for together with all others: there are more to come.
func (p *place) device(ctx context.Context, name string) (uint32, error) {
	if n := p.index[name]; n != 0 {
		return n, nil
	}
	links, err := p.links.List(ctx)
	if err != nil {
		return 0, err
	}
	for _, l := range links {
		if p.netns != "" || !l.ContextID.Valid {
			p.index[l.Name] = uint32(l.Index)
		}
	}
	if n := p.index[name]; n != 0 {
		return n, nil
	}
	return 0, fmt.Errorf("%s: no such device: %w", name, fs.ErrNotExist)
}

// makeElsewhere makes an interface in the session's namespace and moves it.
func (s *Session) makeElsewhere(ctx context.Context, i *Interface) error {
	here := staging(i)
	l, err := s.cfg.Links.Create(ctx, &ifaces.Spec{Name: here.Name, IfID: here.IfID, Underlay: here.Underlay, MTU: here.MTU})
	if err != nil {
		return err
	}
	p, err := s.place(i.NetNS)
	if err == nil {
		l, err = s.cfg.Links.Transfer(ctx, l.Name, netlinkx.NamedNetNS(i.NetNS), i.Name)
	}
	if err != nil {
		return errors.Join(err, gone(s.cfg.Links.Delete(context.WithoutCancel(ctx), here.Name)))
	}
	p.index[i.Name] = uint32(l.Index)
	return nil
}
