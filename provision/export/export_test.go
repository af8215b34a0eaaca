package export

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/provision"
	"github.com/xfrmctl/xfrmctl/provision/document"
	"github.com/xfrmctl/xfrmctl/provision/keys"
)

const office = `version: 1
owner: {name: office, reqid: 10000-10999, if_id: 20000-20999}
nodes:
  east: {endpoint: 192.0.2.1, underlay: eth0}
  west: {endpoint: 192.0.2.2}
  south: {endpoint: "2001:db8::3"}
tunnels:
`

const mainTunnel = `  - name: ipsec0
    between: [east, west]
    keys: {derive: "env:ROOT", epoch: 1}
    reqid: 10001
    interface: ipsec0
    if_id: 20001
    traffic:
      - {east: 10.1.0.0/16, west: 10.2.0.0/16}
`

// surroundings are those of a test; own addresses are those that end in 1.
func options() *Options {
	return &Options{
		Node: "east", Owner: "office", Root: "env:ROOT",
		Names: map[netip.Addr]string{netip.MustParseAddr("192.0.2.2"): "west", netip.MustParseAddr("192.0.2.6"): "west", netip.MustParseAddr("2001:db8::3"): "south"},
		Local: func(a netip.Addr) bool { return strings.HasSuffix(a.String(), ".1") },
		UnderlayMTU: func(context.Context, string) (int, error) {
			return 1500, nil
		},
	}
}

// has returns what a node of a document has.
func has(t testing.TB, text, node string) *provision.State {
	t.Helper()
	d, err := document.Read("doc", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	boots := map[string]string{}
	for name := range d.Nodes {
		boots[name] = "b"
	}
	w, err := d.Resolve(context.Background(), node, &document.Surroundings{
		Keys: &keys.Source{Getenv: func(name string) string {
			return strings.Repeat("k", map[bool]int{true: 64, false: 32}[name == "LONG"])
		}}, BootID: "b", BootIDs: boots,
		UnderlayMTU: options().UnderlayMTU,
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for _, i := range w.State.Interfaces {
		i.Up = true
	}
	return w.State
}

// TestRoundTrip: what a document made is written down as that document.
func TestRoundTrip(t *testing.T) {
	for name, tunnels := range map[string]string{
		"one":        mainTunnel,
		"many words": strings.Replace(mainTunnel, "keys:", "cipher: chacha20-poly1305\n    esn: false\n    replay_window: 64\n    tfc_pad: 500\n    mark: {in: 0x1/0xff, out: 0x2/0xff}\n    output_mark: {out: 0x100/0xffffffff}\n    lifetime: {soft_bytes: 1000, hard_bytes: 2000}\n    keys:", 1),
		"mtu":        strings.Replace(mainTunnel, "    traffic", "    mtu: 1300\n    addresses: {east: [10.9.0.1/30, \"fd00::1/64\"]}\n    guard: routes\n    traffic", 1),
		"no routes":  strings.Replace(strings.Replace(mainTunnel, "    traffic", "    routes: false\n    guard: false\n    traffic", 1), "10.2.0.0/16", "0.0.0.0/0", 1),
		"two paths": strings.Replace(mainTunnel, "    traffic", "    routes: multipath\n    traffic", 1) +
			strings.NewReplacer("ipsec0", "ipsec1", "10001", "10002", "[east, west]\n", "[east, west]\n    endpoints: {east: 192.0.2.5, west: 192.0.2.6}\n", "20001\n", "20002\n    underlays: {east: eth1}\n    routes: multipath\n").Replace(mainTunnel),
		"transport": "  - name: south\n    between: [east, south]\n    mode: transport\n    cipher: aes-cbc-256-sha256\n    keys: {derive: \"env:ROOT\", epoch: 1}\n    reqid: 10003\n",
	} {
		t.Run(name, func(t *testing.T) {
			text := office + tunnels
			if name == "transport" {
				text = strings.NewReplacer("192.0.2.1", `"2001:db8::1"`, ", underlay: eth0", "").Replace(text)
			}
			there := has(t, text, "east")
			res, err := Export(context.Background(), there, options())
			if err != nil {
				t.Fatal(err)
			}
			if len(res.Lost) > 0 || res.Keys != nil {
				t.Errorf("lost %q, keys %v", res.Lost, res.Keys != nil)
			}
			sameButKeys(t, there, string(res.Document))
			if got := body(string(res.Document)); name == "one" && got != body(strings.Replace(text, "  south: {endpoint: \"2001:db8::3\"}\n", "", 1)) {
				t.Errorf("got\n%s\nof\n%s", got, text)
			}
		})
	}
}

// body leaves out comments.
func body(text string) (out string) {
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			out += line
		}
	}
	return out
}

// sameButKeys compares what is there with what a document makes, SPIs and keys
// aside.
func sameButKeys(t *testing.T, there *provision.State, text string) {
	t.Helper()
	then := has(t, text, "east")
	for _, sa := range then.SAs { // new keys have new SPIs
		for _, old := range there.SAs {
			if sa.Src == old.Src && sa.Dst == old.Dst && sa.ReqID == old.ReqID && sa.IfID == old.IfID {
				sa.SPI = old.SPI
			}
		}
	}
	for _, d := range provision.Differences(then, there) {
		t.Errorf("%s: %v\n%s", d.ID, d.Words, text)
	}
}

// TestKeys: static keys go to the file, those of counter-mode ciphers nowhere.
func TestKeys(t *testing.T) {
	text := office + strings.Replace(mainTunnel, "keys:", "cipher: aes-cbc-256-sha256\n    keys:", 1)
	text = strings.Replace(text, `{derive: "env:ROOT", epoch: 1}`, `{east-to-west: "env:LONG", west-to-east: "env:LONG"}`, 1)
	text += strings.NewReplacer("ipsec0", "ipsec1", "10001", "10002", "20001", "20002", "10.2", "10.3", "10.1.", "10.4.").Replace(mainTunnel)
	o := options()
	o.KeyFile = "/etc/x.keys"
	there := has(t, text, "east")
	res, err := Export(context.Background(), there, o)
	if err != nil {
		t.Fatal(err)
	}
	key := strings.Repeat("6b", 64)
	if want := "ipsec0.west-to-east 0x" + key + "\nipsec0.east-to-west 0x" + key + "\n"; string(res.Keys) != want {
		t.Errorf("%s", res.Keys)
	}
	doc := string(res.Document)
	if strings.Contains(doc, key[:8]) || !strings.Contains(doc, `east-to-west: "keys:/etc/x.keys#ipsec0.east-to-west"`) || !strings.Contains(doc, "spi: {west-to-east: "+there.SAs[0].SPI.String()) {
		t.Error(doc)
	}
	if strings.Count(doc, "derive:") != 1 || !strings.Contains(doc, "RFC 8221") {
		t.Error(doc)
	}
	for _, sa := range there.SAs[:2] { // as under lockdown
		sa.Crypt.Key, sa.AuthTrunc.Key = netlinkx.NewKey(make([]byte, 32)), netlinkx.NewKey(make([]byte, 32))
	}
	if res, err = Export(context.Background(), there, o); err != nil || res.Keys != nil || strings.Count(string(res.Document), "derive:") != 2 {
		t.Errorf("%v\n%s", err, res.Document)
	}
}

// TestOffloaded: what a device carries is written down, where it is the underlay.
func TestOffloaded(t *testing.T) {
	o := options()
	o.Device = func(index int32) string { return map[int32]string{3: "eth0", 4: "eth1"}[index] }
	for _, x := range []struct {
		on         int32
		flags      netlinkx.OffloadFlags
		in         bool
		want, lost string
	}{
		{3, 0, false, "offload: {out: prefer} #", ""},
		{3, 0, true, "offload: prefer #", ""},
		{3, netlinkx.OffloadPacket, true, "offload_type: packet", ""},
		{4, 0, false, "", "offload (on a device here, in software"},
	} {
		there := has(t, office+mainTunnel, "east")
		for _, sa := range there.SAs {
			if sa.Dir == netlinkx.DirOut || x.in {
				sa.Offload = &netlinkx.Offload{IfIndex: x.on, Flags: x.flags}
			}
		}
		for _, p := range there.Policies {
			if x.flags&netlinkx.OffloadPacket != 0 && p.IfID != 0 && p.Dir != netlinkx.PolicyFwd {
				p.Offload = &netlinkx.Offload{IfIndex: x.on, Flags: x.flags}
			}
		}
		res, err := Export(context.Background(), there, o)
		if err != nil {
			t.Fatal(err)
		}
		doc, lost := string(res.Document), strings.Join(res.Lost, "\n")
		if !strings.Contains(doc, x.want) || (x.lost == "") != (lost == "") || !strings.Contains(lost, x.lost) {
			t.Errorf("%+v: lost %q in\n%s", x, lost, doc)
		}
		if _, err := document.Read("doc", res.Document); err != nil {
			t.Error(err)
		}
	}
}

// TestNothing: what no document can have is told of, in a document that has
// nothing.
func TestNothing(t *testing.T) {
	ah := netlinkx.NewSA()
	ah.Src, ah.Dst, ah.Proto, ah.SPI = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netlinkx.ProtoAH, 7
	alone := netlinkx.NewSA()
	alone.Src, alone.Dst, alone.Proto, alone.SPI, alone.Mode = ah.Src, ah.Dst, netlinkx.ProtoESP, 8, netlinkx.ModeTunnel
	alone.AEAD = &netlinkx.AEAD{Name: "rfc4106(gcm(aes))", Key: netlinkx.NewKey(make([]byte, 20)), ICVBits: 128}
	open := netlinkx.NewPolicy()
	open.Dir, open.Selector.Src, open.Selector.Dst = netlinkx.PolicyOut, netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")
	res, err := Export(context.Background(), &provision.State{
		SAs: []*netlinkx.SA{ah, alone}, Policies: []*netlinkx.Policy{open}, Interfaces: []*provision.Interface{{Name: "ipsec9", IfID: 9}},
	}, options())
	if err != nil {
		t.Fatal(err)
	}
	told := strings.Join(res.Lost, "\n")
	for _, want := range []string{"ah sa 0x00000007 to 192.0.2.2: documents have ESP only", "esp sa 0x00000008 to 192.0.2.2: no SA comes back",
		"out policy 10.0.0.0/8 -> 10.0.0.0/8: documents let nothing out in clear", "interface ipsec9: no tunnel of the document leads through it"} {
		if !strings.Contains(told, want) {
			t.Errorf("%q is not told in\n%s", want, told)
		}
	}
	if len(res.Lost) != 4 {
		t.Errorf("%q", res.Lost)
	}
	if _, err := document.Read("nothing", res.Document); err != nil {
		t.Errorf("%v\n%s", err, res.Document)
	}
}
