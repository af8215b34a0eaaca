package provision

import (
	"errors"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload"
)

// TestSettingsComeBack: what was there before is remembered value by value, is
// in force again when it is no longer wanted, and is forgotten then.
func TestSettingsComeBack(t *testing.T) {
	m := newModel()
	id := (&Settings{Device: "eth0"}).id()
	want := func(values map[string]uint64) *State {
		return &State{Settings: []*Settings{{Device: "eth0", Values: values}}}
	}
	for _, c := range []struct {
		want   *State
		prune  bool
		gro    uint64
		memory string
	}{
		{want(map[string]uint64{"rx-gro": 0, "tx-udp-segmentation": 0}), false, 0, `{"rx-gro":1}`}, // the other one is so already
		{want(map[string]uint64{"rx-gro": 0, "gro_flush_timeout": 9}), false, 0, `{"gro_flush_timeout":0,"rx-gro":1}`},
		{want(map[string]uint64{"gro_flush_timeout": 9}), false, 0, `{"gro_flush_timeout":0,"rx-gro":1}`},
		{want(map[string]uint64{"gro_flush_timeout": 9}), true, 1, `{"gro_flush_timeout":0,"rx-gro":1}`},
		{&State{}, true, 1, ""},
	} {
		if !follow(t, m, c.want, Options{Prune: c.prune}, 0, nil, -1) {
			t.Fatal("refused")
		}
		if got := m.settings[id].Values["rx-gro"]; got != c.gro || m.ledger.Objects[id] != c.memory {
			t.Errorf("rx-gro %d, remembered %s, want %d, %s", got, m.ledger.Objects[id], c.gro, c.memory)
		}
	}
	if v := m.settings[id].Values["gro_flush_timeout"]; v != 0 {
		t.Errorf("gro_flush_timeout %d in the end", v)
	}
	for _, wrong := range []*State{want(map[string]uint64{"nonsense": 1}), {Settings: []*Settings{{Device: "eth9"}}}} {
		var refused *RefusedError
		if _, err := Plan(wrong, m.state(), &testOwner, m.ledger, Options{}); !errors.As(err, &refused) {
			t.Errorf("%v: %v", wrong.Settings[0], err)
		}
	}
}

// TestPlacements: a plan says where SAs go; where software may stand in it is
// said, and where not it is refused.
func TestPlacements(t *testing.T) {
	for _, c := range []struct {
		want    offload.Want
		packet  bool
		carried bool
		refused bool
		note    string
	}{
		{offload.Prefer, false, true, false, ""},
		{offload.Prefer, false, false, false, "is in software: the kernel did not put it on eth0"},
		{offload.Auto, false, false, false, "is in software"},
		{offload.Require, false, true, false, ""},
		{offload.Require, false, false, true, ""},
		{offload.Prefer, true, false, true, ""},
	} {
		s := complete()
		sa := s.SAs[0]
		sa.Offload = offload.Request(offload.Crypto, sa.Dir, 7)
		if c.packet {
			sa.Offload = offload.Request(offload.Packet, sa.Dir, 7)
		}
		s.Placements = map[ID]*Placement{saID(sa): {Want: c.want, Choice: offload.Choice{Rung: offload.RungCrypto, NIC: "eth0"}}}
		res, err := Plan(s, newModel().state(), &testOwner, newModel().ledger, Options{})
		if err != nil || !strings.Contains(planText(res), "create   esp sa 0x00001000 to 192.0.2.2 (nic-crypto on eth0)") {
			t.Errorf("%v: %s", err, planText(res))
		}
		m := reached(t, s)
		if !c.carried {
			plain := *sa
			plain.Offload = nil
			m.sas[saID(sa)] = &plain
		}
		res, err = Plan(s, m.state(), &testOwner, m.ledger, Options{Prune: true})
		if (err != nil) != c.refused || err == nil && (len(res.Steps) > 0 || (c.note != "") != (len(res.Notes) == 1)) || c.note != "" && !strings.Contains(res.Notes[0], c.note) {
			t.Errorf("%+v: %v, %+v", c, err, res)
		}
		if c.refused && !strings.Contains(err.Error(), "is in software, and shall be nic-crypto on eth0") {
			t.Error(err)
		}
	}
}

// TestLawsSeeSomething: the laws of random plans are about some packets, and
// find out when guards go first.
func TestLawsSeeSomething(t *testing.T) {
	m := newModel()
	p := netlinkx.NewPolicy()
	p.Dir, p.Action, p.Priority = netlinkx.PolicyIn, netlinkx.ActionBlock, GuardPriority+2000
	p.Selector = netlinkx.Selector{Family: netlinkx.FamilyIPv4, Src: universe[0], Dst: universe[0]}
	m.policies[policyID(p)] = p
	laws := lawsOf(m, m)
	if len(laws.refused) < 5 || laws.broken(m) != "" {
		t.Errorf("%+v", laws)
	}
	delete(m.policies, policyID(p))
	if laws.broken(m) == "" {
		t.Error("what is taken in clear is not seen")
	}
}
