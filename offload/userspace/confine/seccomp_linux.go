package confine

import (
	"errors"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Offsets in struct seccomp_data (linux/seccomp.h); the low half of an argument
// on a little-endian machine.
const (
	offNumber = 0
	offArch   = 4
	offArg0   = 16
	offArg1   = 24
)

// rule allows a system call, or some uses of it.
type rule struct {
	call uint32
	arg  int      // which argument is compared
	only []uint32 // its low 32 bits; nil: whatever it is
}

// limited are the calls that are allowed for some arguments. The rest of the
// list, which depends on the machine, is in calls_*_linux.go.
var limited = []rule{
	{call: unix.SYS_SOCKET, arg: 0, only: []uint32{unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK}},
	{call: unix.SYS_IOCTL, arg: 1, only: []uint32{
		unix.TUNSETIFF, unix.TUNGETIFF, unix.TUNSETOFFLOAD, unix.TUNSETVNETHDRSZ, unix.TUNGETVNETHDRSZ, unix.TUNSETQUEUE,
		unix.TUNGETFEATURES, unix.TUNGETDEVNETNS, unix.TUNSETPERSIST, unix.TUNSETSNDBUF, unix.TUNSETLINK, unix.TUNSETCARRIER,
		unix.SIOCGIFINDEX, unix.SIOCGIFNAME, unix.SIOCGIFMTU, unix.SIOCSIFMTU, unix.SIOCGIFFLAGS, unix.SIOCSIFFLAGS,
		unix.SIOCGIFADDR, unix.SIOCGSKNS, unix.SIOCINQ, unix.SIOCOUTQ, unix.TCGETS,
	}},
}

// filter installs the filter in all threads. Calls that are not listed fail
// with EPERM and are logged by the kernel's audit.
func filter() error {
	if arch == 0 {
		return errors.New("no list of system calls for " + runtime.GOARCH)
	}
	prog := program(arch, plain, limited)
	fprog := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	runtime.LockOSThread() // both calls must be of one thread
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	flags := uintptr(unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_LOG | unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW)
	r, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&fprog)))
	runtime.KeepAlive(prog)
	switch {
	case errno != 0:
		return errno
	case r != 0:
		return errors.New("a thread has a filter of its own")
	}
	return nil
}

// program returns the filter. Calls without conditions come first: for those
// the kernel remembers the answer and does not run it (Linux 5.11).
func program(arch uint32, plain []uint32, limited []rule) []unix.SockFilter {
	const (
		allow = unix.SECCOMP_RET_ALLOW
		deny  = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	)
	p := []unix.SockFilter{
		load(offArch),
		jumpIf(arch, 1, 0),
		ret(unix.SECCOMP_RET_KILL_PROCESS),
		load(offNumber),
	}
	for _, nr := range plain {
		p = append(p, jumpIf(nr, 0, 1), ret(allow))
	}
	for _, r := range limited {
		off := uint32(offArg0 + (offArg1-offArg0)*r.arg)
		body := []unix.SockFilter{load(off)}
		for _, v := range r.only {
			body = append(body, jumpIf(v, 0, 1), ret(allow))
		}
		body = append(body, ret(deny))
		p = append(p, jumpIf(r.call, 0, uint8(len(body))))
		p = append(p, body...)
	}
	return append(p, ret(deny))
}

func load(off uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: off}
}

func ret(v uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: v}
}

// jumpIf skips yes instructions when the value is v, else no.
func jumpIf(v uint32, yes, no uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: yes, Jf: no, K: v}
}
