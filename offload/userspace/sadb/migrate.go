package sadb

import (
	"net/netip"
	"slices"
	"syscall"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/flow"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/rules"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/sad"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/spd"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xaddr"
)

// Migrate moves a policy and its SAs to new addresses (XFRM_MSG_MIGRATE).
// Sequence numbers and counters go with the SAs; nothing is changed when it
// fails. ENOENT without the policy, ENODATA when no template fits.
func (db *DB) Migrate(_ Cause, m *netlinkx.Migrate) error {
	if err := checkMigrate(m); err != nil {
		return err
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	p := db.migrated(&m.Policy)
	if p == nil {
		return rules.Refuse(syscall.ENOENT, "Target policy not found")
	}
	tmpls, n := movedTemplates(p, m.Entries)
	if n == 0 {
		return errno(rules.ErrnoNoData)
	}
	olds, err := db.migrateSAs(m)
	if err != nil {
		return err
	}
	db.policies.Put(db.policies.Moved(p, tmpls), p)
	for _, sa := range olds { // only now: no packet is without an SA
		db.sas.Remove(sa)
	}
	if db.bus.Hears(netlinkx.GroupMigrate) {
		e := *m
		e.Policy = netlinkx.PolicyID{Selector: m.Policy.Selector, Dir: m.Policy.Dir, Type: netlinkx.Some(m.Policy.Type.V)}
		e.Entries, e.Offload = slices.Clone(m.Entries), nil
		db.bus.Emit(Cause{}, &netlinkx.MigrateEvent{Migrate: e})
	}
	return nil
}

// checkMigrate is xfrm_migrate_check and what stands before it.
func checkMigrate(m *netlinkx.Migrate) *Refusal {
	if err := rules.CheckPolicyType(m.Policy.Type); err != nil {
		return err
	}
	if n := len(m.Entries); n < 1 || n > netlinkx.MaxTemplates {
		return rules.Refuse(syscall.EINVAL, "Invalid number of SAs to migrate, must be 0 < num <= XFRM_MAX_DEPTH (6)")
	}
	for i := range m.Entries {
		e := &m.Entries[i]
		if unspecified(e.NewDst) || unspecified(e.NewSrc) {
			return rules.Refuse(syscall.EINVAL, "Addresses in the MIGRATE attribute's list cannot be null")
		}
		for j := i + 1; j < len(m.Entries); j++ {
			o := &m.Entries[j]
			if e.OldDst == o.OldDst && e.OldSrc == o.OldSrc && e.Proto == o.Proto && e.Mode == o.Mode && e.ReqID == o.ReqID && e.OldFamily == o.OldFamily {
				return rules.Refuse(syscall.EINVAL, "Entries in the MIGRATE attribute's list must be unique")
			}
		}
	}
	return rules.CheckPolicyDir(m.Policy.Dir)
}

func unspecified(a netip.Addr) bool { return !a.IsValid() || a.IsUnspecified() }

// migrated finds the policy that a migration is about: the one that a packet
// with the selector's addresses meets (xfrm_migrate_policy_find).
func (db *DB) migrated(id *netlinkx.PolicyID) *spd.Policy {
	s := &id.Selector
	f := flow.Flow{Family: s.Family, Src: xaddr.Of(s.Src.Addr()), Dst: xaddr.Of(s.Dst.Addr()), Proto: s.Proto, IfID: id.IfID}
	if s.Proto != 0 {
		f.IfIndex, f.SrcPort, f.DstPort = uint32(s.IfIndex), s.SrcPort.Port, s.DstPort.Port
	}
	return db.policies.OfType(&f, id.Dir, id.Type.V)
}

// movedTemplates returns the policy's templates with their new addresses, and
// how many entries fit one.
func movedTemplates(p *spd.Policy, entries []netlinkx.MigrateEntry) (tmpls []netlinkx.Template, n int) {
	tmpls = slices.Clone(p.Conf().Templates)
	for i := range tmpls {
		t := &tmpls[i]
		for j := range entries {
			e := &entries[j]
			if t.Mode != e.Mode || t.Proto != e.Proto || e.ReqID != 0 && t.ReqID != e.ReqID {
				continue
			}
			switch {
			case t.Mode == netlinkx.ModeTransport:
				n++
			case rules.Tunnels(t.Mode) && t.Dst == e.OldDst && t.Src == e.OldSrc:
				n++
				t.Dst, t.Src, t.Family = e.NewDst, e.NewSrc, familyOr(e.NewFamily, e.NewDst)
			}
		}
	}
	return tmpls, n
}

func familyOr(f netlinkx.Family, a netip.Addr) netlinkx.Family {
	if f != 0 {
		return f
	}
	return netlinkx.FamilyOf(a)
}

// migrateSAs adds a moved twin of the SA of each entry that has one, and
// returns those that are to be removed.
func (db *DB) migrateSAs(m *netlinkx.Migrate) (olds []*SA, err *Refusal) {
	type pair struct {
		old *SA
		to  *netlinkx.SA
	}
	var moves []pair
	for i := range m.Entries {
		e := &m.Entries[i]
		sa := db.entrySA(e, m.Policy.IfID)
		if sa == nil || slices.ContainsFunc(moves, func(m pair) bool { return m.old == sa }) {
			continue // one counter is for one SA: it moves to where the first entry says
		}
		c := *sa.Conf()
		c.Dst, c.Src, c.Family = e.NewDst, e.NewSrc, familyOr(e.NewFamily, e.NewDst)
		c.Encap = nil
		if m.Encap != nil {
			encap := *m.Encap
			c.Encap = &encap
		} else {
			c.MTimerThresh, c.NATKeepalive = 0, 0
		}
		if o := db.sas.Locate(&c); o != nil && o != sa {
			return nil, errno(rules.ErrnoNoData)
		}
		if _, err := rules.CheckTransform(&c); err != nil {
			return nil, &Refusal{Errno: rules.ErrnoNoData, Text: err.Text}
		}
		moves = append(moves, pair{sa, &c})
	}
	for _, mv := range moves {
		db.sas.Move(mv.old, mv.to)
		olds = append(olds, mv.old)
	}
	return olds, nil
}

// entrySA is xfrm_migrate_state_find.
func (db *DB) entrySA(e *netlinkx.MigrateEntry, ifID uint32) *SA {
	dst, src := xaddr.Of(e.OldDst), xaddr.Of(e.OldSrc)
	for sa := range db.sas.All() {
		c := sa.Conf()
		if c.Mode == e.Mode && c.Proto == e.Proto && (e.ReqID == 0 || c.ReqID == e.ReqID) && (ifID == 0 || c.IfID == ifID) &&
			sa.Between(dst, src) && sa.State() == sad.Valid {
			return sa
		}
	}
	return nil
}
