package main

import "testing"

func TestTally(t *testing.T) {
	var here, there tally
	for _, line := range []string{
		"=== RUN   TestPairs\n", "    pairs_test.go:150: tally: 12 pairs, 345 kills at random times\n",
		"    pairs_test.go:151: 7 pairs\n", "    pairs_test.go:150: tally: 3 pairs, none at all\n",
	} {
		here.line(line)
	}
	there.line("    x_test.go:1: tally: 5 packets, 1 pairs\n")
	r := report{done: here}
	r.join(&report{done: there})
	if got := r.done.String(); got != "16 pairs, 345 kills at random times, 5 packets" {
		t.Error(got)
	}
}
