package provision

import (
	"os/exec"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// wire counts packets that arrive at a namespace's end of the wire, after their
// IPv4 destination.
type wire struct {
	clear atomic.Int64 // to 10.2.0.1 without protection
	esp   atomic.Int64
}

// watch counts until the test ends.
func watch(t *testing.T, ns *sandbox.NS) *wire {
	t.Helper()
	var fd int
	err := ns.Do(func() (err error) {
		const ipv4 = 0x0008 // ETH_P_IP in network order
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, ipv4); err != nil {
			return err
		}
		return unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000})
	})
	if err != nil {
		t.Skipf("needs packet sockets (CONFIG_PACKET): %v; whether anything is sent in clear was not seen", err)
	}
	w, stop, done := &wire{}, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		w.count(fd, stop)
	}()
	t.Cleanup(func() {
		close(stop)
		<-done
		unix.Close(fd)
	})
	return w
}

func (w *wire) count(fd int, stop chan struct{}) {
	frame := make([]byte, 2048)
	for {
		select {
		case <-stop:
			return
		default:
		}
		n, err := unix.Read(fd, frame)
		if err != nil || n < 34 {
			continue
		}
		switch ip := frame[14:n]; {
		case ip[9] == 50:
			w.esp.Add(1)
		case [4]byte(ip[16:20]) == [4]byte{10, 2, 0, 1}:
			w.clear.Add(1)
		}
	}
}

// send sends pings to 10.2.0.1 from now on, by way of the default route if
// nothing better is there.
func send(t *testing.T, e *end) {
	t.Helper()
	e.ns.MustRun(t, sandbox.IP(), "addr", "add", "10.1.0.1/32", "dev", "lo")
	e.ns.MustRun(t, sandbox.IP(), "route", "add", "default", "via", sandbox.B4)
	cmd := exec.Command("ping", "-q", "-i", "0.003", "-I", "10.1.0.1", "10.2.0.1")
	if err := e.ns.Do(cmd.Start); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGKILL) //nolint:errcheck // it may have ended
		cmd.Wait()                          //nolint:errcheck // ended by a signal
	})
}
