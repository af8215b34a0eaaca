package ifaces

import (
	"context"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/netip"
	"strings"
	"testing"

	"github.com/mdlayher/netlink"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

var (
	vtiHere  = netip.MustParseAddr("192.0.2.1")
	vtiThere = netip.MustParseAddr("192.0.2.2")
)

func vtiLinkOf(name string, key uint32) *fakeLink {
	return &fakeLink{name: name, kind: KindVTI, tunnel: vtiData{kind: KindVTI, link: 2, ikey: key, okey: key, local: vtiHere, remote: vtiThere}}
}

// TestVTIBytes compares the link data with what `ip link add vti0 type vti local
// 192.0.2.1 remote 192.0.2.2 ikey 1 okey 2` sends, in order of numbers.
func TestVTIBytes(t *testing.T) {
	v := vtiData{kind: KindVTI, ikey: 1, okey: 2, local: vtiHere, remote: vtiThere}
	ae := netlink.NewAttributeEncoder()
	if err := v.Encode(ae); err != nil {
		t.Fatal(err)
	}
	b, err := ae.Encode()
	if want := "0800020000000001" + "0800030000000002" + "08000400c0000201" + "08000500c0000202"; err != nil || hex.EncodeToString(b) != want && nativeIsLittle() {
		t.Errorf("got  %x\nwant %s, %v", b, want, err)
	}
}

func TestVTIRoundTrip(t *testing.T) {
	six := netip.MustParseAddr("2001:db8::1")
	for _, v := range []vtiData{
		{kind: KindVTI}, {kind: KindVTI, link: 7, ikey: 1, okey: maxUint32, local: vtiHere, fwmark: 9},
		{kind: KindVTI6, ikey: 42, okey: 42, local: six, remote: six.Next()},
	} {
		ae := netlink.NewAttributeEncoder()
		if err := v.Encode(ae); err != nil {
			t.Fatal(err)
		}
		b, err := ae.Encode()
		if err != nil {
			t.Fatal(err)
		}
		ad, err := netlink.NewAttributeDecoder(b)
		if err != nil {
			t.Fatal(err)
		}
		got := vtiData{kind: v.kind, link: 99, fwmark: 99} // what was there must go
		if err := got.Decode(ad); err != nil || got != v {
			t.Errorf("%+v came back as %+v, %v", v, got, err)
		}
	}
}

func TestVTIBadInput(t *testing.T) {
	for name, attr := range map[string]netlink.Attribute{
		"VTI_LINK": {Type: vtiLink, Data: []byte{1}}, "VTI_IKEY": {Type: vtiIKey, Data: make([]byte, 8)}, "VTI_OKEY": {Type: vtiOKey, Data: nil},
		"VTI_LOCAL": {Type: vtiLocal, Data: make([]byte, 16)}, "VTI_REMOTE": {Type: vtiRemote, Data: make([]byte, 3)}, "VTI_FWMARK": {Type: vtiFwMark, Data: []byte{1, 2}},
	} {
		b, err := netlink.MarshalAttributes([]netlink.Attribute{attr})
		if err != nil {
			t.Fatal(err)
		}
		ad, err := netlink.NewAttributeDecoder(b)
		if err != nil {
			t.Fatal(err)
		}
		if err := (&vtiData{kind: KindVTI}).Decode(ad); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s of wrong length: %v", name, err)
		}
	}
}

func TestListVTIs(t *testing.T) {
	k := newFake(t, underlay(), xfrm("ipsec0", 5), vtiLinkOf("vti0", 42), &fakeLink{name: "ip_vti0", kind: KindVTI})
	c, _ := k.conn()
	list, err := c.ListVTIs(context.Background())
	if err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	if v := list[0]; v.String() != "vti0 (key 42)" || v.Local != vtiHere || v.Remote != vtiThere || v.UnderlayName != "eth0" || v.Family() != netlinkx.FamilyIPv4 || v.Fallback() {
		t.Errorf("%+v", v)
	}
	if !list[1].Fallback() {
		t.Errorf("%s is not taken for the module's own", list[1])
	}
}

func TestVTIKind(t *testing.T) {
	k := newFake(t, underlay(), xfrm("ipsec0", 5), vtiLinkOf("vti0", 42))
	c, _ := k.conn()
	ctx := context.Background()
	_, gerr := c.GetVTI(ctx, "ipsec0")
	for name, err := range map[string]error{"get": gerr, "delete vti": c.DeleteVTI(ctx, "eth0"), "delete": c.Delete(ctx, "vti0"), "rename": c.Rename(ctx, "eth0", "x")} {
		var kind *KindError
		if !errors.As(err, &kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.GetVTI(ctx, "vti9"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestCreateVTI(t *testing.T) {
	ctx := context.Background()
	spec := VTISpec{Name: "vti0", Kind: KindVTI, Local: vtiHere, Remote: vtiThere, IKey: 1, OKey: 2, Underlay: "eth0", MTU: 1400, Up: true,
		Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")}}
	k := newFake(t, underlay())
	c, _ := k.conn()
	v, err := c.CreateVTI(ctx, &spec)
	if err != nil || v.IKey != 1 || v.OKey != 2 || !v.Up || v.MTU != 1400 || len(v.Addresses) != 1 || v.Underlay != 2 {
		t.Fatalf("%+v, %v", v, err)
	}
	if _, err := c.AdoptVTI(ctx, &spec); err != nil {
		t.Error(err)
	}
	other := spec
	other.OKey = 3
	var mismatch *MismatchError
	if _, err := c.AdoptVTI(ctx, &other); !errors.As(err, &mismatch) || mismatch.Differences[0].Field != "okey" {
		t.Error(err)
	}
	var conflict *ConflictError
	if _, err := c.CreateVTI(ctx, &spec); !errors.As(err, &conflict) || conflict.Taken != TakenName {
		t.Error(err)
	}
	other.Name = "vti1"
	if _, err := c.CreateVTI(ctx, &other); !errors.As(err, &conflict) || conflict.Taken != TakenEnds || conflict.Holder.Name != "vti0" || !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	other.Kind = KindVTI6
	if _, err := c.CreateVTI(ctx, &other); err == nil || !strings.Contains(err.Error(), "ends at inet6 addresses") {
		t.Error(err)
	}
	k.noKind = true
	other.Kind = KindVTI
	if _, err := c.CreateVTI(ctx, &other); !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error()+hintText(err), "ip_vti") {
		t.Error(err)
	}
}

func hintText(err error) string {
	var e *netlinkx.Error
	if errors.As(err, &e) {
		return e.Hint
	}
	return ""
}

func TestChangeVTI(t *testing.T) {
	ctx := context.Background()
	k := newFake(t, underlay(), vtiLinkOf("vti0", 42), xfrm("ipsec0", 5))
	c, _ := k.conn()
	v, err := c.ChangeVTI(ctx, "vti0", &Change{MTU: netlinkx.Some(uint32(1300)), Up: netlinkx.Some(true), Alias: netlinkx.Some("old")})
	if err != nil || v.MTU != 1300 || !v.Up || v.Alias != "old" {
		t.Errorf("%+v, %v", v, err)
	}
	if _, err := c.ChangeVTI(ctx, "vti0", &Change{IfID: netlinkx.Some(uint32(1))}); err == nil {
		t.Error("a vti got an if_id")
	}
	if err := c.Rename(ctx, "vti0", "ipsec0"); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	if err := c.Rename(ctx, "vti0", "vti1"); err != nil {
		t.Error(err)
	}
	want := []Address{
		{Prefix: netip.MustParsePrefix("10.0.0.1/24"), Label: "vti1:x", Valid: Forever, Preferred: Forever},
		{Prefix: netip.MustParsePrefix("fe80::1/64"), Origin: addedByKernel, Valid: Forever, Preferred: Forever},
	}
	for _, list := range [][]Address{{{Prefix: netip.MustParsePrefix("10.0.0.9/24"), Valid: Forever, Preferred: Forever}}, want} {
		if err := c.SetAddresses(ctx, "vti1", list); err != nil {
			t.Fatal(err)
		}
	}
	if v, err = c.GetVTIByIndex(ctx, v.Index); err != nil || len(v.Addresses) != 1 || !v.Addresses[0].Same(want[0]) {
		t.Errorf("%+v, %v", v, err)
	}
	if err := c.DeleteVTI(ctx, "vti1"); err != nil {
		t.Error(err)
	}
}
