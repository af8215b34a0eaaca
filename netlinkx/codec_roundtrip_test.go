package netlinkx

import (
	"fmt"
	"net/netip"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// filler sets every exported field of a value to something that is not zero
// and differs from field to field, for one address family.
type filler struct {
	n uint64
	f Family
}

func (f *filler) next() uint64 { f.n++; return f.n }

func (f *filler) addr() netip.Addr {
	n := byte(f.next())
	if f.f == FamilyIPv6 {
		return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 14: 1, 15: n})
	}
	return netip.AddrFrom4([4]byte{10, 0, 1, n})
}

func (f *filler) fill(v reflect.Value) {
	switch v.Interface().(type) {
	case netip.Addr:
		v.Set(reflect.ValueOf(f.addr()))
		return
	case netip.Prefix:
		v.Set(reflect.ValueOf(netip.PrefixFrom(f.addr(), 17+int(f.next()%8))))
		return
	case Key:
		v.Set(reflect.ValueOf(NewKey([]byte{byte(f.next()), 2, 3, 4, 5})))
		return
	case Family:
		v.Set(reflect.ValueOf(f.f))
		return
	case ReplayESN:
		v.Set(reflect.ValueOf(ReplayESN{OSeq: 7, Seq: 8, OSeqHi: 9, SeqHi: 10, BitmapLen: 3, Bitmap: []uint32{11, 12, 13}}))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				f.fill(v.Field(i))
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			f.fill(v.Index(i))
		}
	case reflect.Bool:
		v.SetBool(true)
	case reflect.String:
		v.SetString(fmt.Sprintf("name%d", f.next()))
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(f.next()%250 + 1)
	case reflect.Int32:
		v.SetInt(int64(f.next()))
	default:
		panic("no filler for " + v.Type().String())
	}
}

// roundTrip is one message: what it carries, and the way back. ignore names
// the fields that the message does not carry, with the reason in a comment
// where it is not that another message does.
type roundTrip struct {
	name   string
	value  body
	decode func([]byte) (any, error)
	ignore []string
}

func dec[T any](f func([]byte) (*T, error)) func([]byte) (any, error) {
	return func(p []byte) (any, error) { return f(p) }
}

var roundTrips = []roundTrip{
	{"SA", &SA{}, dec(func(p []byte) (*SA, error) { return decodeSA(MsgNewSA, p, SizeSAInfo) }), nil},
	{"SAID", &SAID{}, dec(func(p []byte) (*SAID, error) { return decodeSAID(MsgGetSA, p) }), nil},
	{"Policy", &Policy{}, dec(func(p []byte) (*Policy, error) { return decodePolicy(MsgNewPolicy, p, SizePolicyInfo) }), nil},
	{"PolicyID", &PolicyID{}, dec(func(p []byte) (*PolicyID, error) { return decodePolicyID(MsgDelPolicy, p) }), nil},
	{"SADInfo", &SADInfo{}, dec(decodeSADInfo), nil},
	{"SPDInfo", &SPDInfo{}, dec(decodeSPDInfo), nil},
	{"Defaults", &Defaults{}, dec(func(p []byte) (*Defaults, error) { return decodeDefaults(MsgGetDefault, p) }), nil},
	{"AE", &AE{}, dec(func(p []byte) (*AE, error) { return decodeAE(MsgNewAE, p) }), []string{"ID.SA.Src"}}, // it is ID.Src
	{"Acquire", &Acquire{}, dec(decodeAcquire), []string{"SA.Mark", "Policy.Offload"}},                      // Policy.Mark; Offload
	{"Mapping", &Mapping{}, dec(decodeMapping), []string{"SA.Src", "SA.Mark"}},
	{"Report", &Report{}, dec(decodeReport), nil},
	{"Migrate", &Migrate{}, dec(decodeMigrate), nil},
	{"MigrateState", &MigrateState{}, dec(decodeMigrateState), []string{"SA.Src"}},
	{"ExpirePolicy", &ExpirePolicy{}, dec(func(p []byte) (*ExpirePolicy, error) {
		e, err := DecodeEvent(MsgPolExpire, 0, p)
		if err != nil {
			return nil, err
		}
		x := e.(*PolicyExpireEvent)
		return &ExpirePolicy{x.Policy, x.Hard}, nil
	}), nil},
}

// clearPath sets the field named by a dotted path to zero.
func clearPath(t *testing.T, v reflect.Value, path string) {
	t.Helper()
	for _, name := range splitDots(path) {
		v = v.FieldByName(name)
		if !v.IsValid() {
			t.Fatalf("no field %s", path)
		}
	}
	v.SetZero()
}

func splitDots(s string) (out []string) {
	for len(s) > 0 {
		i := 0
		for i < len(s) && s[i] != '.' {
			i++
		}
		out, s = append(out, s[:i]), s[min(i+1, len(s)):]
	}
	return out
}

// TestRoundTrip is the law decode(encode(x)) == x for every exported field: a
// field that someone adds and forgets in one direction comes back zero.
func TestRoundTrip(t *testing.T) {
	for _, rt := range roundTrips {
		for _, fam := range []Family{FamilyIPv4, FamilyIPv6} {
			t.Run(fmt.Sprintf("%s/%s", rt.name, fam), func(t *testing.T) {
				want := reflect.New(reflect.TypeOf(rt.value).Elem())
				(&filler{f: fam}).fill(want.Elem())
				for _, path := range rt.ignore {
					clearPath(t, want.Elem(), path)
				}
				b, err := want.Interface().(body).appendTo(nil)
				if err != nil {
					t.Fatal(err)
				}
				got, err := rt.decode(b)
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(want.Interface(), got, cmp.Comparer(Key.Equal), cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); d != "" {
					t.Errorf("decode(encode(x)) != x:\n%s", d)
				}
			})
		}
	}
}

// TestRoundTripParts covers messages that carry a part of an SA.
func TestRoundTripParts(t *testing.T) {
	sa := SA{Dst: ip2, Src: ip1, SPI: 0x101, Proto: ProtoESP, Family: FamilyIPv4, Mode: ModeTunnel, ReqID: 3, Mark: Mark{1, 0xf}, IfID: 9, Dir: DirOut, PCPU: Some[uint32](0)}
	b, err := (&ExpireSA{SA: sa, Hard: true}).appendTo(nil)
	if err != nil {
		t.Fatal(err)
	}
	ev, err := DecodeEvent(MsgExpire, 0, b)
	if err != nil {
		t.Fatal(err)
	}
	if x := ev.(*ExpireEvent); !x.Hard || !reflect.DeepEqual(x.SA, sa) {
		t.Errorf("expire: got %+v, want %+v", x, sa)
	}
	r := &SPIRange{SA: sa, Min: 0x100, Max: 0x1ff}
	r.SA.SPI = 0
	if b, err = r.appendTo(nil); err != nil {
		t.Fatal(err)
	}
	back, err := decodeSPIRange(b)
	if err != nil || !reflect.DeepEqual(back, r) {
		t.Errorf("allocspi: got %+v, %v, want %+v", back, err, r)
	}
}

// TestReplayForms covers the three ways in which a replay window travels.
func TestReplayForms(t *testing.T) {
	esn := &ReplayESN{BitmapLen: 2, Bitmap: []uint32{1, 2}}
	for _, sa := range []SA{
		{},
		{ReplayWindow: 1},
		{ReplayWindow: 32},
		{ReplayWindow: 32, Replay: &ReplayState{OSeq: 1}},
		{ReplayWindow: 33},
		{ReplayWindow: 64, Flags: FlagESN},
		{ReplayWindow: 4096, Flags: FlagESN},
		{ReplayWindow: 16, ReplayESN: &ReplayESN{BitmapLen: 1, Seq: 5}},
		{ReplayWindow: 64, ReplayESN: esn},
		{Flags: FlagESN, ReplayESN: &ReplayESN{}},
	} {
		sa.Dst, sa.Src, sa.Family = ip2, ip1, FamilyIPv4
		b, err := sa.appendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeSA(MsgNewSA, b, SizeSAInfo)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(*got, sa) {
			t.Errorf("window %d: got %+v %+v, want %+v %+v", sa.ReplayWindow, got, got.ReplayESN, sa, sa.ReplayESN)
		}
	}
	if _, err := (&SA{ReplayWindow: 4097}).appendTo(nil); err == nil {
		t.Error("window of 4097 accepted")
	}
}
