package differ

import (
	"slices"
	"strings"
	"testing"
)

// setUpEngines finds the tools; both engines are compared, so the kernel must
// have ESP.
func setUpEngines(t *testing.T) bench {
	t.Helper()
	b := setUp(t, true)
	if !b.esp {
		t.Skip("needs a kernel with ESP (CONFIG_INET_ESP, module esp4) to compare the userspace engine with")
	}
	return b
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
		parts = 6
		if testing.Short() {
			parts = 40
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

// TestEngineRandom runs random commands on both engines.
func TestEngineRandom(t *testing.T) {
	b := setUpEngines(t)
	g := newGenerator(seed(t))
	n, total, accepted, findings := count(t), 0, 0, 0
	excused := map[string]int{}
	for total < n && findings < 20 {
		p, err := newEnginePair(b.xfrmctl, b.ip, 0)
		if err != nil {
			t.Fatal(err)
		}
		g.forget()
		var before []command
		for range min(sequenceLength, n-total) {
			c := g.next()
			total++
			if what := lacking(c); what != "" {
				p.mustRefuse(t, c, what)
				excused[what]++
				continue
			}
			o, err := p.compare(c)
			if err != nil {
				t.Fatalf("%v: %v", c, err)
			}
			g.learn(o.left.code == 0)
			if o.left.code == 0 {
				accepted++
			}
			if o.kind == same {
				before = append(before, c)
				continue
			}
			if name := excuseEngine(c, o); name != "" {
				excused[name]++
				if o.tables == "" {
					continue
				}
			} else {
				findings++
				t.Errorf("%s", engineFinding(before, c, o))
			}
			if err := p.reset(); err != nil {
				t.Fatal(err)
			}
			before = nil
		}
		if err := p.close(); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d commands, %d accepted (%d %%), excused: %v", total, accepted, 100*accepted/max(total, 1), excused)
}

// eventCommands make events that random commands do not, or rarely.
var eventCommands = []string{
	"state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x900 mode tunnel reqid 9 aead rfc4106(gcm(aes)) 0x000102030405060708090a0b0c0d0e0f10111213 128 mark 7 mask 0xff if_id 3 output-mark 5 mask 0xf replay-window 64 flag esn dir in",
	"state ae set src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x900 mark 7 mask 0xff replay-thresh 5",
	"policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir out index 0x40000009 tmpl src 10.0.0.1 dst 10.0.0.2 proto esp mode tunnel reqid 9 mark 1 mask 1",
	"policy update src 10.1.0.0/24 dst 10.2.0.0/24 dir out priority 4 tmpl src 10.0.0.1 dst 10.0.0.2 proto esp mode tunnel reqid 9 mark 1 mask 1",
	"policy delete index 0x40000009 dir out mark 1 mask 1",
	"policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir in",
	"policy delete src 10.1.0.0/24 dst 10.2.0.0/24 dir in",
	"policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir fwd ptype sub",
	"policy flush ptype sub",
	"policy flush",
	"policy setdefault in block",
	"policy setdefault in accept",
	"state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x901 mode tunnel reqid 8 aead rfc4106(gcm(aes)) 0x000102030405060708090a0b0c0d0e0f10111214 128 encap espinudp 4500 4501 0.0.0.0",
	"policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir out tmpl src 10.0.0.1 dst 10.0.0.2 proto esp mode tunnel reqid 8",
	"policy migrate src 10.1.0.0/24 dst 10.2.0.0/24 dir out from src 10.0.0.1 dst 10.0.0.2 proto esp mode tunnel reqid 8 to src 10.0.0.3 dst 10.0.0.4",
	"state delete src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x900 mark 7 mask 0xff",
	"state flush proto esp",
	"state flush",
}

// TestEngineEvents compares the events of both engines byte by byte.
func TestEngineEvents(t *testing.T) {
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
	ears, err := p.listen()
	if err != nil {
		t.Fatal(err)
	}
	defer ears.close()
	total := 0
	run := func(c command) {
		t.Helper()
		left, right, err := p.both(c)
		if err != nil {
			t.Fatal(err)
		}
		kernel, engine, err := ears.hear()
		if err != nil {
			t.Fatal(err)
		}
		total += len(kernel)
		if left.code != right.code {
			if excuseEngine(c, outcome{left: left, right: right, kind: differCode}) == "" {
				t.Errorf("%v: %v %v", c, left, right)
			}
			if err := p.reset(); err != nil { // from different tables nothing can be compared
				t.Fatal(err)
			}
			if _, _, err := ears.hear(); err != nil {
				t.Fatal(err)
			}
			return
		}
		compareEvents(t, c, kernel, engine)
	}
	for _, line := range eventCommands {
		words, err := splitWords(line, nil)
		if err != nil {
			t.Fatal(err)
		}
		run(newCommand(words))
	}
	g := newGenerator(seed(t))
	for range count(t) / 2 {
		if c := g.next(); lacking(c) == "" {
			run(c)
			g.learn(true)
		}
	}
	t.Logf("%d events", total)
}

func compareEvents(t *testing.T, c command, kernel, engine []message) {
	t.Helper()
	if len(kernel) != len(engine) {
		t.Errorf("%v: %d events of the kernel, %d of the engine", c, len(kernel), len(engine))
		return
	}
	for i := range kernel {
		if !slices.Equal(kernel[i], engine[i]) {
			t.Errorf("%v: event %d:%s", c, i+1, firstDifference(kernel[i], engine[i]))
			return
		}
	}
}
