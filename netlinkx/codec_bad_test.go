package netlinkx

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// TestWrongLength cuts and stretches each attribute of full messages: the
// error must name the attribute.
func TestWrongLength(t *testing.T) {
	for _, rt := range roundTrips {
		v := reflect.New(reflect.TypeOf(rt.value).Elem())
		(&filler{f: FamilyIPv4}).fill(v.Elem())
		b, err := v.Interface().(body).appendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, off := range attrOffsets(t, rt.name, b) {
			typ := AttrType(host.Uint16(b[off+2:]))
			for _, delta := range []int{-1, +1} {
				bad := append([]byte(nil), b[:off]...)
				n := int(host.Uint16(b[off:]))
				bad = append(bad, b[off:off+min(n, n+delta)]...)
				for len(bad) < off+n+delta || len(bad)%4 != 0 {
					bad = append(bad, 0)
				}
				host.PutUint16(bad[off:], uint16(n+delta))
				_, err := rt.decode(bad)
				var de *DecodeError
				if !errors.As(err, &de) {
					t.Errorf("%s: %s of %d%+d bytes: error %v", rt.name, typ, n-sizeAttr, delta, err)
					continue
				}
				if want := attrNameOf(rt.name, typ); de.Attr != want || !strings.Contains(err.Error(), want) {
					t.Errorf("%s: error %q does not name %s", rt.name, err, want)
				}
			}
		}
	}
}

func attrNameOf(message string, t AttrType) string {
	switch message {
	case "SADInfo":
		return sadAttrName(t)
	case "SPDInfo":
		return spdAttrName(t)
	}
	return t.String()
}

// fixedSizes are the sizes of the fixed parts by name of the round trip.
var fixedSizes = map[string]int{
	"SA": SizeSAInfo, "SAID": SizeSAID, "Policy": SizePolicyInfo, "PolicyID": SizePolicyID, "SADInfo": 4, "SPDInfo": 4,
	"Defaults": SizeDefaults, "AE": SizeAE, "Acquire": SizeAcquire, "Mapping": SizeMapping, "Report": SizeReport,
	"Migrate": SizePolicyID, "MigrateState": SizeMigrateState, "ExpirePolicy": SizePolExpire,
}

func attrOffsets(t *testing.T, name string, b []byte) (offs []int) {
	t.Helper()
	n, ok := fixedSizes[name]
	if !ok {
		t.Fatalf("no size of %s", name)
	}
	for off := align4(n); off < len(b); off += align4(int(host.Uint16(b[off:]))) {
		offs = append(offs, off)
	}
	return offs
}

// TestTruncated cuts full messages everywhere: never a panic, and always an
// error unless the cut is between two attributes.
func TestTruncated(t *testing.T) {
	for _, rt := range roundTrips {
		v := reflect.New(reflect.TypeOf(rt.value).Elem())
		(&filler{f: FamilyIPv6}).fill(v.Elem())
		b, err := v.Interface().(body).appendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		whole := map[int]bool{fixedSizes[rt.name]: true, len(b): true}
		for _, off := range attrOffsets(t, rt.name, b) {
			whole[off] = true
			// the padding of an attribute may be missing at the end
			for i := int(host.Uint16(b[off:])); i%4 != 0; i++ {
				whole[off+i] = true
			}
		}
		for n := range b {
			if _, err := rt.decode(b[:n]); (err == nil) != whole[n] {
				t.Errorf("%s cut to %d of %d bytes: error %v", rt.name, n, len(b), err)
			}
		}
	}
}

func TestDecodeEventCoversEveryMessage(t *testing.T) {
	answers := map[MsgType]bool{ // requests and answers that are no events
		MsgGetSA: true, MsgGetPolicy: true, MsgAllocSPI: true, MsgGetAE: true, MsgNewSADInfo: true, MsgGetSADInfo: true,
		MsgNewSPDInfo: true, MsgGetSPDInfo: true, MsgSetDefault: true,
	}
	for typ := MsgNewSA; typ <= MsgMigrateState; typ++ {
		e, err := DecodeEvent(typ, 0, make([]byte, 512))
		if err != nil {
			// zeros are attributes of length 0
			var de *DecodeError
			if !errors.As(err, &de) {
				t.Errorf("%s: %v", typ, err)
			}
			continue
		}
		if _, unknown := e.(*UnknownEvent); unknown != answers[typ] {
			t.Errorf("%s decodes to %T", typ, e)
		}
	}
}

func TestNames(t *testing.T) {
	for typ := AttrAlgAuth; typ <= AttrIPTFSPktSize; typ++ {
		if strings.Contains(typ.String(), "attribute") {
			t.Errorf("attribute %d has no name", typ)
		}
	}
	if got := AttrSADir.String(); got != "SA_DIR" || AttrSADir != 33 || AttrIPTFSPktSize != 41 {
		t.Errorf("attribute 33 is %s, the last %d", got, AttrIPTFSPktSize)
	}
	if got := fmt.Sprint(MsgMigrateState, MsgMapping); got != "MIGRATE_STATE MAPPING" || MsgMigrateState != 0x29 {
		t.Error(got)
	}
}
