package document

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/provision/keys"
)

// TestDocs reads every example of the manual, for each of its nodes.
func TestDocs(t *testing.T) {
	b, err := os.ReadFile("../../docs/provisioning.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, n := range map[string]int{"office.root": 32, "branches.root": 32, "alpha-to-beta.key": 64, "beta-to-alpha.key": 64} {
		if err := os.WriteFile(dir+"/"+name, []byte(strings.Repeat("k", n)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	examples := strings.Split(strings.ReplaceAll(string(b), "file:/etc/xfrmctl/", "file:"+dir+"/"), "```yaml\n")[1:]
	if len(examples) < 3 {
		t.Fatalf("%d examples", len(examples))
	}
	for _, text := range examples {
		text, _, _ = strings.Cut(text, "```")
		d, err := Read("provisioning.md", []byte(text))
		if err != nil {
			t.Error(err)
			continue
		}
		boots := map[string]string{}
		for node := range d.Nodes {
			boots[node] = "boot of " + node
		}
		for node := range d.Nodes {
			in := surroundings("boot of " + node)
			in.BootIDs = boots
			in.Keys = &keys.Source{Getenv: func(string) string { return dir }}
			if w, err := d.Resolve(context.Background(), node, in); err != nil || len(w.State.SAs) < 2 {
				t.Errorf("%s: %v", node, err)
			}
		}
	}
	// the fields that the reader knows are those that the manual tells of
	for _, line := range strings.Split(tunnelFields(t), ", ") {
		if !strings.Contains(string(b), "`"+line) {
			t.Errorf("the manual does not tell of field %s", line)
		}
	}
}

// tunnelFields asks the reader itself, by a field that it does not know.
func tunnelFields(t *testing.T) string {
	t.Helper()
	_, err := Read("x", []byte(strings.Replace(good, "interface: ipsec0", "nonsense: 1", 1)))
	if err == nil {
		t.Fatal("a field that is not known was taken")
	}
	_, after, _ := strings.Cut(err.Error(), "known are ")
	line, _, _ := strings.Cut(after, "\n")
	return line
}
