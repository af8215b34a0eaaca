package demo

import (
	"context"
	"net/netip"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Engine does the IPsec of the demo. Engines are used by one goroutine.
type Engine interface {
	// Name is the engine's name in reports: "kernel".
	Name() string
	// Probe tries what the demo needs, for real, in ns, which is thrown away
	// afterwards. An error means that it could not try: a feature that is not
	// there is a Feature with OK false.
	Probe(ctx context.Context, ns *Namespace) (*Features, error)
	// Open starts the engine in ns, which outlives the Endpoint.
	Open(ctx context.Context, ns *Namespace) (Endpoint, error)
}

// Endpoint is an engine at work in one namespace.
type Endpoint interface {
	// Install makes l's interface, up and with its addresses, and installs its
	// SAs and policies. l is borrowed.
	Install(ctx context.Context, l *Link) error
	// SAs returns all installed SAs with their counters.
	SAs(ctx context.Context) ([]*netlinkx.SA, error)
	// Errors returns the counters of IPsec errors that are not zero, each with
	// its name, and whether the engine counts at all.
	Errors(ctx context.Context) (nonzero []string, counted bool)
	// Close stops the engine. What it made in the namespace may stay: that is
	// thrown away next.
	Close() error
}

// Link is one end of a protected link as an Engine shall set it up.
type Link struct {
	// Name of the XFRM interface; "" when the link has none, and its traffic is
	// that of the underlay's own addresses.
	Name      string
	IfID      uint32 // 0 when there is no interface
	Mode      netlinkx.Mode
	Underlay  string // device below
	Addresses []netip.Prefix
	SAs       []*netlinkx.SA // both directions
	Policies  []*netlinkx.Policy
}

// Features is what an Engine's Probe found.
type Features struct {
	// SADir: SAs keep the direction that they are given.
	SADir bool
	// Interfaces: transport mode goes through an interface as well. The kernel
	// has none for it; another engine sees no packets otherwise.
	Interfaces bool
	// List has one entry for each feature that was tried.
	List []Feature
}

// Feature is something that the demo needs, and whether it is there.
type Feature struct {
	Name string `json:"feature"`
	OK   bool   `json:"-"`
	// Detail is the kernel's own answer, or how it was found out.
	Detail string `json:"detail,omitempty"`
	// Option is the kernel option that brings the feature.
	Option string `json:"option,omitempty"`
	// Modules are what to load where the option is built as modules.
	Modules []string `json:"modules,omitempty"`
}

// missing returns the features that are not there.
func missing(list []Feature) []Feature {
	var out []Feature
	for _, f := range list {
		if !f.OK {
			out = append(out, f)
		}
	}
	return out
}
