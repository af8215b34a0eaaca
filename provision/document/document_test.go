package document

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/provision"
	"github.com/xfrmctl/xfrmctl/provision/keys"
)

const good = `version: 1
owner: {name: office, reqid: 10000-19999, if_id: 20000-29999}
nodes:
  east: {endpoint: 192.0.2.1, underlay: eth0, boot_id: boot-east}
  west: {endpoint: 192.0.2.2, boot_id: boot-west}
tunnels:
  - name: main
    between: [east, west]
    cipher: aes-gcm-256
    keys: {derive: "env:ROOT", epoch: 3}
    interface: ipsec0
    addresses:
      east: [10.255.0.1/30]
      west: [10.255.0.2/30]
    traffic:
      - {east: 10.1.0.0/16, west: 10.2.0.0/16}
    replay_window: 2048
    lifetime: {soft_bytes: 1000, hard_bytes: 2000}
`

const secret = "0123456789abcdef0123456789abcdef"

func surroundings(boot string) *Surroundings {
	return &Surroundings{
		Keys:   &keys.Source{Getenv: func(n string) string { return map[string]string{"ROOT": secret, "SHORT": "abc"}[n] }},
		BootID: boot,
		UnderlayMTU: func(_ context.Context, name string) (int, error) {
			switch name {
			case "small0":
				return 600, nil
			case "none0":
				return 0, errors.New("no such device")
			}
			return 1500, nil
		},
	}
}

func resolve(t *testing.T, text, node string) (*Wanted, error) {
	t.Helper()
	d, err := Read("office.yaml", []byte(text))
	if err != nil {
		return nil, err
	}
	return d.Resolve(context.Background(), node, surroundings("boot-"+node))
}

func TestBothEndsAgree(t *testing.T) {
	east, err := resolve(t, good, "east")
	if err != nil {
		t.Fatal(err)
	}
	west, err := resolve(t, good, "west")
	if err != nil {
		t.Fatal(err)
	}
	find := func(w *Wanted, dir netlinkx.Dir) *netlinkx.SA {
		for _, sa := range w.State.SAs {
			if sa.Dir == dir {
				return sa
			}
		}
		t.Fatalf("no %s SA", dir)
		return nil
	}
	for _, pair := range [][2]*netlinkx.SA{
		{find(east, netlinkx.DirOut), find(west, netlinkx.DirIn)}, {find(west, netlinkx.DirOut), find(east, netlinkx.DirIn)},
	} {
		out, in := pair[0], pair[1]
		if out.ID() != in.ID() || out.Src != in.Src || !out.AEAD.Key.Equal(in.AEAD.Key) || out.ReqID != in.ReqID {
			t.Errorf("ends disagree: %s %s", out, in)
		}
		if out.ReplayWindow != 0 || in.ReplayWindow != 2048 || in.Flags&out.Flags&netlinkx.FlagESN == 0 || in.Limits.HardBytes != 2000 {
			t.Errorf("out %+v\nin %+v", out, in)
		}
	}
	if find(east, netlinkx.DirOut).AEAD.Key.Equal(find(east, netlinkx.DirIn).AEAD.Key) {
		t.Error("both directions have one key")
	}
	i := east.State.Interfaces[0]
	if i.MTU != 1446 || i.Name != "ipsec0" || len(i.Addresses) != 1 || i.Addresses[0] != netip.MustParsePrefix("10.255.0.1/30") {
		t.Errorf("%+v", i)
	}
	if len(east.State.Policies) != 6 || len(east.State.Routes) != 2 || east.State.Routes[0].Dst != netip.MustParsePrefix("10.2.0.0/16") {
		t.Errorf("%+v", east.State)
	}
}

// TestPlansFromNothing: what a document says can be planned as it is.
func TestPlansFromNothing(t *testing.T) {
	w, err := resolve(t, good, "east")
	if err != nil {
		t.Fatal(err)
	}
	known := &provision.Ledger{Objects: map[provision.ID]string{}, Spent: map[string]bool{}, Fingerprint: func(sa *netlinkx.SA) string { return sa.String() }}
	res, err := provision.Plan(w.State, &provision.State{}, &w.Owner, known, provision.Options{})
	if err != nil || len(res.Steps) != 13 {
		t.Errorf("%v, %d steps", err, len(res.Steps))
	}
}

// TestKeysChange changes what needs another key, and what does not.
func TestKeysChange(t *testing.T) {
	spis := func(text string) string {
		w, err := resolve(t, text, "east")
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(w.State.SAs[0].SPI, w.State.SAs[1].SPI)
	}
	was := spis(good)
	for _, c := range []struct {
		from, to string
		changes  bool
	}{
		{"epoch: 3", "epoch: 4", true}, {"boot-west", "boot-other", true}, {"window: 2048", "window: 64", true},
		{"aes-gcm-256", "chacha20-poly1305", true}, {"hard_bytes: 2000", "hard_bytes: 3000", false}, {"10.1.0.0/16", "10.3.0.0/16", false},
	} {
		if now := spis(strings.Replace(good, c.from, c.to, 1)); (now != was) != c.changes {
			t.Errorf("%s: SPIs %s, were %s", c.to, now, was)
		}
	}
}

// TestSameSPI: an SPI that two tunnels have is named before anything is planned.
func TestSameSPI(t *testing.T) {
	w, err := resolve(t, good, "east")
	if err != nil {
		t.Fatal(err)
	}
	other := fmt.Sprintf("  - name: second\n    between: [west, east]\n    keys: {derive: \"env:ROOT\"}\n    interface: ipsec1\n    spi: {east-to-west: 0x1000, west-to-east: %d}\n    traffic: [{east: 10.5.0.0/16, west: 10.6.0.0/16}]\n", uint32(w.State.SAs[0].SPI))
	if _, err = resolve(t, good+other, "east"); err == nil || !strings.Contains(err.Error(), "21:11: tunnels main and second have the same SPI") {
		t.Error(err)
	}
}

// TestUserspaceNeedsInterfaces: without one the kernel would send in clear.
func TestUserspaceNeedsInterfaces(t *testing.T) {
	text := strings.Replace(good, "    interface: ipsec0\n    addresses:\n      east: [10.255.0.1/30]\n      west: [10.255.0.2/30]\n", "", 1)
	d, err := Read("office.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	in := surroundings("boot-east")
	if w, err := d.Resolve(context.Background(), "east", in); err != nil || len(w.State.Routes) != 0 || len(w.State.Policies) != 3 || w.State.SAs[0].IfID != 0 {
		t.Errorf("for the kernel: %+v, %v", w.State, err)
	}
	in.Userspace = true
	if _, err := d.Resolve(context.Background(), "east", in); err == nil || !strings.Contains(err.Error(), "office.yaml:7:5: tunnel main has no interface") {
		t.Errorf("for the userspace engine: %v", err)
	}
}

func TestJSON(t *testing.T) {
	var v any
	if err := yaml.Unmarshal([]byte(good), &v); err != nil {
		t.Fatal(err)
	}
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	x, err := resolve(t, string(b), "east")
	if err != nil {
		t.Fatal(err)
	}
	y, err := resolve(t, good, "east")
	if err != nil {
		t.Fatal(err)
	}
	if x.State.SAs[0].SPI != y.State.SAs[0].SPI {
		t.Error("JSON and YAML differ")
	}
}

// TestMistakes makes one mistake at a time and looks for its place.
func TestMistakes(t *testing.T) {
	for _, c := range []struct{ name, from, to, want string }{
		{"syntax", "version: 1", "version: [1", "office.yaml:"},
		{"version", "version: 1", "version: 2", "office.yaml:1:10: version 2 is not known"},
		{"unknown field", "interface: ipsec0", "interfaze: ipsec0", `office.yaml:11:5: tunnel has no field "interfaze"`},
		{"repeated field", "replay_window: 2048", "name: main", `office.yaml:17:5: tunnel has "name" twice`},
		{"window 0", "replay_window: 2048", "replay_window: 0", "office.yaml:17:20: replay_window: a window of 0"},
		{"one way traffic", "{east: 10.1.0.0/16, west: 10.2.0.0/16}", "{east: 10.1.0.0/16}", "office.yaml:16:9: traffic goes one way"},
		{"one way keys", `{derive: "env:ROOT", epoch: 3}`, `{east-to-west: "env:ROOT"}`, "office.yaml:10:11: keys go one way"},
		{"missing forward policy", "replay_window: 2048", "forward: false", "office.yaml:16:16: forward policy is missing"},
		{"host bits", "10.1.0.0/16", "10.1.2.3/16", "office.yaml:16:16: prefix: 10.1.2.3/16 has bits behind its length that match nothing"},
		{"mark", "replay_window: 2048", "output_mark: 0x100/0xff", "office.yaml:17:18: output_mark: 0x100/0xff sets nothing, or bits that its mask leaves out"},
		{"families", "west: 10.2.0.0/16", "west: 2001:db8::/64", "office.yaml:16:35: 2001:db8::/64 matches nothing that comes from 10.1.0.0/16"},
		{"mtu", "replay_window: 2048", "mtu: 100", "office.yaml:17:10: mtu: 100 is too small"},
		{"mtu for IPv6", "    traffic:\n      - {east: 10.1.0.0/16, west: 10.2.0.0/16}", "    mtu: 1200\n    traffic: [{east: \"2001:db8:1::/64\", west: \"2001:db8:2::/64\"}]", "office.yaml:15:10: mtu 1200 is too small: IPv6"},
		{"underlay too small", "underlay: eth0", "underlay: small0", "office.yaml:4:41: mtu 546 is all that fits"},
		{"node", "between: [east, west]", "between: [east, south]", `office.yaml:8:21: node "south" is not in nodes`},
		{"itself", "between: [east, west]", "between: [east, east]", "office.yaml:8:21: both ends are east"},
		{"short root", "env:ROOT", "env:SHORT", "office.yaml:10:20: key env:SHORT: root secret has 3 bytes"},
		{"inline key", "env:ROOT", "0x00112233", "office.yaml:10:20: derive: a key is given by reference"},
		{"boot", "boot-east", "boot-old", "office.yaml:4:56: boot_id of east is not that of this boot"},
		{"no boot", "  west: {endpoint: 192.0.2.2, boot_id: boot-west}", "  west: {endpoint: 192.0.2.2}", "office.yaml:10:11: boot_id of west is not known"},
		{"static counter mode", `{derive: "env:ROOT", epoch: 3}`, `{east-to-west: "env:ROOT", west-to-east: "env:ROOT"}`, "office.yaml:10:11: static keys are not for aes-gcm-256"},
		{"key length", "cipher: aes-gcm-256\n    keys: {derive: \"env:ROOT\", epoch: 3}", "cipher: aes-cbc-256-sha256\n    keys: {east-to-west: \"env:ROOT\", west-to-east: \"env:ROOT\"}", "office.yaml:10:12: key env:ROOT has 32 bytes; aes-cbc-256-sha256 takes 64"},
		{"endpoint inside", "west: 10.2.0.0/16", "west: 192.0.2.0/24", "office.yaml:16:35: the route to 192.0.2.0/24 would lead"},
		{"soft limit", "soft_bytes: 1000", "soft_bytes: 2000", "office.yaml:18:28: the soft limit 2000 is not below"},
		{"encapsulation", "replay_window: 2048", "encap_port: 4500", "office.yaml:17:17: the kernel receives ESP in UDP only while"},
		{"if_id outside", "replay_window: 2048", "if_id: 5", "office.yaml:17:12: if_id 5 is outside"},
		{"transport with interface", "replay_window: 2048", "mode: transport", "office.yaml:11:16: transport mode takes no interface"},
		{"third end", "replay_window: 2048", "endpoints: {south: 192.0.2.9}", "office.yaml:17:17: south is not an end"},
		{"families of endpoints", "replay_window: 2048", "endpoints: {east: \"2001:db8::1\"}", "office.yaml:8:21: endpoint 192.0.2.2 of west is of another family"},
		{"anchor", "between: [east, west]", "between: &x [east, west]", "office.yaml:8:14: anchors and aliases"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(good, c.from, c.to, 1)
			if text == good {
				t.Fatal("nothing was changed")
			}
			_, err := resolve(t, text, "east")
			var problems *ProblemsError
			if !errors.As(err, &problems) {
				t.Fatalf("%v, want %s", err, c.want)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got\n%v\nwant %s", err, c.want)
			}
			p := problems.Problems[0]
			if lines := strings.Split(p.String(), "\n"); len(lines) != 3 || strings.Index(lines[2], "^") != 4+p.Col-1 {
				t.Errorf("excerpt:\n%s", p)
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the key shows: %v", err)
			}
		})
	}
}

// TestOverlaps: two tunnels that share what a node has once.
func TestOverlaps(t *testing.T) {
	second := "  - name: second\n    between: [west, east]\n    keys: {derive: \"env:ROOT\"}\n    traffic: [{east: 10.5.0.0/16, west: 10.6.0.0/16}]\n"
	for extra, want := range map[string]string{
		"    interface: ipsec0\n":                                "interface ipsec0 belongs to tunnel main already",
		"    interface: ipsec1\n    if_id: 20005\n":              "if_id 20005 belongs to tunnel main already",
		"    reqid: 10005\n":                                     "reqid 10005 belongs to tunnel main already",
		"    spi: {east-to-west: 0x1000}\n":                      "spi 0x1000 to west belongs to tunnel main already",
		"    spi: {north-to-west: 0x1000}\n":                     `"north-to-west" is no direction of this tunnel`,
		"    interface: ipsec1\n    addresses: {north: []}\n":    "addresses for north",
		"    keys: {derive: \"env:ROOT\"}\n":                     `tunnel has "keys" twice`,
		"    keyz: {north-to-west: \"env:ROOT\"}\n":              `no field "keyz"`,
		"    interface: ipsec1\n    tfc_pad: 99999\n":            "99999 is not in 1 to 65535",
		"    mtu: 1400\n":                                        "the tunnel has none",
		"    interface: ipsec1\n    lifetime: {hard_bytes: 0}\n": "0 would end an SA",
	} {
		text := strings.Replace(good, "replay_window: 2048", "if_id: 20005\n    reqid: 10005\n    spi: {east-to-west: 0x1000}", 1) + second + extra
		if _, err := resolve(t, text, "east"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", extra, err, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(good)
	f.Add("version: 1\ntunnels: [{name: a, between: [b, c], traffic: [{b: 10.0.0.0/8}]}]")
	f.Fuzz(func(t *testing.T, text string) {
		d, err := Read("f", []byte(text))
		if (d == nil) == (err == nil) {
			t.Errorf("document %v, error %v", d, err)
		}
		if d == nil || strings.Contains(text, "command:") { // which would run what the fuzzer makes up
			return
		}
		for n := range d.Nodes {
			if w, err := d.Resolve(context.Background(), n, surroundings("x")); (w == nil) == (err == nil) && err == nil {
				t.Error("neither a state nor an error")
			}
		}
	})
}

const second = `  - name: second
    between: [west, east]
    endpoints: {east: 198.51.100.1, west: 198.51.100.2}
    underlays: {east: eth1}
    cipher: aes-gcm-256
    keys: {derive: "env:ROOT", epoch: 3}
    interface: ipsec1
    routes: multipath
    traffic:
      - {east: 10.1.0.0/16, west: 10.2.0.0/16}
`

// TestMultipath: two tunnels have one prefix, and share one route to it if both
// say so.
func TestMultipath(t *testing.T) {
	_, err := resolve(t, good+second, "east")
	if err == nil || !strings.Contains(err.Error(), "office.yaml:28:35: the route of east to 10.2.0.0/16 leads to tunnel main already") {
		t.Errorf("%v", err)
	}
	w, err := resolve(t, strings.Replace(good, "    replay", "    routes: multipath\n    replay", 1)+second, "east")
	if err != nil {
		t.Fatal(err)
	}
	if len(w.State.Routes) != 2 || w.State.Routes[0].Dev != "ipsec0" || !slices.Equal(w.State.Routes[0].More, []string{"ipsec1"}) || !w.State.Routes[1].Guard() {
		t.Errorf("%+v", w.State.Routes)
	}
	if sa := w.State.SAs[2]; sa.Src != netip.MustParseAddr("198.51.100.2") || w.State.Interfaces[1].Underlay != "eth1" {
		t.Errorf("%s over %s", sa, w.State.Interfaces[1].Underlay)
	}
}
