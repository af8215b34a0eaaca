package sadb

import "iter"

// list is a doubly linked list, newest first, whose walkers may stop between
// two entries and go on after any change: the kernel's way of dumping. An
// entry that is added while a walker waits is in front of it and is not seen.
// The zero list is empty. It is used under a lock.
type list[T any] struct {
	head *link[T]
	n    int
}

// link is an entry, or the place where a walker waits.
type link[T any] struct {
	item         T
	walker       bool
	newer, older *link[T]
}

// push puts item in front and returns its entry.
func (l *list[T]) push(item T) *link[T] {
	e := &link[T]{item: item}
	l.insert(e, l.head)
	l.n++
	return e
}

// remove takes out an entry that push returned.
func (l *list[T]) remove(e *link[T]) {
	l.unlink(e)
	l.n--
}

// insert puts e before (newer than) at; at the end if at is nil.
func (l *list[T]) insert(e, at *link[T]) {
	e.older = at
	switch {
	case at != nil:
		e.newer, at.newer = at.newer, e
	case l.head != nil:
		last := l.head
		for last.older != nil {
			last = last.older
		}
		e.newer = last
	}
	if e.newer == nil {
		l.head = e
	} else {
		e.newer.older = e
	}
}

func (l *list[T]) unlink(e *link[T]) {
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

// all iterates over the entries, newest first. Entries may be removed from
// the body, the present one too.
func (l *list[T]) all() iter.Seq[T] {
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

// walk is a walk along a list with pauses.
type walk[T any] struct {
	at      link[T]
	waiting bool
	over    bool
}

// next calls fn for each entry from where the walk stopped. When fn returns
// false, next returns false and the entry will be the first of the next call.
func (l *list[T]) next(w *walk[T], fn func(T) bool) (done bool) {
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

// end gives up a walk.
func (l *list[T]) end(w *walk[T]) {
	if w.waiting {
		l.unlink(&w.at)
	}
	w.waiting, w.over = false, true
}
