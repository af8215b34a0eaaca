package demo

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Namespace is a network namespace without a name: a thread that lives in it
// and a file hold it, so that it goes with the process, however that ends. It
// is safe for concurrent use until it is closed.
type Namespace struct {
	name string
	file *os.File
	jobs chan func()
	done chan struct{}
}

// newNamespace makes a namespace. The name is for reports alone.
func newNamespace(name string) (*Namespace, error) {
	n := &Namespace{name: name, jobs: make(chan func()), done: make(chan struct{})}
	ready := make(chan error)
	go n.serve(ready)
	if err := <-ready; err != nil {
		return nil, err
	}
	return n, nil
}

// serve owns the thread. It is never unlocked, so that the runtime ends it
// with the goroutine instead of using it for others in the wrong namespace.
// The process's first thread cannot end, and /proc/self looks at it: when it
// comes to that one, it is occupied until another goroutine has got another.
func (n *Namespace) serve(ready chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		defer runtime.UnlockOSThread()
		other := make(chan error)
		go n.serve(other)
		ready <- <-other
		return
	}
	defer close(n.done)
	err := n.enter()
	ready <- err
	if err != nil {
		return
	}
	for job := range n.jobs {
		job()
	}
}

func (n *Namespace) enter() error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return namespaceError(err)
	}
	f, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return fmt.Errorf("open the new network namespace: %w", err)
	}
	n.file = f
	return nil
}

func namespaceError(err error) error {
	switch {
	case errors.Is(err, unix.EPERM):
		return &PrivilegeError{Op: "make a network namespace", Err: err}
	case errors.Is(err, unix.EINVAL):
		return &UnsupportedError{Missing: []Feature{{
			Name: "network namespaces", Detail: err.Error(), Option: "CONFIG_NET_NS",
		}}}
	}
	return fmt.Errorf("make a network namespace: %w", err)
}

// NetNS names the namespace while it is open.
func (n *Namespace) NetNS() netlinkx.NetNS { return netlinkx.NetNSFD(n.fd()) }

func (n *Namespace) fd() int { return int(n.file.Fd()) }

// Do runs fn on the thread that is in the namespace. What fn opens stays in
// the namespace, whoever uses it later. fn must not call Do.
func (n *Namespace) Do(fn func() error) error {
	result := make(chan error, 1)
	n.jobs <- func() { result <- fn() }
	return <-result
}

// close ends the thread and closes the file, with which the namespace goes
// unless a socket still holds it.
func (n *Namespace) close() error {
	close(n.jobs)
	<-n.done
	return n.file.Close()
}
