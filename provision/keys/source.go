package keys

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// What is read is bounded, in bytes: one key, and a file with many.
const (
	maxKey    = 4096
	maxBundle = 64 << 20
)

// Source reads keys that are given by reference:
//
//	file:PATH        a file that nobody else may read or write
//	keys:PATH#NAME   a line "NAME KEY" of such a file
//	env:NAME         a variable of the environment
//	command:WORDS    what a program prints; words are split at blanks
//	credential:NAME  a credential that systemd gave the service
//
// What is found is taken as hex digits behind 0x, else as the bytes themselves
// without the newline at the end of a text. It is for one goroutine.
type Source struct {
	// Getenv is os.Getenv; replaced by tests.
	Getenv  func(string) string
	read    map[string][]byte
	files   map[string]bool
	bundles map[string]map[string][]byte // by path and name: what keys: leads to
}

// Check reports what is wrong with a reference, without following it.
func Check(ref string) error {
	kind, at, ok := strings.Cut(ref, ":")
	switch {
	case !ok || at == "":
	case kind == "file", kind == "env", kind == "command":
		return nil
	case kind == "keys" && strings.Contains(at, "#"):
		return nil
	case kind == "credential" && filepath.Base(at) == at && at != "..":
		return nil
	}
	return errors.New("a key is given by reference: file:PATH, keys:PATH#NAME, env:NAME, command:WORDS or credential:NAME")
}

// Read follows a reference; each is followed once, and a file of keys: is read
// once for all its names. Errors never hold anything of what was found.
func (s *Source) Read(ctx context.Context, ref string) ([]byte, error) {
	if b, ok := s.read[ref]; ok {
		return b, nil
	}
	if err := Check(ref); err != nil {
		return nil, err
	}
	b, err := s.find(ctx, ref)
	if err == nil {
		b, err = keyBytes(b)
	}
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", ref, err)
	}
	if s.read == nil {
		s.read = map[string][]byte{}
	}
	s.read[ref] = b
	return b, nil
}

// Followed returns the references that were followed, sorted.
func (s *Source) Followed() []string { return slices.Sorted(maps.Keys(s.read)) }

// Files returns the paths of the files that were looked for, there or not, sorted.
func (s *Source) Files() []string { return slices.Sorted(maps.Keys(s.files)) }

// Digest writes references and what they lead to, each behind its length. Those
// that were not followed yet are.
func (s *Source) Digest(ctx context.Context, refs []string, to io.Writer) error {
	for _, ref := range refs {
		b, err := s.Read(ctx, ref)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(to, "key %q %d ", ref, len(b)); err != nil {
			return err
		}
		if _, err := to.Write(b); err != nil { // not through fmt, whose buffers stay
			return err
		}
	}
	return nil
}

func (s *Source) find(ctx context.Context, ref string) ([]byte, error) {
	kind, at, _ := strings.Cut(ref, ":")
	switch kind {
	case "keys":
		path, name, _ := strings.Cut(at, "#")
		return s.named(path, name)
	case "env":
		v := s.Getenv(at)
		if v == "" {
			return nil, errors.New("the environment has no such value")
		}
		return []byte(v), nil
	case "command":
		return output(ctx, strings.Fields(at))
	case "credential":
		dir := s.Getenv("CREDENTIALS_DIRECTORY")
		if dir == "" {
			return nil, errors.New("CREDENTIALS_DIRECTORY is not set: credentials are for services of systemd (LoadCredential=)")
		}
		return s.file(filepath.Join(dir, at), maxKey)
	}
	return s.file(at, maxKey)
}

func (s *Source) file(path string, most int64) ([]byte, error) {
	if s.files == nil {
		s.files = map[string]bool{}
	}
	s.files[path] = true
	return readFile(path, most)
}

// named finds the key of a name in a file with many. A file that could not be
// read is tried again at the next name.
func (s *Source) named(path, name string) ([]byte, error) {
	bundle, ok := s.bundles[path]
	if !ok {
		b, err := s.file(path, maxBundle)
		if err != nil {
			return nil, err
		}
		if len(b) > maxBundle {
			return nil, fmt.Errorf("the file has more than %d bytes: spread its keys over several", maxBundle)
		}
		bundle = lines(b)
		if s.bundles == nil {
			s.bundles = map[string]map[string][]byte{}
		}
		s.bundles[path] = bundle
	}
	key, ok := bundle[name]
	switch {
	case !ok:
		return nil, errors.New("the file has no line of that name with a key")
	case key == nil:
		return nil, errors.New("the file has several lines of that name: leave the one that is meant")
	}
	return key, nil
}

// lines takes b, which it borrows, for lines of a name and a key each, and
// passes over others. Of two lines of a name none is the key: nobody knows which
// one is meant.
func lines(b []byte) map[string][]byte {
	keys := map[string][]byte{}
	for l := range bytes.Lines(b) {
		f := bytes.Fields(l)
		if len(f) != 2 {
			continue
		}
		name, key := string(f[0]), f[1]
		if _, twice := keys[name]; twice {
			key = nil
		}
		keys[name] = key
	}
	return keys
}

// readFile reads up to most bytes, and one, of a file that only its owner may
// read.
func readFile(path string, most int64) ([]byte, error) {
	f, err := open(path)
	if err != nil {
		return nil, bare(err)
	}
	defer f.Close() // read only
	st, err := f.Stat()
	if err != nil {
		return nil, bare(err)
	}
	switch perm := st.Mode().Perm(); {
	case st.IsDir(): // which cannot be read
	case !st.Mode().IsRegular():
		return nil, errors.New("it is a pipe or a device, and no file; what a program prints is command:WORDS")
	case perm&0o077 != 0:
		return nil, fmt.Errorf("others may read or write it (mode %04o): chmod 600, and take a new key if others had access", perm)
	default:
		if err := checkFileOwner(st); err != nil {
			return nil, err
		}
	}
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	return b, bare(err)
}

// bare drops the path, which the reference names already.
func bare(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// output runs a program. What it prints on standard error is not shown: it
// might hold the key.
func output(ctx context.Context, words []string) ([]byte, error) {
	if len(words) == 0 {
		return nil, errors.New("no program is named")
	}
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	var out bounded
	cmd.Stdout, cmd.WaitDelay = &out, time.Second // for what it leaves behind
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case len(out) > maxKey: // it may have ended of that
		return out, nil
	case errors.As(err, &exit):
		return nil, fmt.Errorf("the program failed: %s; what it said is not shown, because that might hold the key", exit.ProcessState)
	}
	return out, bare(err)
}

// bounded takes the length of a key, and a byte more of what is none.
type bounded []byte

// Write fails when there is too much.
func (b *bounded) Write(p []byte) (int, error) {
	n := min(len(p), maxKey+1-len(*b))
	*b = append(*b, p[:n]...)
	if n < len(p) {
		return n, io.ErrShortWrite
	}
	return n, nil
}

func keyBytes(b []byte) ([]byte, error) {
	if len(b) > maxKey {
		return nil, fmt.Errorf("more than %d bytes", maxKey)
	}
	if text(b) {
		b = bytes.TrimRight(b, "\r\n")
	}
	if len(b) == 0 {
		return nil, errors.New("it is empty")
	}
	digits, ok := bytes.CutPrefix(b, []byte("0x"))
	if !ok {
		return b, nil
	}
	out := make([]byte, hex.DecodedLen(len(digits)))
	if _, err := hex.Decode(out, digits); err != nil {
		return nil, errors.New("what follows 0x is not an even number of hex digits")
	}
	return out, nil
}

func text(b []byte) bool {
	return bytes.IndexFunc(b, func(r rune) bool { return (r < ' ' || r > '~') && r != '\n' && r != '\r' && r != '\t' }) < 0
}
