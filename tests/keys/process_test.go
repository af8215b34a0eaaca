package keys_test

import (
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/tests/engine"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// TestNoCoreFiles ends processes that have keys in the ways that leave core files,
// in a folder and with a limit that let one be made.
func TestNoCoreFiles(t *testing.T) {
	bin := engine.Binary(t)
	if why := allowCores(t); why != "" {
		t.Skip(why + "; that none comes to be was not seen")
	}
	for _, sig := range []syscall.Signal{unix.SIGABRT, unix.SIGSEGV, unix.SIGQUIT, unix.SIGBUS} {
		for _, words := range []string{"--force -b -", "esp --socket sock --forget-keys"} {
			if os.Getenv("XFRMCTL_CANARIES") == "" && strings.HasPrefix(words, "esp") {
				continue // Go takes eleven seconds for its threads
			}
			t.Run(sig.String()+" "+words[:3], func(t *testing.T) {
				p := startWithKey(t, bin, strings.Fields(words))
				p.end(t, sig)
				if made := cores(t, p.cmd.Dir); len(made) > 0 {
					t.Errorf("it leaves %q", made)
				}
				if !strings.Contains(p.said.String(), "goroutine 1 ") {
					t.Errorf("it did not crash:\n%s", p.said.String())
				}
			})
		}
	}
}

// allowCores has this test's processes leave core files in their folders, unless
// they see to it that they do not, and says why it cannot.
func allowCores(t *testing.T) (why string) {
	t.Helper()
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &old); err != nil {
		t.Fatal(err)
	}
	const all = unix.RLIM_INFINITY
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: all, Max: all}); err != nil {
		return fmt.Sprintf("needs root to allow core files: %v", err)
	}
	t.Cleanup(func() { unix.Setrlimit(unix.RLIMIT_CORE, &old) }) //nolint:errcheck // it was that
	control := exec.Command("sleep", "60")
	control.Dir = t.TempDir()
	if err := control.Start(); err != nil {
		t.Fatal(err)
	}
	control.Process.Signal(unix.SIGABRT) //nolint:errcheck // seen below
	control.Wait()                       //nolint:errcheck // ended by a signal
	if made := cores(t, control.Dir); len(made) != 1 {
		return fmt.Sprintf("needs core files in the folder of a process (kernel.core_pattern, RLIMIT_CORE): %q", made)
	}
	return ""
}

func cores(t *testing.T, dir string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "*core*"))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// keyProcess is a running xfrmctl that has a key in its memory.
type keyProcess struct {
	cmd  *exec.Cmd
	in   *os.File
	said strings.Builder
}

// startWithKey starts a batch that waits for more lines, or an engine with an SA.
func startWithKey(t *testing.T, bin string, words []string) *keyProcess {
	t.Helper()
	const add = "state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 aead rfc4106(gcm(aes)) env:CANARY 128"
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p := &keyProcess{cmd: exec.Command(bin, words...), in: w}
	k := canaries(1)[0]
	p.cmd.Dir, p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = t.TempDir(), r, &p.said, &p.said
	p.cmd.Env = append(os.Environ(), "GOTRACEBACK=crash", "CANARY=0x"+hex.EncodeToString(k[:20]))
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if err := p.cmd.Start(); err != nil {
		t.Skipf("needs root for a network namespace: %v; nothing of this test ran", err)
	}
	w.WriteString(add + "\n") //nolint:errcheck // the pipe is large enough
	ready := func() bool {
		n, err := unix.IoctlGetInt(int(w.Fd()), unix.TIOCINQ)
		return err == nil && n == 0 // it has read the line
	}
	if words[0] == "esp" {
		ready = func() bool {
			words := append([]string{"--engine", "userspace", "--socket", filepath.Join(p.cmd.Dir, "sock")}, strings.Fields(add)...)
			cmd := exec.Command(bin, words...)
			cmd.Env = p.cmd.Env
			return cmd.Run() == nil
		}
	}
	if !sandbox.Await(ready) {
		t.Fatalf("it takes no key:\n%s", p.said.String())
	}
	return p
}

// end sends a signal and waits.
func (p *keyProcess) end(t *testing.T, sig syscall.Signal) {
	t.Helper()
	timer := time.AfterFunc(60*time.Second, func() {
		t.Errorf("it goes on after %v", sig)
		p.cmd.Process.Kill() //nolint:errcheck // it may have ended
	})
	if err := p.cmd.Process.Signal(sig); err != nil {
		t.Error(err)
	}
	p.cmd.Wait() //nolint:errcheck // ended by a signal
	timer.Stop()
	p.in.Close()
}

// TestMemoryIsHidden: another process of the same user cannot read the memory,
// environment or descriptors of a running xfrmctl.
func TestMemoryIsHidden(t *testing.T) {
	const nobody = 65534
	cmd := exec.Command(engine.Binary(t), "--force", "-b", "-")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Skipf("needs root, and a program that others may run: %v; whether others can read a process was not tried", err)
	}
	defer cmd.Wait() //nolint:errcheck // it ends with its input
	defer in.Close()
	if _, err := io.WriteString(in, "nonsense\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := said.Read(make([]byte, 1)); err != nil { // it has begun
		t.Fatal(err)
	}
	for _, name := range []string{"environ", "mem", "maps", "fd/0"} {
		reader := exec.Command("head", "-c", "1", fmt.Sprintf("/proc/%d/%s", cmd.Process.Pid, name))
		reader.SysProcAttr = cmd.SysProcAttr
		if out, err := reader.CombinedOutput(); err == nil || !strings.Contains(string(out), "denied") {
			t.Errorf("%s can be read: %s, %v", name, out, err)
		}
	}
}

// TestProgramsOfCommands: what a program that a document names for a key sees, and
// shows of itself below /proc, holds no other key.
func TestProgramsOfCommands(t *testing.T) {
	keys := canaries(2)
	places(t, func(t *testing.T, p *place) {
		dir := t.TempDir()
		program := filepath.Join(dir, "program")
		seen := filepath.Join(dir, "seen")
		script := "#!/bin/sh\nfor p in $$ $PPID; do cat /proc/$p/cmdline /proc/$p/environ; ls -l /proc/$p/fd; done >>" + seen + " 2>&1\ncat " + seen + " >&2\ncat $1\n"
		if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
		text := keyDocument{cipher: "aes-cbc-256-sha256", keys: `{east-to-west: "command:` + program + ` {hexfile64}", west-to-east: "file:{rawfile64}"}`}.text()
		path := filepath.Join(dir, "doc")
		if err := os.WriteFile(path, []byte(words(t, &keys[0], dir).Replace(text)), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := engine.Said(p.ns, engine.Prepare(p.bin, p.engine, "-v", "plan", path, "--as", "east", "--state-dir", filepath.Join(dir, "state")))
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		p.look(t, "plan", out)
		b, err := os.ReadFile(seen)
		if err != nil || !strings.Contains(string(b), "plan\x00") {
			t.Errorf("the program saw nothing: %v, %q", err, b)
		}
		p.look(t, "the program's view", string(b))
	})
}
