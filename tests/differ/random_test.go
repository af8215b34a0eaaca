package differ

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// sequenceLength is how many commands a pair of namespaces goes through.
const sequenceLength = 25

// run is a random run: its progress, and what it found.
type run struct {
	t        *testing.T
	bench    bench
	left     program
	right    program
	g        *generator
	accepted int // exit code 0 on the left
	total    int
	objects  int
	excused  map[string]int
	findings []finding
	stop     int  // give up after so many findings
	raw      bool // do not reduce them
	hasty    bool // there are some: do not look twice
}

// commands runs n random commands in sequences.
func (r *run) commands(n int) {
	r.t.Helper()
	r.excused = map[string]int{}
	for number := 0; r.total < n && len(r.findings) < r.stop; number++ {
		p, err := newPair(r.left, r.right, r.bench.ip)
		if err != nil {
			r.t.Fatal(err)
		}
		p.hasty = r.hasty
		r.sequence(p, number, min(sequenceLength, n-r.total))
		p.close()
		if number%20 == 19 {
			r.t.Logf("%d commands", r.total)
		}
	}
}

func (r *run) sequence(p *pair, number, length int) {
	r.t.Helper()
	r.g.forget()
	var before []command
	for range length {
		c := r.g.next()
		r.total++
		o, err := p.step(c)
		if err != nil {
			r.t.Fatalf("%v: %v", c, err)
		}
		r.objects += o.objects
		r.g.learn(o.left.code == 0)
		if o.left.code == 0 {
			r.accepted++
		}
		if o.kind == same {
			before = append(before, c)
			continue
		}
		if name := excuse(c, o); name != "" {
			r.excused[name]++
			if o.tables == "" {
				continue
			}
		} else {
			r.found(p, finding{before, c, o})
		}
		// From different tables nothing can be compared.
		if err := p.reset(); err != nil {
			r.t.Fatal(err)
		}
		before = nil
	}
	r.lists(p, number, before)
}

// found reduces and reports a difference.
func (r *run) found(p *pair, f finding) {
	r.t.Helper()
	if r.raw {
		r.findings = append(r.findings, f)
		return
	}
	defer func(hasty bool) { p.hasty = hasty }(p.hasty)
	p.hasty = true // it is there, and comes again and again
	m := minimiser{pair: p, excused: func(c command, o outcome) bool { return excuse(c, o) != "" }}
	small, err := m.minimise(f)
	if err != nil {
		r.t.Fatalf("while reducing %v: %v", f.command, err)
	}
	r.findings = append(r.findings, small)
}

// report prints findings; a test that expects none calls it.
func (r *run) report() {
	r.t.Helper()
	for _, f := range r.findings {
		r.t.Errorf("%s", f)
	}
	r.t.Logf("%d commands, %d accepted by %s (%d %%), %.1f objects in the tables on average, excused: %v",
		r.total, r.accepted, r.left.name, 100*r.accepted/max(r.total, 1), float64(r.objects)/float64(max(r.total, 1)), r.excused)
}

func (f finding) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "difference in %s: %s\n", f.outcome.kind, f.outcome.detail)
	for _, c := range f.before {
		fmt.Fprintf(&b, "  after  %v\n", c)
	}
	fmt.Fprintf(&b, "  command %v\n%v\n%v", f.command, f.outcome.left, f.outcome.right)
	return b.String()
}

// lists compares at the end of a sequence what `ip` lists in the two
// namespaces, and what the two tools list in one.
func (r *run) lists(p *pair, number int, before []command) {
	r.t.Helper()
	options := [][]string{nil, {"-s"}, {"-o"}, {"-s", "-o"}, {"-s", "-s"}}
	option := options[number%len(options)]
	for _, words := range [][]string{{"state", "list"}, {"policy", "list"}, {"state", "count"}, {"policy", "count"}, {"policy", "getdefault"}} {
		c := command{options: option, words: words}
		left, right := r.reference(p, c)
		for pause := 100 * time.Millisecond; pause < 5*time.Second && maskText(left.out, p.leftDrawn) != maskText(right.out, p.rightDrawn); pause *= 2 {
			time.Sleep(pause) // an SA may have been about to go
			left, right = r.reference(p, c)
		}
		if maskText(left.out, p.leftDrawn) != maskText(right.out, p.rightDrawn) || left.code != 0 || right.code != 0 {
			r.findings = append(r.findings, finding{slices.Clone(before), c, outcome{left: left, right: right, kind: differText,
				detail: "ip in the two namespaces: " + textDifference(maskText(left.out, p.leftDrawn), maskText(right.out, p.rightDrawn))}})
		}
		if r.right.name != "xfrmctl" {
			continue
		}
		ours, err := p.left.run(r.right, c.xfrmctl(), "")
		if err != nil {
			r.t.Fatal(err)
		}
		if buckets.ReplaceAllString(ours.out, "") != buckets.ReplaceAllString(left.out, "") || ours.code != 0 {
			r.findings = append(r.findings, finding{slices.Clone(before), c, outcome{left: left, right: ours, kind: differText,
				detail: "the two tools in one namespace: " + textDifference(left.out, ours.out)}})
		}
	}
}

// reference lists with `ip` in both namespaces.
func (r *run) reference(p *pair, c command) (left, right result) {
	r.t.Helper()
	left, err := p.left.run(r.bench.ip, c.ip(), "")
	if err != nil {
		r.t.Fatal(err)
	}
	if right, err = p.right.run(r.bench.ip, c.ip(), ""); err != nil {
		r.t.Fatal(err)
	}
	return left, right
}

// TestRandom is the differential test proper.
func TestRandom(t *testing.T) {
	b := setUp(t, true)
	r := &run{t: t, bench: b, left: b.ip, right: b.xfrmctl, g: newGenerator(seed(t)), stop: 30}
	r.g.noESP = !b.esp
	r.commands(count(t))
	r.report()
	excused := 0
	for _, n := range r.excused {
		excused += n
	}
	if excused*20 > r.total {
		t.Errorf("%d of %d commands were excused by exceptions: more than 5 %%, too broad", excused, r.total)
	}
	if share := 100 * r.accepted / max(r.total, 1); r.total >= 200 && (share < 30 || share > 70) {
		t.Errorf("%d %% of the commands were accepted: the mix of valid and invalid is off", share)
	}
}

// TestHarness runs ip against itself, which must show no difference, and
// against tools that are broken in one respect, which must be found.
func TestHarness(t *testing.T) {
	b := setUp(t, false)
	start := seed(t)
	n := 100
	if testing.Short() {
		n = 40
	}
	t.Run("ip against ip", func(t *testing.T) {
		r := &run{t: t, bench: b, left: b.ip, right: b.ip, g: newGenerator(start), stop: 5}
		r.g.noESP = !b.esp
		r.commands(int(setting(t, "XFRMCTL_DIFF_SELF", uint64(n))))
		r.report()
	})
	kinds := slices.Sorted(maps.Keys(brokenTools))
	if !atLength() { // one of them, another one each time
		i := int(start % uint64(len(kinds)))
		kinds = kinds[i : i+1]
	}
	for _, how := range kinds {
		t.Run(how, func(t *testing.T) {
			r := &run{t: t, bench: b, left: b.ip, right: brokenTool(t, how, b.ip), g: newGenerator(start), stop: 1, raw: testing.Short(), hasty: true}
			r.g.noESP = !b.esp
			r.commands(1500) // a tool that is broken in a rare word only takes some
			if len(r.findings) == 0 {
				t.Fatalf("%d commands did not show it", r.total)
			}
			t.Logf("after %d commands:\n%s", r.total, r.findings[0])
		})
	}
}
