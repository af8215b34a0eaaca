package ipxfrm

import (
	"math"
	"net/netip"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// What strtoul of glibc 2.38 and newer makes of a word, with the range checks of ip.
func TestParseNumber(t *testing.T) {
	const none = "refused"
	for _, test := range []struct {
		word  string
		want  any // uint64 or none
		limit uint64
	}{
		{"0", uint64(0), math.MaxUint8},
		{"255", uint64(255), math.MaxUint8},
		{"256", none, math.MaxUint8},
		{"0x10", uint64(16), math.MaxUint8},
		{"0X1f", uint64(31), math.MaxUint8},
		{"077", uint64(63), math.MaxUint8},
		{"08", none, math.MaxUint8},
		{"0b101", uint64(5), math.MaxUint8},
		{"0B2", none, math.MaxUint8},
		{"0x", none, math.MaxUint8},
		{"0b", none, math.MaxUint8},
		{"", none, math.MaxUint8},
		{" \t4", uint64(4), math.MaxUint8},
		{"4 ", none, math.MaxUint8},
		{"+4", uint64(4), math.MaxUint8},
		{"-0", uint64(0), math.MaxUint8},
		{"-1", none, math.MaxUint32},
		{"-18446744073709551615", uint64(1), math.MaxUint32},
		{"4294967295", uint64(math.MaxUint32), math.MaxUint32},
		{"4294967296", none, math.MaxUint32},
		{"-5", uint64(math.MaxUint64 - 4), math.MaxUint64},
		{"18446744073709551615", uint64(math.MaxUint64), math.MaxUint64},
		{"18446744073709551616", none, math.MaxUint64},
		{"-18446744073709551616", none, math.MaxUint64},
		{"99999999999999999999999999", none, math.MaxUint64},
		{"1K", none, math.MaxUint64},
		{"1.5", none, math.MaxUint64},
	} {
		v, ok := parseNumber(test.word, 0, test.limit)
		if got := any(v); ok && got != test.want || !ok && test.want != any(none) {
			t.Errorf("%q: got %d, %v, want %v", test.word, v, ok, test.want)
		}
	}
}

func TestParseNumberBase16(t *testing.T) {
	for word, want := range map[string]int{"ff": 255, "0x": -1, "0b": 11, " f": 15, "-0": 0, "-1": -1, "+f": 15, "g": -1, "0x1f": 31, "100": -1} {
		v, ok := parseNumber(word, 16, 255)
		if got := int(v); !ok && want != -1 || ok && got != want {
			t.Errorf("%q: got %d, %v, want %d", word, got, ok, want)
		}
	}
}

func TestParsePrefix(t *testing.T) {
	const four, six, none = netlinkx.FamilyIPv4, netlinkx.FamilyIPv6, netlinkx.FamilyUnspec
	for _, test := range []struct {
		word   string
		family netlinkx.Family // known before
		want   string          // "" refused
	}{
		{"10.0.0.1", none, "10.0.0.1/32"},
		{"10", none, "10.0.0.0/32"},
		{"10.1", none, "10.1.0.0/32"},
		{"0x0a.010.1", none, "10.8.1.0/32"},
		{"1.2.3.4/24", none, "1.2.3.4/24"},
		{"10.0.0.0/255.255.255.0", none, "10.0.0.0/24"},
		{"10.0.0.0/255.255", none, "10.0.0.0/16"},
		{"10.0.0.0/255.0.255.0", none, ""},
		{"10.0.0.0/0x10", none, "10.0.0.0/16"},
		{"10.0.0.0/any", none, "10.0.0.0/0"},
		{"10.0.0.0/33", none, ""},
		{"10.0.0.0/", none, ""},
		{"10.0.0.0/8/8", none, ""},
		{"/8", none, ""},
		{"1.2.3.4.5", none, ""},
		{"1.2.3.4.", none, ""},
		{"1..2", none, ""},
		{"10.0.0.256", none, ""},
		{"-1.2.3.4", none, ""},
		{"", none, ""},
		{"host", none, ""},
		{"fd00::1", none, "fd00::1/128"},
		{"2001:db8::/32", none, "2001:db8::/32"},
		{"::/129", none, ""},
		{"::1%lo", none, ""},
		{"::ffff:1.2.3.4", none, "::ffff:1.2.3.4/128"},
		{"::01.2.3.4", none, ""},
		{"1:2:3:4:5:6:7::", none, "1:2:3:4:5:6:7:0/128"},
		{"1:2:3:4:5:6:7:8::", none, ""},
		{"fd00::1", four, ""},
		{"10.0.0.1", six, ""},
		{"any", four, "0.0.0.0/0"},
		{"default", six, "::/0"},
		{"all", six, "::/0"},
		{"any/0", four, ""},
		{"any", none, "invalid Prefix"},
	} {
		a, ok := parsePrefix(test.word, test.family)
		got := ""
		if ok {
			got = a.prefix().String()
		}
		if got != test.want {
			t.Errorf("%q of family %s: got %q, want %q", test.word, test.family, got, test.want)
		}
	}
}

func TestParseIPv4KeepsOrder(t *testing.T) {
	if a, ok := parseIPv4("1.2.3.4"); !ok || a != netip.AddrFrom4([4]byte{1, 2, 3, 4}) {
		t.Errorf("got %v, %v", a, ok)
	}
}
