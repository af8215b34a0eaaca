package main

import (
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestSegments(t *testing.T) {
	const in = "boot noise\n\n@@begin p/a\none\ntwo\n\n@@end p/a 0\n\n@@begin p/b\n@@end p/a 0\nhalf"
	var other, each strings.Builder
	var got []string
	err := segments(strings.NewReader(in), &other, func(line string) { each.WriteString(line) }, func(s *segment) {
		got = append(got, s.pkg+" "+s.code+" "+s.output.String())
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"p/a 0 one\ntwo\n\n", "p/b  @@end p/a 0\nhalf"}
	if !slices.Equal(got, want) {
		t.Errorf("segments: got %q, want %q", got, want)
	}
	if other.String() != "boot noise\n" {
		t.Errorf("outside: got %q", other.String())
	}
	if each.String() != "one\ntwo\n\n@@end p/a 0\nhalf" {
		t.Errorf("lines: got %q", each.String())
	}
}

// A kernel that dies must not look like one whose tests all passed.
func TestStreamReportsWhatDidNotRun(t *testing.T) {
	tests := []struct {
		name, script string
		want         []result
		wantErr      bool
	}{
		{"nothing", "exit 125", []result{
			{"p", "", failed, "did not run: the kernel ended before"},
			{"q", "", failed, "did not run: the kernel ended before"}}, true},
		{"the first of two", `printf '\n@@begin p\n\026=== RUN   TestA\n\026--- PASS: TestA (0.00s)\n\026PASS\n\n@@end p 0\n'; exit 124`, []result{
			{"p", "TestA", passed, ""},
			{"q", "", failed, "did not run: the kernel ended before"}}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &session{ctx: t.Context(), out: io.Discard, root: ".", work: t.TempDir()}
			if err := exec.Command("mkdir", s.work+"/logs").Run(); err != nil {
				t.Fatal(err)
			}
			g := &group{name: "uml"}
			err := s.stream(g, exec.Command("sh", "-c", tt.script), []binary{{pkg: "p"}, {pkg: "q"}}, false)
			if (err != nil) != tt.wantErr {
				t.Errorf("error %v, want one: %v", err, tt.wantErr)
			}
			if !slices.Equal(g.results, tt.want) {
				t.Errorf("results:\n got %v\nwant %v", g.results, tt.want)
			}
		})
	}
}
