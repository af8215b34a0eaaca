// Package rcu has a hash table that is read without locks while one writer
// changes it. It grows with what is put in, never with what is asked for.
//
// Readers see a table as it was at some moment during their lookup for every
// item that is neither inserted nor removed meanwhile; the garbage collector
// frees what readers may still hold. It knows nothing of what it stores.
package rcu

import (
	"math/bits"
	"math/rand/v2"
	"sync/atomic"
)

// minBuckets is the size of a table that is not empty.
const minBuckets = 8

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
	buckets atomic.Pointer[[]atomic.Pointer[Node[T]]]
	n       int
}

// First returns the newest node with the hash, or nil.
func (t *Table[T]) First(hash uint64) *Node[T] {
	b := t.buckets.Load()
	if b == nil {
		return nil
	}
	return (*b)[hash&uint64(len(*b)-1)].Load().skip(hash)
}

// Len returns how many items there are.
func (t *Table[T]) Len() int { return t.n }

// Insert puts item in front of those with the same hash.
func (t *Table[T]) Insert(hash uint64, item *T) {
	b := t.buckets.Load()
	if b == nil || t.n >= len(*b) {
		b = t.grow(b)
	}
	head := &(*b)[hash&uint64(len(*b)-1)]
	n := &Node[T]{hash: hash, Item: item}
	n.next.Store(head.Load())
	head.Store(n)
	t.n++
}

// Remove takes out item, which was inserted with the hash, and reports
// whether it was there.
func (t *Table[T]) Remove(hash uint64, item *T) bool {
	b := t.buckets.Load()
	if b == nil {
		return false
	}
	link := &(*b)[hash&uint64(len(*b)-1)]
	for n := link.Load(); n != nil; n = link.Load() {
		if n.Item == item {
			// n keeps its own link: a reader that stands on it goes on.
			link.Store(n.next.Load())
			t.n--
			return true
		}
		link = &n.next
	}
	return false
}

// grow makes a table of twice the size out of new nodes, because readers may
// stand on the old ones, and keeps the order in each chain.
func (t *Table[T]) grow(old *[]atomic.Pointer[Node[T]]) *[]atomic.Pointer[Node[T]] {
	size := minBuckets
	if old != nil {
		size = 2 * len(*old)
	}
	b := make([]atomic.Pointer[Node[T]], size)
	if old != nil {
		nodes := make([]Node[T], t.n)
		for i := range *old {
			nodes = split(&(*old)[i], b, i, nodes)
		}
	}
	t.buckets.Store(&b)
	return &b
}

// split copies a chain of bucket i into buckets i and i + len(b)/2 of b. It
// takes nodes from the front of the slice and returns the rest.
func split[T any](chain *atomic.Pointer[Node[T]], b []atomic.Pointer[Node[T]], i int, nodes []Node[T]) []Node[T] {
	half := len(b) / 2
	tails := [2]*atomic.Pointer[Node[T]]{&b[i], &b[i+half]}
	for n := chain.Load(); n != nil; n = n.next.Load() {
		c := &nodes[0]
		nodes = nodes[1:]
		c.hash, c.Item = n.hash, n.Item
		side := 0
		if n.hash&uint64(half) != 0 {
			side = 1
		}
		tails[side].Store(c)
		tails[side] = &c.next
	}
	return nodes
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
