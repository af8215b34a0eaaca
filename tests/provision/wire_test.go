package provision

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// wire counts packets that arrive at a namespace's end of the wire, after their
// destination.
type wire struct {
	clear atomic.Int64 // to 10.2.0.1 or 2001:db8:b::1 without protection
	esp   atomic.Int64
	// the same by steps of sizeStep bytes
	clearBySize, espBySize [len(streams)]atomic.Int64
}

// insideA6 and insideB6 are behind the ends, as 10.1.0.1 and 10.2.0.1 are.
const insideA6, insideB6 = "2001:db8:a::1", "2001:db8:b::1"

// streams are what TestPairs sends: from the end itself, and from a host behind
// it, whose packets are forwarded. They can be told apart by their size, also
// when they are protected.
var streams = [...]struct {
	name, from, to string
	behind         bool
}{
	{"IPv4", "10.1.0.1", "10.2.0.1", false},
	{"IPv6", insideA6, insideB6, false},
	{"IPv4 forwarded", "10.1.9.2", "10.2.0.1", true},
	{"IPv6 forwarded", "2001:db8:a:9::2", insideB6, true},
}

const sizeStep = 300

// watch counts until the test ends.
func watch(t *testing.T, ns *sandbox.NS) *wire {
	t.Helper()
	w := &wire{}
	for _, protocol := range []int{0x0008, 0xdd86} { // ETH_P_IP and ETH_P_IPV6 in network order
		ns.Packets(t, func() (int, error) {
			return unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
		}, w.count)
	}
	return w
}

func (w *wire) count(frame []byte, _ unix.Sockaddr) {
	if len(frame) < 14+20 {
		return
	}
	ip := frame[14:]
	protocol, to := ip[9], ip[16:20]
	if ip[0]>>4 == 6 {
		if len(ip) < 40 {
			return
		}
		protocol, to = ip[6], ip[24:40]
	}
	step := min(len(ip)/sizeStep, len(streams)-1)
	switch dst, _ := netip.AddrFromSlice(to); {
	case protocol == unix.IPPROTO_ESP:
		w.esp.Add(1)
		w.espBySize[step].Add(1)
	case dst == netip.AddrFrom4([4]byte{10, 2, 0, 1}), dst == netip.MustParseAddr(insideB6):
		w.clear.Add(1)
		w.clearBySize[step].Add(1)
	}
}

// more reports whether more packets came in clear than before. Those that are
// expected are waited for: they are counted a moment after they came.
func (w *wire) more(before int64, expected bool) bool {
	more := func() bool { return w.clear.Load() > before }
	return expected && sandbox.Await(more) || more()
}

// send sends pings to 10.2.0.1 from now on, by way of the default route if
// nothing better is there, one each interval of so many seconds.
func send(t *testing.T, e *end, interval string) {
	t.Helper()
	e.ns.MustRun(t, sandbox.IP(), "addr", "add", "10.1.0.1/32", "dev", "lo")
	e.ns.MustRun(t, sandbox.IP(), "route", "add", "default", "via", sandbox.B4)
	pings(t, e.ns, "-i", interval, "-I", "10.1.0.1", "10.2.0.1")
}

// sendAll sends each of the streams from now on, in the same way.
func sendAll(t *testing.T, e *end, interval string) {
	t.Helper()
	host := e.hostBehind(t)
	e.batch(t, e.ns, "addr add "+insideA6+"/128 dev lo nodad", "addr add 10.1.0.1/32 dev lo", "route add default via "+sandbox.B4, "route add default via "+sandbox.B6)
	for k, s := range streams {
		ns := e.ns
		if s.behind {
			ns = host
		}
		pings(t, ns, "-i", interval, "-s", fmt.Sprint(k*sizeStep), "-I", s.from, s.to)
	}
}

// hostBehind makes a host behind an end, which forwards for it.
func (e *end) hostBehind(t *testing.T) *sandbox.NS {
	t.Helper()
	host := sandbox.New(t)
	e.batch(t, e.ns, "link add lan0 type veth peer name lan0 netns "+host.Path(), "link set lan0 up", "addr add 10.1.9.1/24 dev lan0", "addr add 2001:db8:a:9::1/64 dev lan0 nodad")
	e.batch(t, host, "link set lan0 up", "addr add 10.1.9.2/24 dev lan0", "addr add 2001:db8:a:9::2/64 dev lan0 nodad", "route add default via 10.1.9.1", "route add default via 2001:db8:a:9::1")
	e.ns.MustRun(t, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding")
	return host
}

// batch runs lines of `ip` in a namespace.
func (e *end) batch(t *testing.T, ns *sandbox.NS, lines ...string) {
	t.Helper()
	file := filepath.Join(e.dir, "batch")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ns.MustRun(t, sandbox.IP(), "-batch", file)
}

// pings runs ping until the test ends.
func pings(t *testing.T, ns *sandbox.NS, words ...string) {
	t.Helper()
	cmd := exec.Command("ping", append([]string{"-q"}, words...)...)
	if err := ns.Do(cmd.Start); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGKILL) //nolint:errcheck // it may have ended
		cmd.Wait()                          //nolint:errcheck // ended by a signal
	})
}
