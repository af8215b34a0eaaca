package demo_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/demo"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// traces is what a demo could leave behind.
type traces struct {
	Links  []string // of this namespace
	Named  []string // namespaces with a name
	Mounts []string // of namespaces
}

func look(t *testing.T) (tr traces) {
	t.Helper()
	links, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		tr.Links = append(tr.Links, l.Name)
	}
	named, err := os.ReadDir("/run/netns")
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, n := range named {
		tr.Named = append(tr.Named, n.Name())
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, " nsfs ") {
			tr.Mounts = append(tr.Mounts, strings.TrimSpace(line))
		}
	}
	return tr
}

// namespacesOf returns the network namespaces that a process's threads are in
// or that it has open.
func namespacesOf(pid any) []string {
	var all []string
	for _, pattern := range []string{"task/*/ns/net", "fd/*"} {
		paths, _ := filepath.Glob(fmt.Sprintf("/proc/%v/%s", pid, pattern)) // the pattern is good
		for _, p := range paths {
			if to, err := os.Readlink(p); err == nil && strings.HasPrefix(to, "net:[") {
				all = append(all, to)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// held is a demo that cannot end before its output is read.
type held struct {
	cmd    *exec.Cmd
	out    *os.File
	stderr bytes.Buffer
	made   []string // the namespaces that it has made
}

// pageSize is what the smallest pipe holds, and less than a transcript.
const pageSize = 4096

// hold starts a demo with a pipe that has room bytes left, reads up to the line
// that begins with upTo, if any, and waits until there are n namespaces.
func hold(t *testing.T, upTo string, room, n int) *held {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	if _, err := unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, pageSize); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(bytes.Repeat([]byte("\n"), pageSize-room)); err != nil {
		t.Fatal(err)
	}
	h := &held{cmd: exec.Command(binary(t), "demo"), out: r}
	h.cmd.Stdout, h.cmd.Stderr = w, &h.stderr
	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	t.Cleanup(func() { _ = h.cmd.Process.Kill() }) // has ended already if all is well
	if upTo != "" {
		readUpTo(t, r, upTo)
	}
	h.made = awaitNamespaces(t, h.cmd.Process.Pid, n)
	return h
}

func readUpTo(t *testing.T, r *os.File, upTo string) {
	t.Helper()
	in := bufio.NewReaderSize(r, 16) // hardly reads ahead
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatalf("no line %q: %v", upTo, err)
		}
		if strings.HasPrefix(line, upTo) {
			return
		}
	}
}

// awaitNamespaces waits until a process has n namespaces besides our own.
func awaitNamespaces(t *testing.T, pid, n int) (made []string) {
	t.Helper()
	own := namespacesOf("self")
	if !sandbox.Await(func() bool {
		made = slices.DeleteFunc(namespacesOf(pid), func(ns string) bool { return slices.Contains(own, ns) })
		return len(made) >= n
	}) {
		t.Fatalf("the demo has %d namespaces, want %d", len(made), n)
	}
	return made
}

// end sends a signal and lets the demo end, once it has heard of it: then none of
// its threads has anything to do.
func (h *held) end(t *testing.T, sig os.Signal) {
	t.Helper()
	if err := h.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	still := 0
	if !sandbox.Await(func() bool {
		if still++; !idle(h.cmd.Process.Pid) {
			still = 0
		}
		return still == 5
	}) {
		t.Fatal("the demo does not come to rest")
	}
	if _, err := new(bytes.Buffer).ReadFrom(h.out); err != nil {
		t.Fatal(err)
	}
	_ = h.cmd.Wait() // the state tells
}

// idle reports whether all threads of a process sleep, and no signal waits for
// one of them, or it has ended.
func idle(pid int) bool {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid)) // the pattern is good
	for _, path := range threads {
		b, err := os.ReadFile(path)
		if err != nil {
			return false // it has just ended
		}
		for line := range strings.Lines(string(b)) {
			name, value, _ := strings.Cut(line, ":")
			value = strings.TrimSpace(value)
			switch {
			case name == "State" && !strings.HasPrefix(value, "S") && !strings.HasPrefix(value, "Z"),
				(name == "SigPnd" || name == "ShdPnd") && strings.Trim(value, "0") != "" && !strings.Contains(string(b), "\nState:\tZ"):
				return false
			}
		}
	}
	return true
}

// holders returns the processes that hold one of the namespaces.
func holders(t *testing.T, namespaces []string) (all []string) {
	t.Helper()
	pids, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range pids {
		for _, ns := range namespacesOf(filepath.Base(dir)) {
			if slices.Contains(namespaces, ns) {
				all = append(all, dir+" holds "+ns)
			}
		}
	}
	return all
}

// However the demo ends, and however far it has got, nothing is left of it.
func TestNothingIsLeft(t *testing.T) {
	needRoot(t)
	_, _, exit := run(t)
	type moment struct {
		name       string
		upTo       string
		room       int
		namespaces int
	}
	// the first line does not fit any more
	moments := []moment{{"at the start", "", 20, 1}}
	if exit == 0 {
		moments = append(moments, moment{"in the middle", "2. ", pageSize, 1}, moment{"with everything made", "4. ", pageSize, 3})
	}
	for _, m := range moments {
		for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
			t.Run(m.name+", "+sig.String(), func(t *testing.T) {
				before := look(t)
				h := hold(t, m.upTo, m.room, m.namespaces)
				if d := cmp.Diff(before, look(t)); d != "" {
					t.Errorf("seen from outside while it runs: %s", d)
				}
				h.end(t, sig)
				checkEnd(t, h, sig)
				if d := cmp.Diff(before, look(t)); d != "" {
					t.Error(d)
				}
				if left := holders(t, h.made); len(left) > 0 {
					t.Error(left)
				}
			})
		}
	}
}

// checkEnd checks how the demo says that it was interrupted.
func checkEnd(t *testing.T, h *held, sig syscall.Signal) {
	t.Helper()
	state := h.cmd.ProcessState
	if sig == syscall.SIGKILL {
		if status, ok := state.Sys().(syscall.WaitStatus); !ok || status.Signal() != sig {
			t.Errorf("it ended otherwise: %s", state)
		}
		return
	}
	if state.ExitCode() != exitFailed || h.stderr.String() != "xfrmctl: interrupted\n" {
		t.Errorf("%s, stderr %q", state, h.stderr.String())
	}
}

// deaf is an engine whose right side does not hear anything.
type deaf struct {
	plain
	opened chan struct{} // gets a value for each side
}

func (d deaf) Open(ctx context.Context, ns *demo.Namespace) (demo.Endpoint, error) {
	end, err := d.plain.Open(ctx, ns)
	d.opened <- struct{}{}
	if len(d.opened) < cap(d.opened) {
		return end, err
	}
	return &silentEnd{plainEnd{ns}}, err
}

type silentEnd struct{ plainEnd }

// Install makes the interface without its addresses.
func (e *silentEnd) Install(ctx context.Context, l *demo.Link) error {
	silent := *l
	silent.Addresses = nil
	return e.plainEnd.Install(ctx, &silent)
}

// A run that waits for an answer ends when its context does, and takes its
// namespaces along.
func TestCancelWhileWaiting(t *testing.T) {
	needRoot(t)
	before := namespacesOf("self")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	d := deaf{opened: make(chan struct{}, 2)}
	pinging := &watcher{word: "sent  answered", seen: cancel}
	var r *demo.Report
	var err error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r, err = demo.Run(ctx, &demo.Config{Engines: []demo.Engine{d}, Out: pinging, Wait: time.Hour})
	}()
	select {
	case <-ctx.Done():
	case <-ended:
	}
	select {
	case <-ended:
	case <-time.After(sandbox.Patience):
		t.Fatal("it goes on waiting for an answer")
	}
	if !errors.Is(err, context.Canceled) || r.OK || r.Error != "interrupted" {
		t.Errorf("error %v, report %+v", err, r)
	}
	// threads end a little later
	if !sandbox.Await(func() bool { return cmp.Equal(before, namespacesOf("self")) }) {
		t.Errorf("namespaces %v before, %v afterwards", before, namespacesOf("self"))
	}
}

// watcher calls seen a little after a word has been written.
type watcher struct {
	word string
	seen func()
}

func (w *watcher) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte(w.word)) {
		time.AfterFunc(200*time.Millisecond, w.seen)
	}
	return len(b), nil
}
