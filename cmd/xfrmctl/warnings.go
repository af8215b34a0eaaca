package main

import (
	"fmt"
	"strings"
)

// maxKinds bounds how many different warnings a batch remembers.
const maxKinds = 64

// warnings prints each text of a batch's warnings once, and counts the rest:
// a hundred thousand lines with the same weakness need one line of output.
type warnings struct {
	seen  map[string]int
	order []string
	other int
}

// first reports whether text is new, and counts it.
func (w *warnings) first(text string) bool {
	if n, ok := w.seen[text]; ok {
		w.seen[text] = n + 1
		return false
	}
	if len(w.seen) >= maxKinds {
		w.other++
		return false
	}
	if w.seen == nil {
		w.seen = make(map[string]int)
	}
	text = strings.Clone(text) // words of a batch do not last
	w.seen[text] = 1
	w.order = append(w.order, text)
	return true
}

// summary says how often each repeated warning came.
func (w *warnings) summary() []string {
	var out []string
	for _, text := range w.order {
		if n := w.seen[text]; n > 1 {
			out = append(out, fmt.Sprintf("%d lines in all: %s", n, text))
		}
	}
	if w.other > 0 {
		out = append(out, fmt.Sprintf("%d more warnings not shown", w.other))
	}
	return out
}
