package sadb

import (
	"syscall"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/rules"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/sad"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xaddr"
)

// lookup finds the SA that an id names (xfrm_user_state_lookup). The caller
// holds db.mu.
func (db *DB) lookup(id *netlinkx.SAID) (*SA, *Refusal) {
	var sa *SA
	switch {
	case id.Proto.HasSPI():
		sa = db.named(id)
	case id.Src.IsValid():
		sa = db.sas.ByAddress(id)
	default:
		return nil, errno(syscall.EINVAL)
	}
	if sa == nil {
		return nil, errno(syscall.ESRCH)
	}
	return sa, nil
}

// named finds the SA of an id's SPI; nil if there is none.
func (db *DB) named(id *netlinkx.SAID) *SA {
	dst := xaddr.Of(id.Dst)
	return db.sas.Find(&dst, id.SPI, id.Proto, familyOf(id), id.Mark.Value&id.Mark.Mask)
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
	db.sas.Remove(sa)
	db.emitSA(cause, netlinkx.EventDelete, sa)
	return nil
}

// FlushSAs deletes all SAs of a protocol, larval ones too; 0 means every
// protocol, netlinkx.ProtoIPsecAny those with an SPI. An empty table is no
// error and no event.
func (db *DB) FlushSAs(cause Cause, proto netlinkx.Proto) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.sas.Flush(proto) > 0 {
		db.bus.Emit(cause, &netlinkx.FlushSAEvent{Proto: proto})
	}
	return nil
}

// ExpireSA sends the event of a soft or hard expiry of an SA, and deletes it
// if hard (XFRM_MSG_EXPIRE). ENOENT when there is none, EINVAL when it is not
// valid.
func (db *DB) ExpireSA(cause Cause, e *netlinkx.ExpireSA) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	id := e.SA.ID()
	sa := db.named(&id)
	if sa == nil {
		return errno(syscall.ENOENT)
	}
	if sa.State() != sad.Valid {
		return rules.Refuse(syscall.EINVAL, "SA must be in VALID state")
	}
	sa.TellExpired(Cause{PortID: cause.PortID}, e.Hard)
	if e.Hard {
		db.sas.Remove(sa)
	}
	return nil
}

// SAWalk is a dump of SAs with pauses; see package sad.
type SAWalk = sad.Walk

// WalkSAs begins a dump; f limits it, nil does not. End it with Close.
func (db *DB) WalkSAs(f *netlinkx.SAFilter) *SAWalk { return db.sas.Walk(f) }
