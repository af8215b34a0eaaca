package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// status is how a test ended.
type status int

const (
	passed status = iota
	failed
	skipped
)

// A result is one test's end: leaves of the tree of subtests, and parents that
// failed or were skipped by themselves.
type result struct {
	pkg    string
	test   string // empty: the whole package
	status status
	reason string // of a skip or of a failure outside of any test
}

// A group is what ran in one place: the unit tests, or one kernel's tests.
type group struct {
	name    string
	detail  string // a kernel's release
	results []result
	took    time.Duration
}

func (g *group) count(want status) int {
	n := 0
	for _, r := range g.results {
		if r.status == want {
			n++
		}
	}
	return n
}

// A note is a step that failed, or was left out, and why.
type note struct{ what, why string }

// A report collects what ran and what did not.
type report struct {
	groups   []*group
	failures []note
	omitted  []note
	done     tally
}

func (r *report) fail(what, why string) { r.failures = append(r.failures, note{what, oneLine(why)}) }
func (r *report) omit(what, why string) { r.omitted = append(r.omitted, note{what, why}) }

func (r *report) total(want status) int {
	n := 0
	for _, g := range r.groups {
		n += g.count(want)
	}
	if want == failed {
		n += len(r.failures)
	}
	return n
}

// ok says whether the run may be called good. A run in which no test passed
// is not, unless it is one without tests.
func (r *report) ok(withoutTests bool) bool {
	return r.total(failed) == 0 && (withoutTests || r.total(passed) > 0)
}

// write prints the summary; its last line is the total.
func (r *report) write(w io.Writer) {
	fmt.Fprintln(w, "\n== summary")
	for _, g := range r.groups {
		fmt.Fprintf(w, "%-10s %6d passed %4d failed %4d skipped %8.1f s  %s\n", g.name,
			g.count(passed), g.count(failed), g.count(skipped), g.took.Seconds(), g.detail)
	}
	if r.total(skipped) > 0 {
		fmt.Fprintln(w, "\nskipped:")
		for _, g := range r.groups {
			g.writeSkips(w)
		}
	}
	if len(r.done) > 0 {
		fmt.Fprintf(w, "\ndone in all: %s\n", r.done)
	}
	writeNotes(w, "not run:", r.omitted)
	r.writeFailures(w)
	fmt.Fprintf(w, "\n%d passed, %d failed, %d skipped\n", r.total(passed), r.total(failed), r.total(skipped))
}

// writeSkips lists the skipped tests under their reasons.
func (g *group) writeSkips(w io.Writer) {
	byReason := map[string][]string{}
	var reasons []string
	for _, r := range g.results {
		if r.status != skipped {
			continue
		}
		if byReason[r.reason] == nil {
			reasons = append(reasons, r.reason)
		}
		byReason[r.reason] = append(byReason[r.reason], r.name())
	}
	slices.Sort(reasons)
	for _, reason := range reasons {
		fmt.Fprintf(w, "  %s: %s: %s\n", g.name, reason, strings.Join(byReason[reason], ", "))
	}
}

func (r *report) writeFailures(w io.Writer) {
	var list []note
	for _, g := range r.groups {
		for _, res := range g.results {
			if res.status == failed {
				list = append(list, note{g.name + ": " + res.name(), res.reason})
			}
		}
	}
	writeNotes(w, "failed:", append(list, r.failures...))
}

func writeNotes(w io.Writer, title string, notes []note) {
	if len(notes) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", title)
	for _, n := range notes {
		if n.why == "" {
			fmt.Fprintf(w, "  %s\n", n.what)
		} else {
			fmt.Fprintf(w, "  %s: %s\n", n.what, n.why)
		}
	}
}

// name is how the summary calls a test: the package's last part and the test.
func (r result) name() string {
	short := r.pkg[strings.LastIndexByte(r.pkg, '/')+1:]
	if r.test == "" {
		return short
	}
	return short + "." + r.test
}

// oneLine joins the lines of a message.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' }), "; ")
}
