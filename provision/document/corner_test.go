package document

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestCorners is what YAML makes easy to write and hard to see, and what two
// fields say together that neither says alone.
func TestCorners(t *testing.T) {
	rep := strings.NewReplacer
	line := func(s string) string { return rep("replay_window: 2048", s).Replace(good) }
	alone := rep("    interface: ipsec0\n    addresses:\n      east: [10.255.0.1/30]\n      west: [10.255.0.2/30]\n", "", "replay_window: 2048", "MORE")
	hosts := good[:strings.Index(good, "tunnels:")] + "tunnels:\n  - {name: a, between: [east, west], mode: transport, keys: {derive: \"env:ROOT\"}}\n"
	six := rep("10.1.0.0/16", `"fd01::/64"`, "10.2.0.0/16", `"fd02::/64"`)
	for _, c := range []struct{ name, text, want string }{
		{"behind the end", good + "...\nversion: 1\n", "20:1: did not find expected <document start>"},
		{"broken second document", good + "---\n{[\n", "21:1: did not find expected node content"},
		{"carriage returns", strings.ReplaceAll(good, "\n", "\r"), "1:11: a control character (0x0d)"},
		{"line separator", rep("ipsec0\n", "ipsec0\u2028").Replace(good), "11:22: a control character (0x2028)"},
		{"next line", rep("ipsec0\n", "ipsec0\u0085").Replace(good), "11:22: a control character (0x85)"},
		{"no-break space", rep("    interface", "\u00a0   interface").Replace(good), "11:1: this looks like a blank and is none (U+00A0)"},
		{"tab behind a dash", rep("      - {east: 10", "      -\t{east: 10").Replace(good), "16:8: a tab: YAML takes blanks here"},
		{"percent", rep("ipsec0", "%ipsec").Replace(good), "11:16: % begins no value: put it in quotes"},
		{"colon", rep("10.2.0.0/16", "::/0").Replace(good), "16:7: did not find expected node content: a value that begins with a colon"},
		{"unknown anchor", rep("ipsec0", "*x").Replace(good), "11:16: anchors and aliases"},
		{"anchor of all", "&top\n" + good, "1:1: anchors and aliases"},
		{"anchor of a field", "&top " + good, "1:1: anchors and aliases"},
		{"anchor of a node", rep("east: {endpoint", "east: &e {endpoint").Replace(good), "4:9: anchors and aliases"},
		{"anchor of traffic", rep("- {east: 10", "- &e {east: 10").Replace(good), "16:9: anchors and aliases"},
		{"null interface", rep("ipsec0", "~").Replace(good), "11:16: interface: it has no value: ~ means none, unless it is in quotes"},
		{"0xa0 in a name", rep("ipsec0", "\u00e0").Replace(good), "11:16: interface: \"à\" is no name of a device"},
		{"misspelled end", rep("west: 10.2", "wets: 10.2").Replace(good), "16:35: wets is not an end of this tunnel"},
		{"loopback", rep("10.2.0.0/16", "127.0.0.0/8").Replace(good), "16:35: prefix: 127.0.0.0/8 matches nothing: what is for a machine itself"},
		{"link-local address", rep("10.255.0.1/30", `"fe80::1/64"`).Replace(good), "13:14: address: fe80::1 is link-local"},
		{"address over an endpoint", rep("10.255.0.1/30", "192.0.2.77/24").Replace(good), "13:14: address 192.0.2.77/24 brings a route to 192.0.2.0/24, which has endpoint 192.0.2.2 in it"},
		{"address of nobody", rep("west: [10", "north: [10").Replace(good), "14:15: tunnel main has addresses for north"},
		{"address without interface", rep("    interface: ipsec0\n", "").Replace(good), "12:14: tunnel main has addresses for east and no interface"},
		{"IPv6 address, small underlay", rep("eth0", "small0", "10.255.0.1/30", `"fd00::1/64"`).Replace(good), "4:41: mtu 546 is all that fits through the SA, too small for 1280"},
		{"mtu for IPv6", six.Replace(line("mtu: 1279")), "17:10: mtu 1279 is too small"},
		{"path_mtu", rep("underlay: eth0", "underlay: eth0, path_mtu: 1501").Replace(good), "4:57: path_mtu 1501 is more than underlay eth0 takes, 1500: leave it out"},
		{"mtu, no underlay", rep("eth0", "none0").Replace(line("mtu: 1400")), "4:41: underlay none0: no such device"},
		{"nothing to guard", line("routes: false\n    guard: routes"), "18:12: guard: there are no routes to guard"},
		{"shared routes to nowhere", rep("MORE", "routes: multipath").Replace(alone.Replace(good)), "13:13: routes lead to an interface, and the tunnel has none"},
		{"guards of nothing", rep("MORE", "guard: policies").Replace(alone.Replace(good)), "13:12: guards are for what is routed to an interface"},
		{"the same hosts twice", hosts + strings.Replace(hosts[strings.Index(hosts, "  - "):], "name: a", "name: b", 1), "8:5: traffic between 192.0.2.1/32 and 192.0.2.2/32 belongs to tunnel a already"},
		{"epoch 0", rep("epoch: 3", "epoch: 0").Replace(good), "10:39: epoch: 0 is not in 1 to "},
		{"slack", rep("epoch: 3", "epoch: {start: 2026-01-01T00:00:00Z, every: 1s, slack: 1ms}").Replace(good), "10:87: slack 1ms is too short"},
		{"start", rep("epoch: 3", "epoch: {start: 2026-01-01, every: 1h, slack: 1m}").Replace(good), `10:47: start: "2026-01-01" is not a time like`},
		{"reference to nothing", rep("env:ROOT", "command:").Replace(good), "10:20: derive: a key is given by reference: file:PATH, keys:PATH#NAME, env:NAME, command:WORDS"},
	} {
		t.Run(c.name, func(t *testing.T) { refused(t, c.text, c.want) })
	}
}

// TestNotes: what is taken, and told.
func TestNotes(t *testing.T) {
	s := must(t, "mtu: 1500", "")
	if len(s.Notes) != 1 || !strings.HasPrefix(s.Notes[0], "tunnel main: mtu 1500 is more than the 1446 that fit through the SA") {
		t.Errorf("%q", s.Notes)
	}
	if s = must(t, "mtu: 1446", ""); len(s.Notes) != 0 {
		t.Errorf("%q", s.Notes)
	}
	if _, err := resolve(t, strings.Replace(good, "10.255.0.1/30", "192.0.2.1/32", 1), "east"); err != nil {
		t.Errorf("the endpoint's address on the interface: %v", err)
	}
	d, err := Read("office.yaml", []byte(strings.Replace(good, "eth0", "none0, path_mtu: 1400", 1)))
	if err == nil {
		in := surroundings("")
		in.NoKeys = true
		_, err = d.Resolve(t.Context(), "east", in)
	}
	if err != nil {
		t.Errorf("what is for another machine asks for no device: %v", err)
	}
}

// TestJSONTree: JSON is read as the same document in YAML, escapes and places too.
func TestJSONTree(t *testing.T) {
	var v any
	if err := yaml.Unmarshal([]byte(good), &v); err != nil {
		t.Fatal(err)
	}
	for _, indent := range []string{"", "\t"} {
		b, err := json.MarshalIndent(v, "", indent)
		if err != nil {
			t.Fatal(err)
		}
		tree, err := jsonTree(b)
		var same yaml.Node
		if err == nil {
			err = yaml.Unmarshal(b, &same)
		}
		if err != nil {
			t.Fatal(err)
		}
		var compare func(a, b *yaml.Node)
		compare = func(a, b *yaml.Node) {
			if a.Kind != b.Kind || a.Value != b.Value || a.Line != b.Line || a.Column != b.Column || len(a.Content) != len(b.Content) {
				t.Fatalf("%+v\nwant %+v", a, b)
			}
			for i := range a.Content {
				compare(a.Content[i], b.Content[i])
			}
		}
		compare(tree, same.Content[0])
		b = bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("/"), []byte(`\/`)), []byte("ipsec0"), []byte(`ip\u0073\ud83d\ude00`))
		s, err := resolve(t, string(b), "east")
		want, err2 := resolve(t, strings.Replace(good, "ipsec0", "ips😀", 1), "east")
		if err != nil || err2 != nil || !reflect.DeepEqual(s, want) {
			t.Errorf("%v %v\n%+v\nwant %+v", err, err2, s, want)
		}
	}
}
