package classify

import (
	"slices"
	"sync/atomic"
)

// lengths are the lengths of prefix that are in use below a bin or a
// destination, longest first: long ones tend to have the better priority.
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
	if now[i].best.Load() > prio {
		now[i].best.Store(prio)
	}
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
