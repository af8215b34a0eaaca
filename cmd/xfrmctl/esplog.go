package main

import (
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// espLogLines is how many lines wait for a reader that is slow.
	espLogLines = 256
	// espLogEnd is how long the end of an engine waits for it.
	espLogEnd = time.Second
)

// espLog writes an engine's lines without making anyone wait: a packet thread
// may be the one that has something to say, and the pipe behind stderr full. What
// does not fit is counted, and told when lines are read again. Safe for
// concurrent use.
type espLog struct {
	lines chan string
	lost  atomic.Uint64
	end   chan struct{}
	ended chan struct{}
}

// newESPLog begins to write to w, which is the log's until close.
func newESPLog(w io.Writer) *espLog {
	l := &espLog{lines: make(chan string, espLogLines), end: make(chan struct{}), ended: make(chan struct{})}
	go l.run(w)
	return l
}

// printf queues a line.
func (l *espLog) printf(format string, args ...any) {
	text := strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "; ")
	select {
	case l.lines <- text:
	default:
		l.lost.Add(1)
	}
}

func (l *espLog) run(w io.Writer) {
	defer close(l.ended)
	for {
		select {
		case text := <-l.lines:
			l.write(w, text)
			continue
		default:
		}
		select { // nothing waits
		case text := <-l.lines:
			l.write(w, text)
		case <-l.end:
			return
		}
	}
}

// write writes a line, and how many were lost behind it.
func (l *espLog) write(w io.Writer, text string) {
	fmt.Fprintf(w, "xfrmctl: engine: %s\n", text)
	if len(l.lines) > 0 {
		return
	}
	if n := l.lost.Swap(0); n > 0 {
		fmt.Fprintf(w, "xfrmctl: engine: %d lines are lost here: nobody read them\n", n)
	}
}

// close waits for what is queued, but not for long.
func (l *espLog) close() {
	close(l.end)
	select {
	case <-l.ended:
	case <-time.After(espLogEnd):
	}
}
