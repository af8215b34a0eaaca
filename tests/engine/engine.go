// Package engine runs `xfrmctl esp`, the userspace engine, in a network
// namespace, and configures it as a user would.
//
// XFRMCTL_BIN names the xfrmctl to run.
package engine

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// An Engine is a running engine. Its methods are for one goroutine at a time.
type Engine struct {
	NS     *sandbox.NS
	Binary string
	dir    string // socket, journal and log
	args   []string
	cmd    *exec.Cmd
}

// Binary returns the xfrmctl to test.
func Binary(t testing.TB) string {
	t.Helper()
	path := os.Getenv("XFRMCTL_BIN")
	if path == "" {
		t.Skip("needs XFRMCTL_BIN, the xfrmctl to test (make test sets it); nothing of this test ran")
	}
	return path
}

// Start runs an engine in ns with further words for `xfrmctl esp`, and ends it
// with the test. It answers when Start returns.
func Start(t testing.TB, ns *sandbox.NS, args ...string) *Engine {
	t.Helper()
	return StartBinary(t, Binary(t), ns, args...)
}

// StartBinary is Start for another xfrmctl than that of XFRMCTL_BIN.
func StartBinary(t testing.TB, binary string, ns *sandbox.NS, args ...string) *Engine {
	t.Helper()
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Skip("needs TUN devices (CONFIG_TUN); nothing of this test ran")
	}
	dir, err := os.MkdirTemp("", "engine")
	if err != nil {
		t.Fatal(err)
	}
	e := &Engine{NS: ns, Binary: binary, dir: dir, args: args}
	t.Cleanup(func() {
		e.Stop()
		if t.Failed() {
			t.Logf("what the engine said:\n%s", e.Log())
		}
		os.RemoveAll(dir)
		os.Remove(e.witness())
	})
	e.Restart(t)
	return e
}

// Socket is where the engine answers.
func (e *Engine) Socket() string { return filepath.Join(e.dir, "esp.sock") }

// StateDir is where the engine remembers which keys were used.
func (e *Engine) StateDir() string { return filepath.Join(e.dir, "state") }

// witness is the file outside StateDir by which the engine notices that its
// journal was lost.
func (e *Engine) witness() string {
	sum := sha256.Sum256([]byte(filepath.Join(e.StateDir(), "keys")))
	return "/run/xfrmctl/journal-" + hex.EncodeToString(sum[:8])
}

// Log returns what the engine has printed.
func (e *Engine) Log() string {
	b, err := os.ReadFile(filepath.Join(e.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// Restart starts the engine again after Kill or Stop, with the same journal.
func (e *Engine) Restart(t testing.TB) {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(e.dir, "log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	args := []string{"esp", "--socket", e.Socket(), "--state-dir", e.StateDir()}
	e.cmd = exec.Command(e.Binary, append(args, e.args...)...)
	e.cmd.Stdout, e.cmd.Stderr = log, log
	e.cmd.Env = append(os.Environ(), "RUNTIME_DIRECTORY="+filepath.Join(e.dir, "run")) // nothing of it in /run
	if err := e.NS.Do(e.cmd.Start); err != nil {
		t.Fatal(err)
	}
	var last error
	if !sandbox.Await(func() bool {
		_, last = e.Run("", "state", "count")
		return last == nil
	}) {
		t.Fatalf("the engine does not answer: %v\n%s", last, e.Log())
	}
}

// PID is the engine's process.
func (e *Engine) PID() int { return e.cmd.Process.Pid }

// Kill ends the engine as a crash would.
func (e *Engine) Kill() { e.end(syscall.SIGKILL) }

// Stop ends the engine as a service manager would.
func (e *Engine) Stop() { e.end(syscall.SIGTERM) }

func (e *Engine) end(sig os.Signal) {
	if e.cmd == nil || e.cmd.Process == nil {
		return
	}
	e.cmd.Process.Signal(sig) //nolint:errcheck // it may have ended
	timer := time.AfterFunc(sandbox.Patience, func() { e.cmd.Process.Kill() })
	e.cmd.Wait() //nolint:errcheck // ended by a signal
	timer.Stop()
	e.cmd = nil
}

// Command prepares `xfrmctl --engine userspace WORD...`, to be started in NS.
func (e *Engine) Command(words ...string) *exec.Cmd {
	return e.command(append([]string{"--engine", "userspace"}, words...))
}

func (e *Engine) command(args []string) *exec.Cmd {
	cmd := exec.Command(e.Binary, args...)
	cmd.Env = append(os.Environ(), "XFRMCTL_ESP_SOCKET="+e.Socket())
	return cmd
}

// Run runs `xfrmctl --engine userspace WORD...` with an input and returns its
// standard output.
func (e *Engine) Run(input string, words ...string) (string, error) {
	return e.run(input, e.Command(words...))
}

func (e *Engine) run(input string, cmd *exec.Cmd) (string, error) {
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &errs
	err := e.NS.Do(cmd.Run)
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(errs.String()))
	}
	return out.String(), err
}

// X is Run for what must work.
func (e *Engine) X(t testing.TB, words ...string) string {
	t.Helper()
	out, err := e.Run("", words...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Batch carries out commands, one a line.
func (e *Engine) Batch(t testing.TB, lines string) {
	t.Helper()
	if _, err := e.Run(lines, "--quiet", "-b", "-"); err != nil {
		t.Fatal(err)
	}
}
