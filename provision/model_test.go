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
	ifaces   map[ID]*Interface
	sas      map[ID]*netlinkx.SA
	policies map[ID]*netlinkx.Policy
	routes   map[ID]*Route
	settings map[ID]*Settings
	ledger   *Ledger
}

func newModel() *model {
	accept := uint64(netlinkx.DefaultAccept)
	m := &model{ifaces: map[ID]*Interface{}, sas: map[ID]*netlinkx.SA{}, policies: map[ID]*netlinkx.Policy{}, routes: map[ID]*Route{}, settings: map[ID]*Settings{},
		ledger: &Ledger{Objects: map[ID]string{}, Spent: map[string]bool{}, Fingerprint: testFingerprint}}
	for _, st := range []*Settings{{Values: map[string]uint64{"in": accept, "fwd": accept, "out": accept}}, {Device: "eth0", Values: map[string]uint64{"rx-gro": 1, "tx-udp-segmentation": 0, "gro_flush_timeout": 0}}} {
		m.settings[st.id()] = st
	}
	return m
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
	for _, id := range slices.Sorted(maps.Keys(m.settings)) {
		s.Settings = append(s.Settings, m.settings[id])
	}
	return s
}

// intend writes down what a plan is about to make, as Session does before it
// begins.
func (m *model) intend(s *Step) {
	switch {
	case s.Settings != nil:
		m.ledger.Objects[s.ID] = s.remember
	case s.Verb != Delete && s.Verb != Change:
		fp := ""
		if s.SA != nil {
			fp = testFingerprint(s.SA)
		}
		m.ledger.Objects[s.ID] = fp
		for _, id := range stagingIDs(s) {
			m.ledger.Objects[id] = ""
		}
	}
}

// half carries a step out as far as one gets that is killed on the way: an
// interface for another namespace is made before it is moved.
func (m *model) half(s *Step) {
	if s.Interface != nil && s.Interface.NetNS != "" && (s.Verb == Create || s.Verb == Replace) {
		c := *staging(s.Interface)
		m.ifaces[c.id()] = &c
	}
}

// settle forgets settings that are as they were.
func (m *model) settle() {
	for id, st := range m.settings {
		if st.restored(m.ledger.Objects[id]) {
			delete(m.ledger.Objects, id)
		}
	}
}

// do carries out one step.
func (m *model) do(s *Step) error {
	switch {
	case s.Settings != nil:
		st := &Settings{Device: s.Settings.Device, Values: maps.Clone(m.settings[s.ID].Values)}
		maps.Copy(st.Values, s.Settings.Values)
		m.settings[s.ID] = st
		return nil
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
	id := s.Interface.id()
	got := m.ifaces[id]
	if (got == nil) != (s.Verb == Create || s.Verb == Replace) {
		return fmt.Errorf("%s: there: %v", s, got != nil)
	}
	for _, i := range m.ifaces {
		if s.Verb != Delete && !s.policies && i.id() != id && i.IfID == s.Interface.IfID {
			return fmt.Errorf("%s: if_id of %s", s, i.Name)
		}
	}
	switch {
	case s.Verb == Delete:
		delete(m.ifaces, id)
		maps.DeleteFunc(m.routes, func(_ ID, r *Route) bool { return r.leadsTo(got) })
	case s.Up:
		got.Up, got.NoXFRM = true, s.Interface.NoXFRM
	case s.policies:
		got.NoXFRM = s.Interface.NoXFRM
	case s.Verb == Change:
		got.IfID, got.MTU = s.Interface.IfID, s.Interface.MTU
	default:
		c := *s.Interface
		c.Addresses, c.Up, c.NoXFRM = nil, false, false
		m.ifaces[id] = &c
	}
	return nil
}

// doAddress has the kernel's way with secondary addresses.
func (m *model) doAddress(s *Step) error {
	i := m.ifaces[interfaceID(s.Address.NetNS, s.Address.Dev)]
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
			maps.DeleteFunc(m.routes, func(_ ID, r *Route) bool { return r.leadsTo(i) })
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
	if dev := m.ifaces[interfaceID(s.Route.NetNS, s.Route.Dev)]; !s.Route.Guard() && (dev == nil || !dev.Up) {
		return fmt.Errorf("%s: device is not there or down", s)
	}
	m.routes[s.ID] = s.Route
	return nil
}
