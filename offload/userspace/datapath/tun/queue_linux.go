package tun

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Queue is one queue of a device. It is not safe for concurrent use, and never
// blocks.
type Queue struct{ fd int }

// FD returns the descriptor, to wait for it. It belongs to the queue.
func (q *Queue) FD() int { return q.fd }

// Read takes the next packet, behind its virtio_net_hdr. b has room for
// MaxPacket bytes. Errors are plain errnos: EAGAIN when there is none.
//
// Reads and writes do not tell Go's scheduler that they enter the kernel: they
// do not block, and it would otherwise hand the processor on when a
// super-packet takes more than 20 us.
func (q *Queue) Read(b []byte) (int, error) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(q.fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// Write gives a packet, behind its virtio_net_hdr, to the device's side of
// the network stack. Errors are plain errnos: EIO when the device is down,
// EINVAL when the kernel does not like the header, EBADFD when the device is gone.
func (q *Queue) Write(b []byte) (int, error) {
	n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(q.fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

func (q *Queue) close() error {
	return os.NewSyscallError("close", unix.Close(q.fd))
}
