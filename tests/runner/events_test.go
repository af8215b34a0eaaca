package main

import (
	"io"
	"slices"
	"strings"
	"testing"
)

// raw is what test binaries print with -test.v=test2json; ^V stands for the
// marker byte.
func raw(lines ...string) string {
	return strings.ReplaceAll(strings.Join(lines, "\n")+"\n", "^V", "\x16")
}

func TestConvert(t *testing.T) {
	tests := []struct {
		name   string
		output string
		code   string
		want   []result
	}{
		{"pass", raw("^V=== RUN   TestA", "^V--- PASS: TestA (0.00s)", "^VPASS"), "0",
			[]result{{"p", "TestA", passed, ""}}},
		{"skip with a reason of two lines", raw("^V=== RUN   TestA", "    a_test.go:3: hello", "    a_test.go:4: needs ESP",
			"        (CONFIG_INET_ESP)", "^V--- SKIP: TestA (0.00s)", "^VPASS"), "0",
			[]result{{"p", "TestA", skipped, "needs ESP (CONFIG_INET_ESP)"}}},
		{"skip without a reason", raw("^V=== RUN   TestA", "^V--- SKIP: TestA (0.00s)", "^VPASS"), "0",
			[]result{{"p", "TestA", skipped, "no reason given"}}},
		{"only leaves count", raw("^V=== RUN   TestA", "^V=== RUN   TestA/one", "^V--- PASS: TestA/one (0.00s)",
			"^V=== NAME  TestA", "^V=== RUN   TestA/bad", "    a_test.go:3: boom", "^V--- FAIL: TestA/bad (0.00s)",
			"^V=== NAME  TestA", "^V--- FAIL: TestA (0.00s)", "^VFAIL"), "1",
			[]result{{"p", "TestA/one", passed, ""}, {"p", "TestA/bad", failed, ""}}},
		{"parent fails by itself", raw("^V=== RUN   TestA", "^V=== RUN   TestA/one", "^V--- PASS: TestA/one (0.00s)",
			"^V=== NAME  TestA", "    a_test.go:3: boom", "^V--- FAIL: TestA (0.00s)", "^VFAIL"), "1",
			[]result{{"p", "TestA", failed, ""}, {"p", "TestA/one", passed, ""}}},
		{"panic", raw("^V=== RUN   TestA", "^V--- FAIL: TestA (0.00s)", "panic: x", "goroutine 4 [running]:"), "2",
			[]result{{"p", "TestA", failed, ""}}},
		{"exit in a test", raw("^V=== RUN   TestA"), "7",
			[]result{{"p", "TestA", failed, "did not end"}}},
		{"kernel dies between tests", raw("^V=== RUN   TestA", "^V--- PASS: TestA (0.00s)", "^V=== NAME  "), "",
			[]result{{"p", "TestA", passed, ""}, {"p", "", failed, "the kernel or the test program ended half way"}}},
		{"exit code of a binary that says PASS", raw("^V=== RUN   TestA", "^V--- PASS: TestA (0.00s)", "^VPASS"), "3",
			[]result{{"p", "TestA", passed, ""}, {"p", "", failed, "exit code 3"}}},
		{"binary that does not start", "sh: ./a.test: Permission denied\n", "126",
			[]result{{"p", "", failed, "exit code 126"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &session{ctx: t.Context(), out: io.Discard, root: "."}
			seg := &segment{pkg: "p", code: tt.code}
			seg.output.WriteString(tt.output)
			if got := s.convert(seg); !slices.Equal(got, tt.want) {
				t.Errorf("convert:\n got %v\nwant %v", got, tt.want)
			}
		})
	}
}

func TestCollectorBuildFailure(t *testing.T) {
	const in = `{"ImportPath":"p","Action":"build-output","Output":"# p\n"}
{"ImportPath":"p","Action":"build-output","Output":"a.go:1: wrong\n"}
{"ImportPath":"p","Action":"build-fail"}
{"Action":"start","Package":"p"}
{"Action":"output","Package":"p","Output":"FAIL\tp [build failed]\n"}
{"Action":"fail","Package":"p","FailedBuild":"p"}
`
	var out strings.Builder
	c := newCollector(&out)
	if err := c.read(strings.NewReader(in)); err != nil {
		t.Fatal(err)
	}
	want := []result{{"p", "", failed, "failed outside of any test"}}
	if !slices.Equal(c.results, want) {
		t.Errorf("results: got %v, want %v", c.results, want)
	}
	if !strings.Contains(out.String(), "a.go:1: wrong") {
		t.Errorf("the compiler's message is not shown: %q", out.String())
	}
}
