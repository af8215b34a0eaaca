package sadb

import (
	"syscall"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/rules"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xaddr"
)

// refused is the error of an operation: nil, or a *Refusal. A nil *Refusal in
// an error would not be nil.
func refused(r *Refusal) error {
	if r == nil {
		return nil
	}
	return r
}

// errno is a refusal without a text.
func errno(e syscall.Errno) *Refusal { return &Refusal{Errno: e} }

// AddSA adds an SA (XFRM_MSG_NEWSA). It fails with a *Refusal; EEXIST when an
// SA with its identity is there, a larval one too.
func (db *DB) AddSA(cause Cause, r *SARequest) error {
	sa, err := db.construct(r)
	if err != nil {
		return err
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if err := db.add(sa); err != nil {
		return err
	}
	db.emitSA(cause, netlinkx.EventNew, sa)
	return nil
}

// add inserts an SA unless there is one, and ends the larval SA that it
// answers (xfrm_state_add).
func (db *DB) add(sa *SA) *Refusal {
	c := sa.conf.Load()
	if db.locate(c) != nil {
		return errno(syscall.EEXIST)
	}
	if err := db.takeCounter(sa); err != nil {
		return err
	}
	larval := db.answered(c)
	db.insert(sa)
	if larval != nil {
		db.remove(larval)
	}
	return nil
}

// answered returns the larval SA that an SA takes the place of.
func (db *DB) answered(c *netlinkx.SA) *SA {
	if c.Seq != 0 {
		if sa := db.acquireBySeq(c.Seq, c.Mark, c.PCPU); sa != nil {
			if o := sa.conf.Load(); o.Proto == c.Proto && sa.dst == xaddr.Of(c.Dst) {
				return sa
			}
		}
	}
	return db.findLarval(acqKeyOf(c), c.Mark)
}

// acquireBySeq is __xfrm_find_acq_byseq.
func (db *DB) acquireBySeq(seq uint32, mark netlinkx.Mark, pcpu netlinkx.Opt[uint32]) *SA {
	for _, sa := range db.byAcqSeq[seq] {
		if sa.matchesMark(mark.Value&mark.Mask) && sa.conf.Load().PCPU == pcpu && sa.State() == Larval {
			return sa
		}
	}
	return nil
}

// findLarval is __find_acq_core without making one.
func (db *DB) findLarval(k acqKey, mark netlinkx.Mark) *SA {
	l := db.larval[k]
	for i := len(l) - 1; i >= 0; i-- {
		if l[i].matchesMark(mark.Value & mark.Mask) {
			return l[i]
		}
	}
	return nil
}

// emitSA tells of an SA as it is now.
func (db *DB) emitSA(cause Cause, op netlinkx.EventOp, sa *SA) {
	if db.bus.Hears(netlinkx.GroupSA) {
		db.bus.Emit(cause, &netlinkx.SAEvent{Op: op, SA: *sa.Report()})
	}
}

// UpdateSA completes a larval SA, or changes what can be changed of an
// installed one (XFRM_MSG_UPDSA): limits, ports of the encapsulation, care-of
// address, output mark and if_id. The kernel answers with success when the
// request has other keys, another mode and so on, and ignores them; here it is
// refused, because whoever asks for it would go on with a key that is not in
// use.
func (db *DB) UpdateSA(cause Cause, r *SARequest) error {
	sa, err := db.construct(r)
	if err != nil {
		return err
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	old := db.locate(sa.conf.Load())
	if old == nil {
		return errno(syscall.ESRCH)
	}
	if old.State() == Larval {
		err = db.complete(sa, old)
	} else {
		err = db.change(old, sa, r)
	}
	if err != nil {
		return err
	}
	db.emitSA(cause, netlinkx.EventUpdate, sa)
	return nil
}

// complete puts an SA in the place of its larval one.
func (db *DB) complete(sa, larval *SA) *Refusal {
	c, o := sa.conf.Load(), larval.conf.Load()
	if c.Dir != netlinkx.DirUnset && o.Dir != c.Dir {
		return errno(syscall.ESRCH)
	}
	if err := db.takeCounter(sa); err != nil {
		return err
	}
	db.insert(sa)
	db.remove(larval)
	return nil
}

// change applies a request, already made into the SA wanted, to an installed
// SA. wanted is dropped afterwards; the event shows it, as the kernel's does.
func (db *DB) change(sa, wanted *SA, r *SARequest) *Refusal {
	o, w := sa.conf.Load(), wanted.conf.Load()
	switch {
	case o.Dir != w.Dir:
		return errno(syscall.ESRCH)
	case sa.State() != Valid, (o.Encap == nil) != (w.Encap == nil):
		return errno(syscall.EINVAL)
	case o.Encap != nil && o.Encap.Type != w.Encap.Type:
		return errno(syscall.EINVAL)
	}
	if err := rules.CheckUpdate(o, w, r.SA); err != nil {
		return err
	}
	c := *o
	c.Limits = w.Limits
	c.Encap = w.Encap
	if o.CareOf.IsValid() && w.CareOf.IsValid() {
		c.CareOf = w.CareOf
	}
	if w.OutputMark != (netlinkx.Mark{}) {
		c.OutputMark = w.OutputMark
	}
	if w.IfID != 0 {
		c.IfID = w.IfID
	}
	db.reconfigure(sa, &c)
	sa.dying.Store(false)
	sa.startTimers()
	if sa.useTime.Load() != 0 {
		sa.admit(1, 0)
	}
	return nil
}

// reconfigure puts another configuration in place.
func (db *DB) reconfigure(sa *SA, c *netlinkx.SA) {
	tell := db.cfg.SAChanged != nil && !sameWay(sa.conf.Load(), c)
	if tell {
		db.cfg.SAChanged(sa, false)
	}
	old, next := sa.want, sa.want
	next.ifID = c.IfID
	if next != old { // packets never miss an SA that stays
		db.byWant.Insert(db.hashes.want(&next), sa)
		defer db.byWant.Remove(db.hashes.want(&old), sa)
	}
	sa.want = next
	sa.conf.Store(c)
	if tell {
		db.cfg.SAChanged(sa, true)
	}
	db.changed()
}

// sameWay reports whether packets of both use the same sockets: then these
// stay open, with what waits in them.
func sameWay(a, b *netlinkx.SA) bool {
	if a.IfID != b.IfID || a.OutputMark != b.OutputMark || (a.Encap == nil) != (b.Encap == nil) {
		return false
	}
	return a.Encap == nil || *a.Encap == *b.Encap
}
