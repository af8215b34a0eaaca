package enginebench_test

import (
	"fmt"
	"testing"
)

// A promise is a ratio between two peers that must hold.
type promise struct {
	metric        metric
	ours, against string
	ratio         float64 // at least, or, where less is better, at most
}

// promises is what the engine is held to.
var promises = []promise{}

// judge checks the promises of what was measured and puts each into words.
func (r results) judge(t *testing.T) (words []string) {
	t.Helper()
	for _, p := range promises {
		a, ok1 := r.median(p.ours, p.metric)
		b, ok2 := r.median(p.against, p.metric)
		if !ok1 || !ok2 {
			continue
		}
		is, relation, kept := a/b, "at least", a/b >= p.ratio
		if p.metric.less {
			relation, kept = "at most", a/b <= p.ratio
		}
		verdict := "kept"
		if !kept {
			verdict = "NOT kept"
		}
		text := fmt.Sprintf("%s: %s is %s times %s (%s %s promised: %s)", p.metric.name, p.ours, digits(is), p.against, relation, digits(p.ratio), verdict)
		words = append(words, text)
		if !kept {
			t.Error(text)
		}
	}
	return words
}
