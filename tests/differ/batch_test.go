package differ

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// batchLine writes a command as a line of a batch file, in one of the ways in
// which one may write it.
func batchLine(g *generator, c command) string {
	var b strings.Builder
	for i, w := range append([]string{"xfrm"}, c.words...) {
		if i > 0 {
			b.WriteString(g.pick(" ", " ", " ", "\t", "  ", " \\\n "))
		}
		switch {
		case w == "" || strings.ContainsAny(w, " \t#") || g.chance(6):
			b.WriteString(g.pick(`"`+w+`"`, `'`+w+`'`))
		default:
			b.WriteString(w)
		}
	}
	b.WriteString(g.pick("\n", "\n", "\n", "  \n", " # a comment\n", "\n\n", "\n# 'comment\n", "\n \t\n"))
	return b.String()
}

// forBatch makes commands for a batch: without global options, and without
// those that end a batch of `ip`, or whose effect is random.
func forBatch(g *generator) command {
	for {
		c := g.next()
		c.options = nil
		v := c.verb()
		fixed := v != "state allocspi" || g.newSA != nil // then it names its SPI
		if strings.Contains(v, " ") && !strings.Contains(v, "list") && !strings.Contains(v, "deleteall") && !strings.Contains(v, "help") &&
			fixed && !slices.ContainsFunc(c.words, func(w string) bool { return strings.ContainsAny(w, "'\"\\\n#") || len(w) > 200 }) {
			return c
		}
	}
}

// TestBatch runs the same files through `ip -batch` and `xfrmctl -batch`.
func TestBatch(t *testing.T) {
	b := setUp(t, true)
	g := newGenerator(seed(t))
	g.noESP = !b.esp
	files, length := 12, 40
	if testing.Short() {
		files, length = 1, 20
	}
	for range files {
		g.forget()
		p, err := newPair(b.ip, b.xfrmctl, b.ip)
		if err != nil {
			t.Fatal(err)
		}
		lines := goodLines(t, p, g, b, length)
		p.close()
		// The kernel counts the SPIs of IPComp's helper SAs in each namespace.
		if p, err = newPair(b.ip, b.xfrmctl, b.ip); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "batch")
		var text strings.Builder
		for _, c := range lines {
			text.WriteString(batchLine(g, c))
		}
		if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		compareBatch(t, p, path, text.String())
		p.close()
	}
}

// goodLines collects commands that ip accepts, in this order.
func goodLines(t *testing.T, p *pair, g *generator, b bench, n int) []command {
	t.Helper()
	var lines []command
	for tries := 0; len(lines) < n && tries < 20*n; tries++ {
		c := forBatch(g)
		r, err := p.left.run(b.ip, c.ip(), "")
		if err != nil {
			t.Fatal(err)
		}
		g.learn(r.code == 0)
		if r.code == 0 {
			lines = append(lines, c)
		}
	}
	return lines
}

func compareBatch(t *testing.T, p *pair, path, text string) {
	t.Helper()
	left, err := p.left.run(p.leftTool, []string{"-batch", path}, "")
	if err != nil {
		t.Fatal(err)
	}
	right, err := p.right.run(p.rightTool, []string{"-batch", path}, "")
	if err != nil {
		t.Fatal(err)
	}
	l, r, err := p.settled(func(l, r snapshot) bool { return l.differ(r) == "" })
	if err != nil {
		t.Fatal(err)
	}
	if left.code != 0 {
		t.Fatalf("ip -batch refused what ip accepted line by line: %v\n%s", left, text)
	}
	leftText, rightText := maskText(left.out, nil), maskText(right.out, nil)
	if d := l.differ(r); d != "" || left.code != right.code || leftText != rightText {
		t.Errorf("batch: %s; exit codes %d and %d; output %s\n%v\n%v\n%s", d, left.code, right.code,
			textDifference(leftText, rightText), left, right, text)
	}
}

// TestBatchForced runs good and bad lines through `xfrmctl -force -batch`,
// and one by one through ip: what holds afterwards must be the same.
func TestBatchForced(t *testing.T) {
	b := setUp(t, true)
	g := newGenerator(seed(t))
	g.noESP = !b.esp
	p, err := newPair(b.ip, b.xfrmctl, b.ip)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	files, length := 8, 60
	if testing.Short() {
		files, length = 1, 30
	}
	for range files {
		if err := p.reset(); err != nil {
			t.Fatal(err)
		}
		g.forget()
		var text strings.Builder
		failed := 0
		for range length {
			c := forBatch(g)
			r, err := p.left.run(b.ip, c.ip(), "")
			if err != nil {
				t.Fatal(err)
			}
			g.learn(r.code == 0)
			if r.code != 0 {
				failed++
			}
			text.WriteString(batchLine(g, c))
		}
		r, err := p.right.run(b.xfrmctl, []string{"-force", "-batch", "-"}, text.String())
		if err != nil {
			t.Fatal(err)
		}
		left, right, err := p.settled(func(left, right snapshot) bool { return left.differ(right) == "" })
		if err != nil {
			t.Fatal(err)
		}
		if d := left.differ(right); d != "" || (r.code != 0) != (failed > 0) {
			t.Errorf("%s; %d lines failed in ip\n%v\n%s", d, failed, r, text.String())
		}
	}
}

// TestBatchStops puts a bad line among good ones: both tools end with the
// same exit code, and what `ip` has made by then, xfrmctl has made too. (What
// follows within a chunk may be there as well; see the manual.)
func TestBatchStops(t *testing.T) {
	b := setUp(t, true)
	p, err := newPair(b.ip, b.xfrmctl, b.ip)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	for _, bad := range []string{
		"xfrm policy add src 10.9.1.0/24 dir out", "xfrm policy delete src 10.9.9.0/24 dir out", "xfrm policy add src 10.9.9.0/24 dir bogus", "xfrm policy add src 10.9.9.0/24",
		"xfrm state get dst 10.9.9.9 proto esp spi 5", "xfrm bogus", "xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 1",
	} {
		if err := p.reset(); err != nil {
			t.Fatal(err)
		}
		text := "xfrm policy add src 10.9.1.0/24 dir out\nxfrm policy add src 10.9.2.0/24 dir out\n" + bad + "\nxfrm policy add src 10.9.3.0/24 dir out\n"
		left, err := p.left.run(b.ip, []string{"-batch", "-"}, text)
		if err != nil {
			t.Fatal(err)
		}
		right, err := p.right.run(b.xfrmctl, []string{"-batch", "-"}, text)
		if err != nil {
			t.Fatal(err)
		}
		l, r, err := p.snapshots()
		if err != nil {
			t.Fatal(err)
		}
		if left.code == 0 || left.code != right.code {
			t.Errorf("%s: exit codes differ\n%v\n%v", bad, left, right)
		}
		if !strings.Contains(right.err, "-:3") {
			t.Errorf("%s: xfrmctl does not name the line\n%v", bad, right)
		}
		if len(l.policies) != 2 || len(r.policies) < 2 {
			t.Fatalf("%s: %d policies by ip, %d by xfrmctl", bad, len(l.policies), len(r.policies))
		}
		for _, m := range l.policies {
			if !slices.ContainsFunc(r.policies, func(o message) bool { return bytes.Equal(m, o) }) {
				t.Errorf("%s: xfrmctl lacks a policy of ip", bad)
			}
		}
	}
}
