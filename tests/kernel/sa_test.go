package kernel_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	nlx "github.com/xfrmctl/xfrmctl/netlinkx"
)

// asStored is what the kernel makes of an SA that it was given: defaults
// filled in, and what only it knows taken over from got.
func asStored(want, got *nlx.SA) *nlx.SA {
	w := *want
	w.Family, w.Usage, w.LastUsed = got.Family, got.Usage, got.LastUsed
	if w.Selector == (nlx.Selector{}) {
		w.Selector = nlx.Selector{Family: w.Family}
		w.Selector.Src = netip.PrefixFrom(w.Family.Unspecified(), 0)
		w.Selector.Dst = w.Selector.Src
	}
	if w.Replay == nil && w.ReplayESN == nil { // a fresh state, counters zero
		if r := got.Replay; r != nil && *r == (nlx.ReplayState{}) {
			w.Replay = r
		}
		if r := got.ReplayESN; r != nil && r.OSeq|r.Seq|r.OSeqHi|r.SeqHi == 0 && r.BitmapLen == (want.ReplayWindow+31)/32 {
			w.ReplayESN = r
		}
	}
	if w.AuthTrunc != nil { // reported in both forms
		w.Auth = &nlx.Algo{Name: w.AuthTrunc.Name, Key: w.AuthTrunc.Key}
	}
	if w.OutputMark != (nlx.Mark{}) && w.OutputMark.Mask == 0 {
		w.OutputMark.Mask = 0xffffffff
	}
	return &w
}

func diffSA(want, got *nlx.SA) string {
	return cmp.Diff(want, got, cmp.Comparer(nlx.Key.Equal), cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }))
}

// saCase is one SA that must read back as written. since names the Linux
// series that has the feature; an older kernel ignores or refuses it.
type saCase struct {
	name  string
	since string
	set   func(*nlx.SA)
}

var saCases = []saCase{
	{"plain", "", func(sa *nlx.SA) {}},
	{"transport with selector", "", func(sa *nlx.SA) {
		sa.Mode = nlx.ModeTransport
		sa.Selector = nlx.Selector{Family: nlx.FamilyIPv4, Src: netip.MustParsePrefix("10.0.0.1/32"), Dst: netip.MustParsePrefix("10.0.0.2/32"), Proto: 17, SrcPort: nlx.PortMatch{Port: 53, Mask: 0xffff}, DstPort: nlx.PortMatch{Port: 1024, Mask: 0xfc00}}
	}},
	{"beet", "", func(sa *nlx.SA) { sa.Mode = nlx.ModeBEET }},
	{"ipv6", "", func(sa *nlx.SA) {
		sa.Src, sa.Dst = netip.MustParseAddr("2001:db8::"), netip.MustParseAddr("2001:db8::2")
	}},
	{"cbc with truncated hmac", "", func(sa *nlx.SA) {
		sa.AEAD = nil
		sa.Crypt = &nlx.Algo{Name: "cbc(aes)", Key: key(16)}
		sa.AuthTrunc = &nlx.AuthTrunc{Name: "hmac(sha256)", Key: key(32), ICVBits: 128}
	}},
	{"mark and mask", "", func(sa *nlx.SA) { sa.Mark = nlx.Mark{Value: 0x10, Mask: 0xf0} }},
	{"output mark", "", func(sa *nlx.SA) { sa.OutputMark = nlx.Mark{Value: 5} }},
	{"output mark and mask", "", func(sa *nlx.SA) { sa.OutputMark = nlx.Mark{Value: 0x50, Mask: 0xf0} }},
	{"output mark zero with mask", "", func(sa *nlx.SA) { sa.OutputMark = nlx.Mark{Mask: 0xf0} }},
	{"if_id", "", func(sa *nlx.SA) { sa.IfID = 0xfffffffe }},
	{"tfc padding", "", func(sa *nlx.SA) { sa.TFCPad = 1400 }},
	{"udp encapsulation", "", func(sa *nlx.SA) {
		sa.Encap = &nlx.Encap{Type: nlx.EncapESPinUDP, SrcPort: 4500, DstPort: 4501, OriginalAddr: netip.MustParseAddr("192.0.2.1")}
	}},
	{"mapping threshold", "", func(sa *nlx.SA) {
		sa.Encap = &nlx.Encap{Type: nlx.EncapESPinUDP, SrcPort: 4500, DstPort: 4500, OriginalAddr: netip.IPv4Unspecified()}
		sa.MTimerThresh = 30
	}},
	{"flags", "", func(sa *nlx.SA) {
		sa.Flags = nlx.FlagNoECN | nlx.FlagDecapDSCP | nlx.FlagNoPMTUDisc | nlx.FlagICMP | nlx.FlagAlign4
		sa.ExtraFlags = nlx.ExtraDontEncapDSCP | nlx.ExtraOSeqMayWrap
	}},
	{"limits", "", func(sa *nlx.SA) {
		sa.Limits = nlx.Limits{SoftBytes: 1 << 40, HardBytes: 1 << 41, SoftPackets: 1000, HardPackets: 2000, SoftAdd: 3600, HardAdd: 7200, SoftUse: 60, HardUse: 120}
	}},
	{"acquire number", "", func(sa *nlx.SA) { sa.Seq = 77 }},
	{"replay window 1", "", func(sa *nlx.SA) { sa.ReplayWindow = 1 }},
	{"replay window 32", "", func(sa *nlx.SA) { sa.ReplayWindow = 32 }},
	{"replay counters", "", func(sa *nlx.SA) {
		sa.ReplayWindow, sa.Replay = 32, &nlx.ReplayState{OSeq: 9, Seq: 70, Bitmap: 0x1f}
	}},
	{"replay window 33", "", func(sa *nlx.SA) { sa.ReplayWindow = 33 }},
	{"replay window 4096", "", func(sa *nlx.SA) { sa.ReplayWindow = 4096 }},
	{"esn 32", "", func(sa *nlx.SA) { sa.Flags, sa.ReplayWindow = nlx.FlagESN, 32 }},
	{"esn 1024", "", func(sa *nlx.SA) { sa.Flags, sa.ReplayWindow = nlx.FlagESN, 1024 }},
	{"esn 4096", "", func(sa *nlx.SA) { sa.Flags, sa.ReplayWindow = nlx.FlagESN, 4096 }},
	{"esn counters", "", func(sa *nlx.SA) {
		sa.Flags, sa.ReplayWindow = nlx.FlagESN, 64
		sa.ReplayESN = &nlx.ReplayESN{OSeq: 1, OSeqHi: 2, Seq: 3, SeqHi: 4, BitmapLen: 2, Bitmap: []uint32{5, 6}}
	}},
	{"direction in", "6.10", func(sa *nlx.SA) { sa.Dir, sa.ReplayWindow = nlx.DirIn, 64 }},
	{"direction out with esn", "6.10", func(sa *nlx.SA) { sa.Dir, sa.Flags = nlx.DirOut, nlx.FlagESN }},
	{"per cpu", "6.13", func(sa *nlx.SA) { sa.Dir, sa.PCPU = nlx.DirOut, nlx.Some[uint32](0) }},
	{"nat keepalive", "6.11", func(sa *nlx.SA) {
		sa.Dir, sa.NATKeepalive = nlx.DirOut, 20
		sa.Encap = &nlx.Encap{Type: nlx.EncapESPinUDP, SrcPort: 4500, DstPort: 4500, OriginalAddr: netip.IPv4Unspecified()}
	}},
	{"iptfs in", "6.14 with CONFIG_XFRM_IPTFS", func(sa *nlx.SA) {
		sa.Mode, sa.Dir = nlx.ModeIPTFS, nlx.DirIn
		sa.IPTFS = nlx.IPTFS{DropTime: nlx.Some[uint32](2000), ReorderWindow: nlx.Some[uint16](5)}
	}},
	{"iptfs out", "6.14 with CONFIG_XFRM_IPTFS", func(sa *nlx.SA) {
		sa.Mode, sa.Dir = nlx.ModeIPTFS, nlx.DirOut
		sa.IPTFS = nlx.IPTFS{DontFrag: true, InitDelay: nlx.Some[uint32](3000), MaxQSize: nlx.Some[uint32](65536), PktSize: nlx.Some[uint32](1200)}
	}},
}

// TestSAReadsBackAsWritten adds an SA for each feature and reads it back by
// get and by dump: every field as written.
func TestSAReadsBackAsWritten(t *testing.T) {
	c, _ := dial(t)
	needESP(t, c)
	ctx := background(t)
	for i, tc := range saCases {
		t.Run(tc.name, func(t *testing.T) {
			sa := esp(nlx.SPI(0x1000 + i))
			tc.set(sa)
			err := c.AddSA(ctx, sa)
			if tc.since != "" && err != nil {
				t.Skipf("needs Linux %s; this attribute was not read back: %v", tc.since, err)
			}
			if err != nil {
				t.Fatalf("%+v", err)
			}
			got, err := c.GetSA(ctx, sa.ID())
			if err != nil {
				t.Fatal(err)
			}
			want := asStored(sa, got)
			if d := diffSA(want, got); d != "" {
				if tc.since != "" && os.Getenv("XFRMCTL_KERNEL") != "uml" {
					t.Skipf("needs Linux %s; this kernel ignored a part of it, which was not read back", tc.since)
				}
				t.Errorf("read back (-want +got):\n%s", d)
			}
			n := 0
			for dumped, err := range c.SAs(ctx, &nlx.SAFilter{Proto: nlx.ProtoESP}) {
				if err != nil {
					t.Fatal(err)
				}
				if dumped.SPI == sa.SPI {
					n++
					if d := diffSA(want, dumped); d != "" {
						t.Errorf("dumped (-want +got):\n%s", d)
					}
				}
			}
			if n != 1 {
				t.Errorf("dumped %d times", n)
			}
			if err := c.DeleteSA(ctx, got.ID()); err != nil {
				t.Errorf("%+v", err)
			}
		})
	}
}

func TestAllocThenComplete(t *testing.T) {
	c, _ := dial(t)
	ctx := background(t)
	r := &nlx.SPIRange{SA: nlx.SA{Src: ip1, Dst: ip2, Proto: nlx.ProtoESP, Mode: nlx.ModeTunnel, ReqID: 4, IfID: 8}, Min: 0x500, Max: 0x500}
	larval, err := c.AllocSPI(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	if larval.SPI != 0x500 || larval.ReqID != 4 || larval.IfID != 8 {
		t.Errorf("larval sa %+v", larval)
	}
	if _, err := c.AllocSPI(ctx, r); err == nil {
		t.Error("the same spi was given out twice")
	}
	needESP(t, c)
	sa := esp(0x500)
	if err := c.AddSA(ctx, sa); !errors.Is(err, fs.ErrExist) {
		t.Errorf("add over a larval sa: %v", err)
	}
	if err := c.UpdateSA(ctx, sa); err != nil {
		t.Fatal(err)
	}
	got, err := c.GetSA(ctx, sa.ID())
	if err != nil || got.AEAD == nil || !got.AEAD.Key.Equal(sa.AEAD.Key) {
		t.Errorf("completed sa %+v, %v", got, err)
	}
}

// TestDumpFilter: the kernel filters by protocol and by prefix.
func TestDumpFilter(t *testing.T) {
	c, _ := dial(t)
	needESP(t, c)
	ctx := background(t)
	for i := range 4 {
		sa := esp(nlx.SPI(0x100 + i))
		sa.Dst = netip.MustParseAddr(fmt.Sprintf("10.0.%d.2", i))
		if err := c.AddSA(ctx, sa); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		f    *nlx.SAFilter
		want int
	}{
		{nil, 4},
		{&nlx.SAFilter{Proto: nlx.ProtoAH}, 0},
		{&nlx.SAFilter{Family: nlx.FamilyIPv6}, 0},
		{&nlx.SAFilter{Dst: netip.MustParsePrefix("10.0.2.0/24")}, 1},
		{&nlx.SAFilter{Dst: netip.MustParsePrefix("10.0.2.0/23"), Src: netip.MustParsePrefix("10.0.0.1/32")}, 2},
	} {
		list, err := c.ListSAs(ctx, tc.f)
		if err != nil || len(list) != tc.want {
			t.Errorf("%+v: %d SAs, %v, want %d", tc.f, len(list), err, tc.want)
		}
	}
}

func TestAEvent(t *testing.T) {
	c, _ := dial(t)
	needESP(t, c)
	ctx := background(t)
	sa := esp(0x100)
	sa.Flags, sa.ReplayWindow = nlx.FlagESN, 64
	sa.ReplayThresh = nlx.Some[uint32](0)
	if err := c.AddSA(ctx, sa); err != nil {
		t.Fatal(err)
	}
	id := nlx.AEID{SA: sa.ID(), Src: sa.Src, ReqID: sa.ReqID, Flags: nlx.AEReplayThresh | nlx.AETimerThresh}
	// Thresholds are in no SA message, only in aevents.
	if got, err := c.GetAE(ctx, id); err != nil || got.ReplayThresh != sa.ReplayThresh {
		t.Errorf("threshold of the add: %+v, %v", got, err)
	}
	set := &nlx.AE{ID: id, ReplayWindow: 64, ReplayESN: &nlx.ReplayESN{OSeq: 10, Seq: 20, BitmapLen: 2, Bitmap: []uint32{1, 0}}, ReplayThresh: nlx.Some[uint32](16)}
	if err := c.SetAE(ctx, set); err != nil {
		t.Fatalf("%+v", err)
	}
	got, err := c.GetAE(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(set.ReplayESN, got.ReplayESN); d != "" || got.ReplayThresh != set.ReplayThresh || got.Usage == nil {
		t.Errorf("aevent read back: %s %+v", d, got)
	}
}

func TestMigrateState(t *testing.T) {
	c, _ := dial(t)
	needESP(t, c)
	ctx := background(t)
	sa := esp(0x100)
	if err := c.AddSA(ctx, sa); err != nil {
		t.Fatal(err)
	}
	m := &nlx.MigrateState{SA: sa.ID(), NewDst: netip.MustParseAddr("10.0.0.9"), NewSrc: netip.MustParseAddr("10.0.0.8"), NewReqID: 5}
	err := c.MigrateState(ctx, m)
	if err != nil && os.Getenv("XFRMCTL_KERNEL") != "uml" {
		t.Skipf("needs Linux 7.2 with CONFIG_XFRM_MIGRATE; no SA was migrated: %v", err)
	}
	if err != nil {
		t.Fatalf("%+v", err)
	}
	id := sa.ID()
	id.Dst, id.Src = m.NewDst, m.NewSrc
	got, err := c.GetSA(ctx, id)
	if err != nil || got.Src != m.NewSrc || got.ReqID != 5 || !got.AEAD.Key.Equal(sa.AEAD.Key) {
		t.Errorf("moved sa %+v, %v", got, err)
	}
	if _, err := c.GetSA(ctx, sa.ID()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("old sa: %v", err)
	}
}
