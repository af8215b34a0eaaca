package stamp

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// around is a state directory and what else decides.
type around struct {
	*Circumstances
	key, mtu string
	now      time.Time
}

func newAround(t *testing.T) *around {
	t.Helper()
	a := &around{key: "key", mtu: "1500", now: time.Unix(1000, 0)}
	a.Circumstances = &Circumstances{
		StateDir: t.TempDir(), Words: []string{"apply", "east"},
		Keys: func(_ []string, to io.Writer) error { _, err := io.WriteString(to, a.key); return err },
		MTUs: func(_ []string, to io.Writer) error { _, err := io.WriteString(to, a.mtu); return err },
	}
	a.file(t, "secret", string(filled(32)))
	a.file(t, "office.json", "objects")
	return a
}

func (a *around) file(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(a.StateDir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// stamp writes one, and returns the file's bytes.
func (a *around) stamp(t *testing.T) []byte {
	t.Helper()
	r := NewRecorder()
	r.Routes(true, route(18, 16))
	r.Routes(false, route(16, 16))
	ok, err := Write(&Stamp{Since: a.now, Until: a.now.Add(time.Hour), Keys: []string{"file:x"}}, a.Circumstances, r)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	path, err := a.path()
	if err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Fatal(st, err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestFits: nothing that decides may differ.
func TestFits(t *testing.T) {
	for what, change := range map[string]func(*testing.T, *around){
		"":                      func(*testing.T, *around) {},
		"a clock set back":      func(_ *testing.T, a *around) { a.now = a.now.Add(-time.Second) },
		"a step of a clock":     func(_ *testing.T, a *around) { a.now = a.now.Add(time.Hour) },
		"another document":      func(_ *testing.T, a *around) { a.Document[0]++ },
		"another key":           func(_ *testing.T, a *around) { a.key = "kez" },
		"another MTU":           func(_ *testing.T, a *around) { a.mtu = "1400" },
		"another ledger":        func(t *testing.T, a *around) { a.file(t, "office.json", "objectz") },
		"a file more":           func(t *testing.T, a *around) { a.file(t, "keys", "") },
		"another secret":        func(t *testing.T, a *around) { a.file(t, "secret", string(bytes.Repeat([]byte{1}, 32))) },
		"a key that is missing": func(_ *testing.T, a *around) { a.Keys = func([]string, io.Writer) error { return errors.New("gone") } },
	} {
		a := newAround(t)
		a.stamp(t)
		s, err := Read(a.Circumstances)
		if err != nil {
			t.Fatal(err)
		}
		change(t, a)
		if fits := s.Fits(a.Circumstances, a.now); fits != (what == "") {
			t.Errorf("%q: fits %v", what, fits)
		}
		s.Notes = []string{"added"}
		if s.Fits(a.Circumstances, a.now) {
			t.Error("a stamp that was changed fits")
		}
	}
}

// TestFile: other words have other stamps; those of other boots go, and what else
// is in the folder stays; the key is not in the file.
func TestFile(t *testing.T) {
	a := newAround(t)
	a.key = "c0ffee-c0ffee-c0ffee"
	a.file(t, prefix+"old.json", `{"version":1,"boot":"another"}`)
	b := a.stamp(t)
	if bytes.Contains(b, []byte(a.key)) || bytes.Contains(b, []byte(hex.EncodeToString([]byte(a.key)))) {
		t.Error("the key is in the stamp")
	}
	if _, err := os.Stat(filepath.Join(a.StateDir, prefix+"old.json")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a stamp of another boot stays")
	}
	if _, err := os.Stat(filepath.Join(a.StateDir, "office.json")); err != nil {
		t.Error(err)
	}
	other := *a.Circumstances
	other.Words = []string{"apply", "west"}
	if _, err := Read(&other); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("other words: %v", err)
	}
	if _, err := Read(a.Circumstances); err != nil {
		t.Error(err)
	}
}

// TestSpoilt: what cannot be asked again is not stamped.
func TestSpoilt(t *testing.T) {
	a := newAround(t)
	r := NewRecorder()
	for _, step := range []func(){func() {}, func() { r.Routes(true, route(16, 16)) }} {
		step()
		if ok, err := Write(&Stamp{}, a.Circumstances, r); ok || err != nil {
			t.Error(ok, err)
		}
	}
}
