package traffic

import (
	"errors"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batch is how many datagrams one system call sends or receives.
const batch = 64

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
	_   [4]byte
}

// vector holds the headers of a batch; all datagrams have a buffer of their own.
type vector struct {
	hdrs [batch]mmsghdr
	iovs [batch]unix.Iovec
	bufs [batch][]byte
}

func newVector(size int) *vector {
	v := &vector{}
	for i := range v.hdrs {
		v.bufs[i] = make([]byte, size)
		v.iovs[i].Base = unsafe.SliceData(v.bufs[i])
		v.iovs[i].SetLen(size)
		v.hdrs[i].hdr.Iov = &v.iovs[i]
		v.hdrs[i].hdr.SetIovlen(1)
	}
	return v
}

// call is sendmmsg or recvmmsg for n datagrams.
func (v *vector) call(trap uintptr, fd, n, flags int) (int, error) {
	r, _, errno := unix.Syscall6(trap, uintptr(fd), uintptr(unsafe.Pointer(&v.hdrs[0])), uintptr(n), uintptr(flags), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(r), nil
}

// udpSource sends datagrams of one flow.
func (j Job) udpSource() (Count, error) {
	runtime.LockOSThread()
	family, sa, err := sockaddr(j.Addr)
	if err != nil {
		return Count{}, err
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return Count{}, err
	}
	if err := unix.Connect(fd, sa); err != nil {
		return Count{}, err
	}
	v := newVector(j.Size)
	var c Count
	start := time.Now()
	for time.Since(start) < j.For {
		n := batch
		if j.Rate > 0 {
			due := uint64(time.Since(start).Seconds() * float64(j.Rate))
			if n = int(min(due-c.Packets, batch)); n == 0 {
				time.Sleep(100 * time.Microsecond)
				continue
			}
		}
		sent, err := v.call(unix.SYS_SENDMMSG, fd, n, 0)
		switch {
		case err == nil:
			c.Packets += uint64(sent)
		case errors.Is(err, unix.ENOBUFS), errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR), errors.Is(err, unix.ECONNREFUSED):
		default:
			return c, err
		}
	}
	c.Bytes, c.Seconds = c.Packets*uint64(j.Size), time.Since(start).Seconds()
	return c, nil
}

// silence ends a sink that has received something.
const silence = 400 * time.Millisecond

// udpSink receives until nothing comes any more.
func (j Job) udpSink() (Count, error) {
	runtime.LockOSThread()
	family, sa, err := sockaddr(j.Addr)
	if err != nil {
		return Count{}, err
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return Count{}, err
	}
	wait := unix.NsecToTimeval(int64(j.For))
	if err := errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait),
		unix.Bind(fd, sa)); err != nil {
		return Count{}, err
	}
	ready()
	return j.receive(fd)
}

func (j Job) receive(fd int) (Count, error) {
	v := newVector(max(j.Size, 1))
	var c Count
	var first, last time.Time
	for {
		n, err := v.call(unix.SYS_RECVMMSG, fd, batch, unix.MSG_WAITFORONE)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if errors.Is(err, unix.EAGAIN) {
			c.Seconds = max(last.Sub(first).Seconds(), 1e-9)
			return c, nil
		}
		if err != nil {
			return c, err
		}
		last = time.Now()
		if first.IsZero() {
			first = last
			short := unix.NsecToTimeval(int64(silence))
			if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &short); err != nil {
				return c, err
			}
		}
		c.Packets += uint64(n)
		for _, h := range v.hdrs[:n] {
			c.Bytes += uint64(h.len)
		}
	}
}
