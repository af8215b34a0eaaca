package sandbox

import (
	"testing"

	"golang.org/x/sys/unix"
)

// Packets hands every packet of a packet socket to see, on a goroutine of its
// own, until the test ends. open makes the socket, on a thread inside the
// namespace. The frame is see's until it returns.
func (n *NS) Packets(t testing.TB, open func() (fd int, err error), see func(frame []byte, from unix.Sockaddr)) {
	t.Helper()
	var fd int
	err := n.Do(func() (err error) {
		if fd, err = open(); err != nil {
			return err
		}
		return unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000})
	})
	if err != nil {
		t.Skipf("needs packet sockets (CONFIG_PACKET): %v; whether anything is sent in clear was not seen", err)
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		frame := make([]byte, 2048)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if size, from, err := unix.Recvfrom(fd, frame, 0); err == nil {
				see(frame[:size], from)
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-done
		unix.Close(fd)
	})
}
