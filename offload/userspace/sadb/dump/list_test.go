package dump

import (
	"slices"
	"testing"
)

// part reads up to n items.
func part(l *List[int], w *Walk[int], n int) (got []int, done bool) {
	done = l.Next(w, func(i int) bool {
		if len(got) == n {
			return false
		}
		got = append(got, i)
		return true
	})
	return got, done
}

// TestWalkAcrossChanges: a walk sees each item that is there all the time once,
// whatever comes, goes or walks meanwhile.
func TestWalkAcrossChanges(t *testing.T) {
	var l List[int]
	var places []*Entry[int]
	for i := range 8 {
		places = append(places, l.Push(i))
	}
	var w, other Walk[int]
	first, done := part(&l, &w, 3) // 7 6 5, waits at 4
	if done || !slices.Equal(first, []int{7, 6, 5}) {
		t.Fatalf("the first part is %v, done %v", first, done)
	}
	if _, done := part(&l, &other, 3); done { // waits at the same place
		t.Fatal("the other walk is over")
	}
	for _, i := range []int{4, 5, 2} { // next, seen, later
		l.Remove(places[i])
	}
	l.Push(8)
	rest, done := part(&l, &w, 9)
	if !done || !slices.Equal(rest, []int{3, 1, 0}) {
		t.Errorf("the rest is %v, done %v", rest, done)
	}
	if got, done := part(&l, &w, 9); !done || got != nil {
		t.Errorf("after the end: %v, done %v", got, done)
	}
	if got := slices.Collect(l.All()); !slices.Equal(got, []int{8, 7, 6, 3, 1, 0}) || l.Len() != 6 {
		t.Errorf("the list is %v, of %d", got, l.Len())
	}
}

// TestEnd: a walk that is given up leaves nothing in the list.
func TestEnd(t *testing.T) {
	var l List[int]
	only := l.Push(1)
	var w Walk[int]
	if _, done := part(&l, &w, 0); done {
		t.Fatal("over before the first item")
	}
	l.End(&w)
	l.Remove(only)
	if l.head != nil || l.Len() != 0 {
		t.Error("something stays in an empty list")
	}
	if got, done := part(&l, &w, 1); !done || got != nil {
		t.Errorf("a walk that was ended goes on: %v, done %v", got, done)
	}
}

// TestRemoveWhileIterating: the body may remove what it gets.
func TestRemoveWhileIterating(t *testing.T) {
	var l List[int]
	places := map[int]*Entry[int]{}
	for i := range 4 {
		places[i] = l.Push(i)
	}
	n := 0
	for i := range l.All() {
		l.Remove(places[i])
		n++
	}
	if n != 4 || l.Len() != 0 {
		t.Errorf("%d of 4 seen, %d left", n, l.Len())
	}
}
