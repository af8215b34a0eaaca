package vti

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/ifaces/rtnl"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/provision/vti"
)

// variable holds the job of a child: this binary, started again to be killed at
// an exact place.
const variable = "XFRMCTL_VTI_CHILD"

// job is what a child does. It ends itself with SIGKILL before message number
// Messages, or behind step number Steps; message number Refused fails. 0 never.
type job struct {
	NetNS, StateDir string
	Way             string // convert, undo
	Messages, Steps int
	Refused         int
}

// counted is what a child that was not killed prints.
type counted struct{ Messages, Steps int }

func TestMain(m *testing.M) {
	text := os.Getenv(variable)
	if text == "" {
		os.Exit(m.Run())
	}
	var j job
	n := &counted{}
	err := json.Unmarshal([]byte(text), &j)
	if err == nil {
		err = j.run(n)
	}
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(n)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

func (j *job) run(n *counted) error {
	ns := netlinkx.NetNSAt(j.NetNS)
	ctx := context.Background()
	dial := func(open func() (netlinkx.Transport, error)) func() (netlinkx.Transport, error) {
		return func() (netlinkx.Transport, error) {
			t, err := open()
			return &mortal{t, j, n}, err
		}
	}
	xfrm, err := netlinkx.Dial(&netlinkx.Config{Dial: dial(func() (netlinkx.Transport, error) { return openXFRM(ns) })})
	if err != nil {
		return err
	}
	links, err := ifaces.Dial(&ifaces.Config{NetNS: ns})
	if err != nil {
		return err
	}
	s, err := vti.Open(ctx, &vti.Config{
		StateDir: j.StateDir, XFRM: xfrm, Links: links, NetNS: ns,
		Dial: dial(func() (netlinkx.Transport, error) { return rtnl.Dial(ns) }),
		OnStep: func(*vti.Move, *vti.Step) {
			if n.Steps++; n.Steps == j.Steps {
				die()
			}
		},
	})
	if err != nil {
		return err
	}
	if j.Way == "undo" {
		_, err = s.Undo(ctx, nil)
	} else {
		_, err = s.Convert(ctx, nil, vti.Options{})
	}
	return err
}

// mortal counts what is sent to the kernel.
type mortal struct {
	netlinkx.Transport
	j *job
	n *counted
}

var errRefused = errors.New("refused by the test")

func (m *mortal) Send(b []byte) error {
	switch m.n.Messages++; m.n.Messages {
	case m.j.Messages:
		die()
	case m.j.Refused:
		return errRefused
	}
	return m.Transport.Send(b)
}

// xfrmSocket is a netlink socket that blocks.
type xfrmSocket struct{ fd int }

func openXFRM(ns netlinkx.NetNS) (s *xfrmSocket, err error) {
	f, err := ns.Open()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	ch := make(chan error)
	go func() {
		// the thread stays in the namespace, and ends with the goroutine
		lockThread()
		err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET)
		if err == nil {
			s = &xfrmSocket{}
			s.fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_XFRM)
		}
		ch <- err
	}()
	if err := <-ch; err != nil {
		return nil, err
	}
	return s, unix.Bind(s.fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
}

func (s *xfrmSocket) Send(b []byte) error {
	return unix.Sendto(s.fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
}

func (s *xfrmSocket) Recv(b []byte) (int, error) {
	n, _, err := unix.Recvfrom(s.fd, b, 0)
	return n, err
}

func (s *xfrmSocket) SetDeadline(time.Time) error { return nil }

func (s *xfrmSocket) Close() error { return unix.Close(s.fd) }

// child starts this binary again and returns what it counted; killed tells
// whether it ended itself.
func (e *end) child(t *testing.T, j job) (n counted, killed bool) {
	t.Helper()
	j.NetNS, j.StateDir = e.ns.Path(), e.dir+"/state"
	text, err := json.Marshal(&j)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), variable+"="+string(text))
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if j.Refused != 0 && err != nil && strings.Contains(said.String(), errRefused.Error()) {
		return n, false
	}
	if x, ok := err.(*exec.ExitError); ok && x.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
		return n, true
	}
	if err == nil {
		err = json.Unmarshal(out, &n)
	}
	if err != nil {
		t.Fatalf("%+v: %v: %s", j, err, said.String())
	}
	return n, false
}
