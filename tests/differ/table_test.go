package differ

import (
	"slices"
	"testing"
)

// TestTables reads the tables as the other tests do, without running them.
func TestTables(t *testing.T) {
	for _, file := range append(rowFiles, "exceptions.rows", "markers.rows") {
		groups, err := readTable(file)
		if err != nil {
			t.Fatal(err)
		}
		cases, commands := 0, 0
		for _, g := range groups {
			if len(g.cases) == 0 {
				t.Errorf("%s: group %q is empty", file, g.name)
			}
			cases += len(g.cases)
			for _, par := range g.cases {
				commands += len(par.rows)
				for _, row := range par.rows {
					if !row.coded && slices.Contains(rowFiles, file) {
						t.Errorf("%s:%d: %v: no exit code (see writeCodes)", file, par.line, row.command)
					}
				}
			}
		}
		t.Logf("%s: %d cases, %d commands", file, cases, commands)
	}
}

func TestSplitWords(t *testing.T) {
	names := map[string]string{"ID": "src 1.2.3.4 $DST", "DST": "dst ''"}
	for line, want := range map[string][]string{
		"":                       nil,
		"  a\tb  ":               {"a", "b"},
		"'' 'a b'c d''":          {"", "a bc", "d"},
		"add $ID '$ID' x$ID":     {"add", "src", "1.2.3.4", "dst", "", "$ID", "x$ID"},
		"aead rfc4106(gcm(aes))": {"aead", "rfc4106(gcm(aes))"},
	} {
		got, err := splitWords(line, names)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: got %q, %v, want %q", line, got, err, want)
		}
	}
	for _, line := range []string{"'open", "$NONE"} {
		if got, err := splitWords(line, names); err == nil {
			t.Errorf("%q: got %q, want an error", line, got)
		}
	}
}

func TestExitCodes(t *testing.T) {
	for text, codes := range map[string][]int{"0": {0}, "255,0*2": {255, 0, 0}, "1,2*3,0": {1, 2, 2, 2, 0}} {
		if got, rest := cutCodes(text + " state list"); !slices.Equal(got, codes) || rest != "state list" {
			t.Errorf("%s: got %v, %q", text, got, rest)
		}
		if got := encodeCodes(codes); got != text {
			t.Errorf("%v: got %s, want %s", codes, got, text)
		}
	}
	if got, rest := cutCodes("-4 state list"); got != nil || rest != "-4 state list" {
		t.Errorf("an option was taken for a code: %v, %q", got, rest)
	}
}

// TestTame makes sure that no command depends on time or on the kernel's own
// indexes.
func TestTame(t *testing.T) {
	g := newGenerator(1)
	for line, want := range map[string]string{
		"limit time-hard 5": "86400", "limit time-hard -5": "86400", "limit time-hard 0x5": "86400", "limit time-use-hard 017": "86400",
		"limit time-hard 3600": "3600", "limit time-hard 0": "0", "limit time-soft 5": "86400", "limit time-soft -5": "-5",
		"index 9": "1073741825", "index 0": "0", "index 0x40000001": "0x40000001", "index x": "x", "spi 9": "9",
	} {
		words, err := splitWords(line, nil)
		if err != nil {
			t.Fatal(err)
		}
		if words = g.tame(words); words[len(words)-1] != want {
			t.Errorf("%s: got %s, want %s", line, words[len(words)-1], want)
		}
	}
	// What the seed gives is always the same.
	a, b := newGenerator(7), newGenerator(7)
	for range 200 {
		if x, y := a.next(), b.next(); x.String() != y.String() {
			t.Fatalf("the same seed gives %v and %v", x, y)
		}
	}
}
