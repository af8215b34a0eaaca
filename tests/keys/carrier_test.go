package keys_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A carrier is a process that carries out one key's command lines, each as a
// process of its own would (cmd/xfrmctl/lines_test.go), so that whatever one of them
// leaves in memory is there for the next ones to show.
type carrier struct {
	cmd     *exec.Cmd
	lines   *json.Encoder
	answers *json.Decoder
	in      io.Closer
	said    strings.Builder // on standard error
}

// carry starts a carrier in a folder of its own. trace is how much it is to say
// when it crashes, in Go's words; "" is what users have.
func (p *place) carry(t *testing.T, dir, trace string) *carrier {
	t.Helper()
	c := &carrier{cmd: exec.Command(os.Getenv("XFRMCTL_LINES"))}
	c.cmd.Dir, c.cmd.Stderr = dir, &c.said
	c.cmd.Env = os.Environ()
	if p.engine != nil {
		c.cmd.Env = p.engine.Command().Env
	}
	c.cmd.Env = append(c.cmd.Env, "GOTRACEBACK="+trace, "GOGC=400")
	in, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.in, c.lines, c.answers = in, json.NewEncoder(in), json.NewDecoder(out)
	if err := p.ns.Do(c.cmd.Start); err != nil {
		t.Fatal(err)
	}
	return c
}

// send has lines carried out, one after another; receive returns the answers. Who
// waited for each before the next one would see processes change places most of
// the time. An error shows as one of the answer.
func (c *carrier) send(k *canary, lines [][]string) {
	for _, words := range lines {
		line := map[string]any{"Words": words, "Input": []byte(k.input()), "Environment": k.environment()}
		if c.lines.Encode(line) != nil {
			return
		}
	}
}

// receive returns what the next line printed, and its exit code.
func (c *carrier) receive() (printed string, code int, err error) {
	late := time.AfterFunc(time.Minute, func() { c.cmd.Process.Kill() }) //nolint:errcheck // it may have ended
	defer late.Stop()
	var answer struct {
		Code    int
		Printed []byte
	}
	err = c.answers.Decode(&answer)
	return string(answer.Printed), answer.Code, err
}

// crash aborts the carrier, with all that it has in its memory, and returns what
// it said: the stacks only when they were asked for.
func (c *carrier) crash(t *testing.T, trace bool) string {
	t.Helper()
	if err := c.cmd.Process.Signal(unix.SIGABRT); err != nil {
		t.Error(err)
	}
	c.cmd.Wait() //nolint:errcheck // ended by a signal
	c.in.Close()
	if said := c.said.String(); strings.Contains(said, "goroutine ") != trace {
		t.Errorf("it ended with %v and said:\n%.2000s", c.cmd.ProcessState, said)
	}
	if made := cores(t, c.cmd.Dir); len(made) > 0 {
		t.Errorf("it leaves %q", made)
	}
	return c.said.String()
}

// crashForCore has a process with a key end in the way that leaves a core file,
// which takes Go's most talkative trace. That one shows words of stacks that are
// no longer in use, and is not looked at (docs/security.md).
func (p *place) crashForCore(t *testing.T, k *canary, dir string) {
	t.Helper()
	c := p.carry(t, dir, "crash")
	c.send(k, [][]string{strings.Fields("--dry-run -v state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x102 aead rfc4106(gcm(aes)) env:CANARY 128"), {"state", "list"}})
	for range 2 {
		if _, _, err := c.receive(); err != nil {
			t.Error(err)
		}
	}
	c.crash(t, true)
}

// input is what commands find on their standard input.
func (k *canary) input() string { return "0x" + hex.EncodeToString(k[:20]) + "\n" }

// environment is what references to it find there.
func (k *canary) environment() map[string]string {
	h := hex.EncodeToString(k[:])
	return map[string]string{"CANARY": "0x" + h[:40], "CANARY64": "0x" + h}
}

// levels are how much xfrmctl is asked to say, and in which form: keys take turns.
var levels = []string{"", "-v", "-j", "-j -v -p", "--quiet", "-s -s"}

// A tally is what a sweep did.
type tally struct {
	keys, lines, worked int
	bytes               int64            // that the lines printed
	codes               map[string][]int // of all lines at one level, with the first key
	other               map[string]int   // lines that ended otherwise with other keys
}

func newTally() *tally { return &tally{codes: map[string][]int{}, other: map[string]int{}} }

func (n *tally) String() string {
	return fmt.Sprintf("%d keys, %d command lines, of which %d worked, %d bytes printed; %d lines ended otherwise with other keys", n.keys, n.lines, n.worked, n.bytes, len(n.other))
}

// count takes a line's end.
func (n *tally) count(line, level, text string, at, code int) {
	n.lines++
	n.bytes += int64(len(text))
	if code == 0 {
		n.worked++
	}
	if at == len(n.codes[level]) {
		n.codes[level] = append(n.codes[level], code)
	} else if n.codes[level][at] != code {
		n.other[level+" "+line]++
	}
}

// sweep gives one key to all lines, and looks at all that comes of it.
func (p *place) sweep(t *testing.T, k *canary, lines []string, n *tally) {
	dir, err := os.MkdirTemp("", "canary")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	fill := words(t, k, dir)
	run := filepath.Join(dir, "run")
	if err := os.Mkdir(run, 0o700); err != nil {
		t.Fatal(err)
	}
	c := p.carry(t, run, "")
	level := levels[n.keys%len(levels)]
	filled := p.fill(lines, level, fill)
	go c.send(k, filled)
	for i, words := range filled {
		what := strings.Join(words, " ")
		text, code, err := c.receive()
		if err != nil {
			t.Fatalf("%s: %v\n%.4000s", what, errors.Join(err, c.cmd.Wait()), c.said.String())
		}
		p.look(t, what, text)
		n.count(lines[i], level, text, i, code)
	}
	p.lookAtProcess(t, c.cmd.Process.Pid, "the process")
	p.look(t, "a crash", c.crash(t, false))
	p.crashForCore(t, k, run)
	for _, name := range []string{"state", "out", "run"} {
		p.lookAt(t, filepath.Join(dir, name))
	}
	n.keys++
}

// fill makes words of lines, for this place's engine and at a level where a line
// has no options of its own.
func (p *place) fill(lines []string, level string, fill *strings.Replacer) (all [][]string) {
	engine := "--engine kernel "
	if p.engine != nil {
		engine = "--engine userspace "
	}
	for _, line := range lines {
		filled := fill.Replace(line)
		if !strings.HasPrefix(line, "-") {
			filled = level + " " + filled
		}
		all = append(all, strings.Fields(engine+filled))
	}
	return all
}
