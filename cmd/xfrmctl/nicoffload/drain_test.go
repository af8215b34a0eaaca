package nicoffload

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadDrained(t *testing.T) {
	for _, c := range []struct{ text, fails string }{
		{`{"version":1,"device":"eth0","sas":[],"policies":[]}`, ""},
		{`{"version":2,"device":"eth0"}`, "version 2 of what `offload drain` writes is not known here, only 1: restore with the xfrmctl that drained"},
		{`{}`, "version 0"},
		{`not json`, "no file of `offload drain`: invalid character"},
	} {
		path := filepath.Join(t.TempDir(), "drained")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := readDrained(path)
		if c.fails == "" && (err != nil || d.Device != "eth0") {
			t.Errorf("%s: %+v, %v", c.text, d, err)
		}
		if c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails) || d != nil) {
			t.Errorf("%s: %+v, %v", c.text, d, err)
		}
	}
	if _, err := readDrained(filepath.Join(t.TempDir(), "none")); !os.IsNotExist(err) {
		t.Errorf("no file: %v", err)
	}
}
