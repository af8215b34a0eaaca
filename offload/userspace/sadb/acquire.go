package sadb

import (
	"net/netip"
	"syscall"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/flow"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/rules"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/sad"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/spd"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xaddr"
)

// wish is an SA that traffic wants.
type wish struct {
	flow     *flow.Flow
	policy   *spd.Policy
	template int
	want     sad.Want
	cpu      uint32
	perCPU   bool // one for this CPU, besides one for all
}

// acquire asks key managers for an SA and makes a larval one, so that they
// are not asked again while it lives. Without listeners nothing happens; with
// Config.MaxAcquires larval SAs neither, so that traffic cannot fill memory.
func (db *DB) acquire(w *wish) {
	if !db.bus.Hears(netlinkx.GroupAcquire) || db.fullOfWishes() {
		return // without a lock: a flood comes here
	}
	c := db.larvalConf(w)
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed || db.fullOfWishes() || w.policy.Dead() || db.sas.IsAsked(c) {
		return
	}
	if c.SPI != 0 && db.sas.Locate(c) != nil {
		return // EEXIST in the kernel: the SPI is another SA's
	}
	if db.acqSeq++; db.acqSeq == 0 {
		db.acqSeq++
	}
	c.Seq = db.acqSeq
	db.bus.Emit(Cause{}, acquireEvent(c, w.policy.Report(), &w.policy.Conf().Templates[w.template]))
	db.sas.InsertAcquired(db.sas.NewLarval(c))
}

func (db *DB) fullOfWishes() bool { return db.sas.Acquires() >= db.cfg.MaxAcquires }

// larvalConf is the SA that is wanted, as it is reported (xfrm_init_tempstate):
// its selector is the packet's flow.
func (db *DB) larvalConf(w *wish) *netlinkx.SA {
	f, t := w.flow, &w.policy.Conf().Templates[w.template]
	host := func(a [16]byte) netip.Prefix {
		r := xaddr.Addr(a)
		return netip.PrefixFrom(r.In(f.Family), f.Family.Bits())
	}
	c := &netlinkx.SA{
		Dst: w.want.Dst.In(w.want.Family), Src: w.want.Src.In(w.want.Family), Family: w.want.Family,
		SPI: t.SPI, Proto: t.Proto, Mode: t.Mode, ReqID: t.ReqID,
		Mark: w.policy.Conf().Mark, IfID: w.want.IfID, Dir: netlinkx.DirOut, Limits: netlinkx.Unlimited(),
		Selector: netlinkx.Selector{
			Family: f.Family, Dst: host(f.Dst), Src: host(f.Src), Proto: f.Proto, IfIndex: int32(f.IfIndex),
			DstPort: netlinkx.PortMatch{Port: f.DstPort, Mask: 0xffff}, SrcPort: netlinkx.PortMatch{Port: f.SrcPort, Mask: 0xffff},
		},
	}
	c.Limits.HardAdd = uint64(db.cfg.Sysctls.AcquireExpires / time.Second)
	if w.perCPU {
		c.PCPU = netlinkx.Some(w.cpu)
	}
	return c
}

// acquireEvent is XFRM_MSG_ACQUIRE for an SA that a template of p wants.
func acquireEvent(c *netlinkx.SA, p *netlinkx.Policy, t *netlinkx.Template) *netlinkx.AcquireEvent {
	q := *p
	q.Dir = netlinkx.PolicyOut
	return &netlinkx.AcquireEvent{Acquire: netlinkx.Acquire{
		SA:       netlinkx.SAID{Dst: c.Dst, Src: c.Src, SPI: c.SPI, Proto: c.Proto, Family: c.Family, Mark: p.Mark},
		Selector: c.Selector, Policy: q, AAlgos: t.AAlgos, EAlgos: t.EAlgos, CAlgos: t.CAlgos, Seq: c.Seq, PCPU: c.PCPU,
	}}
}

// RequestAcquire passes the wish of one key manager on to all, once for each
// of its templates (XFRM_MSG_ACQUIRE as a request). No larval SA is made.
func (db *DB) RequestAcquire(_ Cause, a *netlinkx.Acquire) error {
	if err := rules.CheckCPU(a.PCPU, db.cfg.CPUs, syscall.EINVAL); err != nil {
		return err
	}
	if err := rules.CheckPolicy(&a.Policy); err != nil {
		return err
	}
	p := db.policies.Make(&a.Policy)
	db.mu.Lock()
	defer db.mu.Unlock()
	r := p.Report()
	r.Mark, r.Usage = a.SA.Mark, netlinkx.Usage{}
	for i := range r.Templates {
		t := &r.Templates[i]
		if db.acqSeq++; db.acqSeq == 0 {
			db.acqSeq++
		}
		c := &netlinkx.SA{
			Dst: t.Dst, Src: a.SA.Src, SPI: t.SPI, Proto: t.Proto, Family: t.Family,
			Selector: a.Selector, Seq: db.acqSeq, PCPU: a.PCPU,
		}
		all := netlinkx.Template{AAlgos: a.AAlgos, EAlgos: a.EAlgos, CAlgos: a.CAlgos}
		db.bus.Emit(Cause{}, acquireEvent(c, r, &all))
	}
	return nil
}
