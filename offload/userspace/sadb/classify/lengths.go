package classify

import (
	"math/bits"
	"slices"
	"sync/atomic"
)

// lengths are the lengths of prefix that are in use below a bin, longest
// first: long ones tend to have the better priority.
type lengths struct{ list atomic.Pointer[[]*length] }

// length is one of them.
type length struct {
	bits uint8
	n    int32         // prefixes of that length; the writer's
	best atomic.Uint32 // the best priority of the rules below, or a better one
}

func (ls *lengths) load() []*length {
	if p := ls.list.Load(); p != nil {
		return *p
	}
	return nil
}

func (ls *lengths) empty() bool { return len(ls.load()) == 0 }

// add notes a rule's priority and, if its prefix is new, the prefix.
func (ls *lengths) add(bits uint8, prio uint32, fresh bool) {
	now := ls.load()
	i, found := slices.BinarySearchFunc(now, bits, func(l *length, b uint8) int { return int(b) - int(l.bits) })
	if !found {
		l := &length{bits: bits, n: 1}
		l.best.Store(prio)
		next := slices.Insert(slices.Clone(now), i, l)
		ls.list.Store(&next)
		return
	}
	lower(&now[i].best, prio)
	if fresh {
		now[i].n++
	}
}

// drop notes that a prefix is gone. The best priority stays until the last one
// is: it may promise too much, which costs a look in vain.
func (ls *lengths) drop(bits uint8) {
	now := ls.load()
	i := slices.IndexFunc(now, func(l *length) bool { return l.bits == bits })
	if now[i].n--; now[i].n > 0 {
		return
	}
	next := slices.Delete(slices.Clone(now), i, i+1)
	ls.list.Store(&next)
}

// lower makes v at most prio.
func lower(v *atomic.Uint32, prio uint32) {
	if v.Load() > prio {
		v.Store(prio)
	}
}

// lengthSet is a set of lengths of prefix, 0 to 128, that lies in one piece
// beside what it belongs to: a lookup that gets there has it in its cache.
type lengthSet struct {
	words [3]atomic.Uint64
	n     []lengthCount // the writer's
}

type lengthCount struct {
	bits uint8
	n    int32
}

func (s *lengthSet) add(b uint8) {
	i := slices.IndexFunc(s.n, func(c lengthCount) bool { return c.bits == b })
	if i < 0 {
		s.n = append(s.n, lengthCount{bits: b})
		i = len(s.n) - 1
		s.words[b/64].Or(1 << (b % 64))
	}
	s.n[i].n++
}

func (s *lengthSet) drop(b uint8) {
	i := slices.IndexFunc(s.n, func(c lengthCount) bool { return c.bits == b })
	if s.n[i].n--; s.n[i].n == 0 {
		s.n = slices.Delete(s.n, i, i+1)
		s.words[b/64].And(^(uint64(1) << (b % 64)))
	}
}

func (s *lengthSet) empty() bool { return len(s.n) == 0 }

// takeLongest removes the longest length from a copy of a word of a set.
func takeLongest(word *uint64, base uint8) uint8 {
	b := uint8(63 - bits.LeadingZeros64(*word))
	*word &^= 1 << b
	return base + b
}
