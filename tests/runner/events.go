package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// An event is one line of `go test -json` (see `go doc test2json`).
type event struct {
	Action     string
	Package    string
	ImportPath string // of build output
	Test       string
	Output     string
}

// A collector turns the events of test runs into results. It prints the output
// of tests that fail, and of packages that fail outside of any test.
type collector struct {
	out     io.Writer
	results []result
	pkgs    map[string]*pkgState
	order   []string
	build   strings.Builder
	why     string // the reason for packages that fail outside of any test
}

// pkgState is what is known of a package whose tests run.
type pkgState struct {
	tests  map[string]*testState
	order  []string
	output []string // outside of any test
	done   bool
}

type testState struct {
	output  []string
	status  status
	ended   bool
	parent  bool // it has subtests
	subFail bool // and one of them failed
}

func newCollector(out io.Writer) *collector {
	return &collector{out: out, pkgs: map[string]*pkgState{}, why: "failed outside of any test"}
}

// read takes events until the end of r. Lines that are not JSON are printed.
func (c *collector) read(r io.Reader) error {
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadString('\n')
		if line != "" {
			var e event
			if json.Unmarshal([]byte(line), &e) != nil {
				fmt.Fprint(c.out, line)
			} else {
				c.take(e)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (c *collector) pkg(name string) *pkgState {
	p := c.pkgs[name]
	if p == nil {
		p = &pkgState{tests: map[string]*testState{}}
		c.pkgs[name] = p
		c.order = append(c.order, name)
	}
	return p
}

func (p *pkgState) test(name string) *testState {
	t := p.tests[name]
	if t == nil {
		t = &testState{}
		p.tests[name] = t
		p.order = append(p.order, name)
		if i := strings.LastIndexByte(name, '/'); i >= 0 {
			p.test(name[:i]).parent = true
		}
	}
	return t
}

func (c *collector) take(e event) {
	if e.Action == "build-output" {
		c.build.WriteString(e.Output)
		return
	}
	if e.Package == "" {
		return
	}
	p := c.pkg(e.Package)
	if e.Test == "" {
		c.takePackage(p, e)
		return
	}
	t := p.test(e.Test)
	switch e.Action {
	case "output":
		t.output = append(t.output, e.Output)
	case "pass", "fail", "skip":
		t.end(e.Action)
		if e.Action == "fail" {
			p.markAncestors(e.Test)
			fmt.Fprint(c.out, strings.Join(t.output, ""))
		}
	}
}

func (t *testState) end(action string) {
	t.ended = true
	t.status = map[string]status{"pass": passed, "fail": failed, "skip": skipped}[action]
}

func (p *pkgState) markAncestors(test string) {
	for i := strings.LastIndexByte(test, '/'); i >= 0; i = strings.LastIndexByte(test, '/') {
		test = test[:i]
		p.test(test).subFail = true
	}
}

// takePackage handles what concerns a package as a whole.
func (c *collector) takePackage(p *pkgState, e event) {
	switch e.Action {
	case "output":
		p.output = append(p.output, e.Output)
	case "pass", "fail", "skip":
		if !p.done {
			p.done = true
			c.finish(e.Package, p, e.Action == "fail")
		}
	}
}

// finish turns a package's tests into results. A package that failed with no
// test to blame, or with tests that never ended, counts as failed itself.
func (c *collector) finish(name string, p *pkgState, bad bool) {
	blamed := false
	for _, test := range p.order {
		t := p.tests[test]
		switch {
		case !t.ended:
			if !t.parent {
				blamed = true
				fmt.Fprint(c.out, strings.Join(t.output, ""))
				c.results = append(c.results, result{name, test, failed, "did not end"})
			}
		case t.status == failed:
			blamed = true
			if !t.subFail {
				c.results = append(c.results, result{name, test, failed, ""})
			}
		case t.status == skipped:
			c.results = append(c.results, result{name, test, skipped, skipReason(t.output)})
		case !t.parent:
			c.results = append(c.results, result{name, test, passed, ""})
		}
	}
	if bad && !blamed {
		fmt.Fprint(c.out, c.build.String(), strings.Join(p.output, ""))
		c.results = append(c.results, result{name, "", failed, c.why})
	}
	c.build.Reset()
}

// close ends packages whose end was never reported: their process was killed.
func (c *collector) close() {
	for _, name := range c.order {
		if p := c.pkgs[name]; !p.done {
			p.done = true
			c.finish(name, p, true)
		}
	}
}

// A line that a test logged: "    file_test.go:12: text".
var logLine = regexp.MustCompile(`^\s+\S+\.go:\d+: (.*)`)

// skipReason finds the text given to t.Skip: the last thing that was logged.
func skipReason(output []string) string {
	reason := ""
	for _, line := range output {
		switch m := logLine.FindStringSubmatch(line); {
		case m != nil:
			reason = m[1]
		case reason != "" && strings.HasPrefix(line, "        "):
			reason += " " + strings.TrimSpace(line)
		}
	}
	if reason == "" {
		return "no reason given"
	}
	return strings.TrimSpace(reason)
}
