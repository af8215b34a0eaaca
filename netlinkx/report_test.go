package netlinkx

import (
	"net/netip"
	"reflect"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fullSA is an SA with every field set that a report carries.
func fullSA(fam Family) SA {
	var sa SA
	(&filler{f: fam}).fill(reflect.ValueOf(&sa).Elem())
	// A report has one integrity algorithm in both forms, one replay state,
	// and neither thresholds nor counters to start from.
	sa.Auth = &Algo{Name: sa.AuthTrunc.Name, Key: sa.AuthTrunc.Key}
	sa.Replay, sa.SetUsage = nil, nil
	sa.ReplayThresh, sa.ETimerThresh = Opt[uint32]{}, Opt[uint32]{}
	return sa
}

func fullEvents(fam Family) []Event {
	fill := func(v any) { (&filler{f: fam}).fill(reflect.ValueOf(v).Elem()) }
	sa := fullSA(fam)
	pol, acq, ae, mapping := Policy{}, Acquire{}, AE{}, Mapping{}
	report, mig, ms, def := Report{}, Migrate{}, MigrateState{}, Defaults{}
	for _, v := range []any{&pol, &acq, &ae, &mapping, &report, &mig, &ms, &def} {
		fill(v)
	}
	acq.SA.Mark, acq.Policy.Offload = Mark{}, nil
	ae.ID.SA.Src, ae.Replay = netip.Addr{}, nil
	mapping.SA.Src, mapping.SA.Mark = netip.Addr{}, Mark{}
	mig.Policy.Index, mig.Policy.Mark, mig.Policy.IfID, mig.Policy.SecCtx, mig.Offload = 0, Mark{}, 0, nil, nil
	ms.SA.Src = netip.Addr{}
	expired := SA{
		Dst: sa.Dst, Src: sa.Src, Family: fam, SPI: 9, Proto: ProtoESP, Mark: sa.Mark, IfID: 3, Dir: DirOut,
		PCPU: Some[uint32](2), Selector: sa.Selector, Limits: sa.Limits, Usage: sa.Usage, Stats: sa.Stats, ReplayWindow: 7,
	}
	plain := pol
	plain.SecCtx = nil
	bySelector := PolicyID{Selector: plain.Selector, Dir: plain.Dir, Type: plain.Type, Mark: plain.Mark, IfID: plain.IfID}
	byIndex := PolicyID{Index: plain.Index, Dir: plain.Dir, Type: plain.Type, Mark: plain.Mark, IfID: plain.IfID}
	return []Event{
		&SAEvent{EventNew, sa}, &SAEvent{EventUpdate, sa}, &SAEvent{EventDelete, sa},
		&ExpireEvent{expired, true}, &ExpireEvent{expired, false}, &FlushSAEvent{ProtoESP},
		&PolicyEvent{Op: EventNew, Policy: plain}, &PolicyEvent{Op: EventUpdate, Policy: plain},
		&PolicyEvent{EventDelete, plain, bySelector}, &PolicyEvent{EventDelete, plain, byIndex},
		&PolicyExpireEvent{pol, true}, &PolicyExpireEvent{pol, false}, &FlushPolicyEvent{Some(PolicySub)},
		&AcquireEvent{acq}, &AEvent{ae}, &MappingEvent{mapping}, &ReportEvent{report},
		&MigrateEvent{mig}, &MigrateStateEvent{ms}, &DefaultsEvent{def},
	}
}

// TestEventRoundTrip is the law DecodeEvent(AppendEvent(e)) == e.
func TestEventRoundTrip(t *testing.T) {
	for _, fam := range []Family{FamilyIPv4, FamilyIPv6} {
		for _, e := range fullEvents(fam) {
			b, err := AppendEvent([]byte{1}, Header{Seq: 3, PortID: 4}, e)
			if err != nil {
				t.Errorf("%T: %v", e, err)
				continue
			}
			m, rest, ok, err := nextMessage(b[4:])
			if err != nil || !ok || len(rest) != 0 || m.seq != 3 || m.pid != 4 || m.flags&flagRequest != 0 {
				t.Errorf("%T: message %+v, %v", e, m, err)
				continue
			}
			got, err := DecodeEvent(MsgType(m.typ), m.flags, m.payload)
			if err != nil {
				t.Errorf("%T: %v", e, err)
				continue
			}
			if d := cmp.Diff(e, got, sameValues...); d != "" {
				t.Errorf("%T:\n%s", e, d)
			}
		}
	}
	if _, err := AppendEvent(nil, Header{}, &LostEvent{}); err == nil {
		t.Error("a LostEvent is a message")
	}
}

// TestReportedObjects: answers decode to what was reported.
func TestReportedObjects(t *testing.T) {
	h := Header{Flags: flagMulti, Seq: 1, PortID: 2}
	sa := fullSA(FamilyIPv6)
	b, err := AppendSA(nil, h, &sa)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeSA(MsgNewSA, b[sizeHeader:], SizeSAInfo)
	if d := cmp.Diff(&sa, got, sameValues...); err != nil || d != "" {
		t.Errorf("sa: %v\n%s", err, d)
	}
	var pol Policy
	(&filler{f: FamilyIPv4}).fill(reflect.ValueOf(&pol).Elem())
	if b, err = AppendPolicy(nil, h, &pol); err != nil {
		t.Fatal(err)
	}
	p, err := decodePolicy(MsgNewPolicy, b[sizeHeader:], SizePolicyInfo)
	if d := cmp.Diff(&pol, p, sameValues...); err != nil || d != "" {
		t.Errorf("policy: %v\n%s", err, d)
	}
	if b, err = AppendSPDInfo(nil, h, 5, &SPDInfo{IPv4: Some(HashThreshold{32, 32})}); err != nil {
		t.Fatal(err)
	}
	if len(b) != sizeHeader+4+28+12+8 || host.Uint32(b[sizeHeader:]) != 5 {
		t.Errorf("empty spd info: %x", b)
	}
	if b, err = AppendSADInfo(nil, h, 6, &SADInfo{Count: 3}); err != nil {
		t.Fatal(err)
	}
	if i, err := decodeSADInfo(b[sizeHeader:]); err != nil || i.Count != 3 || host.Uint32(b[sizeHeader:]) != 6 {
		t.Errorf("sad info: %+v, %v", i, err)
	}
}

// TestReportKeepsFamilies: a larval SA has a selector without a family.
func TestReportKeepsFamilies(t *testing.T) {
	sa := SA{Dst: ip2, Src: ip1, Family: FamilyIPv4, SPI: 5, Proto: ProtoESP}
	sa.Selector.Dst, sa.Selector.Src = netip.PrefixFrom(ip2, 32), netip.PrefixFrom(ip1, 32)
	b, err := AppendSA(nil, Header{}, &sa)
	if err != nil {
		t.Fatal(err)
	}
	if f := host.Uint16(b[sizeHeader+selFamily:]); f != 0 {
		t.Errorf("selector of family %d", f)
	}
	got, err := decodeSA(MsgNewSA, b[sizeHeader:], SizeSAInfo)
	sa.Replay = &ReplayState{} // always reported
	if d := cmp.Diff(&sa, got, sameValues...); err != nil || d != "" {
		t.Errorf("%v\n%s", err, d)
	}
}

func TestReportReplay(t *testing.T) {
	for _, c := range []struct {
		name string
		sa   SA
		want *ReplayESN
		fail bool
	}{
		{"bitmap left out", SA{ReplayWindow: 64, ReplayESN: &ReplayESN{BitmapLen: 2}}, &ReplayESN{BitmapLen: 2, Bitmap: []uint32{0, 0}}, false},
		{"outbound", SA{Dir: DirOut, Flags: FlagESN, ReplayESN: &ReplayESN{OSeq: 1}}, &ReplayESN{OSeq: 1}, false},
		{"other length", SA{ReplayESN: &ReplayESN{BitmapLen: 2, Bitmap: []uint32{1}}}, nil, true},
		{"no bitmap", SA{ReplayWindow: 8, ReplayESN: &ReplayESN{}}, nil, true},
	} {
		c.sa.Dst, c.sa.Src, c.sa.Family = ip2, ip1, FamilyIPv4
		b, err := AppendSA(nil, Header{}, &c.sa)
		if (err != nil) != c.fail {
			t.Errorf("%s: %v", c.name, err)
		}
		if err != nil {
			if len(b) != 0 {
				t.Errorf("%s: %d bytes with an error", c.name, len(b))
			}
			continue
		}
		got, err := decodeSA(MsgNewSA, b[sizeHeader:], SizeSAInfo)
		if err != nil || !reflect.DeepEqual(got.ReplayESN, c.want) {
			t.Errorf("%s: %+v, %v", c.name, got.ReplayESN, err)
		}
	}
}

// TestAppendAck: what is appended parses to the same verdict.
func TestAppendAck(t *testing.T) {
	req, err := AppendRequest(nil, FlushSAs(ProtoESP), 9, flagAck)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []Ack{
		{}, {Text: "a warning"}, {Errno: syscall.EINVAL}, {Errno: syscall.ESRCH, Text: "no", Offset: 20},
		{Errno: syscall.EINVAL, Missing: Some(AttrTmpl)},
	} {
		for _, capped := range []bool{true, false} {
			b, err := AppendAck(nil, Header{Seq: 9, PortID: 3}, &a, req, capped)
			if err != nil {
				t.Fatal(err)
			}
			m, _, _, err := nextMessage(b)
			if err != nil || m.typ != nlmsgError || m.seq != 9 || m.pid != 3 || (m.flags&flagCapped != 0) != (capped || a.Errno == 0) {
				t.Fatalf("%+v: %+v, %v", a, m, err)
			}
			got, err := parseAck(m)
			want := ackInfo{errno: a.Errno, text: a.Text, offset: a.Offset, missType: uint16(a.Missing.V), hasMiss: a.Missing.Valid}
			if err != nil || got != want {
				t.Errorf("capped %v: got %+v, want %+v, %v", capped, got, want, err)
			}
		}
		b, err := AppendDone(nil, Header{Seq: 9}, &a)
		if err != nil {
			t.Fatal(err)
		}
		m, _, _, err := nextMessage(b)
		if err != nil || m.typ != nlmsgDone || m.flags&flagMulti == 0 {
			t.Fatalf("done: %+v, %v", m, err)
		}
		if got, err := parseDone(m); err != nil || got.errno != a.Errno || got.text != a.Text {
			t.Errorf("done: %+v, %v", got, err)
		}
	}
	if _, err := AppendAck(nil, Header{}, &Ack{}, req[:10], true); err == nil {
		t.Error("a cut request is acknowledged")
	}
}
