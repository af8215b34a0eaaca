package netlinkx

import (
	"encoding/hex"
	"net/netip"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var sameValues = []cmp.Option{
	cmp.Comparer(Key.Equal), cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
}

// TestDecodeGoldenRequests: what iproute2 sends decodes, and encodes to the
// same bytes again.
func TestDecodeGoldenRequests(t *testing.T) {
	if host.Uint16([]byte{1, 0}) != 1 {
		t.Skip("needs a little-endian machine: the golden requests were not compared")
	}
	for _, g := range golden {
		t.Run(g.command, func(t *testing.T) {
			want := goldenBytes(t, g.want, 7)
			m, _, _, err := nextMessage(want)
			if err != nil {
				t.Fatal(err)
			}
			r, err := DecodeRequest(MsgType(m.typ), m.flags, m.payload)
			if err != nil {
				t.Fatal(err)
			}
			if r.Type() != MsgType(m.typ) {
				t.Errorf("type %s", r.Type())
			}
			got, err := AppendRequest(nil, r, 7, m.flags)
			if err != nil || hex.EncodeToString(got) != hex.EncodeToString(want) {
				t.Errorf("%v\n got %x\nwant %x", err, got, want)
			}
		})
	}
}

// requests makes one request of every kind from values that fill sets.
func requests(fill func(any)) []Request {
	sa, pol, id, pid := &SA{}, &Policy{}, &SAID{}, &PolicyID{}
	spi, info, def, ae, aeid := &SPIRange{}, &SPDInfo{}, &Defaults{}, &AE{}, &AEID{}
	mig, ms, es, ep, acq := &Migrate{}, &MigrateState{}, &ExpireSA{}, &ExpirePolicy{}, &Acquire{}
	for _, v := range []any{sa, pol, id, pid, spi, info, def, ae, aeid, mig, ms, es, ep, acq} {
		fill(v)
	}
	// What these messages do not carry.
	spi.SA = SA{Dst: spi.SA.Dst, Src: spi.SA.Src, Family: spi.SA.Family, Dir: DirIn, Mark: spi.SA.Mark, IfID: 4, PCPU: Some[uint32](1)}
	es.SA = SA{Dst: es.SA.Dst, Src: es.SA.Src, Family: es.SA.Family, Mark: es.SA.Mark, IfID: 5}
	ae.ID.SA.Src, ae.Dir, ae.PCPU, aeid.SA.Src = netip.Addr{}, DirUnset, Opt[uint32]{}, netip.Addr{}
	acq.SA.Mark, acq.Policy.Offload, ms.SA.Src = Mark{}, nil, netip.Addr{}
	return []Request{
		AddSA(sa), UpdateSA(sa), DeleteSA(id), GetSA(id), AllocSPI(spi), FlushSAs(ProtoESP),
		AddPolicy(pol), UpdatePolicy(pol), DeletePolicy(pid), GetPolicy(pid), FlushPolicies(Some(PolicySub)),
		SetSPDInfo(info), SetDefaults(def), SetAE(ae), GetAE(aeid), MigratePolicy(mig), MigrateSA(ms),
		Expire(es), ExpirePol(ep), RequestAcquire(acq), GetSADInfo(), GetSPDInfo(), GetDefaults(),
	}
}

// TestDecodeRequest is the law decode(encode(r)) == r for every request.
func TestDecodeRequest(t *testing.T) {
	for _, fam := range []Family{FamilyIPv4, FamilyIPv6} {
		fill := func(v any) { (&filler{f: fam}).fill(reflect.ValueOf(v).Elem()) }
		for _, r := range requests(fill) {
			b, err := AppendRequest(nil, r, 1, 0)
			if err != nil {
				t.Fatal(err)
			}
			m, _, _, err := nextMessage(b)
			if err != nil {
				t.Fatal(err)
			}
			got, err := DecodeRequest(MsgType(m.typ), m.flags, m.payload)
			if err != nil {
				t.Errorf("%s %s: %v", fam, r.Type(), err)
				continue
			}
			if got.Op() != r.Op() || got.Type() != r.Type() || got.flags != r.flags {
				t.Errorf("%s: got %s %s", r.Op(), got.Op(), got.Type())
			}
			if d := cmp.Diff(r.Value(), got.Value(), sameValues...); d != "" {
				t.Errorf("%s %s:\n%s", fam, r.Type(), d)
			}
		}
	}
}

func TestDecodeDumps(t *testing.T) {
	for _, f := range []SAFilter{
		{}, {Proto: ProtoAH}, {Family: FamilyIPv6},
		{Proto: ProtoESP, Family: FamilyIPv4, Src: netip.MustParsePrefix("10.0.0.0/24")},
		{Family: FamilyIPv4, Src: netip.MustParsePrefix("10.0.0.1/32"), Dst: netip.MustParsePrefix("10.0.0.2/31")},
	} {
		b, err := f.appendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, flags := range []uint16{flagDump, 0x100, 0x200} {
			r, err := DecodeRequest(MsgGetSA, flags, b)
			if err != nil || !reflect.DeepEqual(r.Value(), &f) {
				t.Errorf("%+v: got %+v, %v", f, r.Value(), err)
			}
		}
	}
	r, err := DecodeRequest(MsgGetPolicy, flagDump, nil)
	if err != nil || r.Value() != nil || r.Type() != MsgGetPolicy {
		t.Errorf("policies: %+v, %v", r, err)
	}
}

func TestDecodeNoRequest(t *testing.T) {
	for _, typ := range []MsgType{0, 1, MsgNewSADInfo, MsgReport, MsgMapping, MsgMigrateState + 1} {
		if r, err := DecodeRequest(typ, 0, make([]byte, 400)); err == nil {
			t.Errorf("%s: %+v", typ, r)
		}
	}
	for typ := MsgNewSA; typ <= MsgMigrateState; typ++ {
		n := bodySize(typ, 0)
		if n <= 0 || requestDecoders[typ] == nil {
			continue
		}
		if r, err := DecodeRequest(typ, 0, make([]byte, n-1)); err == nil {
			t.Errorf("%s of %d bytes: %+v", typ, n-1, r)
		}
	}
}

// FuzzDecodeRequest: no panic, and what decodes again after encoding is the
// same.
func FuzzDecodeRequest(f *testing.F) {
	fill := func(v any) { (&filler{f: FamilyIPv4}).fill(reflect.ValueOf(v).Elem()) }
	for _, r := range requests(fill) {
		b, err := AppendRequest(nil, r, 1, 0)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint16(r.Type()), uint16(0), b[sizeHeader:])
	}
	f.Fuzz(func(t *testing.T, typ, flags uint16, p []byte) {
		r, err := DecodeRequest(MsgType(typ), flags, p)
		if err != nil {
			return
		}
		b, err := AppendRequest(nil, r, 1, flags)
		if err != nil {
			return // a value that no request may have
		}
		again, err := DecodeRequest(MsgType(typ), flags, b[sizeHeader:])
		if err != nil {
			t.Fatalf("encoded request does not decode: %v", err)
		}
		b2, err := AppendRequest(nil, again, 1, flags)
		if err != nil || string(b2) != string(b) {
			t.Fatalf("second encoding differs: %v\n%x\n%x", err, b, b2)
		}
	})
}
