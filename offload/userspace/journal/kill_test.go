package journal

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestMain is also the program that the kill test kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv("JOURNAL_KILL_DIR"); dir != "" {
		if err := useKeys(dir); err != nil {
			fmt.Println("error", err)
		}
		return
	}
	os.Exit(m.Run())
}

// useKeys takes IVs of a few keys as an engine does, and prints them as soon as
// it has them, until it is killed.
func useKeys(dir string) error {
	cfg := &Config{Dir: dir + "/state", RunDir: dir + "/run"}
	j, err := Open(cfg)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	failed := make(chan error, len(historyKeys))
	for i, k := range historyKeys {
		wg.Go(func() {
			c, err := j.Key(gcm, []byte(k))
			if err != nil {
				failed <- err
				return
			}
			seq := c.Seq()
			for n := 1 << i; ; n = n%5000 + 1 {
				first, err := c.Reserve(n)
				if err != nil {
					failed <- err
					return
				}
				seq += uint64(n)
				if _, err := fmt.Printf("%d %d %d %d\n", i, first, n, seq); err != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	close(failed)
	return <-failed
}

// Engines are killed at random moments, two at a time, over and over: no IV
// comes twice, and sequence numbers never go back.
func TestKilledAtRandom(t *testing.T) {
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	dir := t.TempDir()
	used := make([]*ranges, len(historyKeys))
	for i := range used {
		used[i] = &ranges{}
	}
	seqs := &highest{of: make([]uint64, len(historyKeys))}
	// on a busy machine a victim may take longer than others live
	for round := 0; round < rounds || unused(used) && round < 20*rounds; round++ {
		within := 100 * time.Millisecond * time.Duration(1+round/rounds)
		var wg sync.WaitGroup
		before := slices.Clone(seqs.of)
		for range 1 + round%2 {
			wg.Go(func() {
				if err := killOnce(dir, within, used, before, seqs); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if t.Failed() {
			break
		}
	}
	for i, r := range used {
		n, err := r.check()
		if err != nil || n == 0 {
			t.Errorf("key %d: %d IVs: %v", i, n, err)
		}
		t.Logf("key %d: %d IVs in %d reservations, each once", i, n, len(r.all))
	}
}

// unused reports whether there are keys of which no IV was used.
func unused(used []*ranges) bool {
	return slices.ContainsFunc(used, func(r *ranges) bool { return len(r.all) == 0 })
}

// killOnce runs one victim, and kills it within a time. Its sequence numbers must
// be above those in before; the highest ones go to after.
func killOnce(dir string, within time.Duration, used []*ranges, before []uint64, after *highest) error {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "JOURNAL_KILL_DIR="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	timer := time.AfterFunc(rand.N(within), func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	err = collect(out, used, before, after)
	_ = cmd.Wait() // it was killed
	return err
}

// collect reads what a victim has used. The last line may be cut off.
func collect(out io.Reader, used []*ranges, before []uint64, after *highest) error {
	r := bufio.NewReader(out)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return nil
		}
		if rest, bad := strings.CutPrefix(line, "error"); bad {
			return errors.New(rest)
		}
		f := strings.Fields(line)
		if len(f) != 4 {
			return fmt.Errorf("line %q", line)
		}
		key, _ := strconv.Atoi(f[0])
		first, _ := strconv.ParseUint(f[1], 10, 64)
		n, _ := strconv.ParseUint(f[2], 10, 64)
		seq, _ := strconv.ParseUint(f[3], 10, 64)
		used[key].add(first, n)
		if seq-n < before[key] {
			return fmt.Errorf("key %d: sequence number %d after %d", key, seq-n+1, before[key])
		}
		after.note(key, seq)
	}
}

// highest is the highest sequence number used, by key.
type highest struct {
	mu sync.Mutex
	of []uint64
}

func (h *highest) note(key int, seq uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.of[key] = max(h.of[key], seq)
}
