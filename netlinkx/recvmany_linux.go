package netlinkx

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// manyReceiver reads several datagrams with one recvmmsg(2): of a long dump
// three quarters of the system calls that are needed otherwise. It holds the arrays that
// the kernel fills in, and is for one goroutine.
type manyReceiver struct {
	headers []mmsghdr
	vectors []unix.Iovec
	from    []unix.RawSockaddrNetlink
}

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	msg    unix.Msghdr
	length uint32 // of the datagram, even if its slot is too short
}

func newManyReceiver(slots int) *manyReceiver {
	r := &manyReceiver{make([]mmsghdr, slots), make([]unix.Iovec, slots), make([]unix.RawSockaddrNetlink, slots)}
	for i := range r.headers {
		h := &r.headers[i].msg
		h.Name, h.Iov = (*byte)(unsafe.Pointer(&r.from[i])), &r.vectors[i]
		h.SetIovlen(1)
	}
	return r
}

// prepare points to the slots of b, and returns their number.
func (r *manyReceiver) prepare(b []byte) int {
	n := min(len(r.headers), len(b)/slotSize)
	for i := range n {
		slot := b[i*slotSize:][:slotSize]
		r.vectors[i].Base = unsafe.SliceData(slot)
		r.vectors[i].SetLen(len(slot))
		r.headers[i].msg.Namelen = unix.SizeofSockaddrNetlink
	}
	return n
}

// recvNoWait reads into the first slots of what was prepared; see recvNoWait of
// raw_linux.go for what else it is.
func (r *manyReceiver) recvNoWait(fd uintptr, slots int) (n int, err error) {
	got, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(unsafe.SliceData(r.headers))), uintptr(slots),
		unix.MSG_DONTWAIT|unix.MSG_TRUNC, 0, 0)
	if errno != 0 {
		return 0, syscall.Errno(errno)
	}
	return int(got), nil
}

// length returns the length of the datagram in a slot; 0 when it is not from
// the kernel.
func (r *manyReceiver) length(slot int) int {
	if r.headers[slot].msg.Namelen != unix.SizeofSockaddrNetlink || r.from[slot].Pid != 0 {
		return 0
	}
	return int(r.headers[slot].length)
}
