package ifaces

import (
	"encoding/hex"
	"errors"
	"io/fs"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jsimonetti/rtnetlink/v2"
	"github.com/mdlayher/netlink"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Names of library types that the tests of exchange mention.
type (
	messageType = rtnetlink.Message
	headerFlags = netlink.HeaderFlags
	message     = netlink.Message
)

func TestDriverRoundTrip(t *testing.T) {
	for _, d := range []Driver{{}, {Link: 7}, {IfID: maxUint32}, {Link: maxUint32, IfID: 1}, {External: true}, {Link: 1, IfID: 2, External: true}} {
		ae := netlink.NewAttributeEncoder()
		if err := d.Encode(ae); err != nil {
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
		got := Driver{Link: 99, IfID: 99, External: true} // what was there must go
		if err := got.Decode(ad); err != nil || got != d {
			t.Errorf("%+v came back as %+v, %v", d, got, err)
		}
	}
}

func TestDriverBadInput(t *testing.T) {
	for name, attrs := range map[string][]netlink.Attribute{
		"XFRM_LINK":             {{Type: xfrmLink, Data: []byte{1, 2}}},
		"XFRM_IF_ID":            {{Type: xfrmIfID, Data: make([]byte, 8)}},
		"XFRM_COLLECT_METADATA": {{Type: xfrmMetadata, Data: []byte{1}}},
	} {
		b, err := netlink.MarshalAttributes(attrs)
		if err != nil {
			t.Fatal(err)
		}
		ad, err := netlink.NewAttributeDecoder(b)
		if err != nil {
			t.Fatal(err)
		}
		if err := new(Driver).Decode(ad); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s of wrong length: %v", name, err)
		}
	}
}

// TestCreateBytes compares with what `ip link add ipsec0 type xfrm dev lo if_id
// 5` sends, but for the order of attributes, which has no meaning.
func TestCreateBytes(t *testing.T) {
	tests := []struct {
		name string
		r    resolved
		want string
	}{
		{"if_id and dev", resolved{Spec: &Spec{Name: "x0", IfID: 5}, underlay: 1},
			"00000000000000000000000000000000" + "0700030078300000" + "24001200" + "090001007866726d00000000" + "14000280" + "0800020005000000" + "0800010001000000"},
		{"external", resolved{Spec: &Spec{Name: "x0", External: true}},
			"00000000000000000000000000000000" + "0700030078300000" + "18001200" + "090001007866726d00000000" + "08000280" + "04000300"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := createRequest(&tt.r).msg.MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			got, want := hex.EncodeToString(b), tt.want
			if got != want && nativeIsLittle() {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			d, err := decodeLink(b)
			if err != nil || d.Name != "x0" || d.kind != Kind || d.IfID != tt.r.IfID || d.External != tt.r.External || d.Underlay != tt.r.underlay {
				t.Errorf("decoded %+v, %v", d, err)
			}
		})
	}
}

func nativeIsLittle() bool { return u32Attr(0, 1).Data[0] == 1 }

func TestAddressRoundTrip(t *testing.T) {
	for _, a := range []Address{
		{Prefix: netip.MustParsePrefix("10.0.0.1/24"), Valid: Forever, Preferred: Forever},
		{Prefix: netip.MustParsePrefix("fd00::1/64"), Valid: 60, Preferred: 30, Flags: 0x202, Metric: 7, Origin: 4},
		{Prefix: netip.MustParsePrefix("10.0.0.1/32"), Peer: netip.MustParseAddr("10.0.0.2"), Broadcast: netip.MustParseAddr("10.0.0.255"), Label: "x:1", Scope: 253, Valid: Forever, Preferred: Forever},
	} {
		m, err := newAddressRequest(7, &a)
		if err != nil {
			t.Fatal(err)
		}
		b, err := m.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		index, got, err := decodeAddress(b)
		if err != nil || index != 7 {
			t.Fatalf("index %d, %v", index, err)
		}
		if d := cmp.Diff(a, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); d != "" {
			t.Error(d)
		}
	}
	for _, p := range []netip.Prefix{{}, netip.PrefixFrom(netip.MustParseAddr("::ffff:1.2.3.4"), 128)} {
		if _, err := newAddressRequest(1, &Address{Prefix: p}); err == nil {
			t.Errorf("%v was encoded", p)
		}
	}
}

// TestStateFlagsStayHere: what is a state of the kernel's is not asked for.
func TestStateFlagsStayHere(t *testing.T) {
	m, err := newAddressRequest(1, &Address{Prefix: tenNet, Flags: 0xfff})
	if err != nil {
		t.Fatal(err)
	}
	if m.Attributes.Flags != settableFlags {
		t.Errorf("flags %#x", m.Attributes.Flags)
	}
}

func TestTruncatedMessages(t *testing.T) {
	link := underlayWithAll().message(0).Data
	addr, err := newAddressRequest(7, &Address{Prefix: tenNet, Valid: 60})
	if err != nil {
		t.Fatal(err)
	}
	address, err := addr.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	// Cut anywhere: a value or an error, and no panic.
	for i := range link {
		if d, err := decodeLink(link[:i:i]); (d == nil) == (err == nil) {
			t.Errorf("link cut at %d: %v, %v", i, d, err)
		}
	}
	for i := range address {
		if _, a, err := decodeAddress(address[:i:i]); err == nil && !a.Prefix.IsValid() {
			t.Errorf("address cut at %d: %v", i, a)
		}
	}
	for i := range sizeofRouteMsg {
		if _, err := decodeRoute(make([]byte, i)); err == nil {
			t.Errorf("route of %d bytes", i)
		}
	}
}

func underlayWithAll() *fakeLink {
	l := xfrm("x", 5)
	l.index, l.mtu, l.alias, l.context, l.up = 9, 1400, "alias", netlinkx.Some[int32](1), true
	return l
}

func FuzzDecode(f *testing.F) {
	f.Add(underlayWithAll().message(0).Data)
	f.Add(make([]byte, 64))
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, err := decodeLink(b); (d == nil) == (err == nil) {
			t.Errorf("link: %v, %v", d, err)
		}
		if _, a, err := decodeAddress(b); err == nil && !a.Prefix.IsValid() {
			t.Errorf("address: %v", a)
		}
		if r, err := decodeRoute(b); err == nil && r.String() == "" {
			t.Error("route without text")
		}
		ackText(netlink.Message{Header: netlink.Header{Type: netlink.Error, Flags: netlink.AcknowledgeTLVs}, Data: b})
		attributeAt(b, len(b)/2, sizeofIfInfo)
	})
}

func TestKernelError(t *testing.T) {
	r := createRequest(&resolved{Spec: &Spec{Name: "x0", IfID: 5}, underlay: 1})
	tests := []struct {
		name   string
		in     error
		is     error
		text   string
		hinted bool
	}{
		{"permission", &netlink.OpError{Op: "receive", Err: syscall.EPERM}, fs.ErrPermission, "create interface x0: operation not permitted", true},
		{"kind", &netlink.OpError{Op: "receive", Err: syscall.EOPNOTSUPP, Message: "Unknown device type"}, errors.ErrUnsupported, "create interface x0: operation not supported: Unknown device type", true},
		{"offset of IFNAME", &netlink.OpError{Op: "receive", Err: syscall.ERANGE, Offset: 16 + 16}, syscall.ERANGE, "create interface x0: numerical result out of range (attribute IFNAME)", false},
		{"offset of IF_ID", &netlink.OpError{Op: "receive", Err: syscall.EINVAL, Offset: 16 + 16 + 8 + 4 + 12 + 4}, syscall.EINVAL, "create interface x0: invalid argument (attribute XFRM_IF_ID)", false},
		{"other failures keep their identity", fs.ErrClosed, fs.ErrClosed, "create interface x0: file already closed", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := kernelError(r, tt.in)
			if !errors.Is(err, tt.is) || err.Error() != tt.text {
				t.Errorf("got  %v\nwant %s", err, tt.text)
			}
			var kernel *netlinkx.Error
			if errors.As(err, &kernel) && (kernel.Hint != "") != tt.hinted {
				t.Errorf("hint %q", kernel.Hint)
			}
		})
	}
}
