package pmtu

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"

	"github.com/xfrmctl/xfrmctl/offload/userspace/flow"
)

func dissect(t testing.TB, p []byte) *flow.Flow {
	t.Helper()
	f := new(flow.Flow)
	if err := flow.Dissect(p, f); err != nil {
		t.Fatal(err)
	}
	return f
}

// verify checks everything a receiver checks, and returns the quote.
func verify(t testing.TB, e, about []byte, mtu uint32) []byte {
	t.Helper()
	f, a := dissect(t, e), dissect(t, about)
	if int(f.TotalLen) != len(e) || f.SrcAddr() != a.DstAddr() || f.DstAddr() != a.SrcAddr() {
		t.Fatalf("%x: from %v to %v", e, f.SrcAddr(), f.DstAddr())
	}
	m := e[f.HeaderLen:]
	if f.SrcAddr().Is4() {
		if slowSum(e[:20]) != 0xffff || slowSum(m) != 0xffff {
			t.Fatalf("%x: checksum", e)
		}
		if f.Proto != 1 || m[0] != 3 || m[1] != 4 || be.Uint32(m[4:]) != mtu || len(e) > MaxError4 {
			t.Fatalf("%x", e)
		}
		return m[8:]
	}
	pseudo := join(e[8:40], []byte{0, 0, byte(len(m) >> 8), byte(len(m)), 0, 0, 0, 58})
	if slowSum(append(pseudo, m...)) != 0xffff {
		t.Fatalf("%x: checksum", e)
	}
	if f.Proto != 58 || m[0] != 2 || m[1] != 0 || be.Uint32(m[4:]) != mtu || len(e) > MaxError6 {
		t.Fatalf("%x", e)
	}
	return m[8:]
}

func TestAppendTooBig(t *testing.T) {
	for _, n := range []int{0, 1, 7, 8, 500, 527, 528, 529, 1191, 1192, 1193, 1400, 9000} {
		for _, p := range [][]byte{ip4(us4, peer4, 17, make([]byte, n)...), ip6(us6, peer6, 6, make([]byte, n)...)} {
			front := []byte("front")
			got, err := AppendTooBig(bytes.Clone(front), append(bytes.Clone(p), 0xee), dissect(t, p), 1400)
			if err != nil || !bytes.HasPrefix(got, front) {
				t.Fatalf("%d bytes: %v", n, err)
			}
			quote := verify(t, got[len(front):], p, 1400)
			if !bytes.HasPrefix(p, quote) {
				t.Errorf("%d bytes: quote %x", n, quote)
			}
			room := MaxError4 - 28
			if p[0]>>4 == 6 {
				room = MaxError6 - 48
			}
			if len(quote) != min(len(p), room) {
				t.Errorf("%d bytes: quotes %d of %d", n, len(quote), len(p))
			}
		}
	}
}

func TestTooBigMTU(t *testing.T) {
	p6, p4 := ip6(us6, peer6, 17, make([]byte, 2000)...), ip4(us4, peer4, 17, make([]byte, 2000)...)
	for _, c := range []struct {
		pkt       []byte
		mtu, want uint32
	}{{p6, 1000, 1280}, {p6, 1279, 1280}, {p6, 1281, 1281}, {p4, 600, 600}, {p4, 100000, 65535}} {
		got, err := AppendTooBig(nil, c.pkt, dissect(t, c.pkt), c.mtu)
		if err != nil {
			t.Fatal(err)
		}
		verify(t, got, c.pkt, c.want)
	}
}

// TestNoAnswer: RFC 1812 section 4.3.2.7, RFC 4443 section 2.4 (e).
func TestNoAnswer(t *testing.T) {
	a := netip.MustParseAddr
	later := ip4(us4, peer4, 17, make([]byte, 8)...)
	later[7] = 1
	first := ip4(us4, peer4, 1, 3, 4, 0, 0, 0, 0, 0, 0)
	first[6] = 0x20
	later6 := ip6(us6, peer6, 44, 17, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0)
	for name, p := range map[string][]byte{
		"multicast":                  ip4(us4, a("224.0.0.5"), 17),
		"broadcast":                  ip4(us4, a("255.255.255.255"), 17),
		"from multicast":             ip4(a("239.1.1.1"), peer4, 17),
		"from broadcast":             ip4(a("255.255.255.255"), peer4, 17),
		"from nobody":                ip4(a("0.0.0.0"), peer4, 17),
		"later fragment":             later,
		"ICMP error":                 ip4(us4, peer4, 1, 3, 4, 0, 0),
		"ICMP error, first fragment": first,
		"time exceeded":              ip4(us4, peer4, 1, 11, 0),
		"redirect":                   ip4(us4, peer4, 1, 5, 0),
		"unknown ICMP":               ip4(us4, peer4, 1, 42, 0),
		"ICMP without type":          ip4(us4, peer4, 1),
		"IPv6 multicast":             ip6(us6, a("ff02::1"), 17),
		"from IPv6 multicast":        ip6(a("ff02::1"), peer6, 17),
		"from ::":                    ip6(a("::"), peer6, 17),
		"IPv6 later fragment":        later6,
		"ICMPv6 error":               ip6(us6, peer6, 58, 2, 0),
		"ICMPv6 unknown error":       ip6(us6, peer6, 58, 100, 0),
		"ICMPv6 redirect":            ip6(us6, peer6, 58, 137, 0),
		"ICMPv6 without type":        ip6(us6, peer6, 58),
	} {
		if got, err := AppendTooBig(nil, p, dissect(t, p), 1400); !errors.Is(err, ErrNoAnswer) || got != nil {
			t.Errorf("%s: %x, %v", name, got, err)
		}
	}
	for name, p := range map[string][]byte{
		"echo": ip4(us4, peer4, 1, 8, 0, 0, 0), "echo reply": ip4(us4, peer4, 1, 0, 0, 0, 0),
		"ICMPv6 echo": ip6(us6, peer6, 58, 128, 0, 0, 0), "ICMP in IPv6": ip6(us6, peer6, 1, 3, 4),
	} {
		if _, err := AppendTooBig(nil, p, dissect(t, p), 1400); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := AppendTooBig(nil, later[:10], dissect(t, later), 1400); !errors.Is(err, ErrNoAnswer) {
		t.Errorf("shorter than its Flow says: %v", err)
	}
}

func TestTooBigAllocatesNothing(t *testing.T) {
	p := ip6(us6, peer6, 17, make([]byte, 2000)...)
	f, buf := dissect(t, p), make([]byte, 0, MaxError6)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := AppendTooBig(buf, p, f, 1400); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
