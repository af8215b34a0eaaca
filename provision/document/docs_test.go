package document

import (
	"context"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/provision/keys"
)

// TestDocs reads every example of the manual, for each of its nodes.
func TestDocs(t *testing.T) {
	dir := t.TempDir()
	var b []byte
	for _, page := range []string{"provisioning.md", "examples.md"} {
		text, err := os.ReadFile("../../docs/" + page)
		if err != nil {
			t.Fatal(err)
		}
		b = append(b, text...)
	}
	for _, m := range regexp.MustCompile(`(?:file:/etc/xfrmctl/|credential:)([a-z0-9-]+\.(?:root|key))`).FindAllStringSubmatch(string(b), -1) {
		if err := os.WriteFile(dir+"/"+m[1], []byte(strings.Repeat("k", 64)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	bundle := "ipsec0.west-to-east 0x" + strings.Repeat("11", 48) + "\nipsec0.east-to-west 0x" + strings.Repeat("22", 48) + "\n"
	if err := os.WriteFile(dir+"/office.keys", []byte(bundle), 0o600); err != nil {
		t.Fatal(err)
	}
	examples := strings.Split(strings.ReplaceAll(string(b), ":/etc/xfrmctl/", ":"+dir+"/"), "```yaml\n")[1:]
	if len(examples) < 6 {
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
			in.Namespace = func(string) error { return nil }
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
