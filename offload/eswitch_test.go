package offload

import (
	"testing"

	"github.com/mdlayher/netlink"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

func encode(t *testing.T, fill func(*netlink.AttributeEncoder)) []byte {
	t.Helper()
	ae := netlink.NewAttributeEncoder()
	fill(ae)
	b, err := ae.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDecodeEswitch(t *testing.T) {
	nest := func(typ uint16, in func(*netlink.AttributeEncoder)) func(*netlink.AttributeEncoder) {
		return func(ae *netlink.AttributeEncoder) {
			ae.Nested(typ, func(ae *netlink.AttributeEncoder) error { in(ae); return nil })
		}
	}
	e := &Eswitch{}
	for _, b := range [][]byte{
		encode(t, func(ae *netlink.AttributeEncoder) {
			ae.String(dlBusName, "pci")
			ae.Uint16(dlEswitchMode, 1)
			ae.Uint8(dlEswitchEncap, 1)
		}),
		encode(t, nest(dlParam, func(ae *netlink.AttributeEncoder) {
			ae.String(dlParamName, "flow_steering_mode")
			nest(dlParamValuesList, nest(dlParamValue, func(ae *netlink.AttributeEncoder) { ae.String(dlParamValueData, "smfs") }))(ae)
		})),
	} {
		if err := e.decode(b); err != nil {
			t.Fatal(err)
		}
	}
	if want := (Eswitch{"switchdev", "basic", "smfs"}); *e != want {
		t.Errorf("%+v, want %+v", *e, want)
	}
	if err := (&Eswitch{}).decode(encode(t, func(ae *netlink.AttributeEncoder) { ae.Uint8(dlEswitchMode, 1) })); err == nil {
		t.Error("a mode of one byte is no error")
	}
	if err := (&Eswitch{}).decode([]byte{9, 0}); err == nil {
		t.Error("a cut attribute is no error")
	}
}

// TestEswitchDecides: packet offload of mlx5 is refused where the switch is in
// its way, crypto offload is not.
func TestEswitchDecides(t *testing.T) {
	for _, tt := range []struct {
		name string
		e    *Eswitch
		mode netlinkx.Mode
		rule string
	}{
		{"not told", nil, netlinkx.ModeTransport, ""},
		{"legacy", &Eswitch{Mode: "legacy", Encap: "basic", Steering: "smfs"}, netlinkx.ModeTransport, ""},
		{"switchdev, managed by software", &Eswitch{Mode: "switchdev", Encap: "none", Steering: "smfs"}, netlinkx.ModeTransport, "mlx5.steering"},
		{"switchdev, managed by the device", &Eswitch{Mode: "switchdev", Encap: "none", Steering: "dmfs"}, netlinkx.ModeTunnel, ""},
		{"switchdev that encapsulates", &Eswitch{Mode: "switchdev", Encap: "basic", Steering: "dmfs"}, netlinkx.ModeTunnel, "mlx5.eswitch-encap"},
		{"the same, transport", &Eswitch{Mode: "switchdev", Encap: "basic", Steering: "dmfs"}, netlinkx.ModeTransport, ""},
	} {
		sa := plainSA()
		sa.Mode = tt.mode
		q := &Question{SA: sa, Dir: netlinkx.DirOut, NIC: &NIC{Name: "eth0", Driver: "mlx5_core", HW: true, HWState: "on", Eswitch: tt.e}}
		d := Decide(q, ableKernel(), packs(t))
		want := RungPacket
		if tt.rule != "" {
			want = RungCrypto
			if l := d.FirstFailure(RungPacket); l == nil || l.Rule != tt.rule {
				t.Errorf("%s: the first failure is %+v, want rule %s", tt.name, l, tt.rule)
			}
		}
		if d.Rung != want {
			t.Errorf("%s: rung %s, want %s", tt.name, d.Rung, want)
		}
	}
}
