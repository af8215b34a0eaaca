package gsogro

import (
	"slices"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

func TestBelow(t *testing.T) {
	all := []*Link{
		{Name: "lo", Index: 1},
		{Name: "eth0", Index: 2, Master: 4, Slot: "0000:3b:00.0"},
		{Name: "eth1", Index: 3, Master: 4, Slot: "0000:3b:00.1"},
		{Name: "bond0", Index: 4, Kind: "bond"},
		{Name: "vlan7", Index: 5, Kind: "vlan", Lower: 4},
		{Name: "ipsec0", Index: 6, Kind: "xfrm", Lower: 5},
		{Name: "va", Index: 7, Kind: "veth", Lower: 8},
		{Name: "vb", Index: 8, Kind: "veth", Lower: 7, Master: 9},
		{Name: "br0", Index: 9, Kind: "bridge"},
		{Name: "far", Index: 10, Kind: "veth", Lower: 2, PeerNSID: netlinkx.Some[int32](0)},
		{Name: "gone", Index: 11, Kind: "xfrm", Lower: 99},
		{Name: "self", Index: 12, Kind: "xfrm", Lower: 12},
	}
	tests := []struct {
		device       string
		want, leaves []string
	}{
		{"eth0", []string{"eth0"}, []string{"eth0"}},
		{"ipsec0", []string{"ipsec0", "vlan7", "bond0", "eth0", "eth1"}, []string{"eth0", "eth1"}},
		{"va", []string{"va", "vb"}, []string{"vb"}},
		{"br0", []string{"br0", "vb", "va"}, []string{"va"}},
		{"far", []string{"far"}, []string{"far"}},
		{"gone", []string{"gone"}, []string{"gone"}},
		{"self", []string{"self"}, []string{"self"}},
		{"none", nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.device, func(t *testing.T) {
			var got, leaves []string
			for _, l := range NewTopology(all).Below(tt.device) {
				got = append(got, l.Link.Name)
				if l.Leaf {
					leaves = append(leaves, l.Link.Name)
				}
			}
			if !slices.Equal(got, tt.want) || !slices.Equal(leaves, tt.leaves) {
				t.Errorf("Below: %v with leaves %v, want %v with %v", got, leaves, tt.want, tt.leaves)
			}
		})
	}
}

func TestRelevantFeaturesAreKnown(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range RelevantFeatures() {
		if seen[f.Name] || f.Role == "" {
			t.Errorf("%q: listed twice, or without a role", f.Name)
		}
		seen[f.Name] = true
	}
	for _, d := range dependencies() {
		for _, n := range slices.Concat([]string{d.feature}, d.allOf, d.anyOf, d.noneOf) {
			if !seen[n] && n != RxFCS {
				t.Errorf("%s: in a rule but not among the relevant features", n)
			}
		}
	}
}
