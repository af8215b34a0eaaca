package netlinkx

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls of this file do not tell Go's scheduler that they enter the kernel.
// It would give the processor away after 20 us, and its monitor thread would
// wake up every 20 us for the next millisecond: on one CPU that costs as much
// as the work itself. In return, a collection of garbage that begins meanwhile
// waits for the call, so they are for what takes a millisecond at most.

// writeNoWait is write(2) on a non-blocking netlink socket: the kernel carries
// the requests out within the call.
func writeNoWait(fd uintptr, b []byte) error {
	_, _, errno := unix.RawSyscall(unix.SYS_WRITE, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if errno != 0 {
		return syscall.Errno(errno)
	}
	return nil
}

// recvNoWait is recvfrom(2) on a non-blocking netlink socket: the kernel works
// out the next 90 SAs of a dump within the call. n is the datagram's whole
// length even if b is too short.
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
