package confine

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Result says what Process has achieved. As JSON it is part of the engine's
// status.
type Result struct {
	NoNewPrivileges bool `json:"no_new_privileges"`
	// Seccomp: only listed system calls are carried out.
	Seccomp bool `json:"seccomp"`
	// Capabilities that threads may have at most: "net_admin", "net_raw".
	Capabilities []string `json:"capabilities"`
	// Missing says what could not be done, and why. It is empty when all was.
	Missing []string `json:"missing,omitempty"`
}

// needed are the capabilities that the engine keeps: for TUN devices and output
// marks, and for raw sockets.
var needed = []struct {
	name string
	bit  uint
}{{"net_admin", unix.CAP_NET_ADMIN}, {"net_raw", unix.CAP_NET_RAW}}

// Process confines all threads of the process and those to come. What cannot be
// done is in the Result; it is no reason not to do the rest.
func Process() *Result {
	r := &Result{Capabilities: []string{}}
	kept, err := dropCapabilities()
	if err != nil {
		r.lacks("capabilities", err)
	}
	for _, c := range needed {
		if kept&(1<<c.bit) != 0 {
			r.Capabilities = append(r.Capabilities, c.name)
		}
	}
	if err := filter(); err != nil {
		r.lacks("seccomp", err)
		// without the filter no other thread has got it
		if err := noNewPrivileges(); err != nil {
			r.lacks("no_new_privs", err)
		}
	} else {
		r.Seccomp, r.NoNewPrivileges = true, true
	}
	return r
}

func (r *Result) lacks(what string, err error) {
	r.Missing = append(r.Missing, fmt.Sprintf("%s: %v", what, err))
}

// dropCapabilities drops all but the needed ones in all threads, and returns
// those that are left.
func dropCapabilities() (uint64, error) {
	var have [2]unix.CapUserData
	if err := unix.Capget(header(), &have[0]); err != nil {
		return 0, err
	}
	var keep uint64
	for _, c := range needed {
		keep |= 1 << c.bit
	}
	keep &= uint64(have[0].Permitted) | uint64(have[1].Permitted)<<32
	data := [2]unix.CapUserData{{Effective: uint32(keep), Permitted: uint32(keep)}}
	hdr := header()
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(hdr)), uintptr(unsafe.Pointer(&data[0])), 0)
	runtime.KeepAlive(hdr)
	runtime.KeepAlive(&data)
	switch {
	case errno == syscall.ENOTSUP:
		return uint64(have[0].Permitted), errors.New("built with cgo, which leaves no way to reach all threads")
	case errno != 0:
		return uint64(have[0].Permitted), errno
	}
	return keep, nil
}

// header asks for the calling thread, with 64-bit sets.
func header() *unix.CapUserHeader {
	return &unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
}

// noNewPrivileges is for all threads as well.
func noNewPrivileges() error {
	_, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// Thread takes all capabilities from the calling thread. Its goroutine must be
// locked to it (runtime.LockOSThread) and stay so: the runtime then ends the
// thread with the goroutine, and makes no other from it.
func Thread() error {
	var none [2]unix.CapUserData
	return unix.Capset(header(), &none[0])
}
