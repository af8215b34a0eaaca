// Package dump has a list whose walkers may stop between two entries and go on
// after any change: the way in which the kernel dumps its databases to a client
// that reads a part at a time. It knows nothing of what it lists. Start at List.
package dump

import "iter"

// List is a doubly linked list, newest first. An entry that is added while a
// walker waits is in front of it and is not seen. The zero List is empty. It
// is used under a lock of the caller's, with all its walks.
type List[T any] struct {
	head *Entry[T]
	n    int
}

// Len returns how many items there are.
func (l *List[T]) Len() int { return l.n }

// Entry is the place of an item, or the place where a walker waits.
type Entry[T any] struct {
	item         T
	walker       bool
	newer, older *Entry[T]
}

// Push puts item in front and returns its entry.
func (l *List[T]) Push(item T) *Entry[T] {
	e := &Entry[T]{item: item}
	l.insert(e, l.head)
	l.n++
	return e
}

// Remove takes out an entry that Push returned.
func (l *List[T]) Remove(e *Entry[T]) {
	l.unlink(e)
	l.n--
}

// insert puts e before (newer than) at, which is nil in an empty list.
func (l *List[T]) insert(e, at *Entry[T]) {
	e.older = at
	if at != nil {
		e.newer, at.newer = at.newer, e
	}
	if e.newer == nil {
		l.head = e
	} else {
		e.newer.older = e
	}
}

func (l *List[T]) unlink(e *Entry[T]) {
	if e.newer == nil {
		l.head = e.older
	} else {
		e.newer.older = e.older
	}
	if e.older != nil {
		e.older.newer = e.newer
	}
	e.newer, e.older = nil, nil
}

// All iterates over the entries, newest first. Entries may be removed from
// the body, the present one too.
func (l *List[T]) All() iter.Seq[T] {
	return func(yield func(T) bool) {
		for e := l.head; e != nil; {
			next := e.older
			if !e.walker && !yield(e.item) {
				return
			}
			e = next
		}
	}
}

// Walk is a walk along a List with pauses. The zero Walk is at its beginning;
// one that is not at its end is ended with End.
type Walk[T any] struct {
	at      Entry[T]
	waiting bool
	over    bool
}

// Next calls fn for each entry from where the walk stopped. When fn returns
// false, next returns false and the entry will be the first of the next call.
func (l *List[T]) Next(w *Walk[T], fn func(T) bool) (done bool) {
	if w.over {
		return true
	}
	e := l.head
	if w.waiting {
		e = w.at.older
		l.unlink(&w.at)
		w.waiting = false
	}
	for ; e != nil; e = e.older {
		if e.walker || fn(e.item) {
			continue
		}
		w.at.walker, w.waiting = true, true
		l.insert(&w.at, e)
		return false
	}
	w.over = true
	return true
}

// End gives up a walk.
func (l *List[T]) End(w *Walk[T]) {
	if w.waiting {
		l.unlink(&w.at)
	}
	w.waiting, w.over = false, true
}
