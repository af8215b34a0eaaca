package spd

import (
	"iter"
	"sync"
	"sync/atomic"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/classify"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/dump"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/lifetime"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/notice"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/rules"
)

// Config is what a Table needs from its surroundings. All fields must be set.
type Config struct {
	Lock       sync.Locker    // held by those who change the Table; timers take it
	Bus        *notice.Bus    // told of what happens
	Generation *atomic.Uint64 // changes after every change that lookups could see
}

// Table holds policies and finds them: for packets without a lock (For, OfType,
// Default), for requests by those who hold the lock. Make one with New.
type Table struct {
	cfg      Config
	rules    *classify.Table[Policy]
	defaults [3]atomic.Uint32 // netlinkx.DefaultAction by direction
	subs     atomic.Int32     // how many sub policies there are

	// Guarded by the lock.
	closed  bool
	list    dump.List[*Policy]
	byIdent map[identity]*Policy
	byIndex map[uint32]*Policy
	// nextIndex makes indexes: multiples of 8, to which the direction is added.
	nextIndex uint32
	pos       uint64
	counts    [3]uint32 // by direction
	hash      hashSizes
}

// New returns an empty Table whose defaults accept. Close ends its timers.
func New(cfg Config) *Table {
	t := &Table{
		cfg: cfg, rules: classify.New[Policy](),
		byIdent: make(map[identity]*Policy), byIndex: make(map[uint32]*Policy), hash: newHashSizes(),
	}
	for d := range t.defaults {
		t.defaults[d].Store(uint32(netlinkx.DefaultAccept))
	}
	return t
}

// Close stops all timers. The caller holds the lock, and changes nothing
// afterwards; packets may still look up.
func (t *Table) Close() {
	t.closed = true
	for p := range t.list.All() {
		lifetime.Stop(p.timer)
	}
}

// All iterates over the policies, newest first. The caller holds the lock; the
// body may remove policies.
func (t *Table) All() iter.Seq[*Policy] { return t.list.All() }

// Entries returns how many entries all indexes have together: 0 in a Table
// without policies. The caller holds the lock.
func (t *Table) Entries() int {
	return t.list.Len() + len(t.byIdent) + len(t.byIndex) + t.rules.Len()
}

// Put puts a new policy into all indexes, in one step in the place of old if
// that is not nil, and starts its time limits. The caller holds the lock.
func (t *Table) Put(p, old *Policy) {
	c := p.conf
	p.place = t.list.Push(p)
	t.pos++
	p.rule.Pos = t.pos
	if old != nil {
		c.Index = old.conf.Index
		t.rules.Insert(&p.rule, &old.rule)
		t.forget(old)
	} else {
		c.Index = t.index(c.Dir, c.Index)
		t.rules.Insert(&p.rule, nil)
	}
	t.byIdent[identityOf(c)] = p
	t.byIndex[c.Index] = p
	t.counts[c.Dir]++
	if c.Type.V == netlinkx.PolicySub {
		t.subs.Add(1)
	}
	if old == nil {
		t.hash.grow(c.Dir, &t.counts)
	}
	p.startTimer()
	t.cfg.Generation.Add(1)
}

// forget takes p out of all but the classifier.
func (t *Table) forget(p *Policy) {
	c := p.conf
	t.list.Remove(p.place)
	delete(t.byIdent, identityOf(c))
	delete(t.byIndex, c.Index)
	t.counts[c.Dir]--
	if c.Type.V == netlinkx.PolicySub {
		t.subs.Add(-1)
	}
	p.dead = true
	lifetime.Stop(p.timer)
}

// Remove takes a policy out of all indexes and ends it; false if it was out
// already. The caller holds the lock.
func (t *Table) Remove(p *Policy) bool {
	if p.dead {
		return false
	}
	t.rules.Remove(&p.rule)
	t.forget(p)
	t.cfg.Generation.Add(1)
	return true
}

// Twin returns the policy with the identity of p, or nil. The caller holds the
// lock.
func (t *Table) Twin(p *Policy) *Policy { return t.byIdent[identityOf(p.conf)] }

// Find returns the policy that an id names, by index if it has one, or nil. The
// caller holds the lock.
func (t *Table) Find(id *netlinkx.PolicyID) *Policy {
	if id.Index == 0 {
		s := id.Selector
		if s.Family == netlinkx.FamilyUnspec {
			s.Family = netlinkx.FamilyOf(s.Dst.Addr())
		}
		rules.FillPrefixes(&s)
		return t.byIdent[identity{sel: s, dir: id.Dir, typ: id.Type.V, mark: id.Mark, ifID: id.IfID}]
	}
	p := t.byIndex[id.Index]
	if p == nil || p.conf.Dir != id.Dir || p.conf.Type.V != id.Type.V || p.conf.IfID != id.IfID || p.conf.Mark != id.Mark {
		return nil
	}
	return p
}

// identity is what no two policies have in common.
type identity struct {
	sel  netlinkx.Selector
	dir  netlinkx.PolicyDir
	typ  netlinkx.PolicyType
	mark netlinkx.Mark
	ifID uint32
}

func identityOf(c *netlinkx.Policy) identity {
	return identity{sel: c.Selector, dir: c.Dir, typ: c.Type.V, mark: c.Mark, ifID: c.IfID}
}

// index returns a free index for a direction, the wanted one if it is free
// (xfrm_gen_index).
func (t *Table) index(dir netlinkx.PolicyDir, wanted uint32) uint32 {
	if wanted != 0 && t.byIndex[wanted] == nil {
		return wanted
	}
	for {
		i := t.nextIndex | uint32(dir)
		t.nextIndex += 8
		if i == 0 {
			i = 8
		}
		if t.byIndex[i] == nil {
			return i
		}
	}
}
