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
