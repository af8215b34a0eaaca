package provision

import (
	"net/netip"
	"testing"
)

// TestLeaveOthers: of a namespace with a name only that counts in which an
// interface of this one lives.
func TestLeaveOthers(t *testing.T) {
	dst := netip.MustParsePrefix("10.2.0.0/16")
	s := &State{
		Interfaces: []*Interface{{Name: "here"}, {Name: "there", NetNS: "work", IfID: 7}, {Name: "its own", NetNS: "work"}, {Name: "other", NetNS: "else"}},
		Routes:     []*Route{{Dst: dst}, {Dst: dst, NetNS: "work"}, {Dst: dst, NetNS: "else"}, {Dst: dst, NetNS: "empty"}},
	}
	leaveOthers(s)
	if len(s.Interfaces) != 2 || s.Interfaces[1].Name != "there" {
		t.Errorf("interfaces: %v", s.Interfaces)
	}
	if len(s.Routes) != 2 || s.Routes[1].NetNS != "work" {
		t.Errorf("routes: %v", s.Routes)
	}
}
