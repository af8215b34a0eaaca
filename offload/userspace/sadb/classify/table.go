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
	bins rcu.Table[bin[T]]
	dsts rcu.Table[node[T]]
	srcs rcu.Table[node[T]]
	ids  uint64
}

// bin is a bin that has rules.
type bin[T any] struct {
	bin  Bin
	id   uint64
	dsts lengths
}

// node is a prefix below its parent, a bin or, for sources, a destination.
type node[T any] struct {
	parent, id uint64
	prefix     words
	bits       uint8
	srcs       lengths                    // of a destination
	rules      atomic.Pointer[[]*Rule[T]] // of a source, in the order in which they are asked
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
		if d := t.find(&t.dsts, b.id, dst.first(l.bits), l.bits); d != nil {
			best = t.sources(d, src, k, best)
		}
	}
	return best
}

// sources returns the winner of best and the rules below a destination.
func (t *Table[T]) sources(d *node[T], src words, k *Key, best *Rule[T]) *Rule[T] {
	for _, l := range d.srcs.load() {
		if best != nil && l.best.Load() > best.Priority {
			continue
		}
		s := t.find(&t.srcs, d.id, src.first(l.bits), l.bits)
		if s == nil {
			continue
		}
		for _, r := range *s.rules.Load() {
			if best != nil && r.Priority > best.Priority {
				break
			}
			if r.Match.matches(k) {
				if best == nil || r.before(best) {
					best = r
				}
				break
			}
		}
	}
	return best
}

// Insert adds a rule behind those of its priority. If it replaces one with the
// same bin and prefixes, it takes its place in one step, and stays in front of
// others of its priority where old was.
func (t *Table[T]) Insert(r, old *Rule[T]) {
	b := t.bin(r.Bin)
	if b == nil {
		b = &bin[T]{bin: r.Bin, id: t.newID()}
		t.bins.Insert(t.binHash(r.Bin), b)
	}
	d := t.ensure(&t.dsts, b.id, wordsOf(&r.Dst.Addr).first(r.Dst.Bits), r.Dst.Bits, &b.dsts, r.Priority)
	s := t.ensure(&t.srcs, d.id, wordsOf(&r.Src.Addr).first(r.Src.Bits), r.Src.Bits, &d.srcs, r.Priority)
	rules := place(*s.rules.Load(), r, old)
	s.rules.Store(&rules)
}

// place returns a copy of rules with r in it, and without old.
func place[T any](rules []*Rule[T], r, old *Rule[T]) []*Rule[T] {
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
	dw, sw := wordsOf(&r.Dst.Addr).first(r.Dst.Bits), wordsOf(&r.Src.Addr).first(r.Src.Bits)
	d := t.find(&t.dsts, b.id, dw, r.Dst.Bits)
	s := t.find(&t.srcs, d.id, sw, r.Src.Bits)
	rules := slices.DeleteFunc(slices.Clone(*s.rules.Load()), func(o *Rule[T]) bool { return o == r })
	s.rules.Store(&rules)
	if len(rules) > 0 {
		return
	}
	t.srcs.Remove(t.nodeHash(d.id, sw, r.Src.Bits), s)
	if d.srcs.drop(r.Src.Bits); !d.srcs.empty() {
		return
	}
	t.dsts.Remove(t.nodeHash(b.id, dw, r.Dst.Bits), d)
	if b.dsts.drop(r.Dst.Bits); b.dsts.empty() {
		t.bins.Remove(t.binHash(r.Bin), b)
	}
}

func (t *Table[T]) newID() uint64 { t.ids++; return t.ids }

func (t *Table[T]) binHash(b Bin) uint64 {
	return t.seed.Hash(uint64(b.IfID), uint64(b.Dir)<<32|uint64(b.Type)<<16|uint64(b.Family), 0, 0)
}

func (t *Table[T]) nodeHash(parent uint64, p words, bits uint8) uint64 {
	return t.seed.Hash(p.hi, p.lo, parent, uint64(bits))
}

func (t *Table[T]) bin(in Bin) *bin[T] {
	for n := t.bins.First(t.binHash(in)); n != nil; n = n.Next() {
		if n.Item.bin == in {
			return n.Item
		}
	}
	return nil
}

func (t *Table[T]) find(in *rcu.Table[node[T]], parent uint64, p words, bits uint8) *node[T] {
	for n := in.First(t.nodeHash(parent, p, bits)); n != nil; n = n.Next() {
		if o := n.Item; o.parent == parent && o.bits == bits && o.prefix == p {
			return o
		}
	}
	return nil
}

// ensure returns the node of a prefix, made if need be. Readers learn of its
// length, and of a better priority, last and first: they may look in vain, but
// they do not miss what is there.
func (t *Table[T]) ensure(in *rcu.Table[node[T]], parent uint64, p words, bits uint8, ls *lengths, prio uint32) *node[T] {
	n := t.find(in, parent, p, bits)
	fresh := n == nil
	if fresh {
		n = &node[T]{parent: parent, id: t.newID(), prefix: p, bits: bits}
		n.rules.Store(new([]*Rule[T]))
		in.Insert(t.nodeHash(parent, p, bits), n)
	}
	ls.add(bits, prio, fresh)
	return n
}
