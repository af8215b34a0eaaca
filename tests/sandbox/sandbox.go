// Package sandbox gives each test a network namespace of its own, which is
// gone when the test ends. It does not move the test's thread.
package sandbox

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// NS is a network namespace held by an open file.
type NS struct{ f *os.File }

// New makes a namespace. Without the privilege for it the test is skipped.
func New(t testing.TB) *NS {
	t.Helper()
	type result struct {
		f   *os.File
		err error
	}
	ch := make(chan result)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			ch <- result{nil, err}
			return
		}
		f, err := os.Open("/proc/thread-self/ns/net")
		ch <- result{f, err}
	}()
	r := <-ch
	if errors.Is(r.err, unix.EPERM) {
		t.Skip("needs root to make a network namespace; nothing of this test ran")
	}
	if r.err != nil {
		t.Fatal(r.err)
	}
	t.Cleanup(func() { r.f.Close() })
	return &NS{r.f}
}

// FD returns the namespace's file descriptor, borrowed.
func (n *NS) FD() int { return int(n.f.Fd()) }

// Path returns a path that names the namespace while this process lives.
func (n *NS) Path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), n.FD()) }

// Do runs fn on a thread inside the namespace.
func (n *NS) Do(fn func() error) error {
	ch := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked, as above
		if err := unix.Setns(n.FD(), unix.CLONE_NEWNET); err != nil {
			ch <- err
			return
		}
		ch <- fn()
	}()
	return <-ch
}

// Run runs a program inside the namespace and returns what it printed on both
// outputs.
func (n *NS) Run(name string, args ...string) (string, error) {
	var out []byte
	err := n.Do(func() (err error) {
		out, err = exec.Command(name, args...).CombinedOutput()
		return err
	})
	return string(out), err
}

// MustRun is Run for what must work.
func (n *NS) MustRun(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := n.Run(name, args...)
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return out
}

// IP returns the reference `ip`: XFRMCTL_IP, or the one on PATH.
func IP() string {
	if ip := os.Getenv("XFRMCTL_IP"); ip != "" {
		return ip
	}
	return "ip"
}

// BootID is this boot's identifier, as documents name it.
func BootID(t testing.TB) string {
	t.Helper()
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(id))
}
