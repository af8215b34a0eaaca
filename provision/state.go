package provision

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// State is what a namespace has, or shall have, as far as this package is
// concerned. A State is data: Plan borrows it and changes nothing in it.
type State struct {
	Interfaces []*Interface
	SAs        []*netlinkx.SA
	Policies   []*netlinkx.Policy
	Routes     []*Route
	// Settings are of things that are there anyway, one for each.
	Settings []*Settings
	// Devices have the names of interfaces that are wanted and are none: their
	// kinds, by the identity of the interface. Only in observed states.
	Devices map[ID]string
	// Placements say of SAs, by identity, that a device shall carry them. An SA
	// that has none is for software. Only in wanted states.
	Placements map[ID]*Placement
	// Notes say what is worth knowing about a wanted state, in a line each.
	Notes []string
}

// Interface is an XFRM interface. Wanted ones are always up in the end.
type Interface struct {
	Name     string
	IfID     uint32 // not 0
	Underlay string // name of the device below, "" none
	MTU      uint32 // bytes; 0: the kernel's
	// Addresses are those of global scope, in order; the kernel makes
	// link-local ones itself.
	Addresses []netip.Prefix
	Up        bool
	// NetNS names the namespace that the interface lives in, as `ip netns` does;
	// "" that of the session, whose SAs and policies it has in any case.
	NetNS string
	// NoXFRM: IPv4 packets that are routed to the interface meet no policy
	// before it (disable_xfrm), so that policies without if_id are for all others.
	NoXFRM bool
}

// Settings are values by name: the GRO and GSO switches of a device (0 off, 1
// on; sizes and times as numbers), or the default policy. What is not named
// stays as it is. The values that were there before are kept in the ledger, and
// come back when a value is no longer wanted.
type Settings struct {
	Device string // "" the default policy: in, fwd, out as netlinkx.DefaultAction
	Values map[string]uint64
}

// Route is a route of the main table: to an interface, or a guard, which
// answers "unreachable" and catches what would leave in clear while no better
// route is there.
type Route struct {
	Dst    netip.Prefix // masked
	Dev    string       // "" in a guard
	More   []string     // devices that share the traffic with Dev in equal parts
	Metric uint32       // not 0; tells routes with one destination apart
	NetNS  string       // namespace that it is in, as in Interface
}

// devices are those that the route leads to, sorted.
func (r *Route) devices() []string {
	all := append([]string{r.Dev}, r.More...)
	slices.Sort(all)
	return all
}

// Guard reports whether r lets nothing out.
func (r *Route) Guard() bool { return r.Dev == "" }

// GuardMetric is the metric of guards: every other route is preferred.
const GuardMetric uint32 = 0xffffff00

// GuardPriority is where the priorities of guard policies begin: policies that
// block what is to be protected, and exceptions from them. All that protects, or
// lets out on purpose, has a better one.
const GuardPriority uint32 = 0xff000000

// RouteMetric is the metric of a route that says nothing else. It is what IPv6
// makes of none.
const RouteMetric uint32 = 1024

// ID names an object in the ledger and in messages: its kind and what tells it
// from others of its kind. It never holds keys.
type ID string

// netnsMark stands in the names of objects before their namespace.
const netnsMark = " in netns "

func within(netns string) string {
	if netns == "" {
		return ""
	}
	return netnsMark + netns
}

// netnsOf returns the namespace that an object is in, "" that of the session.
func (id ID) netnsOf() string {
	_, netns, _ := strings.Cut(string(id), netnsMark)
	return netns
}

func (i *Interface) id() ID { return interfaceID(i.NetNS, i.Name) }

func interfaceID(netns, name string) ID { return ID("interface " + name + within(netns)) }

func (a *Address) id() ID {
	return ID("address " + a.Prefix.String() + " of " + a.Dev + within(a.NetNS))
}

func (s *Settings) id() ID {
	if s.Device == "" {
		return "default policy"
	}
	return ID(settingsOf + s.Device)
}

// settingsOf begins the names of devices' settings.
const settingsOf = "settings of "

// Range is a range of numbers, both ends included.
type Range struct{ First, Last uint32 }

// Has reports whether n is in the range.
func (r Range) Has(n uint32) bool { return r.First <= n && n <= r.Last }

// Len returns how many numbers the range has; 0 when it is upside down.
func (r Range) Len() uint64 {
	if r.Last < r.First {
		return 0
	}
	return uint64(r.Last-r.First) + 1
}

// Owner is in whose name objects are made. Two owners of one namespace have
// ranges that do not overlap.
type Owner struct {
	Name        string
	ReqID, IfID Range
}

// Ledger is what is known to be ours. It is data; Plan borrows it.
type Ledger struct {
	// Objects are those that were made, or were about to be made, with the
	// fingerprint of an SA's keys.
	Objects map[ID]string
	// Spent holds fingerprints of counter-mode keys that an outbound SA has
	// had: with a fresh counter they would repeat (RFC 8221 section 5). Behind
	// "in:" those of inbound SAs: with a fresh window they would take old
	// packets again.
	Spent map[string]bool
	// Sent holds those of keys that were sent to the engine by a process that did
	// not live to see the answer. Where the SA is not there, it may have been.
	Sent map[string]bool
	// Fingerprint returns the keyed fingerprint of an SA's algorithms and keys.
	Fingerprint func(*netlinkx.SA) string
}
