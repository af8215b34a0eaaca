package main

import (
	"strings"
	"testing"
)

// Every object has a section of its own in the man page, or is told in one line.
func TestManTellsTheWordsOfEveryObject(t *testing.T) {
	r := runWords(t, newFakeKernel(), "man")
	if r.Code != 0 {
		t.Fatalf("exit code %d", r.Code)
	}
	stdout := r.Stdout
	short := map[string]bool{"xfrm": true, "completion": true, "man": true, "version": true, "help": true}
	for _, c := range commands() {
		if c.hidden || short[c.name] {
			continue
		}
		name := strings.ToUpper(roff(c.name))
		if !strings.Contains(stdout, ".SH "+name+"\n") && !strings.Contains(stdout, ".SH "+name+" ") && !strings.Contains(stdout, ".SH "+name+",") {
			t.Errorf("no section for %s", c.name)
		}
	}
	for line := range strings.Lines(stdout) {
		if strings.HasPrefix(line, "Usage:") {
			t.Errorf("%q in the man page", line)
		}
	}
}
