package vti

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// State is what a namespace has, as far as VTIs are concerned. It is data; the
// functions of this package borrow it and change nothing in it.
type State struct {
	VTIs       []*ifaces.VTI
	Interfaces []*ifaces.Link
	Names      []string           // of all devices
	SAs        []*netlinkx.SA     // without keys
	Hidden     map[SAKey]bool     // SAs whose keys the kernel does not show
	Policies   []*netlinkx.Policy // those of sockets too
	Routes     []*Route
	Rules      []Rule
	// Settings are the sysctls of each VTI, by "ipv4/NAME" and "ipv6/NAME".
	Settings map[string]map[string]string
}

// SAKey is what tells SAs apart, comparable.
type SAKey string

// KeyOf returns the identity of an SA, its mark included.
func KeyOf(id netlinkx.SAID) SAKey {
	return SAKey(id.String())
}

// Route is a route in any table but "local". Raw is the kernel's message, which
// is sent back to it, with another device, to make the route again.
type Route struct {
	Raw     []byte // struct rtmsg and attributes
	Dst     netip.Prefix
	Table   uint32
	Metric  uint32
	Proto   uint8
	Type    uint8   // RTN_*
	Dev     int32   // ifindex, 0 none or several
	Devs    []int32 // of the next hops of a route that has several
	Gateway bool
	Object  bool // its next hop is an object of its own (nhid)
}

// String names the route: "10.2.0.0/16 table 100".
func (r *Route) String() string {
	s := r.Dst.String()
	if r.Dst.Bits() == 0 {
		s = "default (" + netlinkx.FamilyOf(r.Dst.Addr()).String() + ")"
	}
	if r.Table != tableMain {
		s += fmt.Sprintf(" table %d", r.Table)
	}
	return s
}

// through reports whether a device is among the route's.
func (r *Route) through(index int32) bool { return r.Dev == index || slices.Contains(r.Devs, index) }

// automatic reports whether the route comes and goes with an address.
func (r *Route) automatic() bool { return r.Proto == protoKernel }

// Rule is a routing rule that looks at marks.
type Rule struct {
	Priority, Mark, Mask uint32
	Family               netlinkx.Family
}

// Numbers of linux/rtnetlink.h.
const (
	tableMain     = 254
	tableLocal    = 255
	protoKernel   = 2
	protoStatic   = 4
	typeUnicast   = 1
	typeUnreach   = 7
	flagCloned    = 0x200
	metricHighest = ^uint32(0)
)

// vti returns the VTI of that name, nil when there is none.
func (s *State) vti(name string) *ifaces.VTI {
	for _, v := range s.VTIs {
		if v.Name == name || slices.Contains(v.AltNames, name) {
			return v
		}
	}
	return nil
}
