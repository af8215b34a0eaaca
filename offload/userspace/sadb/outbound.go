package sadb

import (
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/flow"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/sad"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/spd"
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
	Policy  *spd.Policy      // the first that matched, nil for none
	SAs     [netlinkx.MaxTemplates]*sad.SA
	N       int // of SAs
	// Generation is DB.Generation before the lookup: while it stays, packets
	// of the same flow get the same decision.
	Generation uint64
}

// Outbound decides about a packet that leaves through the interface of
// f.IfID, from cpu (which matters to per-CPU SAs only). A packet that wants an
// SA which does not exist is dropped with OutNoStates, and if a key manager
// listens it is asked for the SA. Allocates nothing otherwise; safe for
// concurrent use.
func (db *DB) Outbound(f *flow.Flow, cpu uint32, d *Decision) {
	*d = Decision{Generation: db.gen.Load()}
	ps := db.policies.For(f, netlinkx.PolicyOut)
	d.Policy = ps[0]
	switch {
	case ps[0] == nil:
		if db.policies.Default(netlinkx.PolicyOut) == netlinkx.DefaultBlock {
			d.drop(xfrmstat.OutPolBlock)
		}
		return
	case ps.Blocks():
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

// resolve finds the SAs of the policies' templates (xfrm_tmpl_resolve).
func (db *DB) resolve(f *flow.Flow, cpu uint32, ps *spd.Chosen, d *Decision) xfrmstat.Counter {
	if ps.Templates() >= netlinkx.MaxTemplates {
		return xfrmstat.OutPolError
	}
	dst, src := xaddr.Addr(f.Dst), xaddr.Addr(f.Src)
	for _, p := range ps {
		if p == nil {
			break
		}
		for i := range p.Templates() {
			t := &p.Templates()[i]
			w := t.Want
			if !t.Tunnel {
				w.Dst, w.Src = dst, src
			} else if t.AnySource && !db.chooseSource(&w, f.Mark) {
				return xfrmstat.OutPolError
			}
			sa, why := db.findFor(f, p, t, i, &w, cpu)
			if sa == nil && t.Optional && why == xfrmstat.OutNoStates {
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
func (db *DB) findFor(f *flow.Flow, p *spd.Policy, t *spd.Template, index int, w *sad.Want, cpu uint32) (*sad.SA, xfrmstat.Counter) {
	s := sad.Search{Flow: f, Mark: p.Conf().Mark.Value, SPI: t.SPI, CPU: cpu}
	db.sas.Search(&s, w)
	sa := s.Best
	perCPU := p.Conf().Flags&netlinkx.PolicyCPUAcquire != 0 && (sa == nil || sa.Conf().PCPU != netlinkx.Some(cpu))
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
