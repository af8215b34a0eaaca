package provision

import (
	"context"
	"net/netip"

	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// observe reads what there is, foreign objects included. The keys that the
// engine shows are dropped at once: nothing is compared with them.
func (s *Session) observe(ctx context.Context, wanted *State) (*State, error) {
	out := &State{}
	places, err := s.placesOf(wanted)
	if err != nil {
		return nil, err
	}
	s.alone = len(places) == 1 && len(wanted.Placements) == 0
	for _, p := range places {
		if err := s.observeAt(ctx, p, out); err != nil {
			return nil, err
		}
	}
	if err := s.observeDevices(ctx, wanted, out); err != nil {
		return nil, err
	}
	if out.SAs, err = s.cfg.XFRM.ListSAs(ctx, nil); err != nil {
		return nil, err
	}
	for _, sa := range out.SAs {
		dropKeys(sa)
		s.direct(sa)
	}
	if out.Policies, err = s.policies(ctx); err != nil {
		return nil, err
	}
	return out, s.observeSettings(ctx, wanted, out)
}

// observeDevices looks whether the names of interfaces that are to be made are
// free: other devices are not among what is read. What is ours may come and go
// while the userspace engine is looked at, which carries out what a killed run has
// asked for (lateTries).
func (s *Session) observeDevices(ctx context.Context, wanted, out *State) error {
	there, kinds := map[ID]bool{}, map[string]map[string]string{}
	for _, i := range out.Interfaces {
		there[i.id()] = true
	}
	for _, i := range wanted.Interfaces {
		if _, ours := s.store.objects[i.id()]; there[i.id()] || ours && s.cfg.OwnCounters {
			continue
		}
		if kinds[i.NetNS] == nil {
			p, err := s.place(i.NetNS)
			if err != nil {
				return err
			}
			if kinds[i.NetNS], err = p.links.Kinds(ctx); err != nil {
				return err
			}
		}
		if kind, taken := kinds[i.NetNS][i.Name]; taken {
			if out.Devices == nil {
				out.Devices = map[ID]string{}
			}
			out.Devices[i.id()] = kind
		}
	}
	return nil
}

// policies leaves out those of sockets, which are nobody's to plan.
func (s *Session) policies(ctx context.Context) ([]*netlinkx.Policy, error) {
	all, err := s.cfg.XFRM.ListPolicies(ctx)
	if err != nil {
		return nil, err
	}
	out := all[:0]
	for _, p := range all {
		if !p.Dir.Socket() {
			out = append(out, p)
		}
	}
	return s.withoutMarkers(out), nil
}

func observedInterface(l *ifaces.Link) *Interface {
	i := &Interface{Name: l.Name, IfID: l.IfID, Underlay: l.UnderlayName, MTU: l.MTU, Up: l.Up, NoXFRM: l.NoXFRM}
	for _, a := range l.Addresses {
		if !linkLocal(a.Prefix.Addr()) {
			i.Addresses = append(i.Addresses, a.Prefix)
		}
	}
	return i
}

func linkLocal(a netip.Addr) bool { return a.Is6() && a.IsLinkLocalUnicast() }

func dropKeys(sa *netlinkx.SA) {
	if sa.AEAD != nil {
		sa.AEAD.Key = netlinkx.Key{}
	}
	for _, a := range []*netlinkx.Algo{sa.Auth, sa.Crypt} {
		if a != nil {
			a.Key = netlinkx.Key{}
		}
	}
	if sa.AuthTrunc != nil {
		sa.AuthTrunc.Key = netlinkx.Key{}
	}
}
