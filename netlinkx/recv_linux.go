package netlinkx

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// recvNoWait is recvfrom(2) on a non-blocking netlink socket, without telling
// Go's scheduler. The kernel works out a part of a dump inside the call, some
// tens of microseconds, after which the scheduler would have given the
// processor away: on one CPU a hand-over and back for every 90 SAs. n is the
// datagram's whole length even if b is too short.
func recvNoWait(fd uintptr, b []byte) (n int, from uint32, err error) {
	var sa unix.RawSockaddrNetlink
	salen := uint32(unix.SizeofSockaddrNetlink)
	r, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)),
		unix.MSG_DONTWAIT|unix.MSG_TRUNC, uintptr(unsafe.Pointer(&sa)), uintptr(unsafe.Pointer(&salen)))
	if errno != 0 {
		return 0, 0, syscall.Errno(errno)
	}
	if salen != unix.SizeofSockaddrNetlink {
		return int(r), ^uint32(0), nil // from nobody
	}
	return int(r), sa.Pid, nil
}
