package pmtu

import (
	"errors"
	"testing"

	"github.com/xfrmctl/xfrmctl/offload/userspace/flow"
)

// FuzzQuote: whatever comes from outside, a quote is whole or nothing, and
// what follows the message does not matter. The checksum is made right, or
// nothing behind it would be reached.
func FuzzQuote(f *testing.F) {
	f.Add(icmp4(3, 4, 1400, ip4(us4, peer4, 50, esp...)...), true)
	f.Add(icmp4(3, 4, 1400, ip4(us4, peer4, 17, join(inUDP, esp)...)...), true)
	f.Add(icmp6(2, 0, 1300, ip6(us6, peer6, 0, join([]byte{50, 0, 0, 0, 0, 0, 0, 0}, esp)...)...), false)
	f.Fuzz(func(t *testing.T, b []byte, v4 bool) {
		parse := (*Quote).Parse6
		if v4 {
			parse = (*Quote).Parse4
			fixChecksum(b)
		}
		q := Quote{SPI: 1}
		if err := parse(&q, b); err != nil {
			if q != (Quote{}) {
				t.Fatalf("%v, and yet %+v", err, q)
			}
			for _, known := range []error{ErrNotError, ErrTruncated, ErrChecksum, ErrNotESP, ErrShortQuote} {
				if errors.Is(err, known) {
					return
				}
			}
			t.Fatal(err)
		}
		if q.SPI == 0 || q.Src.Is4() != v4 || q.Dst.Is4() != v4 || !q.TooBig && q.MTU != 0 || !q.Encap && q.SrcPort|q.DstPort != 0 {
			t.Fatalf("%+v", q)
		}
		if v4 {
			var again Quote
			if err := again.Parse4(append(b, 0x5a, 0x5a)); err != nil || again != q {
				t.Fatalf("%+v, %v; with other bytes behind it %+v", q, err, again)
			}
		}
	})
}

func fixChecksum(b []byte) {
	if len(b) < 28 {
		return
	}
	ihl, total := int(b[0]&0xf)*4, int(be.Uint16(b[2:]))
	if total <= len(b) && total >= ihl+8 {
		b[ihl+2], b[ihl+3] = 0, 0
		be.PutUint16(b[ihl+2:], ^slowSum(b[ihl:total]))
	}
}

// FuzzTooBig: an answer about whatever packet is a right one, and answering the
// answer is refused.
func FuzzTooBig(f *testing.F) {
	f.Add(ip4(us4, peer4, 17, make([]byte, 40)...), uint32(1400))
	f.Add(ip6(us6, peer6, 58, 128, 0, 0, 0), uint32(0))
	f.Fuzz(func(t *testing.T, p []byte, mtu uint32) {
		var fl flow.Flow
		if flow.Dissect(p, &fl) != nil {
			return
		}
		e, err := AppendTooBig(nil, p, &fl, mtu)
		if err != nil {
			return
		}
		want := min(mtu, 0xffff)
		if fl.SrcAddr().Is6() {
			want = max(mtu, MinIPv6)
		}
		verify(t, e, p, want)
		if _, err := AppendTooBig(nil, e, dissect(t, e), 1400); !errors.Is(err, ErrNoAnswer) {
			t.Fatalf("an error about an error: %v", err)
		}
	})
}
