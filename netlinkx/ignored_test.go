package netlinkx

import (
	"net/netip"
	"slices"
	"testing"
)

func TestIgnored(t *testing.T) {
	full := func() *SA {
		sa := benchSA()
		sa.OutputMark, sa.Mark = Mark{5, 0xff}, Mark{1, 3}
		return sa
	}
	if got := Ignored(full(), full()); got != nil {
		t.Errorf("the same SA: %v", got)
	}
	for word, change := range map[string]func(want, got *SA){
		"mode":           func(_, g *SA) { g.Mode = ModeTransport },
		"reqid":          func(_, g *SA) { g.ReqID = 99 },
		"limit":          func(w, _ *SA) { w.Limits.HardAdd = 60 },
		"flag":           func(w, _ *SA) { w.Flags |= FlagNoECN },
		"extra-flag":     func(w, _ *SA) { w.ExtraFlags = ExtraOSeqMayWrap },
		"replay-window":  func(_, g *SA) { g.ReplayWindow = 32 },
		"mark":           func(_, g *SA) { g.Mark = Mark{} },
		"output-mark":    func(_, g *SA) { g.OutputMark = Mark{} },
		"if_id":          func(_, g *SA) { g.IfID = 0 },
		"tfcpad":         func(w, _ *SA) { w.TFCPad = 100 },
		"dir":            func(_, g *SA) { g.Dir = DirUnset },
		"pcpu-num":       func(w, _ *SA) { w.PCPU = Some[uint32](0) },
		"nat-keepalive":  func(w, _ *SA) { w.NATKeepalive = 20 },
		"mapping-thresh": func(w, _ *SA) { w.MTimerThresh = 20 },
		"iptfs":          func(w, _ *SA) { w.IPTFS.PktSize = Some[uint32](0) },
		"encap":          func(w, _ *SA) { w.Encap = &Encap{Type: EncapESPinUDP} },
		"offload":        func(w, _ *SA) { w.Offload = &Offload{IfIndex: 2} },
		"sel":            func(w, _ *SA) { w.Selector = Selector{Src: netip.MustParsePrefix("10.0.0.0/8")} },
		"keys":           func(w, _ *SA) { w.AEAD = &AEAD{"rfc4106(gcm(aes))", NewKey(make([]byte, 20)), 128} },
	} {
		want, got := full(), full()
		change(want, got)
		if out := Ignored(want, got); !slices.Equal(out, []string{word}) {
			t.Errorf("%s: %v", word, out)
		}
	}
	// What the kernel stores in another form is no difference.
	want, got := full(), full()
	want.Mark.Value |= 0x100                                            // stored under its mask
	want.AuthTrunc = &AuthTrunc{"hmac(sha256)", NewKey([]byte{1}), 128} // reported twice
	got.AuthTrunc, got.Auth = want.AuthTrunc, &Algo{"hmac(sha256)", NewKey([]byte{1})}
	got.AEAD = &AEAD{"rfc4106(gcm(aes))", NewKey(make([]byte, 20)), 128} // lockdown
	got.Selector = Selector{Family: FamilyIPv4, Src: netip.MustParsePrefix("0.0.0.0/0"), Dst: netip.MustParsePrefix("0.0.0.0/0")}
	got.IPTFS.InitDelay = Some[uint32](5) // a default
	if out := Ignored(want, got); out != nil {
		t.Errorf("stored in another form: %v", out)
	}
}
