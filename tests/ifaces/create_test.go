package ifaces_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// sameAsIP compares an interface with what `ip` says.
func sameAsIP(t *testing.T, l *ifaces.Link, ip ipLink) {
	t.Helper()
	ifID := ip.Info.Data.IfID
	if ifID == "" && ip.Info.Data.External {
		ifID = "0x0"
	}
	up := false
	for _, f := range ip.Flags {
		up = up || f == "UP"
	}
	got := fmt.Sprint(l.Index, l.Name, l.UnderlayName, l.MTU, l.Up, l.Alias, l.AltNames, strings.ToUpper(l.OperState), fmt.Sprintf("%#x", l.IfID), l.External)
	want := fmt.Sprint(ip.Index, ip.Name, ip.Link, ip.MTU, up, ip.Alias, ip.AltNames, ip.Oper, ifID, ip.Info.Data.External)
	if got != want {
		t.Errorf("interface\n%s\nis by ip\n%s", got, want)
	}
}

func TestCreate(t *testing.T) {
	p := newPlace(t)
	l := p.must(t, ifaces.Spec{
		Name: "ipsec0", IfID: 0xfffffffe, Underlay: "u0", MTU: 1400, Alias: "to the office",
		Addresses: prefixes("10.9.0.1/24", "fd00:9::1/64"), Up: true,
	})
	if w := p.warned(); w != "" {
		t.Errorf("warned of %s", w)
	}
	p.ns.MustRun(t, sandbox.IP(), "link", "property", "add", "dev", "ipsec0", "altname", "an-alternative-name-of-it")
	byAlt, err := p.Get(background(t), "an-alternative-name-of-it")
	if err != nil {
		t.Fatal(err)
	}
	sameAsIP(t, byAlt, ipLinks(t, p.ns)["ipsec0"])
	if kinds, err := p.Kinds(background(t)); err != nil || kinds["ipsec0"] != "xfrm" || kinds["an-alternative-name-of-it"] != "xfrm" || kinds["u0"] != "veth" {
		t.Errorf("Kinds = %q, %v", kinds, err)
	}
	if l.IfID != 0xfffffffe || l.MTU != 1400 || !l.Up || l.Alias != "to the office" || l.UnderlayName != "u0" {
		t.Errorf("created %+v", l)
	}
	out := p.ns.MustRun(t, sandbox.IP(), "-o", "address", "show", "dev", "ipsec0")
	for _, a := range []string{"10.9.0.1/24", "fd00:9::1/64"} {
		if !strings.Contains(out, a) {
			t.Errorf("ip does not show %s:\n%s", a, out)
		}
	}
	if len(l.Addresses) < 2 || l.Addresses[0].Prefix.String() != "10.9.0.1/24" {
		t.Errorf("addresses %+v", l.Addresses)
	}
	byID, err := p.GetByIfID(background(t), 0xfffffffe)
	if err != nil || byID.Index != l.Index {
		t.Errorf("GetByIfID = %v, %v", byID, err)
	}
}

// TestDefaults: what is not given is the kernel's, and said.
func TestDefaults(t *testing.T) {
	p := newPlace(t)
	l := p.must(t, ifaces.Spec{IfID: 5})
	if l.Name == "" || l.MTU != 1500 || l.Up || l.Underlay != 0 {
		t.Errorf("created %+v", l)
	}
	if w := p.warned(); w != "mtu " {
		t.Errorf("warned of %q", w)
	}
	sameAsIP(t, l, ipLinks(t, p.ns)[l.Name])
	l = p.must(t, ifaces.Spec{Name: "x999", IfID: 6, UnderlayIndex: 999, MTU: 1400})
	if l.Underlay != 999 || l.UnderlayName != "" {
		t.Errorf("created %+v", l)
	}
	if w := p.warned(); w != "no-underlay " {
		t.Errorf("warned of %q", w)
	}
}

// TestComputedMTU: the underlay's MTU counts.
func TestComputedMTU(t *testing.T) {
	p := newPlace(t)
	p.ns.MustRun(t, sandbox.IP(), "link", "set", "u0", "mtu", "9000")
	sa := &netlinkx.SA{Proto: netlinkx.ProtoESP, Mode: netlinkx.ModeTunnel, AEAD: &netlinkx.AEAD{Name: "rfc4106(gcm(aes))", ICVBits: 128}}
	l := p.must(t, ifaces.Spec{Name: "ipsec0", IfID: 5, Underlay: "u0", MTUFor: sa})
	if l.MTU != 8946 {
		t.Errorf("mtu %d, want 8946", l.MTU)
	}
}

func TestRefused(t *testing.T) {
	p := newPlace(t)
	tests := []struct {
		name string
		spec ifaces.Spec
		want string // part of the error or its hint
	}{
		{"no if_id", ifaces.Spec{Name: "x0"}, "if_id must be non zero"},
		{"external with if_id", ifaces.Spec{Name: "x0", IfID: 3, External: true}, "neither an if_id nor"},
		{"no such underlay", ifaces.Spec{Name: "x0", IfID: 3, Underlay: "nope0"}, "nope0"},
		{"mtu too large", ifaces.Spec{Name: "x0", IfID: 3, MTU: 70000}, "mtu greater than device maximum"},
		{"mtu too small", ifaces.Spec{Name: "x0", IfID: 3, MTU: 60}, "mtu less than device minimum"},
		{"name too long", ifaces.Spec{Name: "x0123456789abcdef", IfID: 3}, "IFNAME"},
		{"no such namespace", ifaces.Spec{Name: "x0", IfID: 3, NetNS: netlinkx.NetNSAt("/nonexistent")}, "/nonexistent"},
		{"same address twice", ifaces.Spec{Name: "x0", IfID: 3, Addresses: prefixes("10.0.0.1/24", "10.0.0.1/24")}, "10.0.0.1/24"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := p.Create(background(t), &tt.spec)
			if err == nil || !strings.Contains(fmt.Sprintf("%+v", err), tt.want) {
				t.Errorf("error %+v, want %q", err, tt.want)
			}
			// what was made before the step that failed is gone again
			if _, err := p.Get(background(t), "x0"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("interface x0 after the refusal: %v", err)
			}
		})
	}
}

func TestDeleteOnlyOurs(t *testing.T) {
	p := newPlace(t)
	var kind *ifaces.KindError
	if err := p.Delete(background(t), "u0"); !errors.As(err, &kind) || kind.Kind != "veth" {
		t.Errorf("delete of a veth: %v", err)
	}
	if err := p.Delete(background(t), "lo"); !errors.As(err, &kind) {
		t.Errorf("delete of lo: %v", err)
	}
	if err := p.Delete(background(t), "nope"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("delete of nothing: %v", err)
	}
	p.ns.MustRun(t, sandbox.IP(), "link", "show", "u0")
	p.must(t, ifaces.Spec{Name: "ipsec0", IfID: 5})
	if err := p.Delete(background(t), "ipsec0"); err != nil {
		t.Error(err)
	}
	if l := ipLinks(t, p.ns); len(l) != 0 {
		t.Errorf("ip still shows %v", l)
	}
}

func TestList(t *testing.T) {
	const n = 100
	p := newPlace(t)
	for i := range n {
		p.must(t, ifaces.Spec{Name: fmt.Sprintf("x%d", i), IfID: uint32(i + 1), Underlay: "u0", MTU: uint32(1300 + i), Addresses: prefixes(fmt.Sprintf("10.8.%d.1/30", i))})
	}
	links, err := p.List(background(t))
	if err != nil {
		t.Fatal(err)
	}
	ip := ipLinks(t, p.ns)
	if len(links) != n || len(ip) != n {
		t.Fatalf("%d interfaces, %d by ip", len(links), len(ip))
	}
	for i, l := range links {
		sameAsIP(t, l, ip[l.Name])
		if want := fmt.Sprintf("10.8.%d.1/30", i); len(l.Addresses) != 1 || l.Addresses[0].Prefix.String() != want {
			t.Errorf("%s: addresses %v, want %s", l.Name, l.Addresses, want)
		}
	}
}

func TestAdopt(t *testing.T) {
	p := newPlace(t)
	p.ns.MustRun(t, sandbox.IP(), "link", "add", "x0", "type", "xfrm", "dev", "u0", "if_id", "7")
	if l, err := p.Adopt(background(t), &ifaces.Spec{Name: "x0", IfID: 7, Underlay: "u0"}); err != nil || l.IfID != 7 {
		t.Errorf("adopt = %v, %v", l, err)
	}
	_, err := p.Adopt(background(t), &ifaces.Spec{Name: "x0", IfID: 8, Underlay: "u1"})
	var mismatch *ifaces.MismatchError
	if !errors.As(err, &mismatch) || len(mismatch.Differences) != 2 {
		t.Fatalf("adopt of another: %v", err)
	}
	if d := mismatch.Differences[0]; d.Field != "if_id" || d.Want != "0x8" || d.Have != "0x7" {
		t.Errorf("first difference %+v", d)
	}
	_, err = p.Adopt(background(t), &ifaces.Spec{Name: "u1", IfID: 8, Underlay: "u0"})
	if !errors.As(err, &mismatch) || mismatch.Differences[0] != (ifaces.Difference{Field: "kind", Want: "xfrm", Have: "veth"}) {
		t.Errorf("adopt of a veth: %v", err)
	}
}

// TestUnsupported runs where the kind is missing, and only there.
func TestUnsupported(t *testing.T) {
	ns := sandbox.New(t)
	c, err := ifaces.Dial(&ifaces.Config{NetNS: netlinkx.NetNSFD(ns.FD())})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Create(background(t), &ifaces.Spec{Name: "x0", IfID: 1})
	if err == nil {
		t.Skip("this kernel has XFRM interfaces; the explanation of their absence was not tested on it")
	}
	if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(fmt.Sprintf("%+v", err), "CONFIG_XFRM_INTERFACE") {
		t.Errorf("create without the kind: %+v", err)
	}
	if list, err := c.List(background(t)); err != nil || len(list) != 0 {
		t.Errorf("list without the kind: %v, %v", list, err)
	}
}
