package ifaces_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// ipVTI is what of `ip -j -d link show` of a VTI is compared.
type ipVTI struct {
	Index int32  `json:"ifindex"`
	Name  string `json:"ifname"`
	MTU   uint32 `json:"mtu"`
	Flags []string
	Info  struct {
		Kind string `json:"info_kind"`
		Data struct {
			Local, Remote, IKey, OKey, FwMark string
		} `json:"info_data"`
	} `json:"linkinfo"`
}

// dotted is how `ip` shows a key.
func dotted(key uint32) string {
	return netip.AddrFrom4([4]byte{byte(key >> 24), byte(key >> 16), byte(key >> 8), byte(key)}).String()
}

// TestVTI makes VTIs with the package and with `ip`, and holds both views
// against each other.
func TestVTI(t *testing.T) {
	p := newPlace(t)
	ctx := background(t)
	p.ns.MustRun(t, sandbox.IP(), "link", "set", "lo", "up")
	four, six := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	specs := []ifaces.VTISpec{
		{Name: "v0", Kind: ifaces.KindVTI, Local: four, Remote: four.Next(), IKey: 42, OKey: 42, Underlay: "u0", MTU: 1400, Up: true, Addresses: prefixes("10.0.0.1/24")},
		{Name: "v1", Kind: ifaces.KindVTI6, Local: six, Remote: six.Next(), IKey: 0x01020304, OKey: 7, FwMark: 9},
		{Name: "v2", Kind: ifaces.KindVTI, Local: four, IKey: 1, OKey: 2},
	}
	for i := range specs {
		s := &specs[i]
		v, err := p.CreateVTI(ctx, s)
		if errors.Is(err, errors.ErrUnsupported) {
			t.Skipf("needs links of kind %s (CONFIG_NET_IPVTI, CONFIG_IPV6_VTI, modules ip_vti, ip6_vti); they were not made", s.Kind)
		}
		if err != nil {
			t.Fatalf("%+v", err)
		}
		compareVTI(t, p, v)
		if _, err := p.CreateVTI(ctx, s); !errors.As(err, new(*ifaces.ConflictError)) {
			t.Errorf("made twice: %v", err)
		}
		if _, err := p.AdoptVTI(ctx, s); err != nil {
			t.Error(err)
		}
	}
	again := specs[0]
	again.Name = "v9"
	var conflict *ifaces.ConflictError
	if _, err := p.CreateVTI(ctx, &again); !errors.As(err, &conflict) || conflict.Taken != ifaces.TakenEnds || conflict.Holder.Name != "v0" {
		t.Errorf("same endpoints: %v", err)
	}
	p.ns.MustRun(t, sandbox.IP(), "link", "add", "v3", "type", "vti", "local", "192.0.2.9", "remote", "192.0.2.8", "key", "99")
	list, err := p.ListVTIs(ctx)
	if err != nil {
		t.Fatal(err)
	}
	names := ""
	for _, v := range list {
		if !v.Fallback() {
			names += v.Name + " "
			compareVTI(t, p, v)
		}
	}
	if names != "v0 v1 v2 v3 " {
		t.Errorf("listed: %s", names)
	}
	changeVTI(t, p)
}

func changeVTI(t *testing.T, p *place) {
	t.Helper()
	ctx := background(t)
	v, err := p.ChangeVTI(ctx, "v0", &ifaces.Change{MTU: netlinkx.Some(uint32(1300)), Up: netlinkx.Some(false)})
	if err != nil {
		t.Fatal(err)
	}
	compareVTI(t, p, v)
	if err := p.Rename(ctx, "v0", "w0"); err != nil {
		t.Fatal(err)
	}
	if v, err = p.GetVTIByIndex(ctx, v.Index); err != nil || v.Name != "w0" {
		t.Fatal(v, err)
	}
	compareVTI(t, p, v)
	if err := p.Rename(ctx, "w0", "v1"); !errors.As(err, new(*netlinkx.Error)) {
		t.Errorf("renamed to a name that is taken: %v", err)
	}
	if err := p.DeleteVTI(ctx, "u0"); !errors.As(err, new(*ifaces.KindError)) {
		t.Errorf("a veth was deleted as a vti: %v", err)
	}
	if err := p.DeleteVTI(ctx, "w0"); err != nil {
		t.Error(err)
	}
	if out, err := p.ns.Run(sandbox.IP(), "link", "show", "w0"); err == nil {
		t.Errorf("still there: %s", out)
	}
}

func compareVTI(t *testing.T, p *place, v *ifaces.VTI) {
	t.Helper()
	out := p.ns.MustRun(t, sandbox.IP(), "-j", "-d", "link", "show", "dev", v.Name)
	var all []ipVTI
	if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) != 1 {
		t.Fatalf("%v: %s", err, out)
	}
	ip := all[0]
	text := func(a netip.Addr) string {
		if !a.IsValid() {
			return "any"
		}
		return a.String()
	}
	mark := ""
	if v.FwMark != 0 {
		mark = fmt.Sprintf("%#x", v.FwMark)
	}
	d := ip.Info.Data
	have := fmt.Sprint(ip.Index, ip.Name, ip.MTU, ip.Info.Kind, d.Local, d.Remote, d.IKey, d.OKey, d.FwMark, strings.Contains(strings.Join(ip.Flags, " ")+" ", "UP "))
	want := fmt.Sprint(v.Index, v.Name, v.MTU, v.Kind, text(v.Local), text(v.Remote), dotted(v.IKey), dotted(v.OKey), mark, v.Up)
	if have != want {
		t.Errorf("ip: %s\nwe: %s", have, want)
	}
}
