package provision

import (
	"hash/fnv"
	"strings"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// open reports whether a policy lets traffic out in clear.
func open(p *netlinkx.Policy) bool {
	return p.Action == netlinkx.ActionAllow && len(p.Templates) == 0
}

// exception reports whether a policy that lets out does so behind all that
// protects: it makes holes in guards and in nothing else.
func exception(p *netlinkx.Policy) bool { return open(p) && p.Priority >= GuardPriority }

func (p *planner) policies() {
	used := make(map[uint32]bool, len(p.o.Policies))
	for _, pol := range p.o.Policies {
		used[pol.Index] = true
	}
	for k, want := range p.w.Policies {
		id := p.w.policyIDs[k]
		got := p.o.policies[id]
		if got == nil {
			p.newPolicy(id, want, used)
			continue
		}
		if p.foreign(id) {
			continue
		}
		if want.Index != 0 && want.Index != got.Index {
			p.refuse(id, "index: a policy keeps its own as long as it is there; leave it out")
		}
		if words := policyDifferences(want, got); len(words) > 0 {
			p.changePolicy(id, want, got, words)
		}
	}
	for k, pol := range p.o.Policies {
		if id := p.o.policyIDs[k]; p.w.policies[id] == nil && p.ours(id) {
			p.oldPolicy(id, pol)
		}
	}
}

// newPolicy chooses the index: with it the kernel finds the policy at once,
// where a look-up by selector walks its tree.
func (p *planner) newPolicy(id ID, want *netlinkx.Policy, used map[uint32]bool) {
	index := want.Index
	if index == 0 {
		index = chooseIndex(id, want.Dir, used)
	}
	at, why := stProtect, ""
	switch {
	case exception(want):
		at, why = stExcept, "an exception from guards"
	case open(want):
		at, why = stOpen, "in clear"
	case want.Action == netlinkx.ActionBlock:
		at, why = stBlocking, "blocks what is in clear"
	}
	p.add(at, &Step{Verb: Create, ID: id, Policy: want, index: index, Why: why})
}

// chooseIndex returns a free policy index; its low three bits are the
// direction. Indices are spread, so that two owners hardly meet.
func chooseIndex(id ID, dir netlinkx.PolicyDir, used map[uint32]bool) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id)) // a hash takes everything
	for i := h.Sum32() >> 4; ; i++ {
		index := (i&0x0fffffff)<<3 | uint32(dir)
		if index>>3 != 0 && !used[index] {
			used[index] = true
			return index
		}
	}
}

// changePolicy replaces a policy in place. Where precedence changes, policies
// that protect and policies that let out move past each other in such an order
// that the former are never weaker than in both states.
func (p *planner) changePolicy(id ID, want, got *netlinkx.Policy, words []string) {
	made := *want
	made.Index = got.Index
	s := &Step{Verb: Change, ID: id, Policy: &made, WasPolicy: got, Why: strings.Join(words, ", ")}
	if !open(want) && len(want.Templates) > 0 && strings.Contains(s.Why, "tmpl") && want.Dir != netlinkx.PolicyOut {
		s.Loss = "packets under way that were protected as before"
	}
	weaker := want.Priority > got.Priority
	switch {
	case open(want) && open(got) && weaker:
		p.add(stOpenWeaker, s)
	case open(want):
		p.add(stOpen, s)
	case open(got) || !weaker:
		p.add(stProtect, s)
	default:
		p.add(stProtectLate, s)
	}
}

func (p *planner) oldPolicy(id ID, pol *netlinkx.Policy) {
	for _, t := range pol.Templates {
		if !p.owner.ReqID.Has(t.ReqID) {
			return // another's by now
		}
	}
	at := stPolicyGone
	switch {
	case open(pol) && !exception(pol):
		at = stOpenGone
	case !p.opts.Prune:
		p.left = append(p.left, id)
		return
	case exception(pol):
		at = stExceptGone
	case pol.Action == netlinkx.ActionBlock:
		at = stGuardGone
	}
	p.add(at, &Step{Verb: Delete, ID: id, Policy: pol})
}
