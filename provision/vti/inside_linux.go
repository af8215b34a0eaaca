package vti

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// inside runs fn on a thread that is in a namespace: sysctls are those of the
// thread that opens them.
func inside(ns netlinkx.NetNS, fn func() error) error {
	f, err := ns.Open()
	if err != nil {
		return err
	}
	if f == nil {
		return fn()
	}
	defer f.Close() // opened to enter it
	ch := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
			ch <- os.NewSyscallError("setns", err)
			return
		}
		ch <- fn()
	}()
	return <-ch
}
