package provision

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// TestOfAnother: an interface and a route of another are taken when they are
// exactly what is wanted, stay his, and are refused with what differs else.
func TestOfAnother(t *testing.T) {
	wanted := func() *State {
		return &State{
			Interfaces: []*Interface{{Name: "ipsec0", IfID: 7, MTU: 1400, Up: true, Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/30"), netip.MustParsePrefix("10.0.1.1/30")}}},
			Routes:     []*Route{{Dst: netip.MustParsePrefix("10.2.0.0/16"), Dev: "ipsec0", Metric: RouteMetric}},
		}
	}
	owner := &Owner{Name: "o", ReqID: Range{1, 100}, IfID: Range{1, 100}}
	known := &Ledger{Objects: map[ID]string{}, Spent: map[string]bool{}, Fingerprint: func(*netlinkx.SA) string { return "" }}
	for name, c := range map[string]struct {
		change func(*State)
		want   string
	}{
		"as wanted":   {change: func(*State) {}},
		"on lo":       {change: func(s *State) { s.Interfaces[0].Underlay = "lo" }},
		"other order": {change: func(s *State) { a := s.Interfaces[0].Addresses; a[0], a[1] = a[1], a[0] }},
		"underlay":    {change: func(s *State) { s.Interfaces[0].Underlay = "eth0" }, want: "interface ipsec0: is there already and not ours"},
		"mtu, down":   {change: func(s *State) { s.Interfaces[0].MTU, s.Interfaces[0].Up = 1500, false }, want: "as it is it will not do: mtu, down"},
		"address":     {change: func(s *State) { s.Interfaces[0].Addresses = nil }, want: "will not do: address"},
		"device":      {change: func(s *State) { s.Routes[0].Dev = "if9" }, want: "route 10.2.0.0/16 metric 1024: is there already and not ours"},
	} {
		there := wanted()
		c.change(there)
		res, err := Plan(wanted(), there, owner, known, Options{Prune: true})
		if c.want == "" && (err != nil || len(res.Steps) > 0) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if res, err = Plan(&State{}, there, owner, known, Options{Prune: true}); err != nil || len(res.Steps) > 0 {
			t.Errorf("%s: what is another's is deleted: %v", name, err)
		}
	}
}

// TestNameTaken: a device that is no XFRM interface, or none of this namespace's
// SAs, is in the way before anything is written.
func TestNameTaken(t *testing.T) {
	wanted := &State{Interfaces: []*Interface{{Name: "ipsec0", IfID: 7, NetNS: "blue"}}}
	id := wanted.Interfaces[0].id()
	for kind, want := range map[string]string{
		"dummy": "its name belongs to another device (dummy): choose", "": "its name belongs to another device: choose", "xfrm": "with the SAs of another network namespace",
	} {
		for name, objects := range map[string]map[ID]string{"not ours": {}, "ours before": {id: ""}} {
			known := &Ledger{Objects: objects, Spent: map[string]bool{}, Fingerprint: func(*netlinkx.SA) string { return "" }}
			owner := &Owner{Name: "o", ReqID: Range{1, 100}, IfID: Range{1, 100}}
			_, err := Plan(wanted, &State{Devices: map[ID]string{id: kind}}, owner, known, Options{})
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s, %s: %v, want %q", kind, name, err, want)
			}
		}
	}
}

// TestRenamed: an interface of ours that somebody has renamed is another's, and
// how to get it back is said.
func TestRenamed(t *testing.T) {
	wanted := &State{Interfaces: []*Interface{{Name: "ipsec0", IfID: 7}}}
	there := &State{Interfaces: []*Interface{{Name: "foo", IfID: 7}}}
	owner := &Owner{Name: "o", ReqID: Range{1, 100}, IfID: Range{1, 100}}
	for objects, want := range map[ID]string{"": "not ours", wanted.Interfaces[0].id(): "ip link set foo name ipsec0"} {
		known := &Ledger{Objects: map[ID]string{objects: ""}, Spent: map[string]bool{}, Fingerprint: func(*netlinkx.SA) string { return "" }}
		if _, err := Plan(wanted, there, owner, known, Options{}); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
