package provision

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

func testStore(t *testing.T, dir, boot string) *store {
	t.Helper()
	s, err := openStore(dir, "office.east-kernel-1", boot, false)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStoreRemembers(t *testing.T) {
	dir := t.TempDir()
	s := testStore(t, dir, "boot1")
	sa := complete().SAs[0]
	fp := s.fingerprint(sa)
	s.objects["an object"] = fp
	if err := errors.Join(s.mark(keyIntended, []string{fp}), s.save()); err != nil {
		t.Fatal(err)
	}
	if again := testStore(t, dir, "boot1"); again.objects["an object"] != fp || again.fingerprint(sa) != fp || again.ledger(false).Spent[fp] {
		t.Errorf("%+v", again.objects)
	}
	if err := s.mark(keySpent, []string{fp}); err != nil {
		t.Fatal(err)
	}
	other := testStore(t, dir, "boot2")
	if len(other.objects) > 0 {
		t.Error("objects of another boot are still ours")
	}
	if !other.ledger(false).Spent[fp] || other.ledger(true).Spent[fp] {
		t.Error("a spent key is forgotten, or refused where the engine counts itself")
	}
}

// TestStoreDoubts: a key that was sent is in doubt until the answer is known.
func TestStoreDoubts(t *testing.T) {
	dir := t.TempDir()
	s := testStore(t, dir, "boot1")
	a, b, c := strings.Repeat("a", 64), strings.Repeat("b", 64), strings.Repeat("c", 64)
	if err := errors.Join(s.mark(keyIntended, []string{a, b, c}), s.mark(keySpent, []string{c}), s.mark(keySent, []string{a, b, c}), s.unsent([]string{b, c})); err != nil {
		t.Fatal(err)
	}
	again := testStore(t, dir, "boot1")
	if l := again.ledger(false); !l.Sent[a] || l.Spent[a] || l.Sent[b] || l.Spent[b] || !l.Spent[c] || again.spent[b] != keyFree {
		t.Errorf("%v", again.spent)
	}
	if l := again.ledger(true); l.Sent[a] {
		t.Error("a key is in doubt where the engine counts itself")
	}
}

// TestStoreShowsNoKeys looks through the files for the key.
func TestStoreShowsNoKeys(t *testing.T) {
	dir := t.TempDir()
	s := testStore(t, dir, "boot1")
	sa := complete().SAs[0]
	sa.AEAD.Key = netlinkx.NewKey([]byte("canary-canary-canary"))
	s.objects[saID(sa)] = s.fingerprint(sa)
	if err := errors.Join(s.mark(keySpent, []string{s.fingerprint(sa)}), s.save()); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 3 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil || bytes.Contains(b, []byte("canary")) || bytes.Contains(b, []byte("63616e617279")) {
			t.Errorf("%s: %v %q", f, err, b)
		}
		if fi, err := os.Stat(f); err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f, fi.Mode(), err)
		}
	}
}

// TestStoreDamage: a write that was cut short is dropped, all other damage is
// an error.
func TestStoreDamage(t *testing.T) {
	fp := strings.Repeat("a", 64)
	for _, c := range []struct {
		name, file, text string
		fails            bool
	}{
		{"cut short", "keys", "spent " + fp + "\nspent aaa", false},
		{"damaged", "keys", "spent " + fp + "\nspent aaa\n", true},
		{"no JSON", "office.east-kernel-1.json", "{", true},
		{"version", "office.east-kernel-1.json", `{"version":2}`, true},
		{"unknown state", "keys", "spnet " + fp + "\n", true},
		{"secret", "secret", "short", true},
	} {
		dir := t.TempDir()
		testStore(t, dir, "boot1")
		if err := os.WriteFile(filepath.Join(dir, c.file), []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := openStore(dir, "office.east-kernel-1", "boot1", false)
		if (err != nil) != c.fails {
			t.Errorf("%s: %v", c.name, err)
		}
		if c.fails {
			continue
		}
		other := strings.Repeat("b", 64)
		if err := s.mark(keySpent, []string{other}); err != nil {
			t.Fatal(err)
		}
		if again := testStore(t, dir, "boot1"); again.spent[fp] != keySpent || again.spent[other] != keySpent || len(again.spent) != 2 {
			t.Errorf("%s: %v", c.name, again.spent)
		}
	}
}

// TestSecretGone: with another secret no used key would be recognised.
func TestSecretGone(t *testing.T) {
	dir := t.TempDir()
	s := testStore(t, dir, "boot1")
	forget := func() error {
		if err := os.Remove(filepath.Join(dir, "secret")); err != nil {
			t.Fatal(err)
		}
		_, err := openStore(dir, "office.east-kernel-1", "boot1", false)
		return err
	}
	if err := forget(); err != nil {
		t.Errorf("no key was used: %v", err)
	}
	if err := s.mark(keySpent, []string{strings.Repeat("a", 64)}); err != nil {
		t.Fatal(err)
	}
	if err := forget(); err == nil || !strings.Contains(err.Error(), "secret is gone") {
		t.Errorf("a new secret was made: %v", err)
	}
}

// TestDirectoryForAll: nobody else may say which keys were used.
func TestDirectoryForAll(t *testing.T) {
	dir := t.TempDir()
	for _, mode := range []os.FileMode{0o700, 0o755, 0o777, os.ModeSticky | 0o777} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		l, err := LockDir(context.Background(), dir, nil)
		if (err != nil) != (mode&0o002 != 0) {
			t.Errorf("%v: %v", mode, err)
		}
		if err == nil {
			_ = l.Close()
		}
	}
}

// TestStoreReadOnly makes nothing.
func TestStoreReadOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	if _, err := openStore(dir, "x", "boot1", true); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	first, err := lock(context.Background(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	var locked *LockedError
	if _, err := lock(context.Background(), dir, nil); !errors.As(err, &locked) || !strings.Contains(locked.Holder, "process ") {
		t.Errorf("the lock was given twice: %v", err)
	}
	waits := make(chan string, 1)
	got := make(chan error)
	go func() {
		f, err := lock(context.Background(), dir, func(holder string) { waits <- holder })
		if err == nil {
			err = f.Close()
		}
		got <- err
	}()
	if holder := <-waits; !strings.Contains(holder, "process ") {
		t.Errorf("waits for %q", holder)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Error(err)
	}
	held, err := lock(context.Background(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	ctx, cancel := context.WithCancel(context.Background())
	if _, err := lock(ctx, dir, func(string) { cancel() }); !errors.Is(err, context.Canceled) || !errors.As(err, &locked) {
		t.Errorf("%v", err)
	}
}
