package document

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/gsogro"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload"
	"github.com/xfrmctl/xfrmctl/provision"
)

// machine is a node with a device, a namespace and a NIC that takes outbound SAs.
func machine(node string) *Surroundings {
	in := surroundings("boot-" + node)
	in.Device = func(_ context.Context, name string) (*gsogro.State, error) {
		return &gsogro.State{Link: &gsogro.Link{Name: name}, Numbers: map[string]uint64{"gro_flush_timeout": 0}, Features: gsogro.FeatureSet{
			"rx-gro": {Name: "rx-gro", Active: true, Wanted: true}, "tx-udp-segmentation": {Name: "tx-udp-segmentation"}, "rx-lro": {Name: "rx-lro", Fixed: true},
		}}, nil
	}
	in.Namespace = func(name string) error {
		if name != "blue" {
			return fmt.Errorf("network namespace %s: no such file", name)
		}
		return nil
	}
	in.Place = func(_ context.Context, sa *netlinkx.SA, wish *Wish) (*provision.Placement, error) {
		at := &provision.Placement{Want: wish.Want, Choice: offload.Choice{Rung: offload.RungSoftware, Reason: "no inbound SAs", Fix: "leave it out"}}
		if sa.Dir == netlinkx.DirOut {
			t := wish.Want.Types(wish.Packet)[0]
			at.Choice = offload.Choice{Rung: offload.RungCrypto, NIC: wish.Device}
			if t == offload.Packet {
				at.Rung = offload.RungPacket
			}
			sa.Offload = offload.Request(t, sa.Dir, 7)
		}
		return at, nil
	}
	return in
}

// east resolves good with a line for its tunnel, and words for node east.
func east(t *testing.T, tunnel, node string, change func(*Surroundings)) (*provision.State, error) {
	t.Helper()
	text := good
	if tunnel != "" {
		text = strings.Replace(text, "replay_window: 2048", tunnel, 1)
	}
	if node != "" {
		text = strings.Replace(text, "underlay: eth0", "underlay: eth0, "+node, 1)
	}
	d, err := Read("office.yaml", []byte(text))
	if err != nil {
		return nil, err
	}
	in := machine("east")
	if change != nil {
		change(in)
	}
	w, err := d.Resolve(context.Background(), "east", in)
	if err != nil {
		return nil, err
	}
	return w.State, nil
}

func must(t *testing.T, tunnel, node string) *provision.State {
	t.Helper()
	s, err := east(t, tunnel, node, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestWordsRefused makes one mistake at a time with the words that depend on
// the machine, and looks for its place.
func TestWordsRefused(t *testing.T) {
	userspace := func(in *Surroundings) { in.Userspace = true }
	for _, c := range []struct {
		tunnel, node string
		change       func(*Surroundings)
		want         string
	}{
		{"mark: 0x100/0xff", "", nil, "office.yaml:17:11: mark: 0x100/0xff can match nothing: the value has bits (0x100)"},
		{"mark: {in: 5/0}", "", nil, "office.yaml:17:16: in: 5/0 can match nothing"},
		{"mark: {out: 0/0}", "", nil, "office.yaml:17:17: out: 0/0 compares no bit"},
		{"mark: 5", "", userspace, "office.yaml:17:11: the userspace engine does not see marks"},
		{"output_mark: {in: 0x10/0xf}", "", nil, "office.yaml:17:23: in: 0x10/0xf sets nothing"},
		{"mark: {sideways: 1}", "", nil, `office.yaml:17:12: mark has no field "sideways"`},
		{"offload: maybe", "", nil, `office.yaml:17:14: offload: "maybe" is none of auto, prefer, require, off`},
		{"offload: require", "", nil, "office.yaml:17:14: no device can carry the inbound SA: no inbound SAs; leave it out"},
		{"offload: {out: require}", "", userspace, "office.yaml:17:20: no device can carry the outbound SA: it belongs to the userspace engine"},
		{"namespace: {east: green}", "", nil, "office.yaml:17:17: network namespace green: no such file"},
		{"namespace: {north: blue}", "", nil, "office.yaml:17:17: north is not an end of this tunnel"},
		{"namespace: {east: a/b}", "", nil, "is no name of a network namespace"},
		{"guard: perhaps", "", nil, `office.yaml:17:12: guard: "perhaps" is none of true, false, routes, policies`},
		{"", "gro: slow", nil, `office.yaml:4:52: gro: "slow" is none of keep, fast`},
		{"", "gro: {rx-gro: 7}", nil, `"7" is none of on, off`},
		{"", "gro: {rx-gor: on}", nil, `office.yaml:4:53: eth0 has no setting "rx-gor"`},
		{"", "gro: {rx-lro: on}", nil, "office.yaml:4:53: rx-lro of eth0 is fixed"},
		{"", "default_policy: {in: allow}", nil, `"allow" is none of block, accept`},
	} {
		_, err := east(t, c.tunnel, c.node, c.change)
		var problems *ProblemsError
		if !errors.As(err, &problems) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: got\n%v\nwant %s", c.tunnel, c.node, err, c.want)
		}
	}
}

// TestMarkWords: SAs and policies have the marks of their directions; a mark
// makes other keys, and what was decrypted is matched by what it was given.
func TestMarkWords(t *testing.T) {
	plain := must(t, "routes: true", "") // the same window
	s := must(t, "mark: {in: 0x1/0xff, out: 0x2/0xff}\n    output_mark: {in: 0x30/0xf0, out: 0x7}", "")
	in, out := s.SAs[0], s.SAs[1]
	if in.Mark != (netlinkx.Mark{Value: 1, Mask: 0xff}) || in.OutputMark != (netlinkx.Mark{Value: 0x30, Mask: 0xf0}) || out.Mark.Value != 2 || out.OutputMark.Value != 7 {
		t.Errorf("%+v %+v", in, out)
	}
	if in.SPI == plain.SAs[0].SPI {
		t.Error("an SA with another mark has the old one's key")
	}
	for _, p := range s.Policies {
		want := netlinkx.Mark{Value: 0x31, Mask: 0xff}
		switch {
		case p.Action == netlinkx.ActionBlock:
			want = netlinkx.Mark{}
		case p.Dir == netlinkx.PolicyOut:
			want = out.Mark
		}
		if p.Mark != want {
			t.Errorf("%s has mark %v, want %v", p, p.Mark, want)
		}
	}
	if s := must(t, "output_mark: 0x9", ""); s.SAs[0].OutputMark.Value != 0 || s.SAs[1].OutputMark.Value != 9 || s.SAs[1].SPI != plain.SAs[1].SPI {
		t.Error("an output mark alone is for what goes out")
	}
}

// guardsOf names the policies without if_id.
func guardsOf(s *provision.State) string {
	var all []string
	for _, p := range s.Policies {
		if p.IfID == 0 {
			all = append(all, fmt.Sprintf("%s %s %s>%s", p.Action, p.Dir, p.Selector.Src, p.Selector.Dst))
		}
		if p.IfID == 0 && p.Priority < provision.GuardPriority {
			all = append(all, "in front of what protects")
		}
	}
	return strings.Join(all, ", ")
}

// TestGuardWords: which policies guard, and which exceptions they have.
func TestGuardWords(t *testing.T) {
	const guards = "block in 10.2.0.0/16>10.1.0.0/16, block fwd 10.2.0.0/16>10.1.0.0/16, block out 10.1.0.0/16>10.2.0.0/16"
	for tunnel, want := range map[string]string{
		"": guards, "guard: policies": guards, "guard: true": guards, "guard: false": "", "guard: routes": "", "routes: false": "", "routes: false\n    guard: true": guards,
		"namespace: {east: blue}": guards,
	} {
		s := must(t, tunnel, "")
		if got := guardsOf(s); got != want {
			t.Errorf("%s: %s, want %s", tunnel, got, want)
		}
		i := s.Interfaces[0]
		if i.NoXFRM != (want != "" && i.NetNS == "") {
			t.Errorf("%s: %+v", tunnel, i)
		}
		if strings.Contains(tunnel, "namespace") && (i.NetNS != "blue" || s.Routes[0].NetNS != "blue" || s.Routes[1].NetNS != "blue") {
			t.Errorf("%+v", s)
		}
	}
	s, err := east(t, "guard: true", "", func(in *Surroundings) { in.Userspace = true })
	if err != nil || guardsOf(s) != "" || len(s.Notes) != 1 || !strings.Contains(s.Notes[0], "no guard policies") {
		t.Errorf("on the userspace engine: %v %+v", err, s)
	}
}

// TestGuardExceptions: prefixes that hold each other, endpoints, IPv6, and a
// default that blocks.
func TestGuardExceptions(t *testing.T) {
	for _, c := range []struct{ own, peers, node, want string }{
		{"10.1.0.0/16", "10.0.0.0/8", "", "allow out 10.1.0.0/16>10.1.0.0/16, allow in 10.1.0.0/16>10.1.0.0/16, allow fwd 10.1.0.0/16>10.1.0.0/16, block in 10.0.0.0/8>10.1.0.0/16, block fwd 10.0.0.0/8>10.1.0.0/16, block out 10.1.0.0/16>10.0.0.0/8"},
		{"10.0.0.0/8", "10.1.0.0/16", "", "block in 10.1.0.0/16>10.0.0.0/8, block fwd 10.1.0.0/16>10.0.0.0/8, block out 10.0.0.0/8>10.1.0.0/16"},
		{"192.0.2.1/32", "192.0.2.2/32", "", "allow out 192.0.2.1/32>192.0.2.2/32, allow in 192.0.2.2/32>192.0.2.1/32, block fwd 192.0.2.2/32>192.0.2.1/32"},
		{"fd01::/48", "fd02::/48", "", "block in fd02::/48>fd01::/48, block fwd fd02::/48>fd01::/48"},
		{"10.1.0.0/16", "10.2.0.0/16", "default_policy: {out: block}", "allow out 10.1.0.0/16>10.2.0.0/16, block in 10.2.0.0/16>10.1.0.0/16, block fwd 10.2.0.0/16>10.1.0.0/16, allow out 10.2.0.0/16>10.1.0.0/16"},
		{"10.1.0.0/16", "10.2.0.0/16", "default_policy: {fwd: block}", "block in 10.2.0.0/16>10.1.0.0/16, block fwd 10.2.0.0/16>10.1.0.0/16, block out 10.1.0.0/16>10.2.0.0/16, allow fwd 10.1.0.0/16>10.2.0.0/16"},
	} {
		text := strings.NewReplacer("      - {east: 10.1.0.0/16, west: 10.2.0.0/16}\n", fmt.Sprintf("      - {east: %q, west: %q}\n", c.own, c.peers), "replay_window: 2048", "routes: false\n    guard: true").Replace(good)
		if c.node != "" {
			text = strings.Replace(text, "underlay: eth0", "underlay: eth0, "+c.node, 1)
		}
		d, err := Read("office.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		w, err := d.Resolve(context.Background(), "east", machine("east"))
		if err != nil {
			t.Fatal(err)
		}
		s := w.State
		if guardsOf(s) != c.want {
			t.Errorf("%s, %s: %s\nwant %s", c.own, c.peers, guardsOf(s), c.want)
		}
		if outBlocked := strings.Contains(c.want, "block out"); s.Interfaces[0].NoXFRM != outBlocked {
			t.Errorf("%s: disable_xfrm %v", c.want, s.Interfaces[0].NoXFRM)
		}
	}
}

// TestSettingWords: profiles and names, the default policy, and what is said of
// it.
func TestSettingWords(t *testing.T) {
	s := must(t, "", "gro: fast, default_policy: {in: block, fwd: accept}")
	if len(s.Settings) != 2 || s.Settings[0].Device != "" || s.Settings[0].Values["in"] != 1 || s.Settings[0].Values["fwd"] != 2 || len(s.Settings[0].Values) != 2 {
		t.Fatalf("%+v", s.Settings)
	}
	if fast := s.Settings[1]; fast.Device != "eth0" || fast.Values["rx-gro"] != 1 || fast.Values["tx-udp-segmentation"] != 1 || len(fast.Values) != 2 {
		t.Errorf("fast: %+v", fast)
	}
	if len(s.Notes) != 1 || !strings.HasPrefix(s.Notes[0], "default policy in block") {
		t.Errorf("%q", s.Notes)
	}
	s = must(t, "", "gro: {rx-gro: off, gro_flush_timeout: 20000}")
	if len(s.Settings) != 1 || s.Settings[0].Values["gro_flush_timeout"] != 20000 || s.Settings[0].Values["rx-gro"] != 0 {
		t.Errorf("%+v", s.Settings)
	}
	if s = must(t, "", "gro: keep"); len(s.Settings) != 0 {
		t.Errorf("keep: %+v", s.Settings)
	}
}

// TestOffloadWords: SAs have the device that was decided, with what is to be
// said of it; policies go along where the device does all.
func TestOffloadWords(t *testing.T) {
	s := must(t, "offload: {in: auto, out: require}\n    offload_type: packet", "")
	if len(s.Placements) != 2 || s.SAs[0].Offload != nil || s.SAs[1].Offload == nil || s.SAs[1].Offload.Flags != netlinkx.OffloadPacket {
		t.Fatalf("%+v %+v", s.Placements, s.SAs)
	}
	for _, p := range s.Policies {
		if want := p.IfID != 0 && p.Dir == netlinkx.PolicyOut; (p.Offload != nil) != want {
			t.Errorf("%s: offload %+v", p, p.Offload)
		}
	}
	if at := s.Placements[provision.SAObject(s.SAs[1].ID())]; at.String() != "nic-packet on eth0" {
		t.Error(at)
	}
	if at := s.Placements[provision.SAObject(s.SAs[0].ID())]; at.String() != "in software: no inbound SAs" {
		t.Error(at)
	}
	if s = must(t, "", ""); s.Placements != nil || s.SAs[1].Offload != nil {
		t.Error("an SA is put on a device without a word")
	}
}

// TestEngineWord: the document's engine holds unless another is asked for.
func TestEngineWord(t *testing.T) {
	for _, c := range []struct{ says, asked, want string }{
		{"", "auto", "auto"}, {"", "kernel", "kernel"}, {"auto", "userspace", "userspace"}, {"kernel", "auto", "kernel"}, {"kernel", "kernel", "kernel"},
		{"kernel", "userspace", "error"}, {"userspace", "kernel", "error"},
	} {
		text := good
		if c.says != "" {
			text = strings.Replace(text, "nodes:", "engine: "+c.says+"\nnodes:", 1)
		}
		d, err := Read("office.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		got, err := d.EngineFor(c.asked)
		if c.want == "error" {
			if err == nil || !strings.Contains(err.Error(), "office.yaml:3:9: this document is for engine "+c.says) {
				t.Errorf("%+v: %v", c, err)
			}
			continue
		}
		if err != nil || got != c.want {
			t.Errorf("%+v: %q, %v", c, got, err)
		}
	}
}
