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
	w := &wire{}
	ns.Packets(t, func() (int, error) {
		const ipv4 = 0x0008 // ETH_P_IP in network order
		return unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, ipv4)
	}, w.count)
	return w
}

func (w *wire) count(frame []byte, _ unix.Sockaddr) {
	if len(frame) < 34 {
		return
	}
	switch ip := frame[14:]; {
	case ip[9] == unix.IPPROTO_ESP:
		w.esp.Add(1)
	case [4]byte(ip[16:20]) == [4]byte{10, 2, 0, 1}:
		w.clear.Add(1)
	}
}

// send sends pings to 10.2.0.1 from now on, by way of the default route if
// nothing better is there, one each interval of so many seconds.
func send(t *testing.T, e *end, interval string) {
	t.Helper()
	e.ns.MustRun(t, sandbox.IP(), "addr", "add", "10.1.0.1/32", "dev", "lo")
	e.ns.MustRun(t, sandbox.IP(), "route", "add", "default", "via", sandbox.B4)
	cmd := exec.Command("ping", "-q", "-i", interval, "-I", "10.1.0.1", "10.2.0.1")
	if err := e.ns.Do(cmd.Start); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGKILL) //nolint:errcheck // it may have ended
		cmd.Wait()                          //nolint:errcheck // ended by a signal
	})
}
