package lifetime

import (
	"math"
	"testing"
)

func TestLeft(t *testing.T) {
	const century = 100 * 366 * 24 * 3600
	for _, c := range []struct {
		name       string
		limit      uint64
		since, now int64
		want       int64
		ok         bool
	}{
		{"no limit", 0, 100, 200, 0, false},
		{"ahead", 150, 100, 200, 50, true},
		{"reached", 100, 100, 200, 0, true},
		{"passed", 60, 100, 200, -40, true},
		{"the clock went back", 60, 200, 100, 160, true},
		{"a century", century, 0, 0, century, true},
		{"longer than a century", century + 1, 0, 0, 0, false},
		{"the kernel's word for none", math.MaxUint64, 100, 200, 0, false},
	} {
		if left, ok := Left(c.limit, c.since, c.now); left != c.want || ok != c.ok {
			t.Errorf("%s: %d, %v; want %d, %v", c.name, left, ok, c.want, c.ok)
		}
	}
}
