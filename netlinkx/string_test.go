package netlinkx

import (
	"net/netip"
	"testing"
)

func TestNamesOfObjects(t *testing.T) {
	sel := Selector{Src: netip.MustParsePrefix("10.1.0.0/24"), Dst: netip.MustParsePrefix("10.2.0.0/24"), Proto: 6, DstPort: PortMatch{80, 0xffff}}
	for _, tc := range []struct {
		v    interface{ String() string }
		want string
	}{
		{SAID{Dst: ip2, SPI: 0x100, Proto: ProtoESP}, "esp sa 0x00000100 to 10.0.0.2"},
		{SAID{Dst: ip2, SPI: 0x100, Proto: ProtoESP, Mark: Mark{1, 0xf}}, "esp sa 0x00000100 to 10.0.0.2 mark 0x1/0xf"},
		{SAID{Dst: ip2, Src: ip1, Proto: ProtoHAO}, "hao sa from 10.0.0.1 to 10.0.0.2"},
		{PolicyID{Index: 9, Dir: PolicyOut}, "out policy index 9"},
		{PolicyID{Index: 9, Dir: PolicyOut, Selector: Selector{Family: FamilyIPv4}}, "out policy index 9"},
		{PolicyID{Dir: PolicyIn, Selector: sel, IfID: 7, Type: Some(PolicySub)}, "in policy 10.1.0.0/24 -> 10.2.0.0/24 proto 6 dport 80 ptype sub if_id 0x7"},
		{&Policy{Index: 9, Dir: PolicyFwd, Selector: sel}, "fwd policy 10.1.0.0/24 -> 10.2.0.0/24 proto 6 dport 80"},
	} {
		if got := tc.v.String(); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
}
