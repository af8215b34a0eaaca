package differ

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// commandLimit ends a command that hangs. Emulated kernels are slow.
const commandLimit = 60 * time.Second

// space is a network namespace with a thread that lives in it. Children that
// the thread starts are born there, which spares a program that enters the
// namespace. Its methods may be used by one goroutine at a time.
type space struct {
	jobs chan func()
	dump *socket // NETLINK_XFRM, opened inside
}

// newSpace makes an empty namespace.
func newSpace() (*space, error) {
	s := &space{jobs: make(chan func())}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread and its namespace go with the goroutine
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			ready <- fmt.Errorf("unshare: %w", err)
			return
		}
		ready <- nil
		for job := range s.jobs {
			job()
		}
	}()
	if err := <-ready; err != nil {
		return nil, err
	}
	var err error
	s.do(func() { s.dump, err = openSocket() })
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *space) close() {
	if s.dump != nil {
		s.dump.close()
	}
	close(s.jobs)
}

// do runs f on the thread of the namespace.
func (s *space) do(f func()) {
	done := make(chan struct{})
	s.jobs <- func() {
		defer close(done)
		f()
	}
	<-done
}

// result is what came of one run of a program.
type result struct {
	tool     string
	code     int // exit code; -1 killed by a signal
	out, err string
}

func (r result) String() string {
	return fmt.Sprintf("  %s: exit %d\n    stdout: %s\n    stderr: %s", r.tool, r.code, indent(r.out), indent(r.err))
}

func indent(s string) string {
	return strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n            ")
}

// run runs a program with its arguments in the namespace.
func (s *space) run(p program, args []string, stdin string) (result, error) {
	var stdout, stderr bytes.Buffer
	cmd := p.command(args)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if stdin != "" {
		cmd.Stdin = strings.NewReader(stdin)
	}
	if err := s.start(cmd); err != nil {
		return result{}, err
	}
	timer := time.AfterFunc(commandLimit, func() { _ = cmd.Process.Kill() })
	err := cmd.Wait()
	timer.Stop()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return result{}, fmt.Errorf("%s: %w", p.name, err)
	}
	return result{p.name, cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}, nil
}

// start starts a program in the namespace.
func (s *space) start(cmd *exec.Cmd) error {
	var err error
	s.do(func() { err = cmd.Start() })
	return err
}

// program is a way to run one of the two tools.
type program struct {
	name string   // for reports
	path string   // what is executed
	args []string // argv, from argv[0] on, before the words
	env  []string
}

func (p program) command(args []string) *exec.Cmd {
	all := append(append([]string(nil), p.args...), args...)
	return &exec.Cmd{Path: p.path, Args: all, Env: p.env}
}

// environment is the same small one for both tools, so that time zone and
// language cannot differ.
func environment() []string {
	return []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "TZ=UTC", "HOME=/nonexistent", "XFRMCTL_DIFFER_KEY=0x00112233"}
}

// findIP returns the reference. XFRMCTL_IP is a wrapper script; what it
// executes in the end is executed directly here, thousands of times.
func findIP() (program, error) {
	path := os.Getenv("XFRMCTL_IP")
	if path == "" {
		var err error
		if path, err = exec.LookPath("ip"); err != nil {
			return program{}, err
		}
	}
	p := program{name: "ip", path: path, args: []string{"ip"}, env: environment()}
	if isELF(path) {
		return p, nil
	}
	p.args[0] = path
	direct, err := unwrap(p)
	if err != nil {
		return p, nil // still right, only slower
	}
	if out, err := direct.command([]string{"-V"}).CombinedOutput(); err != nil || !strings.Contains(string(out), "iproute2") {
		return p, nil // it was looked at between two of its forms
	}
	return direct, nil
}

func isELF(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	magic := make([]byte, 4)
	_, err = io.ReadFull(f, magic)
	return err == nil && string(magic) == "\x7fELF"
}

// unwrap starts a wrapper with a command that goes on for ever and looks at
// what it became.
func unwrap(p program) (program, error) {
	cmd := p.command([]string{"monitor"})
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return p, err
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", cmd.Process.Pid))
		if err != nil {
			return p, err
		}
		words := strings.Split(strings.TrimSuffix(string(raw), "\x00"), "\x00")
		if n := len(words); n > 1 && words[n-1] == "monitor" && words[n-2] != p.path {
			exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", cmd.Process.Pid))
			if err != nil {
				return p, err
			}
			return program{name: "ip", path: exe, args: words[:n-1], env: p.env}, nil
		}
	}
	return p, nil // still right, only slower
}

// findXfrmctl returns the program under test. Keys are shown and warnings
// silenced, which is how it prints what ip prints.
func findXfrmctl() (program, bool) {
	path := os.Getenv("XFRMCTL_BIN")
	return program{name: "xfrmctl", path: path, args: []string{"xfrmctl", "--show-keys", "--quiet"}, env: environment()}, path != ""
}
