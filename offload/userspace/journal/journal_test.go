package journal

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const gcm = "rfc4106(gcm(aes))"

// dirs are those of one installation.
func dirs(t *testing.T) *Config {
	t.Helper()
	root := t.TempDir()
	return &Config{Dir: filepath.Join(root, "state"), RunDir: filepath.Join(root, "run")}
}

func open(t *testing.T, cfg *Config) *Journal {
	t.Helper()
	j, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

func counter(t *testing.T, j *Journal, key string) *Counter {
	t.Helper()
	c, err := j.Key(gcm, []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func reserve(t *testing.T, c *Counter, n int) uint64 {
	t.Helper()
	first, err := c.Reserve(n)
	if err != nil {
		t.Fatal(err)
	}
	return first
}

// crash lets a journal go as a killed process does: nothing more is written.
func crash(j *Journal) {
	j.writing.Lock()
	defer j.writing.Unlock()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lost = &LostError{Reason: "the test has killed it"}
}

func TestReserveGoesOnInOrder(t *testing.T) {
	c := counter(t, open(t, dirs(t)), "key one+salt")
	next := reserve(t, c, 1) + 1
	for i := range 5000 {
		n := i%64 + 1
		if first := reserve(t, c, n); first != next {
			t.Fatalf("reservation %d: first %d, want %d", i, first, next)
		}
		next += uint64(n)
	}
	if got := c.Seq(); got < 5000 {
		t.Errorf("Seq %d after more than 5000 IVs", got)
	}
}

func TestCloseWastesNothing(t *testing.T) {
	cfg := dirs(t)
	j := open(t, cfg)
	first := reserve(t, counter(t, j, "key one+salt"), 10)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	c := counter(t, open(t, cfg), "key one+salt")
	if got := c.Seq(); got != 10 {
		t.Errorf("Seq %d, want 10", got)
	}
	if got := reserve(t, c, 1); got != first+10 {
		t.Errorf("goes on at %d, want %d", got-first, 10)
	}
}

func TestCrashSkipsTheLease(t *testing.T) {
	cfg := dirs(t)
	j := open(t, cfg)
	first := reserve(t, counter(t, j, "key one+salt"), 10)
	crash(j)
	c := counter(t, open(t, cfg), "key one+salt")
	if got := c.Seq(); got != firstLease {
		t.Errorf("Seq %d, want %d", got, firstLease)
	}
	if got := reserve(t, c, 1); got != first+firstLease {
		t.Errorf("goes on at %d, want %d", got-first, firstLease)
	}
}

// The cipher key decides, not the name of the algorithm nor the salt.
func TestOneCounterForOneCipherKey(t *testing.T) {
	j := open(t, dirs(t))
	a := counter(t, j, "0123456789abcdefSALT")
	for _, same := range [][2]string{
		{gcm, "0123456789abcdefsalt"}, {"rfc4543(gcm(aes))", "0123456789abcdefSALT"},
		{"rfc4309(ccm(aes))", "0123456789abcdefSAL"}, {"cbc(aes)", "0123456789abcdef"},
	} {
		if c, err := j.Key(same[0], []byte(same[1])); err != nil || c != a {
			t.Errorf("%q: another counter (%v)", same, err)
		}
	}
	if counter(t, j, "0123456789abcdeESALT") == a {
		t.Error("two keys have one counter")
	}
}

func TestNoKeyOnDisk(t *testing.T) {
	cfg := dirs(t)
	j := open(t, cfg)
	key := strings.Repeat("SECRETKEY", 4)
	reserve(t, counter(t, j, key), 1)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(cfg.Dir + "/*")
	if err != nil || len(files) < 4 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte("SECRETKEY")) {
			t.Errorf("%s holds a key", f)
		}
		if fi, err := os.Stat(f); err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", f, fi.Mode())
		}
	}
}

func TestSeqGoesOnAboveWhatWasRaised(t *testing.T) {
	cfg := dirs(t)
	j := open(t, cfg)
	c := counter(t, j, "key one+salt")
	reserve(t, c, 5)
	c.Raise(1 << 40) // an SA that begins there
	reserve(t, c, 5)
	if got := c.Seq(); got < 1<<40+5 {
		t.Errorf("Seq %#x", got)
	}
	crash(j)
	if got := counter(t, open(t, cfg), "key one+salt").Seq(); got < 1<<40+5 {
		t.Errorf("Seq %#x after a crash", got)
	}
}

func TestReleaseGivesBack(t *testing.T) {
	cfg := dirs(t)
	j := open(t, cfg)
	c := counter(t, j, "key one+salt")
	first := reserve(t, c, 7)
	c.Release()
	for {
		j.mu.Lock()
		gone := len(j.live) == 0
		j.mu.Unlock()
		if gone {
			break
		}
	}
	c2 := counter(t, j, "key one+salt")
	if got := c2.Seq(); got != 7 {
		t.Errorf("Seq %d, want 7", got)
	}
	if got := reserve(t, c2, 1); got != first+7 {
		t.Errorf("goes on at %d, want 7", got-first)
	}
	if _, err := c.Reserve(1); !errors.Is(err, ErrClosed) && c != c2 {
		t.Errorf("a released counter answers %v", err)
	}
}

// Engines that run at the same time never get the same IVs of a key.
func TestTwoEnginesShareAKey(t *testing.T) {
	cfg := dirs(t)
	used := &ranges{}
	var wg sync.WaitGroup
	for range 3 {
		j := open(t, cfg)
		for range 2 {
			wg.Go(func() {
				c, err := j.Key(gcm, []byte("key one+salt"))
				if err != nil {
					t.Error(err)
					return
				}
				for range 400 {
					first, err := c.Reserve(1000)
					if err != nil {
						t.Error(err)
						return
					}
					used.add(first, 1000)
				}
			})
		}
	}
	wg.Wait()
	if n, err := used.check(); err != nil || n != 6*400*1000 {
		t.Errorf("%d IVs: %v", n, err)
	}
}

func TestManyKeysInOneSync(t *testing.T) {
	j := open(t, dirs(t))
	var all []*Counter
	for i := range 5000 {
		c := counter(t, j, "key "+string(rune(i))+"+salt")
		c.Prepare()
		all = append(all, c)
	}
	for _, c := range all {
		reserve(t, c, 1)
	}
	if s := j.Stats(); s.Keys != 5000 || s.Leases < 5000 || s.Syncs > 2500 {
		t.Errorf("%+v", s)
	}
}

func TestVolatile(t *testing.T) {
	j := Volatile()
	c := counter(t, j, "key one+salt")
	first := reserve(t, c, 3)
	for range 100 {
		reserve(t, c, 1<<14)
	}
	if got := reserve(t, c, 1); got != first+3+100<<14 {
		t.Errorf("at %d", got-first)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
	if _, err := j.Key(gcm, []byte("key one+salt")); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if _, err := c.Reserve(1); !errors.Is(err, ErrClosed) {
		t.Errorf("Reserve after Close: %v", err)
	}
}

func TestExhausted(t *testing.T) {
	j := open(t, dirs(t))
	c := counter(t, j, "key one+salt")
	reserve(t, c, 1)
	j.writing.Lock()
	j.mu.Lock()
	r := j.index[c.key]
	r.until = 1<<64 - 10
	j.index[c.key] = r
	j.mu.Unlock()
	j.writing.Unlock()
	var err error
	for range firstLease {
		if _, err = c.Reserve(1); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrExhausted) {
		t.Errorf("%v", err)
	}
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	j := Volatile()
	defer j.Close()
	c := counter(t, j, "key one+salt")
	reserve(t, c, 1)
	if n := testing.AllocsPerRun(5000, func() { _, _ = c.Reserve(1) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkReserve(b *testing.B) {
	j := Volatile()
	defer j.Close()
	c, err := j.Key(gcm, []byte("key one+salt"))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := c.Reserve(45); err != nil {
			b.Fatal(err)
		}
	}
}
