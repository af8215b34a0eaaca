package enginebench_test

import (
	"fmt"
	"slices"
	"testing"
)

// A promise is a ratio between two peers that must hold.
type promise struct {
	metric        metric
	ours, against string
	ratio         float64 // at least, or, where less is better, at most
}

// promises is what the engine is held to.
var promises = []promise{
	{tcp1, oursUDP, wireguardName, 2},
	{tcp4, oursUDP, wireguardName, 2},
	{tcp1, oursUDP, libipsecName, 40},
	{tcp4, oursUDP, libipsecName, 40},
	{tcp1, oursPlain, wireguardName, 1},
	{tcp4, oursPlain, wireguardName, 1},
	{udp64, oursUDP, wireguardName, 2},
	{udp1300, oursUDP, wireguardName, 2},
	{pingIdle, oursUDP, wireguardName, 1},
	{pingLoaded, oursUDP, wireguardName, 1},
	{tcp1, oursUDP, oursCopy, 0.8},
	{tcp4, oursUDP, oursCopy, 0.8},
}

// kept reports whether a ratio is what was promised.
func (p promise) kept(ratio float64) bool {
	if p.metric.less {
		return ratio <= p.ratio
	}
	return ratio >= p.ratio
}

// best is the run that other work on the machine disturbed least.
func (r results) best(name string, m metric) float64 {
	if m.less {
		return slices.Min(r[name][m])
	}
	return slices.Max(r[name][m])
}

// judge checks the promises of what was measured and puts each into words. A
// promise is broken when neither the medians nor the best runs keep it: on a
// machine with other work, medians tell about that work too.
func (r results) judge(t *testing.T) (words []string) {
	t.Helper()
	for _, p := range promises {
		a, ok1 := r.median(p.ours, p.metric)
		b, ok2 := r.median(p.against, p.metric)
		if !ok1 || !ok2 {
			continue
		}
		best := r.best(p.ours, p.metric) / r.best(p.against, p.metric)
		relation := map[bool]string{false: "at least", true: "at most"}[p.metric.less]
		verdict := "kept"
		switch {
		case !p.kept(a/b) && !p.kept(best):
			verdict = "NOT kept"
		case !p.kept(a / b):
			verdict = "kept by the best runs only"
		}
		text := fmt.Sprintf("%s: %s is %s times %s, of the best runs %s (%s %s promised: %s)",
			p.metric.name, p.ours, digits(a/b), p.against, digits(best), relation, digits(p.ratio), verdict)
		words = append(words, text)
		if verdict == "NOT kept" {
			t.Error(text)
		}
	}
	return words
}
