// Package rcu has a hash table that is read without locks while one writer
// changes it. It grows with what is put in, never with what is asked for.
//
// Readers see a table as it was at some moment during their lookup for every
// item that is neither inserted nor removed meanwhile; the garbage collector
// frees what readers may still hold. A filter that is small enough to stay in
// the cache answers most questions for what is not there. The package knows
// nothing of what it stores. Start at Table.
package rcu

import (
	"math/bits"
	"math/rand/v2"
	"sync/atomic"
)

const (
	minBuckets = 8  // of a table that is not empty
	filterBits = 16 // of the filter for each bucket
)

// Node is the place of one item in a table. Immutable but for its link.
type Node[T any] struct {
	next atomic.Pointer[Node[T]]
	hash uint64
	Item *T
}

// Next returns the next older node with the same hash, or nil.
func (n *Node[T]) Next() *Node[T] { return n.next.Load().skip(n.hash) }

// skip returns the first node from n on that has the hash.
func (n *Node[T]) skip(hash uint64) *Node[T] {
	for n != nil && n.hash != hash {
		n = n.next.Load()
	}
	return n
}

// Table is a hash table of items by their hashes; the caller compares what
// has the same hash. The zero Table is empty and ready. First and Next may run
// at any time; the other methods need a lock that the caller holds.
type Table[T any] struct {
	now     atomic.Pointer[buckets[T]]
	n       int
	removed int // since the filter was made
}

// buckets are one size of a table.
type buckets[T any] struct {
	heads  []atomic.Pointer[Node[T]]
	filter []atomic.Uint64
}

func newBuckets[T any](size int) *buckets[T] {
	return &buckets[T]{make([]atomic.Pointer[Node[T]], size), make([]atomic.Uint64, max(1, size*filterBits/64))}
}

func (b *buckets[T]) head(hash uint64) *atomic.Pointer[Node[T]] {
	return &b.heads[hash&uint64(len(b.heads)-1)]
}

// spots are the two places of a hash in the filter: a word and two bits of
// it, so that one look is enough.
func (b *buckets[T]) spots(hash uint64) (word *atomic.Uint64, mask uint64) {
	return &b.filter[hash>>32&uint64(len(b.filter)-1)], 1<<(hash>>20&63) | 1<<(hash>>26&63)
}

// First returns the newest node with the hash, or nil.
func (t *Table[T]) First(hash uint64) *Node[T] {
	b := t.now.Load()
	if b == nil {
		return nil
	}
	if word, mask := b.spots(hash); word.Load()&mask != mask {
		return nil
	}
	return b.head(hash).Load().skip(hash)
}

// Len returns how many items there are.
func (t *Table[T]) Len() int { return t.n }

// Insert puts item in front of those with the same hash.
func (t *Table[T]) Insert(hash uint64, item *T) {
	b := t.now.Load()
	switch {
	case b == nil:
		b = newBuckets[T](minBuckets)
		t.now.Store(b)
	case t.n >= len(b.heads):
		b = t.rebuild(b, 2*len(b.heads))
	}
	n := &Node[T]{hash: hash, Item: item}
	n.next.Store(b.head(hash).Load())
	word, mask := b.spots(hash)
	word.Or(mask)
	b.head(hash).Store(n)
	t.n++
}

// Remove takes out item, which was inserted with the hash, and reports
// whether it was there.
func (t *Table[T]) Remove(hash uint64, item *T) bool {
	b := t.now.Load()
	if b == nil {
		return false
	}
	link := b.head(hash)
	for n := link.Load(); n != nil; n = link.Load() {
		if n.Item != item {
			link = &n.next
			continue
		}
		// n keeps its own link: a reader that stands on it goes on.
		link.Store(n.next.Load())
		t.n--
		if t.removed++; t.removed > len(b.heads) {
			t.rebuild(b, len(b.heads)) // the filter is full of what is gone
		}
		return true
	}
	return false
}

// rebuild makes buckets of another size out of new nodes, because readers may
// stand on the old ones. Items with the same hash keep their order.
func (t *Table[T]) rebuild(old *buckets[T], size int) *buckets[T] {
	b := newBuckets[T](size)
	nodes := make([]Node[T], t.n)
	tails := make([]*atomic.Pointer[Node[T]], size)
	for i := range old.heads {
		for n := old.heads[i].Load(); n != nil; n = n.next.Load() {
			c := &nodes[0]
			nodes = nodes[1:]
			c.hash, c.Item = n.hash, n.Item
			at := n.hash & uint64(size-1)
			if tails[at] == nil {
				tails[at] = &b.heads[at]
			}
			tails[at].Store(c)
			tails[at] = &c.next
			word, mask := b.spots(n.hash)
			word.Store(word.Load() | mask)
		}
	}
	t.now.Store(b)
	t.removed = 0
	return b
}

// Seed makes hashes that nobody outside can foresee. Immutable.
type Seed [2]uint64

// NewSeed returns a random seed.
func NewSeed() Seed { return Seed{rand.Uint64() | 1, rand.Uint64() | 1} }

// Hash mixes an address, or another 128 bits, and two numbers.
func (s Seed) Hash(hi, lo, a, b uint64) uint64 {
	return fold(fold(hi^s[0], lo^s[1]), fold(a^s[1], b^s[0])^s[0])
}

// fold multiplies to 128 bits and adds the halves without carry.
func fold(x, y uint64) uint64 {
	h, l := bits.Mul64(x^0x9e3779b97f4a7c15, y^0xd6e8feb86659fd93)
	return h ^ l
}
