package main

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// TestESPLogDoesNotWait: with nobody at the other end of the pipe, who has
// something to say goes on; with a reader, all that was kept comes, in order,
// and then how much was not.
func TestESPLogDoesNotWait(t *testing.T) {
	r, w := io.Pipe() // a write waits for its reader
	l := newESPLog(w)
	const said = 3 * espLogLines
	for n := range said { // this would never end
		l.printf("line %d\nof one", n)
	}
	kept := uint64(said) - l.lost.Load()
	if kept < espLogLines || kept > espLogLines+1 {
		t.Errorf("%d lines were kept, of %d", kept, said)
	}
	out := make(chan string)
	go func() {
		text, err := io.ReadAll(r)
		if err != nil {
			t.Error(err)
		}
		out <- string(text)
	}()
	l.close()
	<-l.ended // a machine may stand still for as long as close waits
	w.Close() //nolint:errcheck // a pipe's is always nil
	lines := strings.Split(strings.TrimSpace(<-out), "\n")
	if uint64(len(lines)) != kept+1 || lines[0] != "xfrmctl: engine: line 0; of one" {
		t.Fatalf("%d lines, the first %q", len(lines), lines[0])
	}
	if last := lines[len(lines)-1]; !strings.Contains(last, "lines are lost here") {
		t.Errorf("the last line is %q", last)
	}
}

// TestESPLogEndsWithoutReader: a stalled pipe does not keep an engine from
// ending.
func TestESPLogEndsWithoutReader(t *testing.T) {
	r, w := io.Pipe()
	l := newESPLog(w)
	l.printf("nobody reads this")
	l.close() // comes back
	r.Close() //nolint:errcheck // a pipe's is always nil
	<-l.ended
}

func TestESPLogWritesAll(t *testing.T) {
	var out bytes.Buffer
	l := newESPLog(&out)
	l.printf("one")
	l.printf("%s", "two")
	l.close()
	<-l.ended // as above
	if got, want := out.String(), "xfrmctl: engine: one\nxfrmctl: engine: two\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
