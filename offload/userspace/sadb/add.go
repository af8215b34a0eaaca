package sadb

import (
	"syscall"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/rules"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/sad"
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
	c := sa.Conf()
	if db.sas.Locate(c) != nil {
		return errno(syscall.EEXIST)
	}
	if err := db.takeCounter(sa); err != nil {
		return err
	}
	larval := db.sas.Answered(c)
	db.sas.Insert(sa)
	if larval != nil {
		db.sas.Remove(larval)
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
	old := db.sas.Locate(sa.Conf())
	if old == nil {
		return errno(syscall.ESRCH)
	}
	if old.State() == sad.Larval {
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
	c, o := sa.Conf(), larval.Conf()
	if c.Dir != netlinkx.DirUnset && o.Dir != c.Dir {
		return errno(syscall.ESRCH)
	}
	if err := db.takeCounter(sa); err != nil {
		return err
	}
	db.sas.Insert(sa)
	db.sas.Remove(larval)
	return nil
}

// change applies a request, already made into the SA wanted, to an installed
// SA. wanted is dropped afterwards; the event shows it, as the kernel's does.
func (db *DB) change(sa, wanted *SA, r *SARequest) *Refusal {
	o, w := sa.Conf(), wanted.Conf()
	switch {
	case o.Dir != w.Dir:
		return errno(syscall.ESRCH)
	case sa.State() != sad.Valid, (o.Encap == nil) != (w.Encap == nil):
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
	db.sas.Reconfigure(sa, &c)
	sa.RenewLimits()
	return nil
}
