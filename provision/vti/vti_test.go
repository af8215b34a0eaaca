package vti

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

var (
	here  = netip.MustParseAddr("192.0.2.1")
	there = netip.MustParseAddr("192.0.2.2")
	any4  = netip.MustParsePrefix("0.0.0.0/0")
	key42 = netlinkx.Mark{Value: 42, Mask: ^uint32(0)}
)

// tunnel is a VTI that can be converted.
func tunnel() *State {
	v := &ifaces.VTI{Name: "vti0", Kind: ifaces.KindVTI, Index: 7, Local: here, Remote: there, IKey: 42, OKey: 42, MTU: 1400, Up: true, Qdisc: "noqueue",
		Addresses: []ifaces.Address{{Prefix: netip.MustParsePrefix("10.9.0.1/30"), Valid: ifaces.Forever, Preferred: ifaces.Forever}}}
	return &State{
		VTIs: []*ifaces.VTI{v}, Names: []string{"lo", "vti0"}, Hidden: map[SAKey]bool{}, Settings: map[string]map[string]string{"vti0": {"ipv4/rp_filter": "0", "ipv4/disable_policy": "1"}},
		SAs:      []*netlinkx.SA{sa(here, there, 0x200), sa(there, here, 0x100)},
		Policies: []*netlinkx.Policy{policy(netlinkx.PolicyOut, here, there), policy(netlinkx.PolicyIn, there, here)},
		Routes: []*Route{
			{Raw: routeMessage(7), Dst: netip.MustParsePrefix("10.2.0.0/16"), Table: tableMain, Type: typeUnicast, Dev: 7},
			{Dst: netip.MustParsePrefix("10.9.0.0/30"), Table: tableMain, Type: typeUnicast, Dev: 7, Proto: protoKernel},
		},
	}
}

func sa(src, dst netip.Addr, spi netlinkx.SPI) *netlinkx.SA {
	s := netlinkx.NewSA()
	s.Src, s.Dst, s.SPI, s.Proto, s.Mode, s.ReqID, s.Mark = src, dst, spi, netlinkx.ProtoESP, netlinkx.ModeTunnel, 7, key42
	s.AEAD = &netlinkx.AEAD{Name: "rfc4106(gcm(aes))", ICVBits: 128}
	return s
}

func policy(dir netlinkx.PolicyDir, src, dst netip.Addr) *netlinkx.Policy {
	p := netlinkx.NewPolicy()
	p.Dir, p.Selector, p.Mark = dir, netlinkx.Selector{Family: netlinkx.FamilyIPv4, Src: any4, Dst: any4}, key42
	t := netlinkx.NewTemplate()
	t.Src, t.Dst, t.Proto, t.Mode, t.ReqID = src, dst, netlinkx.ProtoESP, netlinkx.ModeTunnel, 7
	p.Templates = []netlinkx.Template{t}
	return p
}

// routeMessage is 10.2.0.0/16 through a device, with a state flag set.
func routeMessage(dev uint32) []byte {
	b := []byte{2, 16, 0, 0, tableMain, protoStatic, 0, typeUnicast, 16, 0, 0, 0}
	attr := func(typ uint16, v []byte) {
		b = binary.NativeEndian.AppendUint16(b, uint16(len(v)+4))
		b = binary.NativeEndian.AppendUint16(b, typ)
		b = append(b, v...)
	}
	attr(rtaOIF, binary.NativeEndian.AppendUint32(nil, dev))
	attr(rtaDst, []byte{10, 2, 0, 0})
	attr(rtaCacheinfo, make([]byte, 32))
	return b
}

func TestPlan(t *testing.T) {
	p, err := NewPlan(tunnel(), nil, Options{})
	if err != nil || len(p.Moves) != 1 {
		t.Fatal(p, err)
	}
	m := p.Moves[0]
	if m.IfID != 42 || m.Name != "vti0" || m.Temp != "new-vti0" || m.Sources[0].Parked != "old-vti0" || m.MTU != 1400 {
		t.Errorf("%+v", m)
	}
	var dirs []netlinkx.PolicyDir
	for _, pol := range m.Policies {
		dirs = append(dirs, pol.Dir)
		if pol.Mark != (netlinkx.Mark{}) || pol.IfID != 42 {
			t.Errorf("%s", pol)
		}
	}
	if want := []netlinkx.PolicyDir{netlinkx.PolicyOut, netlinkx.PolicyIn, netlinkx.PolicyFwd}; !slices.Equal(dirs, want) {
		t.Errorf("policies %v, want %v", dirs, want)
	}
	if want := []Guard{{netip.MustParsePrefix("10.2.0.0/16"), tableMain, 1}, {netip.MustParsePrefix("10.9.0.0/30"), tableMain, 1}}; !slices.Equal(m.Guards, want) {
		t.Errorf("guards %v, want %v", m.Guards, want)
	}
	if s := m.Sources[0].Settings; s["ipv4/rp_filter"] != "0" || s["ipv4/disable_policy"] != "" {
		t.Errorf("settings %v", s)
	}
	if len(m.SAs) != 2 || !m.SAs[0].Out || m.SAs[1].Out || m.SAs[0].Parking == m.SAs[1].Parking {
		t.Errorf("%+v", m.SAs)
	}
}

// TestOrder: guards stand before anything stops, and go last; nothing of the
// new side works before the old one has stopped.
func TestOrder(t *testing.T) {
	p, err := NewPlan(tunnel(), nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, all := range map[string][]*Step{"convert": p.Moves[0].Steps(), "undo": p.Moves[0].UndoSteps()} {
		guards, cut, unguard := 0, -1, -1
		for i, s := range all {
			switch {
			case s.op == opGuard && cut < 0:
				guards++
			case s.op == opGuard:
				t.Errorf("%s: a guard after traffic has stopped", name)
			case s.op == opUnguard:
				unguard = i
			}
			if s.Cut {
				cut = i
			}
		}
		if guards != 2 || unguard != len(all)-1 || cut > unguard {
			t.Errorf("%s: %d guards, %v", name, guards, all)
		}
	}
}

// TestRefusals: each of these alone keeps a VTI from being converted, and the
// reason says what it is.
func TestRefusals(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*State)
		reason string
	}{
		"no key":         {func(s *State) { s.VTIs[0].OKey = 0 }, "has no key"},
		"moved":          {func(s *State) { s.VTIs[0].ContextID = netlinkx.Some(int32(3)) }, "another network namespace"},
		"in a VRF":       {func(s *State) { s.VTIs[0].Master = 9 }, "VRF"},
		"nothing bound":  {func(s *State) { s.Policies = nil }, "no policy has its keys"},
		"two templates":  {func(s *State) { s.Policies[0].Templates = append(s.Policies[0].Templates, s.Policies[0].Templates[0]) }, "2 templates"},
		"transport mode": {func(s *State) { s.Policies[0].Templates[0].Mode = netlinkx.ModeTransport }, "another mode"},
		"policy offload": {func(s *State) { s.Policies[0].Offload = &netlinkx.Offload{} }, "network card"},
		"hidden keys":    {func(s *State) { s.Hidden[KeyOf(s.SAs[0].ID())] = true }, "lockdown"},
		"not ESP": {func(s *State) {
			s.SAs[0].Proto, s.Policies[0].Templates[0].Proto = netlinkx.ProtoAH, netlinkx.ProtoAH
		}, "is not ESP"},
		"larval":     {func(s *State) { s.SAs[0].AEAD = nil }, "not complete"},
		"SA offload": {func(s *State) { s.SAs[0].Offload = &netlinkx.Offload{} }, "offload drain"},
		"twin":       {func(s *State) { o := *s.SAs[0]; o.Mark.Value, o.ReqID = 43, 99; s.SAs = append(s.SAs, &o) }, "same SPI and destination"},
		"shared SA": {func(s *State) {
			s.SAs[0].Mark = netlinkx.Mark{}
			p := policy(netlinkx.PolicyOut, here, there)
			p.Mark = netlinkx.Mark{}
			s.Policies = append(s.Policies, p)
		}, "also serves"},
		"next hop": {func(s *State) { s.Routes[0].Object = true }, "next hop object"},
		"rule":     {func(s *State) { s.Rules = []Rule{{Priority: 5, Mark: 42, Mask: 0xff}} }, "rule 5 routes by mark"},
		"daemon":   {func(s *State) { p := policy(netlinkx.SocketDirOffset, here, there); s.Policies = append(s.Policies, p) }, "if_id_in and if_id_out 42"},
		"limits":   {func(s *State) { s.SAs[1].Limits.HardAdd = 3600 }, "ends after a time"},
		"metric":   {func(s *State) { s.Routes[0].Metric = ^uint32(0) }, "highest metric"},
		"guard place": {func(s *State) {
			s.Routes = append(s.Routes, &Route{Dst: s.Routes[0].Dst, Table: tableMain, Metric: 1, Dev: 2})
		}, "where the guard shall stand"},
	} {
		t.Run(name, func(t *testing.T) {
			s := tunnel()
			tt.change(s)
			_, err := NewPlan(s, nil, Options{})
			var refused *RefusedError
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), tt.reason) {
				t.Errorf("%v, want %q", err, tt.reason)
			}
		})
	}
	if _, err := NewPlan(tunnel(), []string{"eth0"}, Options{}); err == nil {
		t.Error("a device that is no VTI was planned")
	}
	s := tunnel()
	s.SAs[1].Limits.HardAdd = 3600
	if _, err := NewPlan(s, nil, Options{Static: true}); err != nil {
		t.Errorf("static: %v", err)
	}
}

// TestNeighbour: a VTI that would be given what arrives for the interface goes
// first, or keeps the other from being converted.
func TestNeighbour(t *testing.T) {
	s := tunnel()
	wide := *s.VTIs[0]
	wide.Name, wide.Index, wide.Remote, wide.IKey, wide.OKey = "vti1", 8, netip.Addr{}, 43, 43
	s.VTIs = append(s.VTIs, &wide)
	if _, err := NewPlan(s, []string{"vti0"}, Options{}); err == nil || !strings.Contains(err.Error(), "would get those of the interface") {
		t.Error(err)
	}
	for _, p := range slices.Clone(s.Policies) {
		o := *p
		o.Mark.Value = 43
		o.Selector.Dst = netip.MustParsePrefix("10.0.0.0/8")
		s.Policies = append(s.Policies, &o)
	}
	p, err := NewPlan(s, nil, Options{})
	if err != nil || len(p.Moves) != 2 || p.Moves[0].Name != "vti1" || p.Moves[0].IfID == p.Moves[1].IfID {
		t.Errorf("%v, %+v", err, p)
	}
}

func TestMerge(t *testing.T) {
	s := tunnel()
	a, b := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
	six := *s.VTIs[0]
	six.Name, six.Index, six.Kind, six.Local, six.Remote, six.MTU = "vti6", 8, ifaces.KindVTI6, a, b, 1380
	s.VTIs = append(s.VTIs, &six)
	for _, p := range []*netlinkx.Policy{policy(netlinkx.PolicyOut, a, b), policy(netlinkx.PolicyIn, b, a)} {
		any6 := netip.MustParsePrefix("::/0")
		p.Selector = netlinkx.Selector{Family: netlinkx.FamilyIPv6, Src: any6, Dst: any6}
		s.Policies = append(s.Policies, p)
	}
	s.SAs = append(s.SAs, sa(a, b, 0x600), sa(b, a, 0x500))
	p, err := NewPlan(s, nil, Options{})
	if err != nil || len(p.Moves) != 2 || p.Moves[0].IfID != 42 || p.Moves[1].IfID != 43 {
		t.Fatalf("apart: %v, %+v", err, p)
	}
	if p, err = NewPlan(s, nil, Options{Merge: true}); err != nil || len(p.Moves) != 1 {
		t.Fatalf("together: %v, %+v", err, p)
	}
	if m := p.Moves[0]; len(m.Sources) != 2 || m.MTU != 1380 || len(m.Policies) != 6 || len(m.SAs) != 4 || !slices.Equal(m.altNames(), []string{"vti6"}) {
		t.Errorf("%+v", m)
	}
}

func TestInspect(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*State)
		fault  string
	}{
		"as it should be": {func(*State) {}, ""},
		"no out policy":   {func(s *State) { s.Policies = s.Policies[1:] }, "drops all that is sent"},
		"no in policy":    {func(s *State) { s.Policies = s.Policies[:1] }, "drops all that arrives"},
		"no SA":           {func(s *State) { s.SAs = s.SAs[1:] }, "finds no SA"},
		"orphan":          {func(s *State) { s.SAs = append(s.SAs, sa(here, there, 0x300)); s.SAs[2].ReqID = 8 }, "no policy asks for it"},
		"transport":       {func(s *State) { s.Policies[0].Templates[0].Mode = netlinkx.ModeTransport }, "tunnel mode"},
		"elsewhere":       {func(s *State) { s.Policies[0].Templates[0].Dst = netip.MustParseAddr("192.0.2.9") }, "ends elsewhere"},
		"no key":          {func(s *State) { s.VTIs[0].IKey = 0 }, "no key in at least one direction"},
		"same endpoints":  {func(s *State) { o := *s.VTIs[0]; o.Name, o.Index, o.OKey = "vti1", 9, 43; s.VTIs = append(s.VTIs, &o) }, "same endpoints"},
		"one family": {func(s *State) {
			s.SAs[0].Selector.Family = netlinkx.FamilyIPv4
			p := policy(netlinkx.PolicyOut, here, there)
			p.Selector.Family = netlinkx.FamilyIPv6
			s.Policies = append(s.Policies, p)
		}, "lacks flag af-unspec"},
	} {
		t.Run(name, func(t *testing.T) {
			s := tunnel()
			tt.change(s)
			var faults []string
			for _, f := range Inspect(s, nil).Devices[0].Findings {
				if f.Fault {
					faults = append(faults, f.Text)
				}
			}
			all := strings.Join(faults, "\n")
			if tt.fault == "" && all != "" || !strings.Contains(all, tt.fault) {
				t.Errorf("faults %q, want %q", all, tt.fault)
			}
		})
	}
}

func TestRouteMessage(t *testing.T) {
	r, err := decodeRoute(routeMessage(7))
	if err != nil || r.Dev != 7 || r.Dst.String() != "10.2.0.0/16" || r.Table != tableMain {
		t.Fatal(r, err)
	}
	moved, err := decodeRoute(r.message(map[int32]int32{7: 9}))
	if err != nil || moved.Dev != 9 || moved.Dst != r.Dst || len(moved.Raw) != len(r.Raw)-36 || moved.Raw[8] != 0 {
		t.Errorf("%+v, %v", moved, err)
	}
	if !r.among([]*Route{moved}, map[int32]int32{7: 9}) || r.among([]*Route{moved}, nil) {
		t.Error("a route is recognised by its device too")
	}
	for n := range len(r.Raw) {
		if o, err := decodeRoute(r.Raw[:n]); err == nil && o.Dst == r.Dst && o.Dev == r.Dev && n < sizeRtMsg+16 {
			t.Errorf("%d bytes decoded as %+v", n, o)
		}
	}
}

// TestJournal: what is written is read again, and has no keys.
func TestJournal(t *testing.T) {
	p, err := NewPlan(tunnel(), nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	m := p.Moves[0]
	m.SAs[0].Replay = &netlinkx.ReplayState{OSeq: 5}
	dir := t.TempDir()
	j, err := openJournal(dir, "boot", 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.begin(m, Converting); err != nil {
		t.Fatal(err)
	}
	again, err := openJournal(dir, "boot", 1)
	if err != nil || len(again.saved.Moves) != 1 {
		t.Fatal(again, err)
	}
	a, _ := json.Marshal(m)
	b, _ := json.Marshal(again.saved.Moves[0])
	if string(a) != string(b) || !reflect.DeepEqual(m.SAs[0], again.saved.Moves[0].SAs[0]) {
		t.Errorf("wrote\n%s\nread\n%s", a, b)
	}
	if other, err := openJournal(dir, "later", 1); err != nil || len(other.saved.Moves) != 0 {
		t.Errorf("moves of another boot: %v, %v", other.saved.Moves, err)
	}
	if err := again.drop(again.saved.Moves[0]); err != nil {
		t.Error(err)
	}
}
