package engine

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// A Session is an xfrmctl that carries out commands as they come: where there
// are thousands, starting a process for each takes most of the time.
type Session struct {
	in   io.WriteCloser
	out  *bufio.Reader
	errs bytes.Buffer
}

// Begin starts a prepared `xfrmctl -b -` in ns, and ends it with the test.
func Begin(t testing.TB, ns *sandbox.NS, cmd *exec.Cmd) *Session {
	t.Helper()
	s := &Session{}
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

// Do carries out commands, and returns what they printed when they are done:
// all that comes before the answer to the question behind them.
func (s *Session) Do(lines string) (string, error) {
	if _, err := io.WriteString(s.in, lines+"version\n"); err != nil {
		return "", fmt.Errorf("%w: %s", err, s.errs.String())
	}
	var out strings.Builder
	for {
		line, err := s.out.ReadString('\n')
		if err != nil {
			return out.String(), fmt.Errorf("%w: %s%s", err, out.String(), s.errs.String())
		}
		if strings.HasPrefix(line, "xfrmctl ") {
			return out.String(), nil
		}
		out.WriteString(line)
	}
}
