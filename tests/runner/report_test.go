package main

import (
	"slices"
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	r := report{groups: []*group{
		{name: "unit", results: []result{{"m/a", "TestA", passed, ""}}},
		{name: "uml", detail: "7.2", results: []result{
			{"m/k", "TestB", skipped, "needs ESP"}, {"m/k", "TestC", skipped, "needs ESP"}, {"m/k", "TestD", failed, ""}}},
	}}
	r.omit("kernel native", "needs root")
	r.fail("gofmt", "not formatted: x.go")
	var out strings.Builder
	r.write(&out)
	for _, want := range []string{
		"  uml: needs ESP: k.TestB, k.TestC\n",
		"not run:\n  kernel native: needs root\n",
		"failed:\n  uml: k.TestD\n  gofmt: not formatted: x.go\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("summary lacks %q:\n%s", want, out.String())
		}
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if last := lines[len(lines)-1]; last != "1 passed, 2 failed, 2 skipped" {
		t.Errorf("last line: %q", last)
	}
}

func TestReportOK(t *testing.T) {
	pass := &group{results: []result{{"p", "TestA", passed, ""}}}
	skip := &group{results: []result{{"p", "TestA", skipped, "why"}}}
	tests := []struct {
		name         string
		report       report
		withoutTests bool
		want         bool
	}{
		{"nothing ran", report{}, false, false},
		{"nothing had to", report{}, true, true},
		{"all skipped", report{groups: []*group{skip}}, false, false},
		{"passed", report{groups: []*group{pass, skip}}, false, true},
		{"passed but a step failed", report{groups: []*group{pass}, failures: []note{{"x", "y"}}}, false, false},
	}
	for _, tt := range tests {
		if got := tt.report.ok(tt.withoutTests); got != tt.want {
			t.Errorf("%s: ok = %v", tt.name, got)
		}
	}
}

func TestFuzzTargets(t *testing.T) {
	root, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	got, err := (&session{ctx: t.Context(), root: root}).fuzzTargets()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []target{{module + "/netlinkx", "FuzzSA"}, {module + "/netlinkx", "FuzzAE"}, {module + "/offload/userspace/esp", "FuzzOpen"}} {
		if !slices.Contains(got, want) {
			t.Errorf("no %v in %v", want, got)
		}
	}
}

func TestKernels(t *testing.T) {
	tests := []struct {
		list string
		want []kernel
	}{
		{"", []kernel{{name: "native"}, {name: "uml"}, {name: "6.1", emulated: true}, {name: "6.12", emulated: true}, {name: "unstable", emulated: true}}},
		{"native", []kernel{{name: "native", named: true}}},
		{"/opt/linux, 6.1", []kernel{{name: "/opt/linux", named: true}, {name: "6.1", emulated: true, named: true}}},
	}
	for _, tt := range tests {
		if got := kernels(tt.list); !slices.Equal(got, tt.want) {
			t.Errorf("kernels(%q) = %v, want %v", tt.list, got, tt.want)
		}
	}
}

func TestTimeWasUp(t *testing.T) {
	tests := []struct {
		name, out string
		want      bool
	}{
		{"the go command's own deadline", "fuzz: elapsed: 5s\n--- FAIL: FuzzA (5.30s)\n    context deadline exceeded\nFAIL\n", true},
		{"a find", "--- FAIL: FuzzA (0.1s)\n    --- FAIL: FuzzA (0.00s)\n        a_test.go:3: boom\n\n    Failing input written to testdata/fuzz/FuzzA/1\nFAIL\n", false},
		{"a find at the end", "--- FAIL: FuzzA (5s)\n    context deadline exceeded\n    Failing input written to testdata/fuzz/FuzzA/1\n", false},
		{"a seed that panics", "--- FAIL: FuzzA (0.1s)\npanic: x\n    context deadline exceeded\n", false},
		{"does not compile", "FAIL p [build failed]\n", false},
	}
	for _, tt := range tests {
		if got := timeWasUp(tt.out); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
