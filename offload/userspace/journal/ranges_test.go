package journal

import (
	"fmt"
	"slices"
	"sync"
)

// ranges are the IVs that were handed out for one key.
type ranges struct {
	mu  sync.Mutex
	all []span
}

func (r *ranges) add(first uint64, n uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, span{next: first, end: first + n})
}

// check returns how many IVs there were, and an error when one was twice.
func (r *ranges) check() (n uint64, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.all) == 0 {
		return 0, nil
	}
	// relative to any one of them, so that a wrap of 64 bits is far away
	zero := r.all[0].next - 1<<63
	slices.SortFunc(r.all, func(a, b span) int {
		if a.next-zero < b.next-zero {
			return -1
		}
		return 1
	})
	for i, s := range r.all {
		n += s.end - s.next
		if i > 0 && r.all[i-1].end-zero > s.next-zero {
			return n, fmt.Errorf("IV %#x was handed out twice", s.next)
		}
	}
	return n, nil
}
