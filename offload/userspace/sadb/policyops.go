package sadb

import (
	"syscall"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/dump"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/lifetime"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/rules"
)

// AddPolicy adds a policy (XFRM_MSG_NEWPOLICY). It fails with a *Refusal;
// EEXIST when one with its identity is there. r is borrowed for the call.
func (db *DB) AddPolicy(cause Cause, r *netlinkx.Policy) error {
	return refused(db.putPolicy(cause, r, netlinkx.EventNew))
}

// UpdatePolicy adds a policy or puts it in the place of the one with its
// identity, whose index it keeps (XFRM_MSG_UPDPOLICY).
func (db *DB) UpdatePolicy(cause Cause, r *netlinkx.Policy) error {
	return refused(db.putPolicy(cause, r, netlinkx.EventUpdate))
}

func (db *DB) putPolicy(cause Cause, r *netlinkx.Policy, op netlinkx.EventOp) *Refusal {
	if err := rules.CheckPolicy(r); err != nil {
		return err
	}
	p := db.newPolicy(r)
	db.mu.Lock()
	defer db.mu.Unlock()
	old := db.policies.byIdent[identityOf(p.conf)]
	if old != nil && op == netlinkx.EventNew {
		return errno(syscall.EEXIST)
	}
	db.insertPolicy(p, old)
	if db.bus.Hears(netlinkx.GroupPolicy) {
		db.bus.Emit(cause, &netlinkx.PolicyEvent{Op: op, Policy: *p.Report()})
	}
	return nil
}

// insertPolicy puts p into all tables, in one step in the place of old if
// that is not nil.
func (db *DB) insertPolicy(p, old *Policy) {
	s, c := &db.policies, p.conf
	p.place = s.list.Push(p)
	s.pos++
	p.rule.Pos = s.pos
	if old != nil {
		c.Index = old.conf.Index
		db.rules.Insert(&p.rule, &old.rule)
		db.forgetPolicy(old)
	} else {
		c.Index = s.index(c.Dir, c.Index)
		db.rules.Insert(&p.rule, nil)
	}
	s.byIdent[identityOf(c)] = p
	s.byIndex[c.Index] = p
	s.counts[c.Dir]++
	if c.Type.V == netlinkx.PolicySub {
		s.subs.Add(1)
	}
	if old == nil {
		s.grow(c.Dir)
	}
	p.startTimer()
	db.changed()
}

// forgetPolicy takes p out of all but the classifier.
func (db *DB) forgetPolicy(p *Policy) {
	s, c := &db.policies, p.conf
	s.list.Remove(p.place)
	delete(s.byIdent, identityOf(c))
	delete(s.byIndex, c.Index)
	s.counts[c.Dir]--
	if c.Type.V == netlinkx.PolicySub {
		s.subs.Add(-1)
	}
	p.dead = true
	lifetime.Stop(p.timer)
}

// removePolicy takes p out of all tables; false if it was out already.
func (db *DB) removePolicy(p *Policy) bool {
	if p.dead {
		return false
	}
	db.rules.Remove(&p.rule)
	db.forgetPolicy(p)
	db.changed()
	return true
}

// findPolicy finds the policy that an id names, by index if it has one.
func (db *DB) findPolicy(id *netlinkx.PolicyID) (*Policy, *Refusal) {
	if err := rules.CheckPolicyType(id.Type); err != nil {
		return nil, err
	}
	if err := rules.CheckPolicyDir(id.Dir); err != nil {
		return nil, err
	}
	var p *Policy
	if id.Index != 0 {
		p = db.policies.byIndex[id.Index]
		if p != nil && (p.conf.Dir != id.Dir || p.conf.Type.V != id.Type.V || p.conf.IfID != id.IfID || p.conf.Mark != id.Mark) {
			p = nil
		}
	} else {
		s := id.Selector
		if s.Family == netlinkx.FamilyUnspec {
			s.Family = netlinkx.FamilyOf(s.Dst.Addr())
		}
		fixPrefixes(&s)
		p = db.policies.byIdent[identity{sel: s, dir: id.Dir, typ: id.Type.V, mark: id.Mark, ifID: id.IfID}]
	}
	if p == nil {
		return nil, errno(syscall.ENOENT)
	}
	return p, nil
}

// GetPolicy returns a policy as GETPOLICY reports it; ENOENT when there is
// none. The value is the caller's.
func (db *DB) GetPolicy(id *netlinkx.PolicyID) (*netlinkx.Policy, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	p, err := db.findPolicy(id)
	if err != nil {
		return nil, err
	}
	return p.Report(), nil
}

// DeletePolicy deletes a policy (XFRM_MSG_DELPOLICY); ENOENT when there is
// none. SAs stay.
func (db *DB) DeletePolicy(cause Cause, id *netlinkx.PolicyID) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	p, err := db.findPolicy(id)
	if err != nil {
		return err
	}
	db.removePolicy(p)
	if db.bus.Hears(netlinkx.GroupPolicy) {
		db.bus.Emit(cause, &netlinkx.PolicyEvent{Op: netlinkx.EventDelete, Policy: *p.Report(), Deleted: *id})
	}
	return nil
}

// FlushPolicies deletes all policies of a type, main if absent. No policies
// are no error and no event.
func (db *DB) FlushPolicies(cause Cause, t netlinkx.Opt[netlinkx.PolicyType]) error {
	if err := rules.CheckPolicyType(t); err != nil {
		return err
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	n := 0
	for p := range db.policies.list.All() {
		if p.conf.Type.V == t.V && db.removePolicy(p) {
			n++
		}
	}
	if n > 0 {
		db.bus.Emit(cause, &netlinkx.FlushPolicyEvent{Type: netlinkx.Some(t.V)})
	}
	return nil
}

// ExpirePolicy sends the event of a soft or hard expiry of a policy, and
// deletes it if hard (XFRM_MSG_POLEXPIRE).
func (db *DB) ExpirePolicy(cause Cause, e *netlinkx.ExpirePolicy) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	id := e.Policy.ID()
	p, err := db.findPolicy(&id)
	if err != nil {
		return err
	}
	if e.Hard {
		db.removePolicy(p)
	}
	p.emitExpire(Cause{PortID: cause.PortID}, e.Hard)
	return nil
}

// PolicyWalk is a dump of policies with pauses; see SAWalk.
type PolicyWalk struct {
	db  *DB
	typ netlinkx.Opt[netlinkx.PolicyType]
	w   dump.Walk[*Policy]
	buf netlinkx.Policy
}

// WalkPolicies begins a dump of the policies of a type; absent: of all.
func (db *DB) WalkPolicies(t netlinkx.Opt[netlinkx.PolicyType]) *PolicyWalk {
	return &PolicyWalk{db: db, typ: t}
}

// Next calls fn with each policy from where the last call stopped, and returns
// true when there are no more. When fn returns false the policy will be the
// first of the next call. The policy is borrowed for the call; fn must not
// call the DB.
func (w *PolicyWalk) Next(fn func(*netlinkx.Policy) bool) (done bool) {
	w.db.mu.Lock()
	defer w.db.mu.Unlock()
	return w.db.policies.list.Next(&w.w, func(p *Policy) bool {
		if w.typ.Valid && p.conf.Type.V != w.typ.V {
			return true
		}
		w.buf = *p.conf
		w.buf.Usage.UseTime = uint64(p.useTime.Load())
		return fn(&w.buf)
	})
}

// Close gives a dump up that is not at its end; afterwards Next returns true.
func (w *PolicyWalk) Close() {
	w.db.mu.Lock()
	defer w.db.mu.Unlock()
	w.db.policies.list.End(&w.w)
}
