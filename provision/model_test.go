package provision

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// model is a kernel as far as the laws of plans are concerned: it carries out
// steps, refuses what the kernel refuses, and says what becomes of a packet.
type model struct {
	ifaces   map[string]*Interface
	sas      map[ID]*netlinkx.SA
	policies map[ID]*netlinkx.Policy
	routes   map[ID]*Route
	ledger   *Ledger
}

func newModel() *model {
	return &model{ifaces: map[string]*Interface{}, sas: map[ID]*netlinkx.SA{}, policies: map[ID]*netlinkx.Policy{}, routes: map[ID]*Route{},
		ledger: &Ledger{Objects: map[ID]string{}, Spent: map[string]bool{}, Fingerprint: testFingerprint}}
}

func testFingerprint(sa *netlinkx.SA) string {
	if sa.AEAD == nil {
		return "none"
	}
	return fmt.Sprintf("%x", sa.AEAD.Key.Reveal())
}

// state is what Observe would return.
func (m *model) state() *State {
	s := &State{}
	for _, n := range slices.Sorted(maps.Keys(m.ifaces)) {
		i := *m.ifaces[n]
		i.Addresses = slices.Clone(i.Addresses)
		s.Interfaces = append(s.Interfaces, &i)
	}
	for _, id := range slices.Sorted(maps.Keys(m.sas)) {
		s.SAs = append(s.SAs, m.sas[id])
	}
	for _, id := range slices.Sorted(maps.Keys(m.policies)) {
		s.Policies = append(s.Policies, m.policies[id])
	}
	for _, id := range slices.Sorted(maps.Keys(m.routes)) {
		s.Routes = append(s.Routes, m.routes[id])
	}
	return s
}

// do carries out one step.
func (m *model) do(s *Step) error {
	if s.Verb != Delete && !s.Up {
		fp := ""
		if s.SA != nil {
			fp = testFingerprint(s.SA)
		}
		m.ledger.Objects[s.ID] = fp
	}
	switch {
	case s.Interface != nil:
		return m.doInterface(s)
	case s.Address != nil:
		return m.doAddress(s)
	case s.SA != nil:
		return m.doSA(s)
	case s.Policy != nil:
		_, there := m.policies[s.ID]
		return doMap(m.policies, s, s.Policy, there)
	}
	return m.doRoute(s)
}

func doMap[T any](all map[ID]*T, s *Step, v *T, there bool) error {
	switch s.Verb {
	case Delete:
		if !there {
			return fmt.Errorf("%s: not there", s)
		}
		delete(all, s.ID)
		return nil
	case Change:
		if !there {
			return fmt.Errorf("%s: not there", s)
		}
	default:
		if there {
			return fmt.Errorf("%s: exists", s)
		}
	}
	c := *v
	all[s.ID] = &c
	return nil
}

func (m *model) doSA(s *Step) error {
	got, there := m.sas[s.ID]
	if s.Verb != Change {
		return doMap(m.sas, s, s.SA, there)
	}
	c := *got // the kernel takes over no more
	c.Limits = s.SA.Limits
	if s.SA.IfID != 0 {
		c.IfID = s.SA.IfID
	}
	m.sas[s.ID] = &c
	return nil
}

func (m *model) doInterface(s *Step) error {
	name := s.Interface.Name
	got := m.ifaces[name]
	if (got == nil) != (s.Verb == Create || s.Verb == Replace) {
		return fmt.Errorf("%s: there: %v", s, got != nil)
	}
	for _, i := range m.ifaces {
		if s.Verb != Delete && i.Name != name && i.IfID == s.Interface.IfID {
			return fmt.Errorf("%s: if_id of %s", s, i.Name)
		}
	}
	switch {
	case s.Verb == Delete:
		delete(m.ifaces, name)
		maps.DeleteFunc(m.routes, func(_ ID, r *Route) bool { return r.Dev == name })
	case s.Up:
		got.Up = true
	case s.Verb == Change:
		got.IfID, got.MTU = s.Interface.IfID, s.Interface.MTU
	default:
		c := *s.Interface
		c.Addresses, c.Up = nil, false
		m.ifaces[name] = &c
	}
	return nil
}

// doAddress has the kernel's way with secondary addresses.
func (m *model) doAddress(s *Step) error {
	i := m.ifaces[s.Address.Dev]
	if i == nil {
		return fmt.Errorf("%s: no such interface", s)
	}
	at := slices.Index(i.Addresses, s.Address.Prefix)
	if s.Verb == Delete {
		if at < 0 {
			return nil // it went with a primary one
		}
		gone := i.Addresses[at]
		first := slices.IndexFunc(i.Addresses, func(p netip.Prefix) bool { return p.Masked() == gone.Masked() }) == at
		i.Addresses = slices.DeleteFunc(i.Addresses, func(p netip.Prefix) bool { return p == gone || first && p.Masked() == gone.Masked() })
		if len(i.Addresses) == 0 {
			maps.DeleteFunc(m.routes, func(_ ID, r *Route) bool { return r.Dev == i.Name })
		}
		return nil
	}
	if at < 0 {
		i.Addresses = append(i.Addresses, s.Address.Prefix)
	}
	return nil
}

func (m *model) doRoute(s *Step) error {
	if s.Verb == Delete {
		delete(m.routes, s.ID) // it may have gone with the last address
		return nil
	}
	if s.Verb == Create && m.routes[s.ID] != nil {
		return fmt.Errorf("%s: exists", s)
	}
	if dev := m.ifaces[s.Route.Dev]; !s.Route.Guard() && (dev == nil || !dev.Up) {
		return fmt.Errorf("%s: device is not there or down", s)
	}
	m.routes[s.ID] = s.Route
	return nil
}

// fate is what becomes of a packet.
type fate string

const (
	fateProtected fate = "protected"
	fateDropped   fate = "dropped"
	fateClear     fate = "clear"
)

// send returns the fate of a packet; there is a default route in clear.
func (m *model) send(dst netip.Addr) fate {
	if f, found := m.policy(dst, 0); found && f != fateClear {
		return f
	}
	var best *Route
	for _, r := range m.routes {
		if r.Dst.Contains(dst) && (best == nil || r.Dst.Bits() > best.Dst.Bits() || r.Dst.Bits() == best.Dst.Bits() && r.Metric < best.Metric) {
			best = r
		}
	}
	if best == nil {
		return fateClear
	}
	if best.Guard() {
		return fateDropped
	}
	if f, found := m.policy(dst, m.ifaces[best.Dev].IfID); found && f != fateClear {
		return f
	}
	return fateDropped // an XFRM interface sends nothing that no SA protects
}

func (m *model) policy(dst netip.Addr, ifID uint32) (fate, bool) {
	var best *netlinkx.Policy
	for _, p := range m.policies {
		if p.Dir == netlinkx.PolicyOut && p.IfID == ifID && p.Selector.Dst.Contains(dst) && (best == nil || p.Priority < best.Priority) {
			best = p
		}
	}
	switch {
	case best == nil:
		return "", false
	case best.Action == netlinkx.ActionBlock:
		return fateDropped, true
	case open(best):
		return fateClear, true
	}
	for _, sa := range m.sas {
		if sa.Dir == netlinkx.DirOut && sa.ReqID == best.Templates[0].ReqID && sa.IfID == ifID {
			return fateProtected, true
		}
	}
	return fateDropped, true
}
