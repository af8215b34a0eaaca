package pmtu

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

var (
	router4 = netip.MustParseAddr("203.0.113.9")
	us4     = netip.MustParseAddr("192.0.2.1")
	peer4   = netip.MustParseAddr("198.51.100.7")
	us6     = netip.MustParseAddr("2001:db8::1")
	peer6   = netip.MustParseAddr("2001:db8::2")
)

func ip4(src, dst netip.Addr, proto uint8, payload ...byte) []byte {
	p := []byte{0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, proto, 0, 0}
	p = append(append(append(p, src.AsSlice()...), dst.AsSlice()...), payload...)
	be.PutUint16(p[2:], uint16(len(p)))
	be.PutUint16(p[10:], ^slowSum(p[:20]))
	return p
}

func ip6(src, dst netip.Addr, next uint8, payload ...byte) []byte {
	p := []byte{0x60, 0, 0, 0, 0, 0, next, 64}
	be.PutUint16(p[4:], uint16(len(payload)))
	return append(append(append(p, src.AsSlice()...), dst.AsSlice()...), payload...)
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func slowSum(b []byte) uint16 {
	var sum uint32
	for i := range b {
		sum += uint32(b[i]) << (8 * (1 - i%2))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

// icmp4 is a whole packet with a right checksum.
func icmp4(typ, code uint8, rest uint32, quote ...byte) []byte {
	m := be.AppendUint32([]byte{typ, code, 0, 0}, rest)
	m = append(m, quote...)
	be.PutUint16(m[2:], ^slowSum(m))
	return ip4(router4, us4, 1, m...)
}

func icmp6(typ, code uint8, rest uint32, quote ...byte) []byte {
	return append(be.AppendUint32([]byte{typ, code, 1, 2}, rest), quote...)
}

var (
	esp   = []byte{0, 0, 0x10, 1, 0, 0, 0, 9}
	inUDP = []byte{0x11, 0x94, 0x11, 0x95, 0, 100, 0, 0}
)

func want4() Quote {
	return Quote{Family: netlinkx.FamilyIPv4, Type: 3, Code: 4, TooBig: true, MTU: 1400, Src: us4, Dst: peer4, SPI: 0x1001, Seq: 9}
}

func want6() Quote {
	return Quote{Family: netlinkx.FamilyIPv6, Type: 2, TooBig: true, MTU: 1300, Src: us6, Dst: peer6, SPI: 0x1001, Seq: 9}
}

func with(q Quote, change func(*Quote)) Quote {
	change(&q)
	return q
}

func encap(q *Quote) { q.Encap, q.SrcPort, q.DstPort = true, 4500, 4501 }

func TestParse4(t *testing.T) {
	for name, c := range map[string]struct {
		pkt  []byte
		want Quote
	}{
		"ESP":           {icmp4(3, 4, 1400, ip4(us4, peer4, 50, esp...)...), want4()},
		"UDP":           {icmp4(3, 4, 1400, ip4(us4, peer4, 17, join(inUDP, esp)...)...), with(want4(), encap)},
		"SPI only":      {icmp4(3, 4, 1400, ip4(us4, peer4, 50, esp[:4]...)...), with(want4(), func(q *Quote) { q.Seq = 0 })},
		"MTU not given": {icmp4(3, 4, 0, ip4(us4, peer4, 50, esp...)...), with(want4(), func(q *Quote) { q.MTU = 0 })},
		"unused half":   {icmp4(3, 4, 0xffff0000|1400, ip4(us4, peer4, 50, esp...)...), want4()},
		"unreachable":   {icmp4(3, 1, 1400, ip4(us4, peer4, 50, esp...)...), with(want4(), func(q *Quote) { q.Code, q.TooBig, q.MTU = 1, false, 0 })},
		"time exceeded": {icmp4(11, 0, 1400, ip4(us4, peer4, 50, esp...)...), with(want4(), func(q *Quote) { q.Type, q.Code, q.TooBig, q.MTU = 11, 0, false, 0 })},
		"long quote":    {icmp4(3, 4, 1400, ip4(us4, peer4, 50, join(esp, make([]byte, 500))...)...), want4()},
	} {
		q := Quote{SPI: 77, Encap: true}
		if err := q.Parse4(append(c.pkt, 1, 2, 3)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if d := cmp.Diff(c.want, q, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	// options in both headers
	inner := append(ip4(us4, peer4, 50)[:20], 1, 1, 1, 0)
	inner[0] = 0x46
	p := icmp4(3, 4, 1400, append(inner, esp...)...)
	p = join(p[:20], []byte{1, 1, 1, 1}, p[20:])
	p[0] = 0x46
	be.PutUint16(p[2:], uint16(len(p)))
	var q Quote
	if err := q.Parse4(p); err != nil || q != want4() {
		t.Errorf("options: %+v, %v", q, err)
	}
}

func TestParse6(t *testing.T) {
	ext := func(next uint8) []byte { return []byte{next, 0, 1, 4, 0, 0, 0, 0} }
	frag := func(off byte) []byte { return []byte{50, 0, 0, off, 0, 0, 0, 1} }
	for name, c := range map[string]struct {
		msg  []byte
		want Quote
	}{
		"ESP":               {icmp6(2, 0, 1300, ip6(us6, peer6, 50, esp...)...), want6()},
		"UDP":               {icmp6(2, 0, 1300, ip6(us6, peer6, 17, join(inUDP, esp)...)...), with(want6(), encap)},
		"extension headers": {icmp6(2, 0, 1300, ip6(us6, peer6, 0, join(ext(60), ext(43), ext(50), esp)...)...), want6()},
		"first fragment":    {icmp6(2, 0, 1300, ip6(us6, peer6, 44, join(frag(1), esp)...)...), want6()},
		"MTU of 32 bits":    {icmp6(2, 0, 0xfffffff0, ip6(us6, peer6, 50, esp...)...), with(want6(), func(q *Quote) { q.MTU = 0xfffffff0 })},
		"unreachable":       {icmp6(1, 3, 1300, ip6(us6, peer6, 50, esp...)...), with(want6(), func(q *Quote) { q.Type, q.Code, q.TooBig, q.MTU = 1, 3, false, 0 })},
	} {
		var q Quote
		if err := q.Parse6(c.msg); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if d := cmp.Diff(c.want, q, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	for name, c := range map[string]struct {
		msg  []byte
		want error
	}{
		"later fragment":       {icmp6(2, 0, 1300, ip6(us6, peer6, 44, join(frag(8), esp)...)...), ErrShortQuote},
		"extension header cut": {icmp6(2, 0, 1300, ip6(us6, peer6, 60, 50, 5, 0, 0, 0, 0, 0, 0)...), ErrShortQuote},
		"no extension header":  {icmp6(2, 0, 1300, ip6(us6, peer6, 60)...), ErrShortQuote},
		"header cut":           {icmp6(2, 0, 1300, ip6(us6, peer6, 50)[:39]...), ErrShortQuote},
		"IPv4 quoted":          {icmp6(2, 0, 1300, ip4(us4, peer4, 50, make([]byte, 40)...)...), ErrNotESP},
		"TCP":                  {icmp6(2, 0, 1300, ip6(us6, peer6, 6, esp...)...), ErrNotESP},
		"echo":                 {icmp6(128, 0, 1300, ip6(us6, peer6, 50, esp...)...), ErrNotError},
		"type 0":               {icmp6(0, 0, 1300, ip6(us6, peer6, 50, esp...)...), ErrNotError},
		"short":                {icmp6(2, 0, 1300)[:7], ErrTruncated},
		"no quote":             {icmp6(2, 0, 1300), ErrShortQuote},
	} {
		q := Quote{SPI: 7}
		if err := q.Parse6(c.msg); !errors.Is(err, c.want) || q != (Quote{}) {
			t.Errorf("%s: %v, want %v; %+v", name, err, c.want, q)
		}
	}
}

func TestParse4Refuses(t *testing.T) {
	good := func() []byte { return icmp4(3, 4, 1400, ip4(us4, peer4, 50, esp...)...) }
	later := ip4(us4, peer4, 50, esp...)
	later[7] = 1
	short := ip4(us4, peer4, 50, esp...)
	short[0] = 0x44
	long := ip4(us4, peer4, 50)
	long[0] = 0x4f
	flip := func(at int) []byte { p := good(); p[at] ^= 1; return p }
	for name, c := range map[string]struct {
		pkt  []byte
		want error
	}{
		"empty":               {nil, ErrTruncated},
		"cut":                 {good()[:len(good())-1], ErrTruncated},
		"header only":         {ip4(router4, us4, 1), ErrTruncated},
		"IPv6":                {ip6(us6, peer6, 58, make([]byte, 60)...), ErrTruncated},
		"checksum, type":      {flip(20), ErrChecksum},
		"checksum, MTU":       {flip(27), ErrChecksum},
		"checksum, quote":     {flip(len(good()) - 1), ErrChecksum},
		"echo reply":          {icmp4(0, 0, 1400, ip4(us4, peer4, 50, esp...)...), ErrNotError},
		"redirect":            {icmp4(5, 0, 1400, ip4(us4, peer4, 50, esp...)...), ErrNotError},
		"TCP":                 {icmp4(3, 4, 1400, ip4(us4, peer4, 6, esp...)...), ErrNotESP},
		"IKE in UDP":          {icmp4(3, 4, 1400, ip4(us4, peer4, 17, join(inUDP, []byte{0, 0, 0, 0}, esp)...)...), ErrNotESP},
		"keepalive":           {icmp4(3, 4, 1400, ip4(us4, peer4, 17, join(inUDP, []byte{0xff})...)...), ErrShortQuote},
		"UDP header only":     {icmp4(3, 4, 1400, ip4(us4, peer4, 17, inUDP...)...), ErrShortQuote},
		"UDP header cut":      {icmp4(3, 4, 1400, ip4(us4, peer4, 17, inUDP[:7]...)...), ErrShortQuote},
		"SPI cut":             {icmp4(3, 4, 1400, ip4(us4, peer4, 50, esp[:3]...)...), ErrShortQuote},
		"later fragment":      {icmp4(3, 4, 1400, later...), ErrShortQuote},
		"quoted header short": {icmp4(3, 4, 1400, short...), ErrNotESP},
		"quoted options cut":  {icmp4(3, 4, 1400, long...), ErrShortQuote},
		"quoted IPv6":         {icmp4(3, 4, 1400, ip6(us6, peer6, 50, esp...)...), ErrNotESP},
		"no quote":            {icmp4(3, 4, 1400), ErrShortQuote},
	} {
		q := Quote{SPI: 7}
		if err := q.Parse4(c.pkt); !errors.Is(err, c.want) || q != (Quote{}) {
			t.Errorf("%s: %v, want %v; %+v", name, err, c.want, q)
		}
	}
}
