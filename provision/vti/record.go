package vti

import (
	"net/netip"
	"time"

	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Phase is where a move is. It is in the journal before anything of it is done.
type Phase string

// Phases. A run that finds one that ends in "ing" completes it.
const (
	Converting Phase = "converting"
	Converted  Phase = "converted"
	Undoing    Phase = "undoing"
	Finishing  Phase = "finishing"
)

// Move is one XFRM interface and the VTIs that it takes the place of: all that
// is needed to go either way. It is what the journal holds, without keys.
type Move struct {
	Phase Phase
	Name  string // of the interface in the end: that of the first VTI
	Temp  string // until then
	IfID  uint32

	Dev     string // name of the device below, "" none
	MTU     uint32
	TxQueue uint32
	Group   uint32
	Alias   string

	Sources  []*Source
	Policies []*netlinkx.Policy  // that the interface needs
	Old      []netlinkx.PolicyID // that the VTIs needed
	SAs      []*Rebind
	Guards   []Guard
}

// Source is a VTI as it was.
type Source struct {
	Name, Parked string // parked: its name while it waits to be deleted or to come back
	Index        int32  // which stays the same
	Up           bool
	AltNames     []string
	Addresses    []ifaces.Address
	Routes       []*Route // all through it; those that come with its addresses are not made by us
	// Settings are sysctls for the interface to have: "ipv4/NAME", "ipv6/NAME".
	Settings map[string]string
}

// Rebind is an SA that is bound by a mark or by nothing, and shall be by an
// if_id. It is made again with the same keys, SPI and sequence numbers.
type Rebind struct {
	ID  netlinkx.SAID // with its mark
	Src netip.Addr
	Out bool
	// Parking is the destination of a copy that keeps the keys in the kernel
	// while the SA itself is deleted and added. No packet goes there.
	Parking netip.Addr
	// As they were when no packet used the SA any more.
	Replay    *netlinkx.ReplayState
	ReplayESN *netlinkx.ReplayESN
	Usage     *netlinkx.Usage
}

// bound is the identity that the SA has when it belongs to the interface.
func (r *Rebind) bound() netlinkx.SAID {
	id := r.ID
	id.Mark = netlinkx.Mark{}
	return id
}

func (r *Rebind) parked() netlinkx.SAID {
	id := r.ID
	id.Dst, id.Mark = r.Parking, netlinkx.Mark{}
	return id
}

// Guard is a route that answers "unreachable" and is worse than the one that it
// stands behind by as little as possible.
type Guard struct {
	Dst    netip.Prefix
	Table  uint32
	Metric uint32
}

// Plan is what Convert would do.
type Plan struct {
	Moves []*Move
	Notes []string // what the new interface does not have, or has otherwise
}

// Lossy is for how long traffic of a move is interrupted at most, where the
// machine gives the program its time: what is sent and received meanwhile is lost. Setting a
// device down waits for all processors; the rest is requests of well under a
// millisecond each.
func (m *Move) Lossy() time.Duration {
	n := 4 + 2*len(m.SAs)
	for _, s := range m.Sources {
		n += 3 + 2*len(s.Addresses) + len(s.Routes)
	}
	return 2*time.Second + time.Duration(n)*10*time.Millisecond
}
