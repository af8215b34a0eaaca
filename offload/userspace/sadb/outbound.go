package sadb

import (
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/flow"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/classify"
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
	SAs     [netlinkx.MaxTemplates]*SA
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
	d.SAs = [netlinkx.MaxTemplates]*SA{}
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
				w.dst, w.src = dst, src
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
			dst, src = w.dst, w.src
		}
	}
	return xfrmstat.None
}

// chooseSource asks for the local address of a tunnel that names none.
func (db *DB) chooseSource(w *want, mark uint32) bool {
	src, ok := db.cfg.SourceAddr(w.dst.In(w.family), mark)
	w.src = xaddr.Of(src)
	return ok
}

// findFor finds the SA that a template wants, or asks for it
// (xfrm_state_find).
func (db *DB) findFor(f *flow.Flow, p *Policy, t *template, index int, w *want, cpu uint32) (*SA, xfrmstat.Counter) {
	s := search{f: f, mark: p.mark, spi: t.spi, cpu: cpu, exact: db.exact.Load()}
	db.look(&s, w)
	if s.best == nil && !s.acquiring && w.src != (xaddr.Addr{}) {
		any := *w
		any.src = xaddr.Addr{}
		db.look(&s, &any)
	}
	sa := s.best
	perCPU := p.conf.Flags&netlinkx.PolicyCPUAcquire != 0 && (sa == nil || sa.Conf().PCPU != netlinkx.Some(cpu))
	if (sa == nil || perCPU) && !s.expired && !s.acquiring {
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

// search is the state of a search for an SA (xfrm_state_look_at).
type search struct {
	f     *flow.Flow
	mark  uint32
	spi   netlinkx.SPI
	cpu   uint32
	exact bool // look at all candidates

	best      *SA
	acquiring bool // a key manager has been asked
	expired   bool // there is one that has expired
}

// look looks at the SAs of a want, newest first.
func (db *DB) look(s *search, w *want) {
	for n := db.byWant.First(db.hashes.want(w)); n != nil; n = n.Next() {
		sa := n.Item
		c := sa.conf.Load()
		if sa.dst != w.dst || !sa.matchesMark(s.mark) || s.spi != 0 && s.spi != sa.SPI() ||
			!w.is(c) || c.Flags&netlinkx.FlagWildRecv != 0 {
			continue
		}
		s.consider(sa, c)
		if s.best != nil && !s.exact && !s.best.dying.Load() {
			return // the others are older
		}
	}
}

func (s *search) consider(sa *SA, c *netlinkx.SA) {
	mine := c.PCPU == netlinkx.Some(s.cpu)
	switch sa.State() {
	case Valid:
		if !s.fits(c) || c.PCPU.Valid && !mine {
			return
		}
		if s.best == nil || s.better(sa, mine) {
			s.best = sa
		}
	case Larval:
		s.acquiring = s.acquiring || s.best == nil || mine
	case Expired:
		s.expired = s.expired || s.fits(c)
	}
}

// fits reports whether the packet is in the SA's selector.
func (s *search) fits(c *netlinkx.SA) bool {
	sel := &c.Selector
	return sel.Family == netlinkx.FamilyUnspec || sel.Family == s.f.Family && s.f.In(sel)
}

// better reports whether sa is preferred to the best so far: the CPU's own,
// else one that is not about to expire, else the younger.
func (s *search) better(sa *SA, mine bool) bool {
	b := s.best
	bd, d := b.dying.Load(), sa.dying.Load()
	return mine && !b.Conf().PCPU.Valid || bd && !d || bd == d && b.addTime.Load() < sa.addTime.Load()
}
