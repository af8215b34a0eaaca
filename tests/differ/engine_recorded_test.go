package differ

import (
	"strings"
	"testing"
)

// TestEngineRecorded runs the tables of the grammar on the engine alone, and
// compares the exit codes with those that were taken with Linux 7.2. It needs
// no kernel with ESP.
func TestEngineRecorded(t *testing.T) {
	b := setUp(t, true)
	p, err := newEnginePair(b.xfrmctl, b.ip, 1) // as the machine that the codes are of
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.close(); err != nil {
			t.Error(err)
		}
	}()
	parts := uint64(1)
	if !atLength() {
		parts = 15
		if testing.Short() {
			parts = 60
		}
	}
	part := seed(t) % parts
	ran := 0
	for _, file := range rowFiles {
		groups, err := readTable(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range groups {
			for i, par := range g.cases {
				if uint64(i)%parts == part {
					ran += recordedParagraph(t, p, file, par)
				}
			}
		}
	}
	t.Logf("%d commands", ran)
}

// recordedParagraph returns how many commands it ran. What the engine lacks is
// left out, and so is what comes after an accepted difference.
func recordedParagraph(t *testing.T, p *enginePair, file string, par paragraph) (ran int) {
	t.Helper()
	if err := p.right.dump.empty(); err != nil {
		t.Fatal(err)
	}
	for _, row := range par.rows {
		if lacking(row.command) != "" {
			return ran
		}
		r, err := p.right.run(p.rightTool, row.command.xfrmctl(), "")
		if err != nil {
			t.Fatal(err)
		}
		ran++
		if !row.coded || r.code == row.code {
			continue
		}
		if row.code == 0 && r.code == 2 && strings.Contains(r.err, "can't change the") {
			return ran // see updateRefused
		}
		t.Errorf("%s:%d: %v: the table has exit code %d\n%v", file, par.line, row.command, row.code, r)
		return ran
	}
	return ran
}
