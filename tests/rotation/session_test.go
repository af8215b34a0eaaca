package rotation

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"testing"
)

// A session is an xfrmctl that carries out commands as they come: where there
// are thousands, starting a process for each takes most of the time.
type session struct {
	in   io.WriteCloser
	out  *bufio.Reader
	errs bytes.Buffer
}

// begin lets the commands of an end go to one process until the test ends.
func (e *end) begin(t *testing.T) {
	t.Helper()
	s, cmd := &session{}, e.command("-b", "-")
	var err error
	if s.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.out, cmd.Stderr = bufio.NewReader(out), &s.errs
	if err := e.ns.Do(cmd.Start); err != nil {
		t.Fatal(err)
	}
	e.session = s
	t.Cleanup(func() {
		e.session = nil
		s.in.Close()
		cmd.Wait() //nolint:errcheck // what it did was checked when it did it
	})
}

// do carries out a command, and returns what it printed: all that comes before
// the answer to the question behind it.
func (s *session) do(t *testing.T, words []string) string {
	t.Helper()
	if _, err := io.WriteString(s.in, strings.Join(words, " ")+"\nversion\n"); err != nil {
		t.Fatalf("%v: %v: %s", words, err, s.errs.String())
	}
	var out strings.Builder
	for {
		line, err := s.out.ReadString('\n')
		if err != nil {
			t.Fatalf("%v: %v: %s%s", words, err, out.String(), s.errs.String())
		}
		if strings.HasPrefix(line, "xfrmctl ") {
			return out.String()
		}
		out.WriteString(line)
	}
}
