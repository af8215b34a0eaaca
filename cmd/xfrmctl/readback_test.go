package main

import (
	"strings"
	"testing"
)

func TestIgnoredLines(t *testing.T) {
	for _, tc := range []struct {
		verb  string
		words []string
		want  []string // a part of each line
	}{
		{"add", nil, nil},
		{"add", []string{"offload"}, []string{"in software"}},
		{"add", []string{"dir", "nat-keepalive"}, []string{"dir: this kernel does not know it, and ignored it (Linux 6.10)", "Linux 6.11"}},
		{"add", []string{"flag"}, []string{"state get"}},
		{"update", []string{"mode", "reqid"}, []string{"not changed: mode, reqid: an update of an installed SA"}},
		{"update", []string{"offload", "keys"}, []string{"in software", "not changed: keys:"}},
	} {
		got := ignoredLines(tc.verb, tc.words)
		if len(got) != len(tc.want) {
			t.Errorf("%s %v: %q", tc.verb, tc.words, got)
			continue
		}
		for i := range got {
			if !strings.Contains(got[i], tc.want[i]) {
				t.Errorf("%s %v: %q, want %q in it", tc.verb, tc.words, got[i], tc.want[i])
			}
		}
	}
}
