package keys

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestNew: what is made can be read, by its owner alone, and is never made twice.
func TestNew(t *testing.T) {
	dir := t.TempDir()
	defer syscall.Umask(syscall.Umask(0o777)) // it takes the owner's rights too
	var all []string
	for _, n := range []int{1, MinRoot, 96} {
		path := filepath.Join(dir, string(rune('a'+n)))
		if err := New(path, n); err != nil {
			t.Fatal(err)
		}
		b, err := (&Source{}).Read(context.Background(), "file:"+path)
		if st, statErr := os.Stat(path); err != nil || statErr != nil || len(b) != n || st.Mode() != 0o600 {
			t.Errorf("%d bytes: %d, %v, %v", n, len(b), err, st.Mode())
		}
		before, _ := os.ReadFile(path)
		if err := New(path, n); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "never overwritten") {
			t.Errorf("again: %v", err)
		}
		if after, _ := os.ReadFile(path); string(after) != string(before) {
			t.Error("a key was overwritten")
		}
		all = append(all, string(before))
	}
	if strings.HasPrefix(all[2], strings.TrimSpace(all[1])) {
		t.Error("two keys begin alike")
	}
	if err := os.Symlink(filepath.Join(dir, "elsewhere"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := New(filepath.Join(dir, "link"), MinRoot); !errors.Is(err, fs.ErrExist) {
		t.Errorf("through a symbolic link: %v", err)
	}
}

// TestNewLooksAtDirectories: nobody else may be able to put another file there,
// in the directory itself or by renaming one above it.
func TestNewLooksAtDirectories(t *testing.T) {
	for _, c := range []struct {
		above, dir os.FileMode
		want       string
	}{
		{0o755, 0o700, ""}, {0o755, 0o755, ""}, {0o755, 0o777 | os.ModeSticky, ""},
		{0o755, 0o777, "others may write"}, {0o755, 0o770, "others may write"}, {0o777, 0o700, "others may write"}, {0o775, 0o700, "others may write"},
	} {
		above := filepath.Join(t.TempDir(), "above")
		dir := filepath.Join(above, "dir")
		for path, mode := range map[string]os.FileMode{above: c.above, dir: c.dir} {
			if err := errors.Join(os.MkdirAll(path, 0o700), os.Chmod(path, mode)); err != nil {
				t.Fatal(err)
			}
		}
		path := filepath.Join(dir, "key")
		err := New(path, MinRoot)
		_, stat := os.Stat(path)
		if c.want == "" && (err != nil || stat != nil) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || stat == nil) {
			t.Errorf("%o, %o: %v", c.above, c.dir, err)
		}
	}
	if err := New(filepath.Join(t.TempDir(), "none", "key"), MinRoot); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestOfEpoch(t *testing.T) {
	for _, c := range []struct {
		ref   string
		epoch uint64
		want  string
	}{
		{"file:/k", 0, "file:/k"}, {"file:/k", 1, "file:/k"}, {"file:/k", 2, "file:/k.2"}, {"credential:k", 10, "credential:k.10"},
		{"env:K", 1, "env:K"}, {"env:K", 2, ""}, {"command:k", 2, ""}, {"keys:/f#k", 2, "keys:/f#k.2"},
	} {
		got, err := OfEpoch(c.ref, c.epoch)
		if got != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%s, %d: %q, %v", c.ref, c.epoch, got, err)
		}
	}
}

// TestFileOfAnother: root's files and one's own are taken, also through a link; a
// pipe is not waited for.
func TestFileOfAnother(t *testing.T) {
	for owner, taken := range map[uint32]bool{0: true, 1000: true, 1001: false} {
		if err := anothers(owner, 1000); (err == nil) != taken {
			t.Errorf("a file of user %d: %v", owner, err)
		}
	}
	dir := t.TempDir()
	pipe, link := filepath.Join(dir, "pipe"), filepath.Join(dir, "link")
	if err := errors.Join(syscall.Mkfifo(pipe, 0o600), os.WriteFile(filepath.Join(dir, "key"), []byte("0x00ff"), 0o600), os.Symlink("key", link)); err != nil {
		t.Fatal(err)
	}
	s := &Source{}
	if _, err := s.Read(context.Background(), "file:"+pipe); err == nil || !strings.Contains(err.Error(), "a pipe or a device") {
		t.Errorf("a pipe: %v", err)
	}
	if b, err := s.Read(context.Background(), "file:"+link); err != nil || string(b) != "\x00\xff" {
		t.Errorf("a link: %q, %v", b, err)
	}
}
