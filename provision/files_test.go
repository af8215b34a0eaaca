package provision

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAppendLines: what was cut short behind the last line goes, however long it
// is, and however long the line.
func TestAppendLines(t *testing.T) {
	long := strings.Repeat("x", 3000)
	for _, tc := range []struct{ old, want string }{
		{"", "new\n"},
		{"a\n", "a\nnew\n"},
		{"a\nb", "a\nnew\n"},
		{"cut", "new\n"},
		{long, "new\n"},
		{long + "\n", long + "\nnew\n"},
		{"a\n" + long, "a\nnew\n"},
		{long[:511] + "\n" + long[:512], long[:511] + "\nnew\n"},
	} {
		path := filepath.Join(t.TempDir(), "keys")
		if err := os.WriteFile(path, []byte(tc.old), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := appendLines(path, []byte("new\n"), false); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != tc.want {
			t.Errorf("behind %d bytes: %d bytes, want %d (%v)", len(tc.old), len(b), len(tc.want), err)
		}
	}
}
