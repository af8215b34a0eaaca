package traffic

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// chunk is what one call reads or writes, as much as iperf3's.
const chunk = 128 << 10

// sockaddr turns IP:PORT into what the system calls take.
func sockaddr(addr string) (family int, sa unix.Sockaddr, err error) {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return 0, nil, err
	}
	if ap.Addr().Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()}, nil
	}
	return unix.AF_INET6, &unix.SockaddrInet6{Port: int(ap.Port()), Addr: ap.Addr().As16()}, nil
}

// tcpSource writes to all streams at once, one thread each: Go's poller would
// add wake-ups that the tunnel under test has to pay for.
func (j Job) tcpSource() (Count, error) {
	family, sa, err := sockaddr(j.Addr)
	if err != nil {
		return Count{}, err
	}
	fds := make([]int, j.Streams)
	for i := range fds {
		if fds[i], err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return Count{}, err
		}
		if j.Control != "" {
			if err := unix.SetsockoptString(fds[i], unix.IPPROTO_TCP, unix.TCP_CONGESTION, j.Control); err != nil {
				return Count{}, fmt.Errorf("congestion control %s: %w", j.Control, err)
			}
		}
		if err := unix.Connect(fds[i], sa); err != nil {
			return Count{}, err
		}
	}
	start := time.Now()
	total, err := onThreads(fds, func(fd int, n *atomic.Uint64) error {
		buf := make([]byte, chunk)
		for time.Since(start) < j.For {
			w, err := unix.Write(fd, buf)
			if err != nil {
				return err
			}
			n.Add(uint64(w))
		}
		return nil
	})
	return Count{Bytes: total, Seconds: time.Since(start).Seconds()}, err
}

// onThreads runs f for each descriptor on a thread of its own and closes it.
func onThreads(fds []int, f func(fd int, n *atomic.Uint64) error) (uint64, error) {
	var n atomic.Uint64
	var wg sync.WaitGroup
	errs := make([]error, len(fds))
	for i, fd := range fds {
		wg.Go(func() {
			runtime.LockOSThread()
			errs[i] = errors.Join(f(fd, &n), unix.Close(fd))
		})
	}
	wg.Wait()
	return n.Load(), errors.Join(errs...)
}

// tcpSink reads Streams connections to their ends.
func (j Job) tcpSink() (Count, error) {
	l, err := net.Listen("tcp", j.Addr)
	if err != nil {
		return Count{}, err
	}
	defer l.Close()
	ready()
	fds := make([]int, j.Streams)
	for i := range fds {
		c, err := l.Accept()
		if err != nil {
			return Count{}, err
		}
		f, err := c.(*net.TCPConn).File()
		if err != nil {
			return Count{}, err
		}
		if err := c.Close(); err != nil {
			return Count{}, err
		}
		fds[i] = int(f.Fd()) // blocking from here on
		defer runtime.KeepAlive(f)
	}
	start := time.Now()
	total, err := onThreads(fds, func(fd int, n *atomic.Uint64) error { return drain(fd, n) })
	return Count{Bytes: total, Seconds: time.Since(start).Seconds()}, err
}

func drain(fd int, n *atomic.Uint64) error {
	buf := make([]byte, chunk)
	for {
		r, err := unix.Read(fd, buf)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return err
		case r == 0:
			return nil
		default:
			n.Add(uint64(r))
		}
	}
}
