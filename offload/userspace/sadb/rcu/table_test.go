package rcu

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

// items returns what is found under a hash, newest first.
func items(t *Table[int], hash uint64) (all []int) {
	for n := t.First(hash); n != nil; n = n.Next() {
		all = append(all, *n.Item)
	}
	return all
}

// TestAgainstMap: random insertions and removals, few hashes, so that many
// items share one, compared with a map of lists.
func TestAgainstMap(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		var table Table[int]
		model := map[uint64][]*int{}
		n := 0
		for step := range 400 {
			h := Seed{1, 3}.Hash(uint64(rng.IntN(40)), 0, 0, 0)
			if l := model[h]; len(l) > 0 && rng.IntN(5) < 2 {
				i := rng.IntN(len(l))
				if !table.Remove(h, l[i]) {
					t.Fatal("an item that is there was not removed")
				}
				model[h] = slices.Delete(slices.Clone(l), i, i+1)
				n--
			} else {
				item := step
				table.Insert(h, &item)
				model[h] = append([]*int{&item}, l...)
				n++
			}
			var want []int
			for _, p := range model[h] {
				want = append(want, *p)
			}
			if got := items(&table, h); !slices.Equal(got, want) || table.Len() != n {
				t.Fatalf("step %d: found %v, want %v; %d items, want %d", step, got, want, table.Len(), n)
			}
		}
	}
}

func TestRemoveWhatIsNotThere(t *testing.T) {
	var table Table[int]
	x := 1
	if table.Remove(5, &x) {
		t.Error("removed from an empty table")
	}
	table.Insert(5, &x)
	y := 1
	if table.Remove(5, &y) || table.Remove(6, &x) || table.Len() != 1 {
		t.Error("removed something else")
	}
}

// TestReadersSeeWhatStays: while others come and go, and the table grows, an
// item that stays is always found.
func TestReadersSeeWhatStays(t *testing.T) {
	var table Table[int]
	seed := NewSeed()
	stay := make([]int, 64)
	for i := range stay {
		stay[i] = i
		table.Insert(seed.Hash(uint64(i), 0, 0, 0), &stay[i])
	}
	var stop atomic.Bool
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for i := 0; !stop.Load(); i++ {
				want := &stay[i%len(stay)]
				n := table.First(seed.Hash(uint64(*want), 0, 0, 0))
				for n != nil && n.Item != want {
					n = n.Next()
				}
				if n == nil {
					t.Error("an item that stays was not found")
					return
				}
			}
		})
	}
	for round := range 30 {
		passing := make([]int, 200)
		for i := range passing {
			passing[i] = i % 80 // some with the hashes of those that stay
			table.Insert(seed.Hash(uint64(passing[i]), 0, 0, 0), &passing[i])
		}
		for i := range passing {
			if !table.Remove(seed.Hash(uint64(passing[i]), 0, 0, 0), &passing[i]) {
				t.Fatal("round", round, "not removed")
			}
		}
	}
	stop.Store(true)
	readers.Wait()
}

// TestFilterIsRenewed: a table through which many items have passed still
// turns away most of what it does not have.
func TestFilterIsRenewed(t *testing.T) {
	var table Table[int]
	seed := NewSeed()
	x := 0
	for i := range 10_000 {
		h := seed.Hash(uint64(i), 1, 0, 0)
		table.Insert(h, &x)
		table.Remove(h, &x)
	}
	b, passed := table.now.Load(), 0
	for i := range 1000 {
		if word, mask := b.spots(seed.Hash(uint64(i), 2, 0, 0)); word.Load()&mask == mask {
			passed++
		}
	}
	if passed > 400 {
		t.Errorf("%d of 1000 strangers pass the filter of an empty table", passed)
	}
}
