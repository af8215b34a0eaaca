package main

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

func TestParseIfaceAdd(t *testing.T) {
	gcm := &netlinkx.SA{Proto: netlinkx.ProtoESP, Mode: netlinkx.ModeTunnel, Family: netlinkx.FamilyIPv4, AEAD: &netlinkx.AEAD{Name: "rfc4106(gcm(aes))", ICVBits: 128}}
	tests := []struct {
		words string
		want  ifaces.Spec
		netns string
	}{
		{"add ipsec0 dev eth0 if_id 5", ifaces.Spec{Name: "ipsec0", Underlay: "eth0", IfID: 5}, ""},
		{"a ipsec0 type xfrm dev eth0 if_id 0xffffffff", ifaces.Spec{Name: "ipsec0", Underlay: "eth0", IfID: 0xffffffff}, ""},
		{"add dev ipsec0 mtu 1400 type xfrm d eth0 if 010", ifaces.Spec{Name: "ipsec0", Underlay: "eth0", IfID: 8, MTU: 1400}, ""},
		{"add mtu 1400 netns blue name ipsec0 type xfrm external", ifaces.Spec{Name: "ipsec0", External: true, MTU: 1400}, "blue"},
		{"add d type xfrm if_id 1", ifaces.Spec{Name: "d", IfID: 1}, ""},
		{"add x", ifaces.Spec{Name: "x"}, ""},
		{"add x if_id 1 addr 10.0.0.1/24 addr fd00::1 alias a up", ifaces.Spec{
			Name: "x", IfID: 1, Up: true, Alias: "a",
			Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24"), netip.MustParsePrefix("fd00::1/128")},
		}, ""},
		{"add x dev eth0 if_id 1 mtu auto cipher aes-gcm-128", ifaces.Spec{Name: "x", Underlay: "eth0", IfID: 1, MTUFor: gcm}, ""},
		{"add x dev eth0 if_id 1 mtu auto cipher rfc4106(gcm(aes))", ifaces.Spec{Name: "x", Underlay: "eth0", IfID: 1, MTUFor: gcm}, ""},
		{"add x dev eth0 if_id 1 cipher rfc4106(gcm(aes)) icv 128 mode tunnel family inet", ifaces.Spec{Name: "x", Underlay: "eth0", IfID: 1, MTUFor: gcm}, ""},
		{"add x dev eth0 if_id 1 mtu auto cipher cbc(aes) auth hmac(sha256) mode beet encap espinudp family inet6", ifaces.Spec{
			Name: "x", Underlay: "eth0", IfID: 1, MTUFor: &netlinkx.SA{
				Proto: netlinkx.ProtoESP, Mode: netlinkx.ModeBEET, Family: netlinkx.FamilyIPv6,
				Crypt: &netlinkx.Algo{Name: "cbc(aes)"}, AuthTrunc: &netlinkx.AuthTrunc{Name: "hmac(sha256)", ICVBits: 128},
				Encap: &netlinkx.Encap{Type: netlinkx.EncapESPinUDP},
			},
		}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.words, func(t *testing.T) {
			r, err := parseIface(strings.Fields(tt.words))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, r.spec, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }), cmp.AllowUnexported(netlinkx.NetNS{}), cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netlinkx.Key) bool { return a.Len() == b.Len() })); d != "" {
				t.Error(d)
			}
			if r.netns != tt.netns {
				t.Errorf("netns %q, want %q", r.netns, tt.netns)
			}
		})
	}
}

func TestParseIfaceOthers(t *testing.T) {
	r, err := parseIface(strings.Fields("set x0 if_id 7 mtu 1400 down addr add 10.0.0.1/24 addr del 10.0.1.1/24 alias b netns red"))
	if err != nil {
		t.Fatal(err)
	}
	want := ifaces.Change{
		IfID: netlinkx.Some[uint32](7), MTU: netlinkx.Some[uint32](1400), Up: netlinkx.Some(false), Alias: netlinkx.Some("b"),
		AddAddresses:    []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")},
		DeleteAddresses: []netip.Prefix{netip.MustParsePrefix("10.0.1.1/24")},
	}
	if d := cmp.Diff(want, r.change, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); d != "" {
		t.Error(d)
	}
	if r.netns != "red" || r.spec.Name != "x0" {
		t.Errorf("netns %q, name %q", r.netns, r.spec.Name)
	}
	for words, verb := range map[string]string{
		"": "show", "l": "show", "ls": "show", "sh": "show", "s x up": "set", "del x": "delete", "d x": "delete",
		"m x blue": "move", "move x netns blue": "move", "ado x if_id 1": "adopt", "ad x if_id 1": "add", "h": "help", "change x up": "set",
	} {
		r, err := parseIface(strings.Fields(words))
		if err != nil || r.verb.names[0] != verb {
			t.Errorf("%q: %v, %v; want %s", words, r, err, verb)
		}
	}
}

// TestParseIfaceErrors has the exit codes of `ip link`.
func TestParseIfaceErrors(t *testing.T) {
	tests := []struct {
		words string
		code  int
		text  string
	}{
		{"add", 255, "name"},
		{"add x if_id 0", 255, "if_id value is invalid"},
		{"add x if_id -1", 255, "if_id value is invalid"},
		{"add x if_id 0x100000000", 255, "if_id value is invalid"},
		{"add x if_id 1_0", 255, "if_id value is invalid"},
		{"add x if_id", 255, "not complete"},
		{"add x type xfrm dev eth0", 255, "IF_ID"},
		{"add x external if_id 5", 1, "external"},
		{"add x external dev eth0", 1, "external"},
		{"add x type vti", 1, "vti"},
		{"add x type xfrm if_id 5 ifid 6", 1, "ifid"},
		{"add x ifid 6", 255, "ifid"},
		{"add x if_id 5 if_id 6", 255, "duplicate"},
		{"add link eth0 x type xfrm if_id 5", 255, "ignores"},
		{"add x if_id 5 mtu huge", 255, "mtu"},
		{"add x if_id 5 addr 10.0.0", 1, "10.0.0"},
		{"add a-very-long-interface-name if_id 5", 255, "at most 15"},
		{"add x if_id 5 mtu auto", 255, "cipher"},
		{"add x if_id 5 mtu auto cipher rfc4106(gcm(aes))", 1, "dev"},
		{"add x dev eth0 if_id 5 mtu 1400 cipher rfc4106(gcm(aes))", 255, "mtu auto"},
		{"add x dev eth0 if_id 5 mtu auto cipher aes-gcm", 255, "not known"},
		{"add x dev eth0 if_id 5 mtu auto cipher cbc(aes)", 255, "auth"},
		{"add x dev eth0 if_id 5 mtu auto cipher cbc(aes) auth crc", 255, "not known"},
		{"add x dev eth0 if_id 5 mtu auto cipher rfc4106(gcm(aes)) auth hmac(sha1)", 255, "own integrity"},
		{"add x dev eth0 if_id 5 mtu auto cipher rfc4106(gcm(aes)) mode ro", 255, "mode"},
		{"move x", 255, "namespace"},
		{"move x a b", 255, "b"},
		{"adopt x", 255, "if_id"},
		{"set x addr put 10.0.0.1/8", 255, "put"},
		{"set x addr add", 255, "not complete"},
		{"delete x y", 255, "y"},
		{"frobnicate", 255, "frobnicate"},
	}
	for _, tt := range tests {
		t.Run(tt.words, func(t *testing.T) {
			_, err := parseIface(strings.Fields(tt.words))
			if err == nil || exitCode(err) != tt.code || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("error %v (exit %d), want exit %d and %q", err, exitCode(err), tt.code, tt.text)
			}
		})
	}
	_, err := parseIface([]string{"dleete", "x"})
	if hintOf(err) != `did you mean "delete"?` {
		t.Errorf("hint %q", hintOf(err))
	}
}

func TestIfaceComplete(t *testing.T) {
	tests := []struct{ words, want string }{
		{"", "add adopt change delete help list lst move set show"},
		{"a", "add adopt"},
		{"add ", ""},
		{"add x t", "type"},
		{"add x type ", "xfrm"},
		{"add x mtu a", "auto"},
		{"add x mtu auto cipher cbc(a", "cbc(aes)"},
		{"set x addr ", "add del"},
		{"set x addr add ", ""},
		{"show u", "up"},
		{"nope x", ""},
	}
	for _, tt := range tests {
		if got := strings.Join(ifaceComplete(strings.Split(tt.words, " ")), " "); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.words, got, tt.want)
		}
	}
}

// TestIfaceUsageIsWhole: usage and manual name every word that is understood.
func TestIfaceUsageIsWhole(t *testing.T) {
	usage := ifaceUsage()
	man := ""
	for _, s := range ifaceManSections() {
		man += s.Title + strings.Join(s.Text, " ")
		for _, term := range s.Terms {
			man += term.Term + term.Text
		}
	}
	for _, v := range ifaceVerbs() {
		for _, w := range v.words {
			if w.help != "" && (!strings.Contains(usage, w.name) || !strings.Contains(man, w.help[1:])) {
				t.Errorf("%s %s is not in usage or manual", v.names[0], w.name)
			}
		}
	}
	for _, line := range strings.Split(usage, "\n") {
		if len(line) > 100 {
			t.Errorf("usage line of %d letters: %s", len(line), line)
		}
	}
}

func ifaceSamples() []*ifaces.Link {
	return []*ifaces.Link{
		{
			Name: "ipsec0", Index: 4, IfID: 5, Underlay: 2, UnderlayName: "eth0", MTU: 1446, Up: true, OperState: "unknown",
			Addresses: []ifaces.Address{
				{Prefix: netip.MustParsePrefix("10.0.0.1/24"), Valid: ifaces.Forever, Preferred: ifaces.Forever},
				{Prefix: netip.MustParsePrefix("10.1.0.1/32"), Peer: netip.MustParseAddr("10.1.0.2"), Valid: 60, Preferred: 30},
			},
		},
		{Name: "ext0", Index: 5, External: true, MTU: 1500, OperState: "down"},
		{Name: "moved", Index: 6, IfID: 0xffffffff, Underlay: 2, MTU: 1500, OperState: "down", ContextID: netlinkx.Some[int32](0)},
		{Name: "lost", Index: 7, IfID: 6, MTU: 1500, OperState: "down", ContextID: netlinkx.Some[int32](3)},
	}
}

func TestIfaceOutput(t *testing.T) {
	var out bytes.Buffer
	e := newEnv(t.Context(), nil, &out, &out)
	names := map[int32]string{0: "blue"}
	if err := e.printIfaces(ifaceSamples(), names); err != nil {
		t.Fatal(err)
	}
	if err := e.printJSON(jsonIface(ifaceSamples()[0], names)); err != nil {
		t.Fatal(err)
	}
	if err := e.printJSON(jsonIface(ifaceSamples()[2], names)); err != nil {
		t.Fatal(err)
	}
	if err := e.stdout.Flush(); err != nil {
		t.Fatal(err)
	}
	want := `NAME    IF_ID       DEV   STATE  MTU   CONTEXT  ADDRESSES
ipsec0  0x5         eth0  up     1446  -        10.0.0.1/24 10.1.0.1>10.1.0.2/32
ext0    external    -     down   1500  -        -
moved   0xffffffff  if2   down   1500  blue     -
lost    0x6         -     down   1500  nsid:3   -
{"name":"ipsec0","ifindex":4,"if_id":5,"external":false,"dev":"eth0","dev_index":2,"up":true,"operstate":"unknown","mtu":1446,"addresses":[{"address":"10.0.0.1","prefixlen":24},{"address":"10.1.0.1","prefixlen":32,"peer":"10.1.0.2","valid_seconds":60,"preferred_seconds":30}]}
{"name":"moved","ifindex":6,"if_id":4294967295,"external":false,"dev_index":2,"context_netnsid":0,"context_netns":"blue","up":false,"operstate":"down","mtu":1500,"addresses":[]}
`
	if d := cmp.Diff(want, out.String()); d != "" {
		t.Error(d)
	}
}

func TestIfaceDescribe(t *testing.T) {
	r, err := parseIface(strings.Fields("add x dev eth0 if_id 5 mtu auto cipher rfc4106(gcm(aes)) addr 10.0.0.1/24 up netns blue"))
	if err != nil {
		t.Fatal(err)
	}
	s := r.spec
	s.UnderlayIndex, s.MTU = 2, 1446
	want := "if_id 0x5, dev eth0 (if2), mtu 1446 (computed), addr 10.0.0.1/24, up, moved to network namespace blue"
	if got := r.describeSpec(&s); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	r, err = parseIface(strings.Fields("set x if_id 6 mtu 1400 addr del 10.0.0.1/24 down"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := r.describeChange(), "if_id 0x6, mtu 1400, addr del 10.0.0.1/24, down"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
