package main

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestAvailableMiB(t *testing.T) {
	const text = "MemTotal:       24684432 kB\nMemFree:        21590000 kB\nMemAvailable:   8388608 kB\n"
	if n := availableMiB(text); n != 8192 {
		t.Errorf("%d MiB", n)
	}
	if n := availableMiB("nothing of it"); n != 0 {
		t.Errorf("%d MiB where nothing is said", n)
	}
}

// TestLanes: everything is done once, never more at a time than there are lanes,
// and lines of several sessions stay whole.
func TestLanes(t *testing.T) {
	var out strings.Builder
	var mu sync.Mutex
	var now, most atomic.Int32
	s := &session{out: &out}
	reports := make([]*session, 20)
	inLanes(len(reports), 3, func(i int) {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		reports[i] = s.beside(fmt.Sprintf("%d: ", i), &mu)
		for range 10 {
			fmt.Fprint(reports[i].out, "one ")
			fmt.Fprint(reports[i].out, "two\n")
		}
		reports[i].fail("x", fmt.Sprint(i))
		now.Add(-1)
	})
	if most.Load() > 3 {
		t.Errorf("%d at a time", most.Load())
	}
	for i, r := range reports {
		if r == nil || strings.Count("\n"+out.String(), fmt.Sprintf("\n%d: one two\n", i)) == 0 {
			t.Fatalf("%d did not run, or its lines are cut:\n%s", i, out.String())
		}
		s.join(&r.report)
	}
	if got := strings.Count(out.String(), "one two\n"); got != 200 || len(s.failures) != 20 {
		t.Errorf("%d lines, %d failures", got, len(s.failures))
	}
}
