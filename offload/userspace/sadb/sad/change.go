package sad

import "github.com/xfrmctl/xfrmctl/netlinkx"

// Reconfigure puts another configuration of an SA in place, which may differ in
// its limits, encapsulation, care-of address, output mark and if_id. The caller
// holds the lock; c becomes the SA's.
func (t *Table) Reconfigure(sa *SA, c *netlinkx.SA) {
	tell := t.cfg.Changed != nil && !sameWay(sa.conf.Load(), c)
	if tell {
		t.cfg.Changed(sa, false)
	}
	old, next := sa.want, sa.want
	next.IfID = c.IfID
	if next != old { // packets never miss an SA that stays
		t.byWant.Insert(t.hashes.want(&next), sa)
		defer t.byWant.Remove(t.hashes.want(&old), sa)
	}
	sa.want = next
	sa.conf.Store(c)
	if tell {
		t.cfg.Changed(sa, true)
	}
	t.changed()
}

// sameWay reports whether packets of both use the same sockets: then these
// stay open, with what waits in them.
func sameWay(a, b *netlinkx.SA) bool {
	if a.IfID != b.IfID || a.OutputMark != b.OutputMark || (a.Encap == nil) != (b.Encap == nil) {
		return false
	}
	return a.Encap == nil || *a.Encap == *b.Encap
}

// RenewLimits begins the limits of an SA anew after Reconfigure: a soft limit
// that was reached before may be reached again. The caller holds the lock.
func (sa *SA) RenewLimits() {
	sa.dying.Store(false)
	sa.startTimers()
	if sa.useTime.Load() != 0 {
		sa.admit(1, 0)
	}
}

// SetDir sets the direction of a larval SA. The caller holds the lock.
func (sa *SA) SetDir(d netlinkx.Dir) {
	c := *sa.Conf()
	c.Dir = d
	sa.conf.Store(&c)
}

// Move adds an SA with the configuration c that is otherwise what old is. Both
// share their sequence numbers, so packets may use either until the caller
// removes old. The caller holds the lock; c becomes the SA's.
func (t *Table) Move(old *SA, c *netlinkx.SA) {
	sa := t.blank(c)
	sa.cipher, sa.authBit, sa.counter = old.cipher, old.authBit, old.counter
	old.gaveAway = true
	sa.sequence, sa.aged = old.sequence, true
	sa.mu.Lock()
	sa.notify.maxDiff, sa.notify.maxAge = old.notify.maxDiff, old.notify.maxAge
	sa.mu.Unlock()
	u := old.usage()
	sa.setUsage(&u)
	sa.lastUsed.Store(old.lastUsed.Load())
	sa.warned.Store(old.warned.Load())
	sa.state.Store(uint32(Valid))
	t.Insert(sa)
}
