package provision

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"

	"github.com/jsimonetti/rtnetlink/v2"
	"github.com/mdlayher/netlink"

	"github.com/xfrmctl/xfrmctl/ifaces/rtnl"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Numbers of linux/rtnetlink.h and linux/if_addr.h.
const (
	rtmGetAddr      = 22
	sizeofIfAddrMsg = 8
)

// netnsDir is where `ip netns` keeps its names.
const netnsDir = "/run/netns"

// Look reads what a namespace has, for those who write it down: foreign objects
// too, the keys that the engine shows, the default policy, and its interfaces
// that live in namespaces with a name. Of cfg it takes the connections and the
// namespace. unseen are lines about namespaces that could not be entered.
func Look(ctx context.Context, cfg *Config) (out *State, unseen []string, err error) {
	s := &Session{cfg: *cfg, places: map[string]*place{}, store: &store{}}
	all := &State{Settings: []*Settings{{}}}
	names, _ := os.ReadDir(netnsDir) // none where `ip netns` was never used
	for _, n := range names {
		if _, err := s.place(n.Name()); err != nil {
			unseen = append(unseen, fmt.Sprintf("network namespace %s: %v", n.Name(), err))
			continue
		}
		all.Interfaces = append(all.Interfaces, &Interface{NetNS: n.Name()})
	}
	out, err = s.observe(ctx, all)
	if err := errors.Join(err, s.Close()); err != nil {
		return nil, nil, err
	}
	// observe drops the keys, so that no plan can look at them
	out.SAs, err = cfg.XFRM.ListSAs(ctx, nil)
	leaveOthers(out)
	return out, unseen, err
}

// leaveOthers drops what lies in namespaces in which no interface works with
// this one's SAs: it is of no concern here. One of them may be this namespace
// itself, which has a name too.
func leaveOthers(s *State) {
	inhabited := map[string]bool{"": true}
	s.Interfaces = slices.DeleteFunc(s.Interfaces, func(i *Interface) bool {
		ours := i.NetNS == "" || i.IfID != 0
		inhabited[i.NetNS] = inhabited[i.NetNS] || ours
		return !ours
	})
	s.Routes = slices.DeleteFunc(s.Routes, func(r *Route) bool { return !inhabited[r.NetNS] })
}

// LocalAddresses returns the addresses that a namespace has.
func LocalAddresses(ns netlinkx.NetNS) (map[netip.Addr]bool, error) {
	r, err := dialRoutes(ns, nil)
	if err != nil {
		return nil, err
	}
	msgs, err := r.conn.Exchange(context.Background(), &rtnl.Message{Type: rtmGetAddr, Flags: netlink.Dump, Body: make([]byte, sizeofIfAddrMsg)})
	if err := errors.Join(err, r.close()); err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	out := map[netip.Addr]bool{}
	for i := range msgs {
		var m rtnetlink.AddressMessage
		if err := m.UnmarshalBinary(msgs[i].Data); err != nil {
			return nil, fmt.Errorf("list addresses: %w", err)
		}
		ip := m.Attributes.Local // the far end's is in Address
		if ip == nil {
			ip = m.Attributes.Address
		}
		if a, ok := netip.AddrFromSlice(ip); ok {
			out[a.Unmap()] = true
		}
	}
	return out, nil
}
