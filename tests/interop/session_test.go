package interop_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os/exec"
	"testing"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// A session is an xfrmctl that carries out commands as they come: starting one
// for each would take longer than what it does.
type session struct {
	in   io.WriteCloser
	out  *bufio.Reader
	errs bytes.Buffer
	cmd  *exec.Cmd
}

// begin starts a prepared `xfrmctl -b -` in ns.
func begin(t *testing.T, ns *sandbox.NS, cmd *exec.Cmd) *session {
	t.Helper()
	s := &session{cmd: cmd}
	var err error
	if s.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.out, cmd.Stderr = bufio.NewReader(out), &s.errs
	if err := ns.Do(cmd.Start); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.in.Close()
		cmd.Wait() //nolint:errcheck // what it did was checked when it did it
	})
	return s
}

// do carries out commands that print nothing, and returns when they are done:
// then comes the answer to a question behind them.
func (s *session) do(lines string) error {
	if _, err := io.WriteString(s.in, lines+"state count\n"); err != nil {
		return fmt.Errorf("%w: %s", err, s.errs.String())
	}
	if _, err := s.out.ReadString('\n'); err != nil {
		return fmt.Errorf("%w: %s", err, s.errs.String())
	}
	return nil
}
