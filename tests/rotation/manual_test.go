package rotation

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestManual runs the rotation of docs/provisioning.md and compares what it
// prints with what is printed there, times and numbers of packets aside.
func TestManual(t *testing.T) {
	notUnderEmulation(t)
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", "provisioning.md"))
	if err != nil {
		t.Skipf("needs the documentation beside the test: %v; its example was not run", err)
	}
	_, after, _ := strings.Cut(string(b), "```\neast# ")
	text, _, _ := strings.Cut("east# "+after, "```")
	numbers := regexp.MustCompile(`[0-9.]+s, and [0-9]+|[0-9]+ packets`)
	bothEngines(t, derived, func(t *testing.T, ends [2]*end) {
		l := start(t, ends, few, patience)
		var got strings.Builder
		for line := range strings.Lines(text) {
			node, words, ok := strings.Cut(strings.TrimSpace(line), "# xfrmctl ")
			if !ok {
				continue
			}
			e := ends[slices.Index([]string{"east", "west"}, node)]
			got.WriteString(line)
			f := strings.Fields(words) // keys rotate office.yaml --as NODE MORE
			got.WriteString(e.verb(t, append(f[:2:2], f[5:]...)...))
		}
		if got, want := numbers.ReplaceAllString(got.String(), "N"), numbers.ReplaceAllString(text, "N"); got != want || !strings.Contains(want, "step delete taken") {
			t.Errorf("it prints\n%s\nthe manual says\n%s", got, want)
		}
		if _, _, err := l.end(); err != nil {
			t.Error(err)
		}
	})
}
