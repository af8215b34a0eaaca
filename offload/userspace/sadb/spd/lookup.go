package spd

import (
	"slices"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/flow"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/classify"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/sad"
)

// Chosen are the policies that apply to a packet: one, or a sub and a main one.
// The zero Chosen is none.
type Chosen [2]*Policy

// Blocks reports whether one of the policies, of which there are some, blocks.
func (ps *Chosen) Blocks() bool {
	return ps[0].conf.Action != netlinkx.ActionAllow || ps[1] != nil && ps[1].conf.Action != netlinkx.ActionAllow
}

// OfType returns the policy of one type that a packet meets, or nil. It takes no
// lock.
func (t *Table) OfType(f *flow.Flow, dir netlinkx.PolicyDir, typ netlinkx.PolicyType) *Policy {
	k := keyOf(f)
	r := t.rules.Lookup(classify.Bin{Dir: dir, Type: typ, Family: f.Family, IfID: f.IfID}, &k)
	if r == nil {
		return nil
	}
	return r.Item
}

func keyOf(f *flow.Flow) classify.Key {
	return classify.Key{
		Dst: f.Dst, Src: f.Src, SrcPort: f.SrcPort, DstPort: f.DstPort, Proto: f.Proto, IfIndex: f.IfIndex, Mark: f.Mark,
	}
}

// For returns the policies that a packet meets, and notes that it did. It takes no
// lock and allocates nothing.
func (t *Table) For(f *flow.Flow, dir netlinkx.PolicyDir) (ps Chosen) {
	k := keyOf(f)
	bin := classify.Bin{Dir: dir, Type: netlinkx.PolicyMain, Family: f.Family, IfID: f.IfID}
	n := 0
	if t.subs.Load() > 0 {
		sub := bin
		sub.Type = netlinkx.PolicySub
		if r := t.rules.Lookup(sub, &k); r != nil {
			ps[0], n = r.Item, 1
			if dir == netlinkx.PolicyFwd {
				bin.Dir = netlinkx.PolicyIn // as the kernel has it
			}
		}
	}
	if r := t.rules.Lookup(bin, &k); r != nil {
		ps[n] = r.Item
	}
	for _, p := range ps {
		if p != nil {
			p.used()
		}
	}
	return ps
}

// Templates returns how many templates the policies have.
func (ps *Chosen) Templates() int {
	n := len(ps[0].tmpls)
	if ps[1] != nil {
		n += len(ps[1].tmpls)
	}
	return n
}

// tunnelFrom reports whether an SA from there on is not of transport mode.
func tunnelFrom(path []*sad.SA, at int) bool {
	for _, sa := range path[at:] {
		if sa.Conf().Mode != netlinkx.ModeTransport {
			return true
		}
	}
	return false
}

// Accept reports whether the policies' templates account for a received packet
// that came out of the SAs of path, outermost first, on an interface of ifID.
// Without policies no SA but those of transport mode may be left over, as
// behind their last template (__xfrm_policy_check).
func (ps *Chosen) Accept(path []*sad.SA, ifID uint32) bool {
	at := 0
	for _, p := range slices.Backward(ps[:]) {
		if p == nil {
			continue
		}
		for i := len(p.tmpls) - 1; i >= 0; i-- {
			if at = p.tmpls[i].accept(path, at, ifID); at < 0 {
				return false
			}
		}
	}
	return !tunnelFrom(path, at)
}
