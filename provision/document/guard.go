package document

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/provision"
)

// Guard policies are behind all others; exceptions from them are in front of
// them, and exceptions from defaults behind. All leave room for the narrower to
// win.
const (
	exceptionPriority = provision.GuardPriority + 512
	guardPriority     = provision.GuardPriority + 1024
	defaultPriority   = provision.GuardPriority + 2048
)

// adder adds a policy without if_id, unless it is there.
type adder func(priority uint32, dir netlinkx.PolicyDir, action netlinkx.Action, src, dst netip.Prefix)

func (t *Tunnel) guardRoutes() bool {
	return t.routed() && (t.Guard.V == "true" || t.Guard.V == "routes")
}

// guardPolicies: where the document says nothing, they are for what it routes:
// who routes by himself may have reasons to send some of it in clear.
func (t *Tunnel) guardPolicies() bool {
	return t.Interface.Set && (t.Guard.V == "policies" || t.Guard.V == "true" && (t.Guard.Set || t.routed()))
}

// adderTo returns one for a state.
func adderTo(s *provision.State) adder {
	there := map[provision.ID]bool{}
	for _, p := range s.Policies {
		there[provision.PolicyObject(p)] = true
	}
	return func(priority uint32, dir netlinkx.PolicyDir, action netlinkx.Action, src, dst netip.Prefix) {
		p := netlinkx.NewPolicy()
		p.Dir, p.Action, p.Priority = dir, action, priority
		p.Selector = netlinkx.Selector{Family: netlinkx.FamilyOf(src.Addr()), Src: src, Dst: dst}
		p.Priority -= uint32(src.Bits() + dst.Bits())
		if id := provision.PolicyObject(p); !there[id] {
			there[id] = true
			s.Policies = append(s.Policies, p)
		}
	}
}

// guards adds policies without if_id that block what the tunnel protects: they
// are met by what does not come out of its interface, or is not routed to it.
// Two tunnels may want one policy, and a tunnel without interface has better.
func (e *end) guards(s *provision.State, add adder) {
	if !e.t.guardPolicies() {
		return
	}
	if e.in.Userspace {
		if e.t.Guard.Set {
			s.Notes = append(s.Notes, fmt.Sprintf("tunnel %s has guard routes and no guard policies: what the userspace engine has decrypted comes out of a TUN device, where the kernel cannot tell it from clear text", e.t.Name.V))
		}
		return
	}
	for _, x := range e.selectors() {
		own, peers := x[0], x[1]
		if own == peers && !e.blocksOut() {
			continue // which side a packet is from, nobody can tell
		}
		e.exceptions(own, peers, add)
		add(guardPriority, netlinkx.PolicyIn, netlinkx.ActionBlock, peers, own)
		add(guardPriority, netlinkx.PolicyFwd, netlinkx.ActionBlock, peers, own)
		if e.outGuard(own) {
			add(guardPriority, netlinkx.PolicyOut, netlinkx.ActionBlock, own, peers)
		}
	}
}

// outGuard reports whether what goes out can be blocked by a policy. The kernel
// looks for one without if_id before it gives a packet to the interface; that it
// does not (disable_xfrm) exists for IPv4, and not beside a default that blocks.
func (e *end) outGuard(own netip.Prefix) bool {
	return !e.blocksOut() && own.Addr().Is4() || e.t.NetNS[e.self.Name].Set
}

func (e *end) blocksOut() bool { return e.self.Default.Out.V == "block" }

// passGuards lets packets reach interfaces past policies that block what goes
// out without if_id, also those of tunnels that have no such guards themselves:
// their prefixes may be within another's.
func passGuards(s *provision.State) {
	blocks := func(p *netlinkx.Policy) bool {
		return p.Dir == netlinkx.PolicyOut && p.IfID == 0 && p.Action == netlinkx.ActionBlock
	}
	if !slices.ContainsFunc(s.Policies, blocks) {
		return
	}
	for _, i := range s.Interfaces {
		i.NoXFRM = i.NetNS == ""
	}
}

// exceptions are what guards would block and has to pass: hosts of a prefix among
// themselves, when the other end's prefix has it within; what the endpoints say
// to each other, when they are within; and, where the default blocks, what is on
// its way to the interface.
func (e *end) exceptions(own, peers netip.Prefix, add adder) {
	both := func(a, b netip.Prefix) {
		add(exceptionPriority, netlinkx.PolicyOut, netlinkx.ActionAllow, a, b)
		add(exceptionPriority, netlinkx.PolicyIn, netlinkx.ActionAllow, b, a)
	}
	if peers.Bits() <= own.Bits() && peers.Contains(own.Addr()) {
		both(own, own)
		add(exceptionPriority, netlinkx.PolicyFwd, netlinkx.ActionAllow, own, own)
	}
	x, y := e.self.Endpoint.V, e.peer.Endpoint.V
	if own.Contains(x) && peers.Contains(y) {
		both(netip.PrefixFrom(x, x.BitLen()), netip.PrefixFrom(y, y.BitLen()))
	}
	if e.blocksOut() && !e.t.NetNS[e.self.Name].Set {
		add(exceptionPriority, netlinkx.PolicyOut, netlinkx.ActionAllow, own, peers)
	}
}

// forwards lets past defaults that block what is in clear on the side of hosts
// behind this end: from them, before it is protected, and to them, after. All
// guards and all that protects come first.
func (e *end) forwards(add adder) {
	if e.in.Userspace || e.t.Interface.Set && !e.t.guardPolicies() || e.t.NetNS[e.self.Name].Set || !e.t.tunnelMode() || !e.t.Forward.V {
		return
	}
	for _, x := range e.selectors() {
		own, peers := x[0], x[1]
		if own == peers {
			continue
		}
		if e.self.Default.Fwd.V == "block" {
			add(defaultPriority, netlinkx.PolicyFwd, netlinkx.ActionAllow, own, peers)
		}
		if e.blocksOut() {
			add(defaultPriority, netlinkx.PolicyOut, netlinkx.ActionAllow, peers, own)
		}
	}
}
