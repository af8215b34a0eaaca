package interop_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/tests/engine"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// A side is one end of a tunnel: a kernel or an engine in a namespace.
type side interface {
	ns() *sandbox.NS
	// batch carries out xfrmctl's commands, one a line.
	batch(t *testing.T, lines string)
	// ifID is the if_id that SAs and policies of a mode get.
	ifID(mode string) int
	// clear removes all SAs and policies.
	clear(t *testing.T)
	// session starts an xfrmctl that takes further commands.
	session(t *testing.T) *engine.Session
	// counters says what was dropped and why, for messages.
	counters(t *testing.T) string
}

// The devices that lead into the tunnels, their if_id and MTU. In the kernel,
// transport and BEET mode go without a device: one would make fragments, which
// BEET cannot carry, and transport mode's packets have no way out of one. The
// engine sees packets only if they are routed to a device of its own.
const (
	tunnelDev, tunnelID       = "ipsec7", 7
	transportDev, transportID = "ipsec8", 8
	deviceMTU                 = "1380"
)

// addresses gives a side the inner addresses of a mode and the way through a
// device to the others.
func addresses(t *testing.T, ns *sandbox.NS, n int, mode, dev string) {
	t.Helper()
	for _, family := range []byte{4, 6} {
		_, inner := form{mode: mode, inner: family, outer: family}.addresses()
		bits := map[byte]string{4: "/32", 6: "/128"}[family]
		if mode != "transport" {
			ns.MustRun(t, sandbox.IP(), "addr", "add", inner[n]+bits, "dev", "lo", "nodad")
		}
		ns.MustRun(t, sandbox.IP(), "route", "add", inner[1-n]+bits, "dev", dev, "src", inner[n])
	}
	// what comes out of a tunnel in transport mode seems to come from elsewhere
	ns.MustRun(t, "sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf."+dev+".rp_filter=0")
}

// kernelSide is the kernel's own ESP.
type kernelSide struct {
	n   *sandbox.NS
	bin string
}

// newKernelSide sets up side n. The test is skipped where the kernel cannot.
func newKernelSide(t *testing.T, ns *sandbox.NS, n int) *kernelSide {
	t.Helper()
	if out, err := ns.Run(sandbox.IP(), "link", "add", tunnelDev, "type", "xfrm", "dev", sandbox.Wire, "if_id", "7"); err != nil {
		t.Skipf("needs XFRM interfaces in the kernel (CONFIG_XFRM_INTERFACE); the engine did not speak with it: %s", strings.TrimSpace(out))
	}
	probe := "xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 1 mode tunnel aead rfc4106(gcm(aes)) 0x" + strings.Repeat("5a", 20) + " 128"
	if out, err := ns.Run(sandbox.IP(), strings.Fields(probe)...); err != nil {
		t.Skipf("needs ESP in the kernel (CONFIG_INET_ESP); the engine did not speak with it: %s", strings.TrimSpace(out))
	}
	ns.MustRun(t, sandbox.IP(), "xfrm", "state", "flush")
	ns.MustRun(t, sandbox.IP(), "link", "set", tunnelDev, "mtu", deviceMTU, "up")
	addresses(t, ns, n, "tunnel", tunnelDev)
	addresses(t, ns, n, "beet", sandbox.Wire)
	encapSockets(t, ns)
	return &kernelSide{ns, engine.Binary(t)}
}

func (k *kernelSide) ns() *sandbox.NS { return k.n }

func (k *kernelSide) ifID(mode string) int {
	if mode == "tunnel" {
		return tunnelID
	}
	return 0
}

func (k *kernelSide) batch(t *testing.T, lines string) {
	t.Helper()
	err := k.n.Do(func() error {
		cmd := exec.Command(k.bin, "--engine", "kernel", "--quiet", "-b", "-")
		cmd.Stdin = strings.NewReader(lines)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Logf("kernel: %s", out)
		}
		return err
	})
	if err != nil {
		t.Fatalf("kernel refuses: %v\n%s", err, lines)
	}
}

func (k *kernelSide) session(t *testing.T) *engine.Session {
	t.Helper()
	return engine.Begin(t, k.n, exec.Command(k.bin, "--engine", "kernel", "--quiet", "-b", "-"))
}

func (k *kernelSide) clear(t *testing.T) {
	t.Helper()
	k.batch(t, "policy flush\nstate flush\n")
}

func (k *kernelSide) counters(t *testing.T) string {
	t.Helper()
	var all []string
	for line := range strings.Lines(k.n.MustRun(t, "cat", "/proc/thread-self/net/xfrm_stat")) {
		if f := strings.Fields(line); len(f) == 2 && f[1] != "0" {
			all = append(all, f[0]+" "+f[1])
		}
	}
	return "kernel: " + strings.Join(all, ", ")
}

// encapSockets opens the sockets that make a kernel take ESP out of UDP.
func encapSockets(t *testing.T, ns *sandbox.NS) {
	t.Helper()
	const udpEncap, espInUDP = 100, 2 // linux/udp.h
	for _, s := range []struct {
		family int
		sa     unix.Sockaddr
	}{{unix.AF_INET, &unix.SockaddrInet4{Port: encapPort}}, {unix.AF_INET6, &unix.SockaddrInet6{Port: encapPort}}} {
		err := ns.Do(func() error {
			fd, err := unix.Socket(s.family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return err
			}
			t.Cleanup(func() { unix.Close(fd) })
			if s.family == unix.AF_INET6 {
				if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
					return err
				}
			}
			if err := unix.Bind(fd, s.sa); err != nil {
				return err
			}
			return unix.SetsockoptInt(fd, unix.IPPROTO_UDP, udpEncap, espInUDP)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// engineSide is the userspace engine.
type engineSide struct{ e *engine.Engine }

// newEngineSide starts an engine as side n.
func newEngineSide(t *testing.T, ns *sandbox.NS, n int) *engineSide {
	t.Helper()
	e := engine.Start(t, ns)
	e.X(t, "iface", "add", tunnelDev, "dev", sandbox.Wire, "if_id", "7", "mtu", deviceMTU, "up")
	e.X(t, "iface", "add", transportDev, "dev", sandbox.Wire, "if_id", "8", "mtu", deviceMTU, "up")
	addresses(t, ns, n, "tunnel", tunnelDev)
	addresses(t, ns, n, "beet", tunnelDev)
	addresses(t, ns, n, "transport", transportDev)
	return &engineSide{e}
}

func (e *engineSide) ns() *sandbox.NS { return e.e.NS }

func (e *engineSide) ifID(mode string) int {
	if mode == "transport" {
		return transportID
	}
	return tunnelID
}

func (e *engineSide) batch(t *testing.T, lines string) {
	t.Helper()
	e.e.Batch(t, lines)
}

func (e *engineSide) session(t *testing.T) *engine.Session {
	t.Helper()
	return engine.Begin(t, e.e.NS, e.e.Command("--quiet", "-b", "-"))
}

func (e *engineSide) clear(t *testing.T) {
	t.Helper()
	e.batch(t, "policy flush\nstate flush\n")
}

func (e *engineSide) counters(t *testing.T) string {
	t.Helper()
	return fmt.Sprint("engine: ", e.e.Stats(t))
}
