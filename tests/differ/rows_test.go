package differ

import (
	"os"
	"strings"
	"testing"
)

// TestRows runs the tables: all at full length, otherwise a part of each,
// another one each time.
func TestRows(t *testing.T) {
	b := setUp(t, true)
	codes := expectsCodes(t, b)
	p, err := newPair(b.ip, b.xfrmctl, b.ip)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	part, parts := uint64(0), uint64(1)
	if !atLength() {
		parts = 8
		if testing.Short() {
			parts = 40
		}
		part = seed(t) % parts
		t.Logf("one paragraph in %d; all run with XFRMCTL_DIFF_N set (make differential)", parts)
	}
	for _, file := range rowFiles {
		groups, err := readTable(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range groups {
			t.Run(strings.TrimSuffix(file, ".rows")+"/"+g.name, func(t *testing.T) {
				ran, total := 0, 0
				for i, par := range g.cases {
					total++
					if uint64(i)%parts != part {
						continue
					}
					ran++
					runParagraph(t, p, file, par, codes)
				}
				t.Logf("%d of %d cases", ran, total)
			})
		}
	}
}

// expectsCodes is true with the kernel and the ip that the exit codes of the
// tables were taken with.
func expectsCodes(t *testing.T, b bench) bool {
	t.Helper()
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv("XFRMCTL_KERNEL") == "uml" && strings.HasPrefix(string(release), "7.2.") && strings.Contains(b.version, "iproute2-7.3.") {
		return true
	}
	t.Logf("another kernel, or another ip, than the exit codes of the tables were taken with: only the two tools are compared")
	return false
}

// runParagraph runs a case and reports its differences.
func runParagraph(t *testing.T, p *pair, file string, par paragraph, codes bool) {
	t.Helper()
	if err := p.reset(); err != nil {
		t.Fatal(err)
	}
	for _, row := range par.rows {
		o, err := p.step(row.command)
		if err != nil {
			t.Fatalf("%s:%d: %v: %v", file, par.line, row.command, err)
		}
		if o.kind != same { // no exception occurs in these tables
			var before []command
			for _, r := range par.rows {
				if r.command.String() == row.command.String() {
					break
				}
				before = append(before, r.command)
			}
			t.Errorf("%s:%d: %v", file, par.line, finding{before, row.command, o})
			return
		}
		if codes && row.coded && row.code != o.left.code {
			t.Errorf("%s:%d: %v: exit code %d from ip, the table has %d\n%v", file, par.line, row.command, o.left.code, row.code, o.left)
		}
	}
}
