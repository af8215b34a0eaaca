package netlinkx

import (
	"reflect"
	"testing"
)

// FuzzDecodeEvent: no panic; value or error, never both or neither.
func FuzzDecodeEvent(f *testing.F) {
	for _, rt := range roundTrips {
		v := reflect.New(reflect.TypeOf(rt.value).Elem())
		(&filler{f: FamilyIPv4}).fill(v.Elem())
		b, err := v.Interface().(body).appendTo(nil)
		if err != nil {
			f.Fatal(err)
		}
		for t := MsgNewSA; t <= MsgMigrateState; t++ {
			f.Add(uint16(t), b)
		}
	}
	f.Fuzz(func(t *testing.T, typ uint16, p []byte) {
		e, err := DecodeEvent(MsgType(typ), 0, p)
		if (e == nil) == (err == nil) {
			t.Fatalf("event %v, error %v", e, err)
		}
	})
}

// fuzzRoundTrip: what decodes, encodes; and what that decodes to is the same,
// so the codec has one form of each value.
func fuzzRoundTrip(f *testing.F, rt roundTrip) {
	for _, fam := range []Family{FamilyIPv4, FamilyIPv6} {
		v := reflect.New(reflect.TypeOf(rt.value).Elem())
		(&filler{f: fam}).fill(v.Elem())
		b, err := v.Interface().(body).appendTo(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:len(b)/2])
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		v, err := rt.decode(p)
		if (err != nil) != reflect.ValueOf(v).IsNil() {
			t.Fatalf("value %v, error %v", v, err)
		}
		if err != nil {
			return
		}
		b, err := v.(body).appendTo(nil)
		if err != nil {
			return // a value that no request may have, such as a window above 4096
		}
		w, err := rt.decode(b)
		if err != nil {
			t.Fatalf("encoded value does not decode: %v", err)
		}
		if b2, err := w.(body).appendTo(nil); err != nil || string(b2) != string(b) {
			t.Fatalf("second encoding differs: %v\n%x\n%x", err, b, b2)
		}
	})
}

func find(name string) roundTrip {
	for _, rt := range roundTrips {
		if rt.name == name {
			return rt
		}
	}
	panic("no round trip " + name)
}

func FuzzSA(f *testing.F)           { fuzzRoundTrip(f, find("SA")) }
func FuzzSAID(f *testing.F)         { fuzzRoundTrip(f, find("SAID")) }
func FuzzPolicy(f *testing.F)       { fuzzRoundTrip(f, find("Policy")) }
func FuzzPolicyID(f *testing.F)     { fuzzRoundTrip(f, find("PolicyID")) }
func FuzzSADInfo(f *testing.F)      { fuzzRoundTrip(f, find("SADInfo")) }
func FuzzSPDInfo(f *testing.F)      { fuzzRoundTrip(f, find("SPDInfo")) }
func FuzzDefaults(f *testing.F)     { fuzzRoundTrip(f, find("Defaults")) }
func FuzzAE(f *testing.F)           { fuzzRoundTrip(f, find("AE")) }
func FuzzAcquire(f *testing.F)      { fuzzRoundTrip(f, find("Acquire")) }
func FuzzMapping(f *testing.F)      { fuzzRoundTrip(f, find("Mapping")) }
func FuzzReport(f *testing.F)       { fuzzRoundTrip(f, find("Report")) }
func FuzzMigrate(f *testing.F)      { fuzzRoundTrip(f, find("Migrate")) }
func FuzzMigrateState(f *testing.F) { fuzzRoundTrip(f, find("MigrateState")) }
