package sadb

import (
	"syscall"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/dump"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/rules"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xaddr"
)

// lookup finds the SA that an id names (xfrm_user_state_lookup). The caller
// holds db.mu.
func (db *DB) lookup(id *netlinkx.SAID) (*SA, *Refusal) {
	var sa *SA
	if id.Proto.HasSPI() {
		dst := xaddr.Of(id.Dst)
		sa = db.find(&dst, id.SPI, id.Proto, familyOf(id), id.Mark.Value&id.Mark.Mask)
	} else {
		if !id.Src.IsValid() {
			return nil, errno(syscall.EINVAL)
		}
		sa = db.byAddress(id)
	}
	if sa == nil {
		return nil, errno(syscall.ESRCH)
	}
	return sa, nil
}

// familyOf is the family of an id; netlinkx allows to leave it to the
// addresses.
func familyOf(id *netlinkx.SAID) netlinkx.Family {
	if id.Family != 0 {
		return id.Family
	}
	return netlinkx.FamilyOf(id.Dst)
}

// GetSA returns an SA as GETSA reports it; ESRCH when there is none. The
// value is the caller's.
func (db *DB) GetSA(id *netlinkx.SAID) (*netlinkx.SA, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	sa, err := db.lookup(id)
	if err != nil {
		return nil, err
	}
	return sa.Report(), nil
}

// DeleteSA deletes an SA (XFRM_MSG_DELSA); ESRCH when there is none.
func (db *DB) DeleteSA(cause Cause, id *netlinkx.SAID) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	sa, err := db.lookup(id)
	if err != nil {
		return err
	}
	db.remove(sa)
	db.emitSA(cause, netlinkx.EventDelete, sa)
	return nil
}

// FlushSAs deletes all SAs of a protocol, larval ones too; 0 means every
// protocol, netlinkx.ProtoIPsecAny those with an SPI. An empty table is no
// error and no event.
func (db *DB) FlushSAs(cause Cause, proto netlinkx.Proto) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	n := 0
	for sa := range db.sas.All() {
		if matchProto(sa.conf.Load().Proto, proto) && db.remove(sa) {
			n++
		}
	}
	if n > 0 {
		db.bus.Emit(cause, &netlinkx.FlushSAEvent{Proto: proto})
	}
	return nil
}

// matchProto is xfrm_id_proto_match.
func matchProto(p, want netlinkx.Proto) bool {
	return want == 0 || p == want || want == netlinkx.ProtoIPsecAny && p.HasSPI()
}

// ExpireSA sends the event of a soft or hard expiry of an SA, and deletes it
// if hard (XFRM_MSG_EXPIRE). ENOENT when there is none, EINVAL when it is not
// valid.
func (db *DB) ExpireSA(cause Cause, e *netlinkx.ExpireSA) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	dst := xaddr.Of(e.SA.Dst)
	id := e.SA.ID()
	sa := db.find(&dst, e.SA.SPI, e.SA.Proto, familyOf(&id), e.SA.Mark.Value&e.SA.Mark.Mask)
	if sa == nil {
		return errno(syscall.ENOENT)
	}
	if sa.State() != Valid {
		return rules.Refuse(syscall.EINVAL, "SA must be in VALID state")
	}
	sa.emitExpire(Cause{PortID: cause.PortID}, e.Hard)
	if e.Hard {
		db.remove(sa)
	}
	return nil
}

// SAWalk is a dump of SAs with pauses: a client reads a part at a time, and
// the tables may change in between. It sees each SA that is there all the
// time once, newest first. Not for concurrent use. End it with Close.
type SAWalk struct {
	db     *DB
	filter netlinkx.SAFilter
	w      dump.Walk[*SA]
	box    reportBox
}

// WalkSAs begins a dump; f limits it, nil does not.
func (db *DB) WalkSAs(f *netlinkx.SAFilter) *SAWalk {
	w := &SAWalk{db: db}
	if f != nil {
		w.filter = *f
	}
	return w
}

// Next calls fn with each SA from where the last call stopped, and returns
// true when there are no more. When fn returns false the SA will be the first
// of the next call. The SA is borrowed for the call; fn must not call the DB.
func (w *SAWalk) Next(fn func(*netlinkx.SA) bool) (done bool) {
	w.db.mu.Lock()
	defer w.db.mu.Unlock()
	return w.db.sas.Next(&w.w, func(sa *SA) bool {
		return !w.wants(sa.conf.Load()) || fn(sa.reportInto(&w.box))
	})
}

// Close gives a dump up that is not at its end; afterwards Next returns true.
func (w *SAWalk) Close() {
	w.db.mu.Lock()
	defer w.db.mu.Unlock()
	w.db.sas.End(&w.w)
}

// wants is __xfrm_state_filter_match.
func (w *SAWalk) wants(c *netlinkx.SA) bool {
	f := &w.filter
	if !matchProto(c.Proto, f.Proto) || f.Family.Bits() != 0 && c.Family != f.Family {
		return false
	}
	src, dst := xaddr.Of(c.Src), xaddr.Of(c.Dst)
	return src.Within(f.Src) && dst.Within(f.Dst)
}
