package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A tally sums what tests say that they have done, in lines such as
//
//	tally: 12 pairs, 345 kills
type tally []count

// count is a number of things.
type count struct {
	n    int
	what string
}

// line adds a line of a test's output, if it is such a line.
func (t *tally) line(text string) {
	_, list, ok := strings.Cut(text, ": tally: ") // behind the place in the source
	if !ok {
		return
	}
	for item := range strings.SplitSeq(strings.TrimSpace(list), ", ") {
		number, what, _ := strings.Cut(item, " ")
		if n, err := strconv.Atoi(number); err == nil {
			t.add(count{n, what})
		}
	}
}

func (t *tally) add(c count) {
	i := slices.IndexFunc(*t, func(o count) bool { return o.what == c.what })
	if i < 0 {
		*t = append(*t, c)
		return
	}
	(*t)[i].n += c.n
}

func (t tally) String() string {
	var all []string
	for _, c := range t {
		all = append(all, fmt.Sprintf("%d %s", c.n, c.what))
	}
	return strings.Join(all, ", ")
}
