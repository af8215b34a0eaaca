package offload

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// TestClimb: the best rung that is tried and carried, with why not a better one.
func TestClimb(t *testing.T) {
	ok := Outcome{Known: true, OK: true}
	p := &Placer{
		FindNIC: func(string) *NIC { return &NIC{Name: "eth0", Driver: "mlx5_core", HW: true, HWState: "on"} },
		Probe: func([]string) *Kernel {
			return &Kernel{XFRM: ok, ESP4: ok, ESP6: ok, Offload4: ok, Offload6: ok, Interface: ok, Algorithms: map[string]Outcome{"rfc4106(gcm(aes))": ok}}
		},
	}
	sa := netlinkx.NewSA()
	sa.Src, sa.Dst, sa.Proto, sa.SPI, sa.ReqID = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netlinkx.ProtoESP, 0x1000, 1
	sa.AEAD = &netlinkx.AEAD{Name: "rfc4106(gcm(aes))", Key: netlinkx.NewKey(make([]byte, 20)), ICVBits: 128}
	sa.Dir = netlinkx.DirOut
	only := func(t Type) Try {
		return func(tried Type) (bool, string, string, error) {
			return tried == t, "the NIC is full", "use another", nil
		}
	}
	for name, c := range map[string]struct {
		types  []Type
		try    Try
		rung   Rung
		reason string
	}{
		"first":      {Prefer.Types(true), nil, RungPacket, ""},
		"second":     {Prefer.Types(true), only(Crypto), RungCrypto, "the NIC is full"},
		"crypto":     {Require.Types(false), nil, RungCrypto, ""},
		"neither":    {Auto.Types(false), only(Packet), RungSoftware, "the NIC is full"},
		"only types": {Require.Types(true), only(Crypto), RungSoftware, "the NIC is full"},
	} {
		got, err := p.Climb(context.Background(), sa, "eth0", c.types, c.try)
		if err != nil || got.Rung != c.rung || got.Reason != c.reason || (got.NIC != "") != (c.rung != RungSoftware) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	sa.AEAD.ICVBits = 96
	if got, err := p.Climb(context.Background(), sa, "eth0", Auto.Types(false), nil); err != nil || got.Rung != RungSoftware || got.Reason == "" || got.Fix == "" {
		t.Errorf("a rule speaks against it: %+v, %v", got, err)
	}
	sa.AEAD.ICVBits = 128
	wrong := errors.New("no such device")
	if _, err := p.Climb(context.Background(), sa, "eth0", Auto.Types(false), func(Type) (bool, string, string, error) { return false, "", "", wrong }); !errors.Is(err, wrong) {
		t.Error(err)
	}
	if o := Request(Packet, netlinkx.DirIn, 7); o.IfIndex != 7 || o.Flags != netlinkx.OffloadInbound|netlinkx.OffloadPacket {
		t.Errorf("%+v", o)
	}
}
