package networkd

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/provision"
)

func TestSnippets(t *testing.T) {
	dst := netip.MustParsePrefix("10.2.0.0/16")
	res := Snippets(&provision.State{
		Interfaces: []*provision.Interface{
			{Name: "ipsec0", IfID: 7, Underlay: "eth0", MTU: 1446, Addresses: []netip.Prefix{netip.MustParsePrefix("10.9.0.1/30")}},
			{Name: "ipsec1", IfID: 8},
			{Name: "ipsec2", IfID: 9, NetNS: "blue"},
		},
		SAs:      []*netlinkx.SA{netlinkx.NewSA()},
		Policies: []*netlinkx.Policy{netlinkx.NewPolicy()},
		Routes: []*provision.Route{
			{Dst: dst, Dev: "ipsec0", Metric: 1024}, {Dst: dst, Metric: provision.GuardMetric},
			{Dst: netip.MustParsePrefix("2001:db8::/32"), Dev: "ipsec0", Metric: 1024}, {Dst: dst, Dev: "ipsec0", More: []string{"ipsec1"}, Metric: 7},
		},
	})
	want := []File{
		{"50-xfrmctl-ipsec0.netdev", "[NetDev]\nName=ipsec0\nKind=xfrm\nMTUBytes=1446\n\n[Xfrm]\nInterfaceId=7\nIndependent=no\n"},
		{"50-xfrmctl-ipsec0.network", "[Match]\nName=ipsec0\n\n[Link]\nMTUBytes=1446\nRequiredForOnline=no\n\n[Network]\nIPv6AcceptRA=no\nConfigureWithoutCarrier=yes\nAddress=10.9.0.1/30\n\n" +
			"[Route]\nDestination=10.2.0.0/16\nMetric=1024\nScope=link\n\n[Route]\nDestination=2001:db8::/32\nMetric=1024\n"},
		{"50-xfrmctl-ipsec1.netdev", "[NetDev]\nName=ipsec1\nKind=xfrm\n\n[Xfrm]\nInterfaceId=8\nIndependent=yes\n"},
		{"50-xfrmctl-ipsec1.network", "[Match]\nName=ipsec1\n\n[Link]\nRequiredForOnline=no\n\n[Network]\nIPv6AcceptRA=no\nConfigureWithoutCarrier=yes\n"},
	}
	if !slices.Equal(res.Files, want) {
		t.Errorf("%+v", res.Files)
	}
	if len(res.Underlay) != 1 || !slices.Equal(res.Underlay["eth0"], []string{"Xfrm=ipsec0"}) {
		t.Errorf("%v", res.Underlay)
	}
	left := strings.Join(res.Left, "\n")
	for _, what := range []string{"namespace blue", "1 SAs", "1 policies", "1 guard routes", "1 routes to several"} {
		if !strings.Contains(left, what) {
			t.Errorf("%s is not told:\n%s", what, left)
		}
	}
}
