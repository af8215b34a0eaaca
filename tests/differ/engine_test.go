package differ

import (
	"os"
	"strings"
	"testing"
)

// setUpEngines finds the tools; both engines are compared, so the kernel must
// have ESP, and be the one that the engine is like.
func setUpEngines(t *testing.T) bench {
	t.Helper()
	needModel(t)
	b := setUp(t, true)
	if !b.esp {
		t.Skip("needs a kernel with ESP (CONFIG_INET_ESP, module esp4) to compare the userspace engine with; it was not compared")
	}
	return b
}

// needModel skips on kernels other than the one that the engine is compared
// with: others have other texts, algorithms and security modules.
func needModel(t *testing.T) {
	t.Helper()
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		t.Fatal(err)
	}
	cpu, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(release), "7.2.") || !strings.Contains(string(cpu), "User Mode Linux") {
		t.Skip("needs User Mode Linux 7.2, the model of the userspace engine; it was not compared with this kernel")
	}
}

// engineCount is how many random commands a test here runs: a part of what the
// tools are compared with, unless everything is asked for.
func engineCount(t *testing.T) int {
	t.Helper()
	if atLength() {
		return count(t)
	}
	return count(t) / 6
}

// TestEngineRows runs the tables of the grammar on both engines.
func TestEngineRows(t *testing.T) {
	b := setUpEngines(t)
	p, err := newEnginePair(b.xfrmctl, b.ip, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.close(); err != nil {
			t.Error(err)
		}
	}()
	part, parts := uint64(0), uint64(1)
	if !atLength() {
		parts = 60
		if testing.Short() {
			parts = 240
		}
		part = seed(t) % parts
	}
	for _, file := range rowFiles {
		groups, err := readTable(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range groups {
			t.Run(strings.TrimSuffix(file, ".rows")+"/"+g.name, func(t *testing.T) {
				for i, par := range g.cases {
					if uint64(i)%parts == part {
						engineParagraph(t, p, par)
					}
				}
			})
		}
	}
}

func engineParagraph(t *testing.T, p *enginePair, par paragraph) {
	t.Helper()
	if err := p.reset(); err != nil {
		t.Fatal(err)
	}
	var before []command
	for _, row := range par.rows {
		if what := lacking(row.command); what != "" {
			p.mustRefuse(t, row.command, what)
			continue
		}
		o, err := p.compare(row.command)
		if err != nil {
			t.Fatalf("%v: %v", row.command, err)
		}
		if o.kind != same {
			if excuseEngine(row.command, o) == "" {
				t.Errorf("%s", engineFinding(before, row.command, o))
			}
			return
		}
		before = append(before, row.command)
	}
}

// mustRefuse runs what the engine lacks on the engine alone.
func (p *enginePair) mustRefuse(t *testing.T, c command, what string) {
	t.Helper()
	r, err := p.right.run(p.rightTool, c.xfrmctl(), "")
	if err != nil {
		t.Fatal(err)
	}
	if r.code == 0 {
		t.Errorf("%v: the engine has no %s, but took it", c, what)
	}
}

// engineRun is a random run on both engines.
type engineRun struct {
	t                         *testing.T
	b                         bench
	g                         *generator
	total, accepted, findings int
	excused                   map[string]int
}

// TestEngineRandom runs random commands on both engines.
func TestEngineRandom(t *testing.T) {
	run := &engineRun{t: t, b: setUpEngines(t), excused: map[string]int{}}
	run.g = newGenerator(seed(t))
	for n := engineCount(t); run.total < n && run.findings < 20; {
		run.sequence(min(sequenceLength, n-run.total))
	}
	t.Logf("%d commands, %d accepted (%d %%), excused: %v", run.total, run.accepted, 100*run.accepted/max(run.total, 1), run.excused)
}

// sequence runs commands on a fresh pair.
func (run *engineRun) sequence(length int) {
	p, err := newEnginePair(run.b.xfrmctl, run.b.ip, 0)
	if err != nil {
		run.t.Fatal(err)
	}
	defer func() {
		if err := p.close(); err != nil {
			run.t.Error(err)
		}
	}()
	run.g.forget()
	var before []command
	for range length {
		c := run.g.next()
		run.total++
		if what := lacking(c); what != "" {
			p.mustRefuse(run.t, c, what)
			run.excused[what]++
			continue
		}
		if run.step(p, before, c) {
			before = append(before, c)
			continue
		}
		if err := p.reset(); err != nil { // from different tables nothing can be compared
			run.t.Fatal(err)
		}
		before = nil
	}
}

// step runs one command, and reports whether both did the same.
func (run *engineRun) step(p *enginePair, before []command, c command) bool {
	o, err := p.compare(c)
	if err != nil {
		run.t.Fatalf("%v: %v", c, err)
	}
	run.g.learn(o.left.code == 0)
	if o.left.code == 0 {
		run.accepted++
	}
	if o.kind == same {
		return true
	}
	if name := excuseEngine(c, o); name != "" {
		run.excused[name]++
	} else {
		run.findings++
		run.t.Errorf("%s", engineFinding(before, c, o))
	}
	return false
}
