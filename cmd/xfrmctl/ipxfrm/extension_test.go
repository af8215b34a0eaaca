package ipxfrm

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

func TestParseMigrateState(t *testing.T) {
	addr := netip.MustParseAddr
	old := netlinkx.SAID{Dst: addr("10.0.0.2"), Proto: netlinkx.ProtoESP, SPI: 5, Family: netlinkx.FamilyIPv4}
	const id = "state migrate dst 10.0.0.2 proto esp spi 5 new-dst fd00::2 "
	for words, change := range map[string]func(m *netlinkx.MigrateState){
		"new-src fd00::1": func(m *netlinkx.MigrateState) { m.NewSrc = addr("fd00::1") },
		"new-src fd00::1 mark 3 mask 0xf new-mark 4 new-reqid 7": func(m *netlinkx.MigrateState) {
			m.NewSrc, m.SA.Mark, m.Mark, m.NewReqID = addr("fd00::1"), netlinkx.Mark{Value: 3, Mask: 15}, netlinkx.Some(netlinkx.Mark{Value: 4, Mask: 1<<32 - 1}), 7
		},
		"new-sel src fd00::/64 encap none output-mark 5 nat-keepalive 0 mapping-thresh 4": func(m *netlinkx.MigrateState) {
			m.NewSelector = netlinkx.Selector{Family: netlinkx.FamilyIPv6, Src: netip.MustParsePrefix("fd00::/64")}
			m.Encap, m.OutputMark = &netlinkx.Encap{}, netlinkx.Mark{Value: 5}
			m.NATKeepalive, m.MTimerThresh = netlinkx.Some[uint32](0), netlinkx.Some[uint32](4)
		},
		"flag clear-offload update-sel encap espinudp 1 2 0.0.0.0": func(m *netlinkx.MigrateState) {
			m.Flags = netlinkx.MigrateClearOffload | netlinkx.MigrateUpdateH2HSel
			m.Encap = &netlinkx.Encap{Type: netlinkx.EncapESPinUDP, SrcPort: 1, DstPort: 2, OriginalAddr: addr("0.0.0.0")}
		},
		"offload packet dev lo dir in": func(m *netlinkx.MigrateState) {
			m.Offload = &netlinkx.Offload{IfIndex: 1, Flags: netlinkx.OffloadInbound | netlinkx.OffloadPacket}
		},
	} {
		want := &netlinkx.MigrateState{SA: old, NewDst: addr("fd00::2"), NewFamily: netlinkx.FamilyIPv6}
		change(want)
		if diff := cmp.Diff(want, mustParse(t, id+words).MigrateState, sameValues); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", words, diff)
		}
	}
}

// The kernel takes reqid, selector and source from the request even if they
// are zero, so what was not named must come from the SA.
func TestInherit(t *testing.T) {
	sa := &netlinkx.SA{Src: netip.MustParseAddr("10.0.0.1"), ReqID: 9, Selector: netlinkx.Selector{Family: netlinkx.FamilyIPv4}}
	const id = "state migrate dst 10.0.0.2 proto esp spi 5 new-dst 10.0.0.3 "
	for words, want := range map[string]netlinkx.MigrateState{
		"mark 1":                      {NewSrc: sa.Src, NewReqID: 9, NewSelector: sa.Selector},
		"new-reqid 0 new-sel proto 6": {NewSrc: sa.Src, NewSelector: netlinkx.Selector{Proto: 6}},
		"flag update-sel":             {NewSrc: sa.Src, NewReqID: 9},
		"new-src 10.0.0.7":            {NewSrc: netip.MustParseAddr("10.0.0.7"), NewReqID: 9, NewSelector: sa.Selector},
	} {
		cmd := mustParse(t, id+words)
		cmd.Inherit(sa)
		got := netlinkx.MigrateState{NewSrc: cmd.MigrateState.NewSrc, NewReqID: cmd.MigrateState.NewReqID, NewSelector: cmd.MigrateState.NewSelector}
		if diff := cmp.Diff(want, got, sameValues); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", words, diff)
		}
	}
	cmd := mustParse(t, "state count")
	if cmd.Inherit(sa); cmd.MigrateState != nil {
		t.Error("another command has a migration")
	}
}

func TestParseMigratePolicy(t *testing.T) {
	addr := netip.MustParseAddr
	cmd := mustParse(t, "policy migrate src 10.0.0.0/8 dir out ptype main if_id 3 "+
		"from src fd00::1 dst fd00::2 proto esp mode tunnel reqid 4 to src 10.0.0.1 dst 10.0.0.2 "+
		"from src 1.1.1.1 dst 2.2.2.2 proto ah to dst 4.4.4.4 src 3.3.3.3 "+
		"kmaddress local 1.2.3.4 remote 5.6.7.8 encap espinudp 1 2 0.0.0.0 offload dev lo dir out")
	want := &netlinkx.Migrate{
		Policy: netlinkx.PolicyID{Dir: netlinkx.PolicyOut, Type: netlinkx.Some(netlinkx.PolicyMain), IfID: 3,
			Selector: netlinkx.Selector{Family: netlinkx.FamilyIPv4, Src: netip.MustParsePrefix("10.0.0.0/8")}},
		Entries: []netlinkx.MigrateEntry{
			{OldSrc: addr("fd00::1"), OldDst: addr("fd00::2"), NewSrc: addr("10.0.0.1"), NewDst: addr("10.0.0.2"), Proto: netlinkx.ProtoESP,
				Mode: netlinkx.ModeTunnel, ReqID: 4, OldFamily: netlinkx.FamilyIPv6, NewFamily: netlinkx.FamilyIPv4},
			{OldSrc: addr("1.1.1.1"), OldDst: addr("2.2.2.2"), NewSrc: addr("3.3.3.3"), NewDst: addr("4.4.4.4"), Proto: netlinkx.ProtoAH,
				OldFamily: netlinkx.FamilyIPv4, NewFamily: netlinkx.FamilyIPv4},
		},
		KMAddress: &netlinkx.KMAddress{Local: addr("1.2.3.4"), Remote: addr("5.6.7.8"), Family: netlinkx.FamilyIPv4},
		Encap:     &netlinkx.Encap{Type: netlinkx.EncapESPinUDP, SrcPort: 1, DstPort: 2, OriginalAddr: addr("0.0.0.0")},
		Offload:   &netlinkx.Offload{IfIndex: 1},
	}
	if diff := cmp.Diff(want, cmd.Migrate, sameValues); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestParseAE(t *testing.T) {
	id := netlinkx.AEID{SA: netlinkx.SAID{Dst: netip.MustParseAddr("10.0.0.2"), Proto: netlinkx.ProtoESP, SPI: 5, Family: netlinkx.FamilyIPv4}, ReqID: 3}
	get := id
	get.Flags = netlinkx.AEReplayThresh | netlinkx.AEReplayVal | netlinkx.AELifetimeVal | netlinkx.AETimerThresh
	if got := mustParse(t, "state ae get dst 10.0.0.2 proto esp spi 5 reqid 3").AEID; got != get {
		t.Errorf("got %+v, want %+v", got, get)
	}
	for words, want := range map[string]netlinkx.AE{
		"replay-seq 1 replay-oseq 2":          {Replay: &netlinkx.ReplayState{Seq: 1, OSeq: 2}},
		"replay-bitmap 0xff":                  {Replay: &netlinkx.ReplayState{Bitmap: 0xff}},
		"bytes 1 packets 2 add-time 3":        {Usage: &netlinkx.Usage{Bytes: 1, Packets: 2, AddTime: 3}},
		"use-time 4 replay-thresh 5":          {Usage: &netlinkx.Usage{UseTime: 4}, ReplayThresh: netlinkx.Some[uint32](5)},
		"etimer-thresh 0":                     {ETimerThresh: netlinkx.Some[uint32](0)},
		"replay-window 64 replay-bitmap 1,f0": {ReplayWindow: 64, ReplayESN: &netlinkx.ReplayESN{BitmapLen: 2, Bitmap: []uint32{1, 0xf0}}},
		"replay-oseq-hi 1 replay-oseq 2":      {ReplayESN: &netlinkx.ReplayESN{OSeq: 2, OSeqHi: 1, Bitmap: []uint32{}}},
		"replay-window 33 replay-seq-hi 2":    {ReplayWindow: 33, ReplayESN: &netlinkx.ReplayESN{SeqHi: 2, BitmapLen: 2, Bitmap: []uint32{0, 0}}},
	} {
		want.ID = id
		if diff := cmp.Diff(&want, mustParse(t, "state ae set dst 10.0.0.2 proto esp spi 5 reqid 3 "+words).AE, sameValues); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", words, diff)
		}
	}
}

// Errors of words that ip does not have.
func TestParseExtensionErrors(t *testing.T) {
	for line, want := range map[string]Error{
		"state migrate":           {1, "Not enough information: ID is required", ""},
		"state migrate proto esp": {1, "Not enough information: \"new-dst\" is required", ""},
		"state migrate proto esp new-dst 1.1.1.1 new-src ::1":                              {1, "\"new-src\" and \"new-dst\" must be of the same address family", ""},
		"state migrate proto esp new-dst 1.1.1.1 flag clear-offload offload dev lo dir in": {1, "\"flag clear-offload\" and \"offload\" exclude each other", ""},
		"state migrate proto esp new-dst 1.1.1.1/8":                                        {1, "Error: any valid address is expected rather than \"1.1.1.1/8\".", ""},
		"state migrate proto esp new-sel":                                                  {255, "Command line is not complete. Try option \"help\"", ""},
		"state ae set proto esp":                                                           {1, "Not enough information: nothing to set", ""},
		"state ae set bytes 1":                                                             {1, "Not enough information: ID is required", ""},
		"state ae get":                                                                     {1, "Not enough information: ID is required", ""},
		"state ae set proto esp replay-bitmap 1,,2":                                        {255, "Error: argument \"1,,2\" is wrong: value after \"replay-bitmap\" is invalid", ""},
		"state ae set proto esp replay-window 32 replay-bitmap 1,2":                        {1, "\"replay-bitmap\" has more words than the window of 32 packets", ""},
		"state ae set proto esp replay-window 4097":                                        {1, "\"replay-window\" is larger than 4096", ""},
		"policy migrate dir in":                                                            {1, "Not enough information: SELECTOR is required.", ""},
		"policy migrate src 1.1.1.1 dir in":                                                {1, "Not enough information: \"from\" is required.", ""},
		"policy migrate src 1.1.1.1":                                                       {1, "Not enough information: DIR is required.", ""},
		"policy migrate from src 1.1.1.1 proto esp":                                        {255, "Error: argument \"dst\" is required", ""},
		"policy migrate from src 1.1.1.1 dst 2.2.2.2 proto esp too":                        {255, "Error: argument \"too\" is wrong: Missing to keyword", "to"},
		"policy migrate kmaddress remote 1.1.1.1":                                          {255, "Error: argument \"remote\" is wrong: Missing local keyword", ""},
		"policy migrate kmaddress local 1.1.1.1 remote ::1":                                {255, "Error: argument \"::1\" is wrong: the same address family is required between values after \"local\" and \"remote\"", ""},
		"state add iptfs":                                                                  {255, "Error: argument \"IPTFS-LIST\" is required", ""},
		"state add iptfs reorder-window 65536":                                             {255, "Error: argument \"65536\" is wrong: value after \"reorder-window\" is invalid", ""},
		"state list offload dev none":                                                      {255, "Error: argument \"none\" is wrong: Invalid device name", ""},
	} {
		_, err := parseLine(line, testContext())
		var got *Error
		if !errors.As(err, &got) || *got != want {
			t.Errorf("%s:\n got %+v\nwant %+v", line, got, want)
		}
	}
}
