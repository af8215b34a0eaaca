package stamp

import (
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// stateFiles writes all that the state directory knows: what is ours, which keys
// were used, how far changes of keys are.
func stateFiles(dir string, to hash.Hash) error {
	entries, err := os.ReadDir(dir) // sorted
	if err != nil {
		return err
	}
	buf := make([]byte, 64<<10)
	for _, e := range entries {
		if aside(e.Name()) {
			continue
		}
		fmt.Fprintf(to, "file %q %v ", e.Name(), e.Type())
		if !e.Type().IsRegular() {
			continue
		}
		if err := contents(filepath.Join(dir, e.Name()), to, buf); err != nil {
			return err
		}
	}
	return nil
}

// contents writes a file behind its length.
func contents(path string, to hash.Hash, buf []byte) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() // read only
	st, err := f.Stat()
	if err != nil {
		return err
	}
	fmt.Fprintf(to, "%d ", st.Size())
	n, err := io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{f}, buf)
	if err == nil && n != st.Size() {
		err = fmt.Errorf("%s changes while it is read", path)
	}
	return err
}

// aside are files of the state directory that say nothing about what is ours:
// the lock, the secret, which is the key of the digest, what a write that was cut
// short has left, and stamps.
func aside(name string) bool {
	return name == "lock" || name == "secret" || strings.HasPrefix(name, ".new-") || strings.HasPrefix(name, prefix)
}

// clearOld removes the stamps of other boots: none of them will ever hold.
func clearOld(dir, boot string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), prefix) {
			continue
		}
		path := filepath.Join(dir, e.Name())
		var s Stamp
		b, err := os.ReadFile(path)
		if err == nil && json.Unmarshal(b, &s) == nil && s.Boot == boot {
			continue
		}
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}
