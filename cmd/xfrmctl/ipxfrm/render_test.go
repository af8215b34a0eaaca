package ipxfrm

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

func exampleSA() *netlinkx.SA {
	sa := netlinkx.NewSA()
	sa.Src, sa.Dst = netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	sa.Family, sa.Proto, sa.SPI, sa.ReqID, sa.Mode = netlinkx.FamilyIPv4, netlinkx.ProtoESP, 0x103, 2, netlinkx.ModeTunnel
	key := make([]byte, 20)
	for i := range key {
		key[i] = byte(i)
	}
	sa.AEAD = &netlinkx.AEAD{Name: "rfc4106(gcm(aes))", Key: netlinkx.NewKey(key), ICVBits: 128}
	sa.Selector = netlinkx.Selector{Family: netlinkx.FamilyIPv4, Src: netip.MustParsePrefix("0.0.0.0/0"), Dst: netip.MustParsePrefix("0.0.0.0/0")}
	return sa
}

func examplePolicy() *netlinkx.Policy {
	p := netlinkx.NewPolicy()
	p.Selector = netlinkx.Selector{Family: netlinkx.FamilyIPv4, Src: netip.MustParsePrefix("10.1.0.0/24"), Dst: netip.MustParsePrefix("10.2.0.0/24")}
	p.Dir, p.Priority, p.Type = netlinkx.PolicyOut, 10, netlinkx.Some(netlinkx.PolicyMain)
	t := netlinkx.NewTemplate()
	t.Src, t.Dst = netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	t.Family, t.Proto, t.ReqID, t.Mode = netlinkx.FamilyIPv4, netlinkx.ProtoESP, 1, netlinkx.ModeTunnel
	p.Templates = []netlinkx.Template{t}
	return p
}

// TestTextSA has what ip 7.3.0 printed for SAs of a kernel, and what it cannot
// print.
func TestTextSA(t *testing.T) {
	esn := exampleSA()
	esn.Flags, esn.ReplayWindow = netlinkx.FlagESN, 128
	esn.ReplayESN = &netlinkx.ReplayESN{SeqHi: 1, Seq: 5, OSeqHi: 2, OSeq: 7, BitmapLen: 4, Bitmap: make([]uint32, 4)}
	headless := *esn
	headless.ReplayESN = &netlinkx.ReplayESN{SeqHi: 1, Seq: 5, OSeqHi: 2, OSeq: 7, BitmapLen: 4}
	stats := exampleSA()
	stats.SPI, stats.Flags, stats.ExtraFlags = 0x104, netlinkx.FlagNoECN|netlinkx.FlagAFUnspec, netlinkx.ExtraDontEncapDSCP
	stats.Replay, stats.Dir, stats.PCPU = &netlinkx.ReplayState{}, netlinkx.DirOut, netlinkx.Some[uint32](0)
	stats.Selector, stats.Usage.AddTime = netlinkx.Selector{}, 1795438246
	unset := &netlinkx.SA{Proto: netlinkx.ProtoHAO}
	iptfs := exampleSA()
	iptfs.Mode, iptfs.NATKeepalive, iptfs.MTimerThresh = netlinkx.ModeIPTFS, 20, 30
	iptfs.IPTFS = netlinkx.IPTFS{DropTime: netlinkx.Some[uint32](1000), ReorderWindow: netlinkx.Some[uint16](3), DontFrag: true}
	iptfs.ReplayThresh, iptfs.SetUsage = netlinkx.Some[uint32](0), &netlinkx.Usage{Bytes: 5}

	const esnText = "src 10.0.0.1 dst 10.0.0.2\n\tproto esp spi 0x00000103 reqid 2 mode tunnel\n" +
		"\treplay-window 0 flag esn\n\taead rfc4106(gcm(aes)) 0x000102030405060708090a0b0c0d0e0f10111213 128\n" +
		"\tanti-replay esn context:\n\t seq-hi 0x1, seq 0x5, oseq-hi 0x2, oseq 0x7\n" +
		"\t replay_window 128, bitmap-length 4\n\t 00000000 00000000 00000000 00000000 \n" +
		"\tsel src 0.0.0.0/0 dst 0.0.0.0/0 \n"
	tests := []struct {
		name    string
		printer Printer
		sa      *netlinkx.SA
		want    string
	}{
		{"esn", Printer{ShowKeys: true}, esn, esnText},
		{"esn without bitmap", Printer{ShowKeys: true}, &headless, esnText},
		{"stats", Printer{ShowKeys: true, Stats: 1}, stats, "src 10.0.0.1 dst 10.0.0.2\n" +
			"\tproto esp spi 0x00000104(260) reqid 2(0x00000002) mode tunnel\n" +
			"\treplay-window 0 seq 0x00000000 flag noecn af-unspecextra_flag dont-encap-dscp (0x00100001)\n" +
			"\taead rfc4106(gcm(aes)) 0x000102030405060708090a0b0c0d0e0f10111213 (160 bits) 128\n" +
			"\tanti-replay context: seq 0x0, oseq 0x0, bitmap 0x00000000\n\tdir out\n\tpcpu-num 0\n" +
			"\tlifetime config:\n\t  limit: soft (INF)(bytes), hard (INF)(bytes)\n\t  limit: soft (INF)(packets), hard (INF)(packets)\n" +
			"\t  expire add: soft 0(sec), hard 0(sec)\n\t  expire use: soft 0(sec), hard 0(sec)\n" +
			"\tlifetime current:\n\t  0(bytes), 0(packets)\n\t  add 2026-11-23 12:50:46 use -\n" +
			"\tstats:\n\t  replay-window 0 replay 0 failed 0\n"},
		{"keys hidden", Printer{}, exampleSA(), "src 10.0.0.1 dst 10.0.0.2\n\tproto esp spi 0x00000103 reqid 2 mode tunnel\n" +
			"\treplay-window 0 \n\taead rfc4106(gcm(aes)) <<Keys hidden>> 128\n\tsel src 0.0.0.0/0 dst 0.0.0.0/0 \n"},
		{"nokeys", Printer{ShowKeys: true, NoKeys: true, OneLine: true}, exampleSA(), "src 10.0.0.1 dst 10.0.0.2\\\tproto esp spi 0x00000103 reqid 2 mode tunnel\\" +
			"\treplay-window 0 \\\taead rfc4106(gcm(aes)) <<Keys hidden>> 128\\\tsel src 0.0.0.0/0 dst 0.0.0.0/0 \\\n"},
		{"nothing set", Printer{}, unset, "src 0.0.0.0 dst 0.0.0.0\n\tproto hao reqid 0 mode transport\n\treplay-window 0 \n"},
		{"iptfs as ip", Printer{}, iptfs, "src 10.0.0.1 dst 10.0.0.2\n\tproto esp spi 0x00000103 reqid 2 mode 5\n" +
			"\treplay-window 0 \n\taead rfc4106(gcm(aes)) <<Keys hidden>> 128\n\tsel src 0.0.0.0/0 dst 0.0.0.0/0 \n"},
		{"extensions", Printer{Extensions: true}, iptfs, "src 10.0.0.1 dst 10.0.0.2\n\tproto esp spi 0x00000103 reqid 2 mode iptfs\n" +
			"\treplay-window 0 \n\taead rfc4106(gcm(aes)) <<Keys hidden>> 128\n" +
			"\tnat-keepalive 20\n\tmapping-thresh 30\n\treplay-thresh 0\n\tiptfs drop-time 1000 reorder-window 3 dont-frag\n" +
			"\tinitial lifetime 5(bytes), 0(packets), add - use -\n\tsel src 0.0.0.0/0 dst 0.0.0.0/0 \n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.printer.Location = time.UTC
			if got := string(tt.printer.AppendSA([]byte("before "), tt.sa)); got != "before "+tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestTextPolicy(t *testing.T) {
	const want = "src 10.1.0.0/24 dst 10.2.0.0/24 \n\tdir out priority 10 ptype main \n" +
		"\ttmpl src 10.0.0.1 dst 10.0.0.2\n\t\tproto esp reqid 1 mode tunnel\n"
	if got := string((&Printer{}).AppendPolicy(nil, examplePolicy())); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := string((&Printer{OneLine: true}).AppendPolicy(nil, examplePolicy())); got != strings.ReplaceAll(want, "\n", "\\")+"\n" {
		t.Errorf("one line: got\n%s", got)
	}
	pol := examplePolicy()
	pol.Flags = netlinkx.PolicyLocalOK | netlinkx.PolicyCPUAcquire
	for extensions, flag := range map[bool]string{false: " flag localok 4\n", true: " flag localok cpu-acquire\n"} {
		if got := string((&Printer{Extensions: extensions}).AppendPolicy(nil, pol)); !strings.Contains(got, flag) {
			t.Errorf("extensions %v: got\n%s", extensions, got)
		}
	}
}

// TestTextInfo has what ip 7.3.0 printed for the counters of a kernel.
func TestTextInfo(t *testing.T) {
	sad := &netlinkx.SADInfo{Count: 6, HashCount: 8, HashMaximum: 1048576}
	spd := &netlinkx.SPDInfo{
		Counts: netlinkx.SPDCounts{In: 1, Out: 6, Fwd: 1, SocketOut: 1}, HashCount: 7, HashMaximum: 1048576,
		IPv4: netlinkx.Some(netlinkx.HashThreshold{Local: 32, Remote: 32}), IPv6: netlinkx.Some(netlinkx.HashThreshold{Local: 128, Remote: 128}),
	}
	defaults := &netlinkx.Defaults{In: netlinkx.DefaultAccept, Fwd: netlinkx.DefaultBlock, Out: 9}
	const spdText = "\t SPD IN  1 OUT 6 FWD 1 (Sock: IN 0 OUT 1 FWD 0)\n"
	const buckets = "\t SPD buckets: count 7 Max 1048576\n\t SPD IPv4 thresholds: local 32 remote 32\n\t SPD IPv6 thresholds: local 128 remote 128\n"
	oneLine := strings.ReplaceAll(spdText+buckets, "\n", "\\") + "\n"
	plain, stats, stats2 := &Printer{}, &Printer{Stats: 1}, &Printer{Stats: 2, OneLine: true}
	for _, tt := range []struct{ got, want string }{
		{string(plain.AppendSADInfo(nil, sad)), "\t SAD count 6\n"},
		{string(stats.AppendSADInfo(nil, sad)), "\t SAD count 6 (buckets count 8 Max 1048576)\n"},
		{string(stats2.AppendSADInfo(nil, sad)), "\t SAD count 6 (buckets count 8 Max 1048576)\n"},
		{string(plain.AppendSPDInfo(nil, spd)), "\t SPD IN  1 OUT 6 FWD 1\n"},
		{string(stats.AppendSPDInfo(nil, spd)), spdText},
		{string(stats2.AppendSPDInfo(nil, spd)), oneLine},
		{string((&Printer{Stats: 2}).AppendSPDInfo(nil, &netlinkx.SPDInfo{})), "\t SPD IN  0 OUT 0 FWD 0 (Sock: IN 0 OUT 0 FWD 0)\n\t SPD buckets: count 0 Max 0\n"},
		{string(stats2.AppendDefaults(nil, defaults)), "Default policies:\n in:  accept\n fwd: block\n out: unknown\n"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

func TestTextTimestampAndNSID(t *testing.T) {
	now := time.Date(2026, 11, 3, 12, 54, 14, 27021999, time.UTC)
	flush := &netlinkx.FlushSAEvent{}
	tests := []struct {
		style TimeStyle
		all   bool
		nsid  netlinkx.Opt[int32]
		event netlinkx.Event
		want  string
	}{
		{TimeNone, false, netlinkx.Some[int32](3), flush, "Flushed state proto 0\n"},
		{TimeNone, true, netlinkx.Some[int32](3), flush, "[nsid 3]Flushed state proto 0\n"},
		{TimeShort, true, netlinkx.Some[int32](-1), flush, "[2026-11-03T12:54:14.027021] [nsid current]Flushed state proto 0\n"},
		{TimeLong, true, netlinkx.Opt[int32]{}, flush, "Timestamp: Tue Nov  3 12:54:14 2026 27021 usec\n[nsid current]Flushed state proto 0\n"},
		{TimeLong, true, netlinkx.Opt[int32]{}, &netlinkx.LostEvent{}, ""},
		{TimeLong, true, netlinkx.Opt[int32]{}, &netlinkx.ResyncEvent{}, ""},
	}
	for _, tt := range tests {
		p := &Printer{Time: tt.style, AllNSID: tt.all, Location: time.UTC, Now: func() time.Time { return now }}
		if got := string(p.AppendEvent(nil, &netlinkx.Notice{Event: tt.event, NSID: tt.nsid})); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

// TestTextExtensionEvents covers what ip does not print.
func TestTextExtensionEvents(t *testing.T) {
	a1, a2, a3 := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("fd00::3")
	v4, v6 := netlinkx.FamilyIPv4, netlinkx.FamilyIPv6
	id := netlinkx.SAID{Dst: a2, SPI: 0x100, Proto: netlinkx.ProtoESP, Family: v4, Mark: netlinkx.Mark{Value: 5, Mask: 0xff}}
	pol := examplePolicy()
	tests := []struct {
		event netlinkx.Event
		want  string
	}{
		{&netlinkx.LostEvent{}, "Lost events: the receive buffer was full\n"},
		{&netlinkx.ResyncEvent{Policy: pol}, "Present src 10.1.0.0/24 dst 10.2.0.0/24 \n\tdir out priority 10 ptype main \n" +
			"\ttmpl src 10.0.0.1 dst 10.0.0.2\n\t\tproto esp reqid 1 mode tunnel\n"},
		{&netlinkx.ResyncEvent{SA: &netlinkx.SA{Proto: netlinkx.ProtoESP}}, "Present src 0.0.0.0 dst 0.0.0.0\n\tproto esp spi 0x00000000 reqid 0 mode transport\n\treplay-window 0 \n"},
		{&netlinkx.ResyncEvent{}, "End of re-sync\n"},
		{&netlinkx.MigrateEvent{Migrate: netlinkx.Migrate{
			Policy:    netlinkx.PolicyID{Selector: pol.Selector, Dir: netlinkx.PolicyOut, Index: 9, Type: pol.Type, IfID: 7, Mark: id.Mark, SecCtx: &netlinkx.SecCtx{Context: "c"}},
			Entries:   []netlinkx.MigrateEntry{{OldSrc: a1, OldDst: a2, NewSrc: a3, NewDst: a3, Proto: netlinkx.ProtoESP, ReqID: 1, OldFamily: v4, NewFamily: v6}},
			KMAddress: &netlinkx.KMAddress{Local: a1, Remote: a2, Family: v4},
			Offload:   &netlinkx.Offload{IfIndex: 4, Flags: netlinkx.OffloadPacket},
		}}, "Migrated policy src 10.1.0.0/24 dst 10.2.0.0/24 \n\tdir out ptype main index 9 \n\tmark 0x5/0xff \n\tsecurity context c \n\tif_id 0x7\n" +
			"\tproto esp reqid 1 mode transport\n\t\tfrom src 10.0.0.1 dst 10.0.0.2\n\t\tto src fd00::3 dst fd00::3\n" +
			"\tkey manager local 10.0.0.1 remote 10.0.0.2\n\tcrypto offload parameters: dev if4 dir out mode packet\n"},
		{&netlinkx.MigrateStateEvent{Migrate: netlinkx.MigrateState{
			SA: id, NewSrc: a1, NewDst: a2, NewFamily: v4, NewReqID: 3, NewSelector: pol.Selector, Flags: 1,
			Encap: &netlinkx.Encap{Type: netlinkx.EncapESPinUDP, SrcPort: 1, DstPort: 2}, OutputMark: netlinkx.Mark{Value: 1},
			NATKeepalive: netlinkx.Some[uint32](20), MTimerThresh: netlinkx.Some[uint32](0),
		}}, "Migrated state dst 10.0.0.2\n\tproto esp spi 0x00000100 \n\tmark 0x5/0xff \n\tto src 10.0.0.1 dst 10.0.0.2 reqid 3 flag 0x1\n" +
			"\tsel src 10.1.0.0/24 dst 10.2.0.0/24 \n\toutput-mark 0x1\n\tencap type espinudp sport 1 dport 2 addr 0.0.0.0\n" +
			"\tnat-keepalive 20\n\tmapping-thresh 0\n"},
		{&netlinkx.AEvent{AE: netlinkx.AE{
			ID:     netlinkx.AEID{SA: id, Src: a1, ReqID: 1, Flags: netlinkx.AECausedByTimer},
			Replay: &netlinkx.ReplayState{Seq: 1, OSeq: 2, Bitmap: 3}, Usage: &netlinkx.Usage{Bytes: 100, Packets: 1, AddTime: 1795438246},
			ReplayThresh: netlinkx.Some[uint32](2), ETimerThresh: netlinkx.Some[uint32](10), IfID: 7, Dir: netlinkx.DirIn,
		}}, "Async event  (0x20)  timer expired \n\tsrc 10.0.0.1 dst 10.0.0.2  reqid 0x1 protocol 50  SPI 0x100\n\tmark 0x5/0xff \n" +
			"\tanti-replay context: seq 0x1, oseq 0x2, bitmap 0x00000003\n\tlifetime 100(bytes), 1(packets), add 2026-11-23 12:50:46 use -\n" +
			"\treplay-thresh 2\n\tetimer-thresh 10\n\tif_id 0x7\n\tdir in\n"},
	}
	p := &Printer{Extensions: true, Location: time.UTC}
	for _, tt := range tests {
		if got := string(p.AppendEvent(nil, &netlinkx.Notice{Event: tt.event})); got != tt.want {
			t.Errorf("%T: got\n%s\nwant\n%s", tt.event, got, tt.want)
		}
	}
}

// TestAppendDoesNotAllocate: a record costs nothing beyond its bytes.
func TestAppendDoesNotAllocate(t *testing.T) {
	m := newMessageMaker(7)
	p := &Printer{Stats: 2, ShowKeys: true, Extensions: true, Location: time.UTC, DeviceName: func(int32) string { return "eth0" }, ProtoName: func(uint8) string { return "tcp" }}
	buf := make([]byte, 0, 64<<10)
	for range 50 {
		sa, pol := m.sa(), m.policy()
		sa.Proto, sa.Mode, pol.Action, pol.Dir = netlinkx.ProtoESP, netlinkx.ModeTunnel, netlinkx.ActionBlock, netlinkx.PolicyOut
		sa.Encap, pol.Share, pol.Templates = nil, 0, examplePolicy().Templates // numbers without a name may allocate
		pol.Type = netlinkx.Some(netlinkx.PolicySub)
		if n := testing.AllocsPerRun(10, func() { buf = p.AppendSA(buf[:0], sa) }); n != 0 {
			t.Errorf("%v allocations for\n%s", n, buf)
		}
		if n := testing.AllocsPerRun(10, func() { buf = p.AppendPolicy(buf[:0], pol) }); n != 0 {
			t.Errorf("%v allocations for\n%s", n, buf)
		}
	}
}

func BenchmarkAppendSA(b *testing.B) {
	sa, p := exampleSA(), &Printer{ShowKeys: true}
	buf := p.AppendSA(nil, sa)
	b.ReportAllocs()
	b.SetBytes(int64(len(buf)))
	for b.Loop() {
		buf = p.AppendSA(buf[:0], sa)
	}
}

func BenchmarkAppendPolicy(b *testing.B) {
	pol, p := examplePolicy(), &Printer{Stats: 1, Location: time.UTC}
	buf := p.AppendPolicy(nil, pol)
	b.ReportAllocs()
	b.SetBytes(int64(len(buf)))
	for b.Loop() {
		buf = p.AppendPolicy(buf[:0], pol)
	}
}
