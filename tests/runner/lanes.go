package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
)

// lanes is how many things with one processor each run at a time.
func lanes() int { return min(runtime.NumCPU(), 4) }

// guestLanes is how many guests of so many MiB run at a time: as many as fit into
// the memory that is free, emulators with half of that again, and at least one.
func guestLanes(mem int) int {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 1
	}
	return max(1, min(lanes(), availableMiB(string(text))/(mem+mem/2)))
}

// availableMiB reads /proc/meminfo.
func availableMiB(text string) (n int) {
	for line := range strings.Lines(text) {
		if kib := 0; strings.HasPrefix(line, "MemAvailable:") {
			if _, err := fmt.Sscanf(line, "MemAvailable: %d kB", &kib); err == nil {
				n = kib >> 10
			}
		}
	}
	return n
}

// inLanes calls f for each of n numbers, at most so many at a time, the low ones
// first, and returns when all are done.
func inLanes(n, atOnce int, f func(i int)) {
	next := make(chan int)
	var all sync.WaitGroup
	for range min(n, atOnce) {
		all.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	all.Wait()
}

// beside makes a session for what runs beside others: its lines are marked, and
// it has a report of its own, for join.
func (s *session) beside(mark string, mu *sync.Mutex) *session {
	b := *s
	b.report = report{}
	b.out = &marked{mark: mark, out: s.out, mu: mu}
	return &b
}

// join takes over what another session reports.
func (r *report) join(other *report) {
	r.groups = append(r.groups, other.groups...)
	r.failures = append(r.failures, other.failures...)
	r.omitted = append(r.omitted, other.omitted...)
	for _, c := range other.done {
		r.done.add(c)
	}
}

// marked writes whole lines, each behind a mark. Its methods may be called by
// several goroutines, and so may those of others with the same mutex.
type marked struct {
	mark string
	out  io.Writer
	mu   *sync.Mutex // of out
	rest []byte      // a line that has not ended
}

func (m *marked) Write(b []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rest = append(m.rest, b...)
	for {
		end := bytes.IndexByte(m.rest, '\n') + 1
		if end == 0 {
			return len(b), nil
		}
		if _, err := io.WriteString(m.out, m.mark+string(m.rest[:end])); err != nil {
			return 0, err
		}
		m.rest = m.rest[end:]
	}
}
