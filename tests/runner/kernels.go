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

// A kernel is a place where the kernel tests run.
type kernel struct {
	name     string // native, or what vm.sh --kernel takes
	emulated bool   // under QEMU: slow, so a shorter run
	named    bool   // the user asked for it, so that it must run
}

// defaultKernels is what runs without XFRMCTL_TEST_KERNEL.
const defaultKernels = "native uml 6.1 6.12 unstable"

// kernels reads the list of kernels from XFRMCTL_TEST_KERNEL.
func kernels(list string) []kernel {
	named := strings.TrimSpace(list) != ""
	if !named {
		list = defaultKernels
	}
	var all []kernel
	for _, name := range strings.FieldsFunc(list, func(r rune) bool { return r == ' ' || r == ',' || r == '\n' }) {
		uml := strings.HasPrefix(name, "uml") || strings.Contains(name, "/")
		all = append(all, kernel{name: name, emulated: name != "native" && !uml, named: named})
	}
	return all
}

func names(all []kernel) []string {
	var list []string
	for _, k := range all {
		list = append(list, k.name)
	}
	return list
}

// prepare installs the packages that kernels of these names need.
func (s *session) prepare(names ...string) {
	s.step("packages", func() error {
		cmd := s.command(".", "tests/lab/setup.sh", append([]string{"--deps"}, names...)...)
		cmd.Stdout, cmd.Stderr = s.out, s.out
		err := cmd.Run()
		if err != nil && !isRoot() {
			s.omit("packages", "some are missing (see above) and only root can install them")
			return nil
		}
		return err
	})
}

// reference fetches the newest ip, the tool that ours is compared with.
func (s *session) reference() {
	s.step("newest iproute2", func() error {
		cmd := s.command(".", "tests/lab/setup.sh", "ip")
		cmd.Stderr = s.out
		out, err := cmd.Output()
		if path, found := strings.CutPrefix(strings.TrimSpace(string(out)), "ip "); found {
			s.env = append(s.env, "XFRMCTL_IP="+path)
		}
		return err
	})
}

// A lab is the setting up of kernels, which goes on in the background.
type lab struct {
	done     chan struct{} // closed at the end; the rest may be read then
	releases map[string]string
}

// startLab fetches and builds kernels in the background.
func (s *session) startLab(all []kernel) *lab {
	l := &lab{done: make(chan struct{}), releases: map[string]string{}}
	cmd := s.command(".", "tests/lab/setup.sh", names(all)...)
	cmd.Stderr = s.out
	go func() {
		defer close(l.done)
		out, err := cmd.Output()
		for line := range strings.Lines(string(out)) {
			if name, release, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
				l.releases[name] = release
			}
		}
		if err != nil {
			fmt.Fprintln(s.out, "setup.sh:", err)
		}
	}()
	return l
}

// wait waits for the lab; a kernel that is not ready then is a failure.
func (s *session) wait(l *lab, all []kernel) {
	s.step("kernels ready", func() error {
		<-l.done
		var missing []error
		for _, k := range all {
			if k.name != "native" && l.releases[k.name] == "" {
				missing = append(missing, fmt.Errorf("no kernel %s", k.name))
			}
		}
		return errors.Join(missing...)
	})
}

// A binary is a package's tests, compiled.
type binary struct{ pkg, dir, path string }

var (
	// its peers are installed by make enginebench alone
	peersPackage        = regexp.MustCompile(`/enginebench$`)
	differentialPackage = regexp.MustCompile(`/diff[a-z]*$`)
	// not kernel tests: they run with the unit tests
	hostPackage = regexp.MustCompile(`/runner$`)
)

// build compiles xfrmctl, once more as a program that carries out many command
// lines (cmd/xfrmctl/lines_test.go), and the tests of each wanted package of module
// tests/, statically, so that they run in every guest.
func (s *session) build(want func(pkg string) bool) []binary {
	s.step("build xfrmctl", func() error {
		if err := s.show(s.command(".", "make", "-s", "build")); err != nil {
			return err
		}
		lines := filepath.Join(s.work, "xfrmctl-lines.test")
		s.env = append(s.env, "XFRMCTL_BIN="+filepath.Join(s.root, "xfrmctl"), "XFRMCTL_LINES="+lines)
		cmd := s.command(".", "go", "test", "-c", "-tags", "urfave_cli_no_docs", "-o", lines, "./cmd/xfrmctl")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		return s.show(cmd)
	})
	var built []binary
	s.step("build tests", func() error {
		const format = `{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}} {{.Dir}}{{end}}`
		out, err := output(s.command("tests", "go", "list", "-buildvcs=false", "-f", format, "./..."))
		if err != nil {
			return err
		}
		var failures []error
		for line := range strings.Lines(out) {
			pkg, dir, _ := strings.Cut(strings.TrimSpace(line), " ")
			if pkg == "" || hostPackage.MatchString(pkg) || !want(pkg) || !s.only.MatchString(pkg) {
				continue
			}
			_, name, _ := strings.Cut(pkg, "/tests/")
			b := binary{pkg, dir, filepath.Join(s.work, strings.ReplaceAll(name, "/", "-")+".test")}
			cmd := s.command("tests", "go", "test", "-c", "-o", b.path, pkg)
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
			if err := s.show(cmd); err != nil {
				failures = append(failures, fmt.Errorf("%s: %w", pkg, err))
				continue
			}
			built = append(built, b)
		}
		if len(built) == 0 {
			failures = append(failures, errors.New("no test package"))
		}
		return errors.Join(failures...)
	})
	return built
}

// A plan says how tests are run on one kernel.
type plan struct {
	env     []string
	flags   []string
	timeout time.Duration // for all binaries
	mem     int           // MiB
	live    bool          // show all output as it comes
}

// runOn runs the binaries on one kernel and records what they say.
func (s *session) runOn(k kernel, release string, bins []binary, p plan) {
	g := &group{name: k.name, detail: release}
	start := time.Now()
	s.step("kernel "+k.name, func() error {
		file := strings.ReplaceAll(k.name, "/", "_")
		list := filepath.Join(s.work, file+".list")
		var lines strings.Builder
		for _, b := range bins {
			fmt.Fprintln(&lines, b.pkg, b.dir, b.path)
		}
		if err := os.WriteFile(list, []byte(lines.String()), 0o644); err != nil {
			return err
		}
		s.groups = append(s.groups, g)
		script := append([]string{filepath.Join(s.root, "tests", "lab", "run-tests.sh"), list,
			"-test.parallel=4", // tests that mostly wait, also on one processor
			"-test.timeout=" + p.timeout.String()}, p.flags...)
		var cmd *exec.Cmd
		if k.name == "native" {
			cmd = s.command(".", script[0], script[1:]...)
		} else {
			klog := filepath.Join(s.work, "logs", file+".kernel.log")
			vm := []string{"--kernel", k.name, "--klog", klog, "--mem", fmt.Sprint(p.mem),
				"--timeout", fmt.Sprintf("%.0f", (p.timeout + time.Minute).Seconds()), "--"}
			cmd = s.command(".", filepath.Join(s.root, "tests", "lab", "vm.sh"), append(vm, script...)...)
		}
		cmd.Env = append(append(os.Environ(), "XFRMCTL_KERNEL="+k.name), append(s.env, p.env...)...)
		return s.stream(g, cmd, bins, p.live)
	})
	g.took = time.Since(start)
}
