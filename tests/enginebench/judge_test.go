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

// bounds are ratios that nobody promised: how far a promise could be kept at
// all.
var bounds = []promise{
	{metric: tcp1, ours: relayName, against: libipsecName},
	{metric: tcp4, ours: relayName, against: libipsecName},
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

// compare puts the ratio of two peers into words, which are empty if one was
// not measured. The median is that of the ratios within each run.
func (r results) compare(p promise) (median, best float64, words string) {
	a, b := r[p.ours][p.metric], r[p.against][p.metric]
	if len(a) == 0 || len(a) != len(b) {
		return 0, 0, ""
	}
	ratios := make([]float64, len(a))
	for i := range a {
		ratios[i] = a[i] / b[i]
	}
	median, best = middle(ratios), r.best(p.ours, p.metric)/r.best(p.against, p.metric)
	return median, best, fmt.Sprintf("%s: %s is %s times (%s to %s) %s, of the best runs %s",
		p.metric.name, p.ours, digits(median), digits(slices.Min(ratios)), digits(slices.Max(ratios)), p.against, digits(best))
}

// judge checks the promises of what was measured and puts each into words. A
// promise is broken when neither the median nor the best runs keep it: on a
// machine with other work, medians tell about that work too.
func (r results) judge(t *testing.T) (words []string) {
	t.Helper()
	for _, p := range promises {
		median, best, text := r.compare(p)
		if text == "" {
			continue
		}
		relation := map[bool]string{false: "at least", true: "at most"}[p.metric.less]
		verdict := "kept"
		switch {
		case !p.kept(median) && !p.kept(best):
			verdict = "NOT kept"
		case !p.kept(median):
			verdict = "kept by the best runs only"
		}
		text += fmt.Sprintf(" (%s %s promised: %s)", relation, digits(p.ratio), verdict)
		words = append(words, text)
		if verdict == "NOT kept" {
			t.Error(text)
		}
	}
	for _, p := range bounds {
		if _, _, text := r.compare(p); text != "" {
			words = append(words, text)
		}
	}
	return words
}
