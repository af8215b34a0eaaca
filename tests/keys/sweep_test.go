// Package keys_test sends keys that can be recognised through every command, and
// looks for them in all that xfrmctl prints, writes and shows below /proc.
package keys_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/xfrmctl/xfrmctl/tests/engine"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// place is a namespace with an engine, and what the commands there printed.
type place struct {
	ns     *sandbox.NS
	engine *engine.Engine // nil: the kernel
	bin    string
	find   *finder
}

// run runs xfrmctl, looks for keys in what it prints, and returns that.
func (p *place) run(t *testing.T, k *canary, words ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.bin, append([]string{"--engine", "kernel"}, words...)...)
	if p.engine != nil {
		prepared := p.engine.Command(words...)
		cmd.Args, cmd.Env = prepared.Args, prepared.Env
	}
	cmd.Env = append(orElse(cmd.Env, os.Environ()), "GOTRACEBACK=system")
	for name, value := range k.environment() {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Stdin = strings.NewReader(k.input())
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := p.ns.Do(cmd.Run)
	text := out.String()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		t.Errorf("%q does not end", words)
	case err != nil && !errors.As(err, &exit):
		t.Errorf("%q: %v", words, err)
	case strings.Contains(text, "goroutine "):
		t.Errorf("%q panics:\n%s", words, text)
	}
	p.look(t, strings.Join(words, " "), text)
	return text
}

// look fails when a key shows in a text.
func (p *place) look(t *testing.T, what, text string) {
	t.Helper()
	if found, end := p.find.find(text); found != "" {
		t.Errorf("%s shows %s up to byte %d:\n%q", what, found, end, text[max(0, end-1000):min(len(text), end+1000)])
	}
}

func orElse(env, otherwise []string) []string {
	if env == nil {
		return otherwise
	}
	return env
}

// keysInAll is how many keys are looked for, wherever it is.
const keysInAll = 1000

// places calls test with the kernel and with the userspace engine.
func places(t *testing.T, test func(t *testing.T, p *place)) {
	bin := engine.Binary(t)
	find := newFinder(canaries(keysInAll))
	for _, by := range []string{"kernel", "userspace"} {
		t.Run(by, func(t *testing.T) {
			p := &place{ns: sandbox.New(t), bin: bin, find: find}
			if by == "userspace" {
				p.engine = engine.Start(t, p.ns)
			}
			test(t, p)
			if p.engine != nil {
				p.look(t, "the engine's log", p.engine.Log())
				p.lookAt(t, p.engine.StateDir())
			}
		})
	}
}

// lookAt looks for keys in the files of a folder.
func (p *place) lookAt(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		p.look(t, path, path+"\n"+string(b))
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// objects asks the program for its objects, and for the words that may follow.
func objects(t *testing.T, bin string, words ...string) []string {
	t.Helper()
	out, err := exec.Command(bin, append(append([]string{"__complete"}, words...), "")...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))
}

// TestSweep gives keys to every command that the program has, in places where
// they belong and in others: each key to all lines.
func TestSweep(t *testing.T) {
	if os.Getenv("XFRMCTL_LINES") == "" {
		t.Skip("needs XFRMCTL_LINES, the tests of cmd/xfrmctl (make test sets it); nothing of this test ran")
	}
	lines := allLines(t, engine.Binary(t))
	if why := allowCores(t); why != "" {
		t.Log("core files are not seen:", why)
	}
	if testing.Short() { // looked at on other kernels
		some := lines[:0]
		for i, line := range lines {
			if i%8 == 0 {
				some = append(some, line)
			}
		}
		lines = some
	}
	keys := sweptKeys(t)
	places(t, func(t *testing.T, p *place) {
		n, keys := newTally(), keys
		if !p.main() {
			keys = keys[:(len(keys)+9)/10]
		}
		for i := range keys {
			p.sweep(t, &keys[i], lines, n)
			if t.Failed() {
				return // the others would show the same
			}
		}
		if kernel, err := exec.Command("dmesg").Output(); err == nil {
			p.look(t, "dmesg", string(kernel))
		}
		t.Log(n)
		for line, times := range n.other {
			t.Logf("%d keys: %s", times, line)
		}
	})
}

// main reports whether this is where an engine is looked at at full length: the
// userspace engine on this machine's kernel, other kernels themselves.
func (p *place) main() bool { return (os.Getenv("XFRMCTL_KERNEL") == "native") == (p.engine != nil) }

// sweptKeys are XFRMCTL_CANARIES keys, of all from XFRMCTL_CANARIES_FROM on.
func sweptKeys(t *testing.T) []canary {
	t.Helper()
	number := func(name string, otherwise int) int {
		v := os.Getenv(name)
		if v == "" {
			return otherwise
		}
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 {
			t.Fatalf("%s=%s is no number of keys", name, v)
		}
		return n
	}
	from, n := number("XFRMCTL_CANARIES_FROM", 0), number("XFRMCTL_CANARIES", 1)
	if from+n > keysInAll {
		t.Fatalf("keys %d to %d: there are %d", from, from+n-1, keysInAll)
	}
	return canaries(keysInAll)[from : from+n]
}

// TestProcesses gives one key to processes of their own, as a user starts them.
func TestProcesses(t *testing.T) {
	lines := allLines(t, engine.Binary(t))
	every := 16 // TestSweep has them all
	if testing.Short() {
		every = 64
	}
	places(t, func(t *testing.T, p *place) {
		k, dir := canaries(1)[0], t.TempDir()
		fill := words(t, &k, dir)
		for i := 0; i < len(lines); i += every {
			p.run(t, &k, strings.Fields(fill.Replace(lines[i]))...)
		}
		p.lookAt(t, filepath.Join(dir, "state"))
		p.lookAt(t, filepath.Join(dir, "out"))
	})
}

// allLines are the cases, and keys in the place of words of every command. A
// command without cases of its own is an error.
func allLines(t *testing.T, bin string) (lines []string) {
	t.Helper()
	table, all := cases(), objects(t, bin)
	for object := range table {
		if !slices.Contains(all, object) {
			t.Errorf("there is no command %s any more", object)
		}
	}
	for _, object := range all {
		if len(table[object]) == 0 {
			t.Errorf("command %s is new to the sweep: give it keys in cases", object)
		}
		lines = append(lines, table[object]...)
		lines = append(lines, object+" {gcm}", object+" --{hex}", object+" {HEX}", "-j "+object+" {gcm} {gcm}")
		for _, word := range objects(t, bin, object) {
			lines = append(lines, object+" "+word+" {gcm}", object+" "+word+" x {gcm}", "-j -v "+object+" "+word+" {hex}", "--dry-run "+object+" "+word+" {gcm} {gcm}")
		}
	}
	if len(lines) < 200 {
		t.Fatalf("only %d lines", len(lines))
	}
	return lines
}
