package sadb

import (
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/flow"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/classify"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/sad"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xaddr"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xfrmstat"
)

// Verdict is what is to become of an outbound packet.
type Verdict uint8

// Verdicts.
const (
	// NoPolicy: no policy matches and the default is to accept. On an XFRM
	// interface the kernel drops the packet with errors of the device.
	NoPolicy Verdict = iota
	// Bypass: a policy lets the packet pass in clear.
	Bypass
	// Protect: the SAs of the Decision, first to last, innermost first.
	Protect
	// Drop: for the reason in the Decision's Counter.
	Drop
)

// String returns the verdict in words.
func (v Verdict) String() string {
	return [...]string{"no policy", "bypass", "protect", "drop"}[v&3]
}

// Decision is what Outbound found. The caller owns and reuses it; the zero
// value is ready.
type Decision struct {
	Verdict Verdict
	Counter xfrmstat.Counter // with Drop
	Policy  *Policy          // the first that matched, nil for none
	SAs     [netlinkx.MaxTemplates]*sad.SA
	N       int // of SAs
	// Generation is DB.Generation before the lookup: while it stays, packets
	// of the same flow get the same decision.
	Generation uint64
}

// chosen are the policies that apply to a packet: one, or a sub and a main one.
type chosen [2]*Policy

// Outbound decides about a packet that leaves through the interface of
// f.IfID, from cpu (which matters to per-CPU SAs only). A packet that wants an
// SA which does not exist is dropped with OutNoStates, and if a key manager
// listens it is asked for the SA. Allocates nothing otherwise; safe for
// concurrent use.
func (db *DB) Outbound(f *flow.Flow, cpu uint32, d *Decision) {
	*d = Decision{Generation: db.gen.Load()}
	ps := db.policiesFor(f, netlinkx.PolicyOut)
	d.Policy = ps[0]
	switch {
	case ps[0] == nil:
		if netlinkx.DefaultAction(db.defaults[netlinkx.PolicyOut].Load()) == netlinkx.DefaultBlock {
			d.drop(xfrmstat.OutPolBlock)
		}
		return
	case ps.blocks():
		d.drop(xfrmstat.OutPolBlock)
		return
	}
	if why := db.resolve(f, cpu, &ps, d); why != xfrmstat.None {
		d.drop(why)
		return
	}
	d.Verdict = Bypass
	if d.N > 0 {
		d.Verdict = Protect
	}
}

func (d *Decision) drop(why xfrmstat.Counter) {
	d.Verdict, d.Counter, d.N = Drop, why, 0
	d.SAs = [netlinkx.MaxTemplates]*sad.SA{}
}

func (ps *chosen) blocks() bool {
	return ps[0].conf.Action != netlinkx.ActionAllow || ps[1] != nil && ps[1].conf.Action != netlinkx.ActionAllow
}

// policyOfType looks up the policy of one type.
func (db *DB) policyOfType(f *flow.Flow, dir netlinkx.PolicyDir, t netlinkx.PolicyType) *Policy {
	k := keyOf(f)
	r := db.rules.Lookup(classify.Bin{Dir: dir, Type: t, Family: f.Family, IfID: f.IfID}, &k)
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

// policiesFor looks up the sub and the main policy.
func (db *DB) policiesFor(f *flow.Flow, dir netlinkx.PolicyDir) (ps chosen) {
	k := keyOf(f)
	bin := classify.Bin{Dir: dir, Type: netlinkx.PolicyMain, Family: f.Family, IfID: f.IfID}
	n := 0
	if db.policies.subs.Load() > 0 {
		sub := bin
		sub.Type = netlinkx.PolicySub
		if r := db.rules.Lookup(sub, &k); r != nil {
			ps[0], n = r.Item, 1
			if dir == netlinkx.PolicyFwd {
				bin.Dir = netlinkx.PolicyIn // as the kernel has it
			}
		}
	}
	if r := db.rules.Lookup(bin, &k); r != nil {
		ps[n] = r.Item
	}
	for _, p := range ps {
		if p != nil {
			p.used()
		}
	}
	return ps
}

// templates is how many templates the policies have.
func (ps *chosen) templates() int {
	n := len(ps[0].tmpls)
	if ps[1] != nil {
		n += len(ps[1].tmpls)
	}
	return n
}

// resolve finds the SAs of the policies' templates (xfrm_tmpl_resolve).
func (db *DB) resolve(f *flow.Flow, cpu uint32, ps *chosen, d *Decision) xfrmstat.Counter {
	if ps.templates() >= netlinkx.MaxTemplates {
		return xfrmstat.OutPolError
	}
	dst, src := xaddr.Addr(f.Dst), xaddr.Addr(f.Src)
	for _, p := range ps {
		if p == nil {
			break
		}
		for i := range p.tmpls {
			t := &p.tmpls[i]
			w := t.want
			if !t.tunnel {
				w.Dst, w.Src = dst, src
			} else if t.anySource && !db.chooseSource(&w, f.Mark) {
				return xfrmstat.OutPolError
			}
			sa, why := db.findFor(f, p, t, i, &w, cpu)
			if sa == nil && t.optional && why == xfrmstat.OutNoStates {
				continue
			}
			if sa == nil {
				return why
			}
			d.SAs[d.N] = sa
			d.N++
			dst, src = w.Dst, w.Src
		}
	}
	return xfrmstat.None
}

// chooseSource asks for the local address of a tunnel that names none.
func (db *DB) chooseSource(w *sad.Want, mark uint32) bool {
	src, ok := db.cfg.SourceAddr(w.Dst.In(w.Family), mark)
	w.Src = xaddr.Of(src)
	return ok
}

// findFor finds the SA that a template wants, or asks for it
// (xfrm_state_find).
func (db *DB) findFor(f *flow.Flow, p *Policy, t *template, index int, w *sad.Want, cpu uint32) (*sad.SA, xfrmstat.Counter) {
	s := sad.Search{Flow: f, Mark: p.mark, SPI: t.spi, CPU: cpu}
	db.sas.Search(&s, w)
	sa := s.Best
	perCPU := p.conf.Flags&netlinkx.PolicyCPUAcquire != 0 && (sa == nil || sa.Conf().PCPU != netlinkx.Some(cpu))
	if (sa == nil || perCPU) && !s.Expired && !s.Asked {
		db.acquire(&wish{flow: f, policy: p, template: index, want: *w, cpu: cpu, perCPU: perCPU && sa != nil})
	}
	switch {
	case sa == nil:
		return nil, xfrmstat.OutNoStates
	case sa.Conf().Dir == netlinkx.DirIn:
		return nil, xfrmstat.OutStateDirError
	}
	return sa, xfrmstat.None
}
