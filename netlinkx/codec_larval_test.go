package netlinkx

import (
	"net/netip"
	"testing"
)

// TestLarvalSelector: the selector of an SA that ALLOCSPI made has addresses,
// but no family.
func TestLarvalSelector(t *testing.T) {
	for _, tt := range []struct {
		dst, src string
		family   Family
	}{
		{"10.0.0.2", "10.0.0.1", FamilyIPv4},
		{"fd00::2", "fd00::1", FamilyIPv6},
	} {
		dst, src := netip.MustParseAddr(tt.dst), netip.MustParseAddr(tt.src)
		want := Selector{Dst: netip.PrefixFrom(dst, dst.BitLen()), Src: netip.PrefixFrom(src, src.BitLen())}
		p, err := (&SA{Dst: dst, Src: src, SPI: 0x200, Proto: ProtoESP, Selector: want}).appendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		host.PutUint16(p[selFamily:], 0)
		sa, err := decodeSA(MsgNewSA, p, SizeSAInfo)
		if err != nil {
			t.Fatal(err)
		}
		if sa.Selector != want || sa.Family != tt.family {
			t.Errorf("got %+v of family %s, want %+v", sa.Selector, sa.Family, want)
		}
		p[selDstLen] = 129
		if _, err := decodeSA(MsgNewSA, p, SizeSAInfo); err == nil {
			t.Error("prefix length 129: no error")
		}
	}
	var none SA
	p, _ := (&SA{Dst: netip.MustParseAddr("10.0.0.2")}).appendTo(nil)
	if err := getSAInfo(MsgNewSA, p, &none); err != nil || none.Selector != (Selector{}) {
		t.Errorf("empty selector: got %+v, %v", none.Selector, err)
	}
}
