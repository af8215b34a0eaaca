package classify

import (
	"slices"
	"sync/atomic"

	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/rcu"
)

// Table holds rules. Lookup may run at any time; the other methods need a lock
// that the caller holds. Make one with New.
type Table[T any] struct {
	seed rcu.Seed
	bins rcu.Table[bin]
	dsts rcu.Table[dstNode]
	srcs rcu.Table[srcNode[T]]
	ids  uint64
}

// bin is a bin that has rules.
type bin struct {
	bin  Bin
	id   uint64
	dsts lengths
}

// place is a prefix below its parent: a bin or, for sources, a destination.
type place struct {
	parent uint64
	prefix words
	bits   uint8
}

// dstNode is a destination that has rules.
type dstNode struct {
	at   place
	id   uint64
	best atomic.Uint32 // the best priority of the rules below, or a better one
	srcs lengthSet
}

// srcNode is a pair of destination and source.
type srcNode[T any] struct {
	at    place
	rules atomic.Pointer[ruleList[T]]
	one   ruleList[T] // what rules is in most nodes
}

// ruleList are the rules of one pair of prefixes in the order in which they
// are asked. Immutable.
type ruleList[T any] struct {
	first *Rule[T]
	more  []*Rule[T]
}

// New returns an empty table.
func New[T any]() *Table[T] { return &Table[T]{seed: rcu.NewSeed()} }

// Len returns how many nodes there are, for tests of what lookups leave.
func (t *Table[T]) Len() int { return t.bins.Len() + t.dsts.Len() + t.srcs.Len() }

// Lookup returns the winning rule of a bin for a packet, or nil.
func (t *Table[T]) Lookup(in Bin, k *Key) *Rule[T] {
	b := t.bin(in)
	if b == nil {
		return nil
	}
	var best *Rule[T]
	dst, src := wordsOf(&k.Dst), wordsOf(&k.Src)
	for _, l := range b.dsts.load() {
		if best != nil && l.best.Load() > best.Priority {
			continue
		}
		d := t.dst(place{b.id, dst.first(l.bits), l.bits})
		if d != nil && (best == nil || d.best.Load() <= best.Priority) {
			best = t.sources(d, src, k, best)
		}
	}
	return best
}

// sources returns the winner of best and the rules below a destination.
func (t *Table[T]) sources(d *dstNode, src words, k *Key, best *Rule[T]) *Rule[T] {
	for w := len(d.srcs.words) - 1; w >= 0; w-- {
		for word := d.srcs.words[w].Load(); word != 0; {
			bits := takeLongest(&word, uint8(64*w))
			if s := t.src(place{d.id, src.first(bits), bits}); s != nil {
				best = s.rules.Load().ask(k, best)
			}
		}
	}
	return best
}

// ask returns the winner of best and the rules of the list.
func (l *ruleList[T]) ask(k *Key, best *Rule[T]) *Rule[T] {
	if l == nil || best != nil && l.first.Priority > best.Priority {
		return best
	}
	if l.first.Match.matches(k) {
		return winner(l.first, best)
	}
	for _, r := range l.more {
		if best != nil && r.Priority > best.Priority {
			break
		}
		if r.Match.matches(k) {
			return winner(r, best)
		}
	}
	return best
}

func winner[T any](r, best *Rule[T]) *Rule[T] {
	if best == nil || r.before(best) {
		return r
	}
	return best
}

// Insert adds a rule behind those of its priority. If it replaces one with the
// same bin and prefixes, it takes its place in one step, and stays in front of
// others of its priority where old was.
func (t *Table[T]) Insert(r, old *Rule[T]) {
	b := t.bin(r.Bin)
	if b == nil {
		b = &bin{bin: r.Bin, id: t.newID()}
		t.bins.Insert(t.binHash(r.Bin), b)
	}
	at := place{b.id, wordsOf(&r.Dst.Addr).first(r.Dst.Bits), r.Dst.Bits}
	d := t.dst(at)
	fresh := d == nil
	if fresh {
		d = &dstNode{at: at, id: t.newID()}
		d.best.Store(r.Priority)
		t.dsts.Insert(t.hash(&at), d)
	}
	lower(&d.best, r.Priority)
	b.dsts.add(r.Dst.Bits, r.Priority, fresh)
	t.insertSource(d, r, old)
}

func (t *Table[T]) insertSource(d *dstNode, r, old *Rule[T]) {
	at := place{d.id, wordsOf(&r.Src.Addr).first(r.Src.Bits), r.Src.Bits}
	if s := t.src(at); s != nil {
		s.set(ordered(s.list(), r, old))
		return
	}
	s := &srcNode[T]{at: at}
	s.set([]*Rule[T]{r})
	t.srcs.Insert(t.hash(&at), s)
	d.srcs.add(r.Src.Bits)
}

// list returns the node's rules.
func (s *srcNode[T]) list() []*Rule[T] {
	l := s.rules.Load()
	return append([]*Rule[T]{l.first}, l.more...)
}

// set replaces the node's rules; none: the node is on its way out.
func (s *srcNode[T]) set(rules []*Rule[T]) {
	switch {
	case len(rules) == 0:
		s.rules.Store(nil)
	case s.one.first == nil:
		s.one = ruleList[T]{rules[0], rules[1:]}
		s.rules.Store(&s.one)
	default:
		s.rules.Store(&ruleList[T]{rules[0], rules[1:]})
	}
}

// ordered returns a copy of rules with r in it, and without old.
func ordered[T any](rules []*Rule[T], r, old *Rule[T]) []*Rule[T] {
	out := make([]*Rule[T], 0, len(rules)+1)
	done := false
	for _, o := range rules {
		if !done && (o.Priority > r.Priority || o == old && o.Priority == r.Priority) {
			out, done = append(out, r), true
		}
		if o != old {
			out = append(out, o)
		}
	}
	if !done {
		out = append(out, r)
	}
	return out
}

// Remove takes out a rule and what was there only for it.
func (t *Table[T]) Remove(r *Rule[T]) {
	b := t.bin(r.Bin)
	d := t.dst(place{b.id, wordsOf(&r.Dst.Addr).first(r.Dst.Bits), r.Dst.Bits})
	s := t.src(place{d.id, wordsOf(&r.Src.Addr).first(r.Src.Bits), r.Src.Bits})
	rules := slices.DeleteFunc(s.list(), func(o *Rule[T]) bool { return o == r })
	s.set(rules)
	if len(rules) > 0 {
		return
	}
	t.srcs.Remove(t.hash(&s.at), s)
	if d.srcs.drop(r.Src.Bits); !d.srcs.empty() {
		return
	}
	t.dsts.Remove(t.hash(&d.at), d)
	if b.dsts.drop(r.Dst.Bits); b.dsts.empty() {
		t.bins.Remove(t.binHash(r.Bin), b)
	}
}

func (t *Table[T]) newID() uint64 { t.ids++; return t.ids }

func (t *Table[T]) binHash(b Bin) uint64 {
	return t.seed.Hash(uint64(b.IfID), uint64(b.Dir)<<32|uint64(b.Type)<<16|uint64(b.Family), 0, 0)
}

func (t *Table[T]) hash(p *place) uint64 {
	return t.seed.Hash(p.prefix.hi, p.prefix.lo, p.parent, uint64(p.bits))
}

func (t *Table[T]) bin(in Bin) *bin {
	for n := t.bins.First(t.binHash(in)); n != nil; n = n.Next() {
		if n.Item.bin == in {
			return n.Item
		}
	}
	return nil
}

func (t *Table[T]) dst(p place) *dstNode {
	for n := t.dsts.First(t.hash(&p)); n != nil; n = n.Next() {
		if n.Item.at == p {
			return n.Item
		}
	}
	return nil
}

func (t *Table[T]) src(p place) *srcNode[T] {
	for n := t.srcs.First(t.hash(&p)); n != nil; n = n.Next() {
		if n.Item.at == p {
			return n.Item
		}
	}
	return nil
}
