package sadb

import (
	"syscall"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/rules"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/spd"
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
	p := db.policies.Make(r)
	db.mu.Lock()
	defer db.mu.Unlock()
	old := db.policies.Twin(p)
	if old != nil && op == netlinkx.EventNew {
		return errno(syscall.EEXIST)
	}
	db.policies.Put(p, old)
	if db.bus.Hears(netlinkx.GroupPolicy) {
		db.bus.Emit(cause, &netlinkx.PolicyEvent{Op: op, Policy: *p.Report()})
	}
	return nil
}

// findPolicy finds the policy that an id names, by index if it has one.
func (db *DB) findPolicy(id *netlinkx.PolicyID) (*spd.Policy, *Refusal) {
	if err := rules.CheckPolicyType(id.Type); err != nil {
		return nil, err
	}
	if err := rules.CheckPolicyDir(id.Dir); err != nil {
		return nil, err
	}
	p := db.policies.Find(id)
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
	db.policies.Remove(p)
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
	for p := range db.policies.All() {
		if p.Conf().Type.V == t.V && db.policies.Remove(p) {
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
		db.policies.Remove(p)
	}
	p.TellExpired(Cause{PortID: cause.PortID}, e.Hard)
	return nil
}

// PolicyWalk is a dump of policies with pauses; see package spd.
type PolicyWalk = spd.Walk

// WalkPolicies begins a dump of the policies of a type; absent: of all. End it
// with Close.
func (db *DB) WalkPolicies(t netlinkx.Opt[netlinkx.PolicyType]) *PolicyWalk {
	return db.policies.Walk(t)
}
