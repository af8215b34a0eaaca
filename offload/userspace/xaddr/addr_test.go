package xaddr

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// TestWithin compares with netip's, whose prefixes are of one family.
func TestWithin(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		b := Addr{}
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		family := netlinkx.FamilyIPv6
		if r.IntN(2) == 0 {
			family = netlinkx.FamilyIPv4
		}
		other := b
		bit := r.IntN(family.Bits())
		other[bit/8] ^= 0x80 >> (bit % 8)
		a := other.In(family)
		p := netip.PrefixFrom(b.In(family), r.IntN(family.Bits()+1))
		raw := Of(a)
		if got, want := raw.Within(p), p.Contains(a); got != want {
			t.Fatalf("%v within %v: %v, want %v", a, p, got, want)
		}
	}
}

func TestOf(t *testing.T) {
	for _, s := range []string{"192.0.2.1", "2001:db8::1", "0.0.0.0", "::"} {
		a := netip.MustParseAddr(s)
		x := Of(a)
		if got := x.In(netlinkx.FamilyOf(a)); got != a {
			t.Errorf("%v comes back as %v", a, got)
		}
	}
	none := Of(netip.Addr{})
	if none != (Addr{}) || none.In(netlinkx.FamilyUnspec).IsValid() {
		t.Errorf("no address is %v", none)
	}
	if !none.Within(netip.Prefix{}) {
		t.Error("not in the zero prefix")
	}
}
