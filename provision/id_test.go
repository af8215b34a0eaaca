package provision

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// TestNames: names that are put together by hand are those of netlinkx.
func TestNames(t *testing.T) {
	for _, dst := range []string{"192.0.2.1", "2001:db8::1", ""} {
		for _, mark := range []netlinkx.Mark{{}, {Value: 1, Mask: 3}} {
			for _, proto := range []netlinkx.Proto{netlinkx.ProtoESP, netlinkx.ProtoAH, netlinkx.ProtoComp, netlinkx.ProtoRoute2} {
				sa := &netlinkx.SA{Proto: proto, SPI: 0xa0b, Mark: mark}
				p := &netlinkx.Policy{Dir: netlinkx.PolicyFwd, Mark: mark, Selector: netlinkx.Selector{Family: netlinkx.FamilyIPv4}}
				if dst != "" {
					sa.Dst = netip.MustParseAddr(dst)
					p.Selector.Src, p.Selector.Dst, p.IfID = netip.PrefixFrom(sa.Dst, 8), netip.PrefixFrom(sa.Dst, 24), uint32(proto)
				}
				if got, want := saID(sa), SAObject(sa.ID()); got != want {
					t.Errorf("%q is not %q", got, want)
				}
				if got, want := policyID(p), ID(p.String()); got != want {
					t.Errorf("%q is not %q", got, want)
				}
			}
		}
	}
	for _, r := range []*Route{{Dst: netip.MustParsePrefix("10.0.0.0/8"), Dev: "x", Metric: 7}, {Dst: netip.MustParsePrefix("2001:db8::/32"), Metric: GuardMetric, NetNS: "blue"}} {
		want := fmt.Sprintf("route %s metric %d", r.Dst, r.Metric) + within(r.NetNS)
		if r.Guard() {
			want = fmt.Sprintf("guard route %s", r.Dst) + within(r.NetNS)
		}
		if got := routeID(r); got != ID(want) {
			t.Errorf("%q is not %q", got, want)
		}
	}
}
