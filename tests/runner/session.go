package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// A session is one run of the runner. It is used by one goroutine.
type session struct {
	report
	ctx  context.Context
	out  io.Writer
	self string         // this program, for go test -exec
	root string         // the repository
	work string         // for everything that is built, and logs
	only *regexp.Regexp // import paths of kernel test packages to run
	env  []string       // added to the environment of kernel tests
}

func newSession(ctx context.Context, out io.Writer) (*session, error) {
	root, err := repository()
	if err != nil {
		return nil, err
	}
	work := filepath.Join(root, "build")
	if err := os.MkdirAll(filepath.Join(work, "logs"), 0o755); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return &session{ctx: ctx, out: out, self: self, root: root, work: work}, nil
}

// step runs f, and prints its name before and how long it took after. An error
// is recorded as a failure of the step.
func (s *session) step(name string, f func() error) bool {
	if s.ctx.Err() != nil {
		s.omit(name, "interrupted")
		return false
	}
	fmt.Fprintf(s.out, "== %s\n", name)
	start := time.Now()
	err := f()
	verdict := "done"
	if err != nil {
		verdict = "FAILED: " + err.Error()
		s.fail(name, err.Error())
	}
	fmt.Fprintf(s.out, "== %s: %s in %.1f s\n", name, verdict, time.Since(start).Seconds())
	return err == nil
}

// command prepares a program in a folder of the repository. It is asked to end
// when the session is interrupted, and killed if it does not.
func (s *session) command(dir, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(s.ctx, name, args...)
	cmd.Dir = filepath.Join(s.root, dir)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// output runs a command and returns its standard output; what it says on
// standard error goes into the error.
func output(cmd *exec.Cmd) (string, error) {
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	return string(out), err
}

// show runs a command with its output shown.
func (s *session) show(cmd *exec.Cmd) error {
	cmd.Stdout, cmd.Stderr = s.out, s.out
	return cmd.Run()
}

func isRoot() bool { return os.Geteuid() == 0 }
