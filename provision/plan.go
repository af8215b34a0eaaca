package provision

import (
	"slices"
	"strings"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Options say how far a plan goes.
type Options struct {
	// Prune also removes what is ours and no longer wanted. Without it three
	// kinds of such objects go all the same, because the state would not be the
	// wanted one with them: outbound SAs that have a successor, policies that
	// let traffic out in clear, and guards that guard nothing.
	Prune bool
	// InboundOnly plans nothing but new inbound SAs: the first half of a change
	// of keys that loses nothing, done at both ends before either sends with
	// the new ones.
	InboundOnly bool
	// Keep names SAs of keys that are about to go: as long as they are there
	// they stay, wanted or not, and those that are wanted and gone are made only
	// where their keys have not been used.
	Keep map[ID]bool
	// Retire names SAs that go, if they are ours and not wanted, also without
	// Prune.
	Retire map[ID]bool
}

// Plan returns the steps from observed to wanted. It is pure. The steps come
// in an order in which, after each of them, what both states protect is
// protected or dropped:
//
//	settings of devices
//	guard routes
//	new interfaces, down
//	inbound SAs, then outbound ones
//	policies that protect, exceptions from guards, guard policies
//	interfaces: if_id, MTU, addresses, up
//	routes
//	policies that let traffic out in clear
//	default policies that block
//	and away, in reverse: routes, interfaces, exceptions, policies, SAs, guards
//	default policies that accept
//
// Errors are *RefusedError.
func Plan(wanted, observed *State, owner *Owner, known *Ledger, opts Options) (*Result, error) {
	return plan(index(wanted), index(observed), owner, known, opts)
}

func plan(wanted, observed *indexed, owner *Owner, known *Ledger, opts Options) (*Result, error) {
	p := &planner{w: wanted, o: observed, owner: owner, known: known, opts: opts,
		displaced: map[ID]bool{}, emptied: map[ID]bool{}}
	p.check()
	p.displace()
	p.interfaces()
	p.sas()
	p.policies()
	p.lookups()
	p.routes()
	p.guards()
	p.settings()
	if len(p.refused) > 0 {
		return nil, &RefusedError{p.refused}
	}
	return &Result{Steps: p.ordered(), Left: p.left, Notes: slices.Concat(wanted.Notes, p.notes)}, nil
}

// stage is a place in the order of steps.
type stage int

const (
	stSettings stage = iota
	stDirect         // interfaces before which no policy looks any more: guards may come
	stGuard          // routes
	stCreateInterface
	stInbound
	stOutbound
	stProtect    // policies that protect: new ones, and those that gain precedence
	stExcept     // exceptions from guards: holes, so all that shall protect in front of them is there
	stBlocking   // guard policies
	stOpenWeaker // policies that let out and lose precedence
	stOpenGone   // policies that let out and go
	stTempGuard
	stDisplace
	stInterface
	stAddress
	stAddressGone
	stAddressLate
	stUp
	stRoute
	stProtectLate // policies that protect and lose precedence
	stOpen        // policies that let out: new ones, and those that gain precedence
	stBlock       // default policies that block
	stRouteGone
	stInterfaceGone
	stExceptGone // before what protects goes that was in front of it
	stPolicyGone
	stOutboundGone
	stInboundGone
	stGuardGone
	stIndirect // interfaces before which policies look again
	stAccept   // default policies that accept
	stages
)

// planner holds what one call of Plan works on.
type planner struct {
	w, o    *indexed
	owner   *Owner
	known   *Ledger
	opts    Options
	steps   [stages][]*Step
	refused []Refusal
	left    []ID
	notes   []string
	// displaced are interfaces of ours that have to go before others can come.
	displaced map[ID]bool
	// emptied are interfaces that lose their IPv4 routes with an address.
	emptied map[ID]bool
}

func (p *planner) add(at stage, s *Step) {
	s.at = at
	p.steps[at] = append(p.steps[at], s)
}

func (p *planner) refuse(id ID, reason string) {
	p.refused = append(p.refused, Refusal{id, reason})
}

func (p *planner) ours(id ID) bool { _, ok := p.known.Objects[id]; return ok }

// foreign refuses a wanted object whose place another's has.
func (p *planner) foreign(id ID) bool {
	if p.ours(id) {
		return false
	}
	p.refuse(id, notOurs)
	return true
}

const notOurs = "is there already and not ours: it was made by another, who may still need it"

func (p *planner) ordered() []*Step {
	if p.opts.InboundOnly {
		return p.steps[stInbound]
	}
	return slices.Concat(p.steps[:]...)
}

// indexed is a State by identity, with the order that it came in.
type indexed struct {
	*State
	ifaces   map[ID]*Interface
	ifIDs    map[uint32]bool
	sas      map[ID]*netlinkx.SA
	policies map[ID]*netlinkx.Policy
	routes   map[ID]*Route
	settings map[ID]*Settings
	double   []ID
	// policyIDs are the names of Policies, in their order: they are long, and
	// there are many.
	policyIDs []ID
}

func index(s *State) *indexed {
	x := &indexed{State: s, ifaces: make(map[ID]*Interface, len(s.Interfaces)), ifIDs: make(map[uint32]bool, len(s.Interfaces)),
		sas: make(map[ID]*netlinkx.SA, len(s.SAs)), policies: make(map[ID]*netlinkx.Policy, len(s.Policies)),
		routes: make(map[ID]*Route, len(s.Routes)), settings: map[ID]*Settings{}}
	for _, i := range s.Interfaces {
		put(x, x.ifaces, i.id(), i)
		x.ifIDs[i.IfID] = true
	}
	for _, sa := range s.SAs {
		put(x, x.sas, saID(sa), sa)
	}
	x.policyIDs = make([]ID, len(s.Policies))
	for k, pol := range s.Policies {
		x.policyIDs[k] = policyID(pol)
		put(x, x.policies, x.policyIDs[k], pol)
	}
	for _, r := range s.Routes {
		put(x, x.routes, routeID(r), r)
	}
	for _, st := range s.Settings {
		put(x, x.settings, st.id(), st)
	}
	return x
}

func put[T any](x *indexed, m map[ID]T, id ID, v T) {
	if _, there := m[id]; there {
		x.double = append(x.double, id)
	}
	m[id] = v
}

// check refuses wanted states that are none.
func (p *planner) check() {
	for _, id := range p.w.double {
		p.refuse(id, "is wanted twice")
	}
	taken := map[uint32]ID{}
	for _, i := range p.w.Interfaces {
		id := i.id()
		if !p.owner.IfID.Has(i.IfID) || i.IfID == 0 {
			p.refuse(id, "if_id is outside of the owner's range")
		}
		if other := taken[i.IfID]; other != "" {
			p.refuse(id, "has the if_id of "+string(other))
		}
		taken[i.IfID] = id
	}
	for _, sa := range p.w.SAs {
		if !p.owner.ReqID.Has(sa.ReqID) || sa.ReqID == 0 {
			p.refuse(saID(sa), "reqid is outside of the owner's range")
		}
		if words := unplanned(sa); words != nil {
			p.refuse(saID(sa), strings.Join(words, ", ")+": apply does not look after this; leave it out")
		}
		for _, reason := range saContradictions(sa) {
			p.refuse(saID(sa), reason)
		}
	}
	for _, pol := range p.w.Policies {
		if pol.SecCtx != nil {
			p.refuse(policyID(pol), "ctx: apply does not look after this; leave it out")
		}
		for _, reason := range policyContradictions(pol) {
			p.refuse(policyID(pol), reason)
		}
		for _, t := range pol.Templates {
			if !p.owner.ReqID.Has(t.ReqID) {
				p.refuse(policyID(pol), "reqid of a template is outside of the owner's range")
			}
		}
	}
	p.checkKeys()
}

// checkKeys refuses counter-mode keys that two SAs have: whichever sends, the
// IVs of one repeat those of the other.
func (p *planner) checkKeys() {
	seen := map[string]ID{}
	for _, sa := range p.w.SAs {
		if !CounterMode(sa) {
			continue
		}
		fp := p.known.Fingerprint(sa)
		if other, ok := seen[fp]; ok {
			p.refuse(saID(sa), "has the key of "+string(other)+": two SAs with one counter-mode key repeat IVs (RFC 8221 section 5)")
		}
		seen[fp] = saID(sa)
	}
}
