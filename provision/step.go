package provision

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Verb says how a step gets an object to where it shall be.
type Verb string

// Verbs. Delete is for objects of ours only.
const (
	Create  Verb = "create"
	Change  Verb = "change"  // in place
	NewSPI  Verb = "new spi" // an SA beside the one that it will replace
	Replace Verb = "replace" // an interface that is deleted and made again
	Delete  Verb = "delete"
)

// Step is one write. Exactly one of the objects is set: for Delete the one that
// goes, else the one that comes; Was is its state before, for Change and for
// taking a deletion's place in a report.
type Step struct {
	Verb Verb
	ID   ID
	// Why says what differs or what the step is for; may be empty.
	Why string
	// Loss is the traffic that is lost, "" none.
	Loss string

	Interface *Interface // addresses and state are steps of their own
	Up        bool       // the step sets the interface up
	policies  bool       // the step sets its NoXFRM; setting it up does that too
	Address   *Address
	SA        *netlinkx.SA
	Policy    *netlinkx.Policy
	Route     *Route
	Settings  *Settings // those that the step sets

	WasInterface *Interface
	WasSA        *netlinkx.SA
	WasPolicy    *netlinkx.Policy
	WasRoute     *Route
	WasSettings  *Settings // the same values before

	// Placement is where the SA shall be, nil in software.
	Placement *Placement

	// remember is what the ledger shall hold of Settings: the values that come
	// back later.
	remember string
	// index is that of a policy that comes.
	index uint32
	at    stage
}

// Address is an address of an interface.
type Address struct {
	NetNS, Dev string
	Prefix     netip.Prefix
}

// String returns one line without keys: what a plan prints.
func (s *Step) String() string {
	t := fmt.Sprintf("%-8s %s", s.Verb, s.ID)
	if s.Why != "" {
		t += " (" + s.Why + ")"
	}
	if s.Loss != "" {
		t += "; loss: " + s.Loss
	}
	return t
}

// Refusal is one object that Plan cannot bring to where it shall be.
type Refusal struct {
	ID     ID
	Reason string
}

// RefusedError is a plan that was refused as a whole: nothing may be written.
type RefusedError struct{ Refusals []Refusal }

// Error returns all refusals, separated by semicolons.
func (e *RefusedError) Error() string { return strings.Join(e.Lines(), "; ") }

// Lines returns each refusal.
func (e *RefusedError) Lines() (all []string) {
	for _, r := range e.Refusals {
		all = append(all, string(r.ID)+": "+r.Reason)
	}
	return all
}

// Foreign reports whether SAs or policies of another are in the way.
func (e *RefusedError) Foreign() bool {
	return slices.ContainsFunc(e.Refusals, func(r Refusal) bool { return r.Reason == notOurs })
}

// Result is what Plan found.
type Result struct {
	Steps []*Step
	// Left are objects of ours that are not wanted and stay because pruning was
	// not asked for.
	Left []ID
	// Notes are those of the wanted state, and of what is there and needs no step:
	// SAs that no device carries though one should.
	Notes []string
}
