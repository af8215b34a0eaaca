package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// lint checks format and vets both modules; with all, also for other systems and
// processors, and shell scripts.
func (s *session) lint(all bool) {
	s.step("gofmt", func() error {
		out, err := output(s.command(".", "gofmt", "-l", "."))
		if err == nil && out != "" {
			err = fmt.Errorf("not formatted: %s", strings.Join(strings.Fields(out), " "))
		}
		return err
	})
	s.step("go vet", func() error {
		return errors.Join(s.show(s.command(".", "go", "vet", "./...")), s.show(s.command("tests", "go", "vet", "./...")))
	})
	if !all {
		return
	}
	s.elsewhere()
	if _, err := exec.LookPath("shellcheck"); err != nil {
		s.omit("shellcheck", "not installed")
		return
	}
	s.step("shellcheck", func() error {
		files, err := filepath.Glob(filepath.Join(s.root, "tests", "lab", "*.sh"))
		if err != nil {
			return err
		}
		args := append([]string{"-x", "-P", "SCRIPTDIR", ".ci/run"}, files...)
		return s.show(s.command(".", "shellcheck", args...))
	})
}

// elsewhere vets what is pure for another system (docs/architecture.md), and all
// for Linux on 32-bit and big-endian processors.
func (s *session) elsewhere() {
	vet := func(on, module string, packages ...string) error {
		cmd := s.command(module, "go", append([]string{"vet"}, packages...)...)
		cmd.Env = append(os.Environ(), on, "CGO_ENABLED=0")
		return s.show(cmd)
	}
	for _, system := range []string{"darwin", "freebsd", "windows"} {
		s.step("go vet, "+system, func() error {
			const engine = "./offload/userspace/"
			return vet("GOOS="+system, ".", "./netlinkx/...", "./ifaces/...", "./gsogro/...", "./offload", "./provision/...",
				engine+"esp", engine+"replay", engine+"encap", engine+"flow", engine+"pmtu", engine+"journal", engine+"sadb/...", engine+"xaddr", engine+"xfrmstat")
		})
	}
	for _, processor := range []string{"386", "arm64", "s390x"} {
		s.step("go vet, "+processor, func() error {
			return errors.Join(vet("GOARCH="+processor, ".", "./..."), vet("GOARCH="+processor, "tests", "./..."))
		})
	}
}

// unit runs the unit tests of the main module, and the runner's own, as an
// ordinary user.
func (s *session) unit() {
	g := &group{name: "unit", detail: "ordinary user, -race"}
	s.groups = append(s.groups, g)
	args := []string{"test", "-json"}
	if _, err := exec.LookPath("gcc"); err == nil {
		args = append(args, "-race")
	} else {
		g.detail = "ordinary user, without -race"
		s.omit("race detector", "needs gcc")
	}
	if isRoot() {
		args = append(args, "-exec", s.self+" as-user")
	}
	start := time.Now()
	s.step("unit tests", func() error {
		c := newCollector(s.out)
		err := errors.Join(
			s.goTest(c, s.command(".", "go", append(args, "./...")...)),
			s.goTest(c, s.command("tests", "go", append(args, "./runner")...)))
		c.close()
		g.results = c.results
		switch {
		case g.count(failed) > 0:
			return nil // they are in the summary one by one
		case err == nil && g.count(passed) == 0:
			return errors.New("no test ran")
		}
		return err
	})
	g.took = time.Since(start)
}

// goTest feeds what a `go test -json` prints to the collector.
func (s *session) goTest(c *collector, cmd *exec.Cmd) error {
	cmd.Stderr = s.out
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	readErr := c.read(pipe)
	return errors.Join(readErr, cmd.Wait())
}

// A fuzz target by package.
type target struct{ pkg, name string }

// fuzz runs every fuzz target of the main module for a while, each on one
// processor. What it finds is saved in the package's testdata, as always.
func (s *session) fuzz(each time.Duration) {
	g := &group{name: "fuzz", detail: fmt.Sprintf("%s each", each)}
	start := time.Now()
	s.step("fuzz targets, "+g.detail, func() error {
		targets, err := s.fuzzTargets()
		if err != nil {
			return fmt.Errorf("list fuzz targets: %w", err)
		}
		g.results = make([]result, len(targets))
		inLanes(len(targets), lanes(), func(i int) { g.results[i] = s.fuzzOne(targets[i], each) })
		return s.ctx.Err()
	})
	g.took = time.Since(start)
	s.groups = append(s.groups, g)
}

func (s *session) fuzzOne(t target, each time.Duration) result {
	r := result{pkg: t.pkg, test: t.name, status: passed}
	if s.ctx.Err() != nil {
		r.status, r.reason = skipped, "interrupted"
		return r
	}
	cmd := s.command(".", "go", "test", "-run", "^$", "-fuzz", "^"+t.name+"$", "-fuzztime", each.String(), "-parallel", "1", t.pkg)
	out, err := cmd.CombinedOutput()
	said := ""
	if err != nil && !timeWasUp(string(out)) {
		r.status = failed
		said = string(out) + "\n"
	}
	fmt.Fprintf(s.out, "%s   %-40s %s\n", said, r.name(), lastExecs(string(out)))
	return r
}

// timeWasUp recognises what the go command now and then reports as a failure
// of the target: -fuzztime ended while a worker was at it. A real find has an
// input that is written down.
func timeWasUp(out string) bool {
	return strings.Contains(out, "\n    context deadline exceeded\n") &&
		!strings.Contains(out, "Failing input") && !strings.Contains(out, "panic:")
}

var execs = regexp.MustCompile(`execs: \d+`)

// lastExecs says how many inputs a fuzz run tried.
func lastExecs(out string) string {
	all := execs.FindAllString(out, -1)
	if len(all) == 0 {
		return "execs: unknown"
	}
	return all[len(all)-1]
}

var fuzzFunction = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`)

// fuzzTargets looks for the targets in the sources, which takes no build.
func (s *session) fuzzTargets() (targets []target, err error) {
	const format = `{{$p := .}}{{range .TestGoFiles}}{{$p.ImportPath}} {{$p.Dir}}/{{.}}
{{end}}{{range .XTestGoFiles}}{{$p.ImportPath}} {{$p.Dir}}/{{.}}
{{end}}`
	out, err := output(s.command(".", "go", "list", "-buildvcs=false", "-f", format, "./..."))
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(out) {
		pkg, path, found := strings.Cut(strings.TrimSpace(line), " ")
		if !found {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		for _, m := range fuzzFunction.FindAllSubmatch(text, -1) {
			targets = append(targets, target{pkg, string(m[1])})
		}
	}
	if len(targets) == 0 {
		return nil, errors.New("none")
	}
	return targets, nil
}
