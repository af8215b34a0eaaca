package journal

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var historyKeys = []string{"key one+salt", "key two+salt", "key three+salt"}

// moment is an installation after an entry of its journal was written and the
// lease in it granted.
type moment struct {
	files map[string][]byte // by path
	until []uint64          // by key: IVs that may have been used
}

// history makes entries one after the other, two for each key, and keeps the
// files after each of them.
func history(t *testing.T) (cfg *Config, bases []uint64, moments []moment) {
	t.Helper()
	cfg = dirs(t)
	j := open(t, cfg)
	bases = make([]uint64, len(historyKeys))
	until := make([]uint64, len(historyKeys))
	moments = append(moments, moment{snapshot(t, cfg), append([]uint64(nil), until...)})
	for range 2 {
		for i, k := range historyKeys {
			c := counter(t, j, k)
			lease(t, c)
			bases[i], until[i] = c.base, c.end
			moments = append(moments, moment{snapshot(t, cfg), append([]uint64(nil), until...)})
		}
	}
	crash(j)
	return cfg, bases, moments
}

// lease takes one lease.
func lease(t *testing.T, c *Counter) {
	t.Helper()
	c.mu.Lock()
	c.ask()
	ready := c.waiting
	c.mu.Unlock()
	<-ready
	if c.err != nil {
		t.Fatal(c.err)
	}
}

func paths(cfg *Config) map[string]string {
	w, _ := cfg.witness()
	return map[string]string{
		"journal": filepath.Join(cfg.Dir, "journal"), "generation": filepath.Join(cfg.Dir, "generation"),
		"secret": filepath.Join(cfg.Dir, "secret"), "witness": w,
	}
}

// snapshot copies the files.
func snapshot(t *testing.T, cfg *Config) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for name, path := range paths(cfg) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = b
	}
	return files
}

// put makes the files what they are in the map; those that are nil are removed.
func put(t *testing.T, cfg *Config, files map[string][]byte) {
	t.Helper()
	for name, path := range paths(cfg) {
		_ = os.Remove(path)
		if b := files[name]; b != nil {
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// with returns the files with one of them replaced.
func with(files map[string][]byte, name string, b []byte) map[string][]byte {
	out := map[string][]byte{name: b}
	for n, f := range files {
		if n != name {
			out[n] = f
		}
	}
	return out
}

// refused opens what is there. It reports whether keys are refused, and fails
// when they are not and an IV that may have been used comes again.
func refused(t *testing.T, cfg *Config, bases, until []uint64) bool {
	t.Helper()
	j, err := Open(cfg)
	var lost *LostError
	if errors.As(err, &lost) {
		if _, kerr := j.Key(gcm, []byte(historyKeys[0])); !errors.As(kerr, &lost) {
			t.Errorf("lost, and a key gives %v", kerr)
		}
		if err := j.Close(); err != nil {
			t.Error(err)
		}
		return true
	}
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	for i, k := range historyKeys {
		if until[i] == 0 {
			continue
		}
		if first := reserve(t, counter(t, j, k), 1); first-bases[i] < until[i] {
			t.Errorf("key %d goes on at %d, and %d may have been used", i, first-bases[i], until[i])
		}
	}
	return false
}

// A journal that is shorter than what it is said to be is not used. What was not
// finished when the machine stopped was not used either, and is dropped.
func TestCutAtEveryLength(t *testing.T) {
	cfg, bases, moments := history(t)
	last, before := moments[len(moments)-1], moments[len(moments)-2]
	journal := last.files["journal"]
	for n := range len(journal) {
		put(t, cfg, with(last.files, "journal", journal[:n]))
		if !refused(t, cfg, bases, last.until) {
			t.Errorf("cut to %d of %d bytes: not noticed", n, len(journal))
		}
		put(t, cfg, with(before.files, "journal", journal[:n]))
		if r := refused(t, cfg, bases, before.until); r != (n < len(before.files["journal"])) {
			t.Errorf("cut to %d bytes, and %d are said to be there: refused %v", n, len(before.files["journal"]), r)
		}
	}
}

// Whatever bit of whatever file is wrong: keys are refused or go on above.
func TestFlippedBits(t *testing.T) {
	cfg, bases, moments := history(t)
	last := moments[len(moments)-1]
	for name, b := range last.files {
		noticed := 0
		for i := range b {
			bad := append([]byte(nil), b...)
			bad[i] ^= 1 << (i % 8)
			put(t, cfg, with(last.files, name, bad))
			if refused(t, cfg, bases, last.until) {
				noticed++
			}
		}
		if name != "generation" && name != "witness" && noticed != len(b) {
			t.Errorf("%s: %d of %d flips noticed", name, noticed, len(b))
		}
	}
}

// A damaged entry is told from one that was not finished, even where nothing
// says how many there are.
func TestDamageWithoutClaims(t *testing.T) {
	cfg, bases, moments := history(t)
	last, first := moments[len(moments)-1], moments[0]
	early := with(with(last.files, "generation", first.files["generation"]), "witness", nil)
	end := len(moments[len(moments)-2].files["journal"]) // of all entries but the last
	for i := headerLen; i < end; i++ {
		bad := append([]byte(nil), last.files["journal"]...)
		bad[i] ^= 1 << (i % 8)
		put(t, cfg, with(early, "journal", bad))
		if !refused(t, cfg, bases, last.until) {
			t.Errorf("flip in byte %d: not noticed", i)
		}
	}
}

func TestPutBack(t *testing.T) {
	cfg, bases, moments := history(t)
	now := moments[len(moments)-1]
	for i := range len(moments) - 1 {
		old := moments[i]
		put(t, cfg, with(now.files, "journal", old.files["journal"]))
		if !refused(t, cfg, bases, now.until) {
			t.Errorf("journal of entry %d: not noticed", i)
		}
		put(t, cfg, with(with(now.files, "journal", old.files["journal"]), "witness", nil))
		if !refused(t, cfg, bases, now.until) {
			t.Errorf("journal of entry %d after a boot: not noticed", i)
		}
		put(t, cfg, with(old.files, "witness", now.files["witness"]))
		if !refused(t, cfg, bases, now.until) {
			t.Errorf("directory as of entry %d: not noticed", i)
		}
	}
}

func TestMissingFiles(t *testing.T) {
	cfg, bases, moments := history(t)
	now := moments[len(moments)-1]
	for _, name := range []string{"journal", "generation", "secret"} {
		put(t, cfg, with(now.files, name, nil))
		if !refused(t, cfg, bases, now.until) {
			t.Errorf("%s missing: not noticed", name)
		}
		put(t, cfg, with(with(now.files, name, nil), "witness", nil))
		if !refused(t, cfg, bases, now.until) {
			t.Errorf("%s missing after a boot: not noticed", name)
		}
	}
	put(t, cfg, with(now.files, "witness", nil))
	if refused(t, cfg, bases, now.until) {
		t.Error("refused after a boot")
	}
	put(t, cfg, map[string][]byte{"witness": now.files["witness"]})
	if !refused(t, cfg, bases, now.until) {
		t.Error("all files missing: not noticed")
	}
	if _, err := Open(cfg); err == nil || !strings.Contains(err.Error(), "--new-journal") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v does not say what to do in one line", err)
	}
	if err := Discard(cfg); err != nil {
		t.Fatal(err)
	}
	if refused(t, cfg, bases, []uint64{0, 0, 0}) {
		t.Error("refused after Discard")
	}
}

// An engine that is running notices as well.
func TestLostWhileRunning(t *testing.T) {
	for name, harm := range map[string]func(path string) error{
		"removed": os.Remove,
		"cut":     func(path string) error { return os.Truncate(path, headerLen) },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := dirs(t)
			j := open(t, cfg)
			c := counter(t, j, historyKeys[0])
			reserve(t, c, 1)
			if err := harm(paths(cfg)["journal"]); err != nil {
				t.Fatal(err)
			}
			var lost *LostError
			var err error
			for range firstLease {
				if _, err = c.Reserve(1); err != nil {
					break
				}
			}
			if !errors.As(err, &lost) {
				t.Fatalf("the lease is used up: %v", err)
			}
			if _, err := j.Key(gcm, []byte("another+salt")); !errors.As(err, &lost) {
				t.Errorf("another key: %v", err)
			}
			if s := j.Stats(); s.Lost == "" {
				t.Errorf("%+v", s)
			}
		})
	}
}

// A disk that takes nothing more stops the keys, and not for ever.
func TestWriteFails(t *testing.T) {
	cfg := dirs(t)
	j := open(t, cfg)
	c := counter(t, j, historyKeys[0])
	first := reserve(t, c, 1)
	generation := paths(cfg)["generation"]
	if err := os.Rename(generation, generation+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(generation, 0o700); err != nil {
		t.Fatal(err)
	}
	var err error
	n := uint64(1)
	for ; err == nil && n < 2*firstLease; n++ {
		_, err = c.Reserve(1)
	}
	if err == nil || j.Stats().Error == "" {
		t.Fatalf("%v, %+v", err, j.Stats())
	}
	if err := errors.Join(os.Remove(generation), os.Rename(generation+".away", generation)); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	c.retry = c.j.now()
	c.mu.Unlock()
	if got := reserve(t, c, 1) - first; got < n-1 {
		t.Errorf("goes on at %d of %d", got, n)
	}
}

func TestSecretThatOthersMayRead(t *testing.T) {
	cfg := dirs(t)
	j := open(t, cfg)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(paths(cfg)["secret"], 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(cfg); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("%v", err)
	}
}

func TestCompaction(t *testing.T) {
	cfg := dirs(t)
	j, other := open(t, cfg), open(t, cfg)
	used := &ranges{}
	c, o := counter(t, j, historyKeys[0]), counter(t, other, historyKeys[0])
	idle := counter(t, j, historyKeys[1])
	used2 := &ranges{}
	used2.add(reserve(t, idle, 9), 9)
	for i := range 60 {
		j.mu.Lock()
		j.compactAt = headerLen + 3*(frameHeadLen+recordLen+macLen)
		j.mu.Unlock()
		used.add(reserve(t, c, firstLease), firstLease)
		if i%7 == 0 {
			used.add(reserve(t, o, firstLease/2), firstLease/2)
		}
	}
	crash(j)
	crash(other)
	if g := j.disk.state.generation; g < 2 { // nobody writes any more
		t.Fatalf("generation %d: nothing was compacted", g)
	}
	again := open(t, cfg)
	used.add(reserve(t, counter(t, again, historyKeys[0]), 1), 1)
	used2.add(reserve(t, counter(t, again, historyKeys[1]), 1), 1)
	for _, r := range []*ranges{used, used2} {
		if _, err := r.check(); err != nil {
			t.Error(err)
		}
	}
}

func TestOldestKeysAreForgotten(t *testing.T) {
	recs := []record{{day: 5}, {day: 1}, {day: 9}, {day: 3}}
	kept, dropped := newest(recs, 2)
	if len(kept) != 2 || kept[0].day != 9 || kept[1].day != 5 || len(dropped) != 2 {
		t.Errorf("kept %v, dropped %v", kept, dropped)
	}
}
