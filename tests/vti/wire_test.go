package vti

import (
	"bufio"
	"bytes"
	"fmt"
	"net/netip"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// wire counts what an end sends over the wire. What it receives is no witness:
// a packet that was decrypted while no interface claims it shows up there, and
// is dropped.
type wire struct {
	inner      map[netip.Addr]bool // addresses of the tunnel; not changed while it counts
	clear, esp atomic.Int64
	first      atomic.Pointer[string] // packet in clear
}

// watch counts until the test ends.
func watch(t *testing.T, ns *sandbox.NS) *wire {
	t.Helper()
	w := &wire{inner: map[netip.Addr]bool{}}
	for _, a := range []string{innerA, innerB, innerA6, innerB6} {
		w.inner[netip.MustParseAddr(a)] = true
	}
	ns.Packets(t, func() (int, error) {
		const all = 0x0300 // ETH_P_ALL in network order
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, all)
		if err != nil {
			return 0, err
		}
		dev, err := netInterface(sandbox.Wire)
		if err != nil {
			return 0, err
		}
		return fd, unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: dev})
	}, w.count)
	return w
}

// judge fails when something was in clear, or nothing was seen at all.
func (w *wire) judge(t *testing.T) {
	t.Helper()
	if first := w.first.Load(); first != nil {
		t.Errorf("%d packets in clear, the first: %s", w.clear.Load(), *first)
	}
	if w.esp.Load() == 0 {
		t.Error("no protected packet was seen")
	}
}

func netInterface(name string) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	err = unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, req)
	return int(req.Uint32()), err
}

func (w *wire) count(frame []byte, from unix.Sockaddr) {
	if ll, ok := from.(*unix.SockaddrLinklayer); !ok || ll.Pkttype != unix.PACKET_OUTGOING || len(frame) < 54 {
		return
	}
	ip := frame[14:]
	proto, dst := ip[6], netip.AddrFrom16([16]byte(ip[24:40]))
	if ip[0]>>4 == 4 {
		proto, dst = ip[9], netip.AddrFrom4([4]byte(ip[16:20]))
	}
	switch {
	case proto == unix.IPPROTO_ESP:
		w.esp.Add(1)
	case w.inner[dst]:
		if w.clear.Add(1) == 1 {
			text := fmt.Sprintf("%x", ip)
			w.first.Store(&text)
		}
	}
}

// interval is the time between two pings of a flood, in milliseconds.
const interval = 4

// flood sends pings until it is stopped.
type flood struct {
	cmd      *exec.Cmd
	errs     bytes.Buffer
	answered atomic.Int64
	end      chan string // what ping said in the end
}

func startFlood(t *testing.T, e *end) *flood {
	t.Helper()
	f := &flood{cmd: exec.Command("ping", "-i", fmt.Sprintf("%.3f", interval/1000.0), "-W", "1", "-I", innerA, innerB), end: make(chan string, 1)}
	f.cmd.Stderr = &f.errs
	out, err := f.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := e.ns.Do(f.cmd.Start); err != nil {
		t.Fatal(err)
	}
	go func() {
		last := ""
		for in := bufio.NewScanner(out); in.Scan(); {
			if strings.Contains(in.Text(), " bytes from ") {
				f.answered.Add(1)
			} else {
				last += in.Text() + "\n"
			}
		}
		f.end <- last
	}()
	return f
}

// goesOn waits until more pings are answered.
func (f *flood) goesOn(t *testing.T) {
	t.Helper()
	before := f.answered.Load()
	if !sandbox.Await(func() bool { return f.answered.Load() > before }) {
		t.Errorf("no ping is answered behind %d", before)
	}
}

// stop returns how many were sent, and how many were not answered.
func (f *flood) stop(t *testing.T) (sent, lost int) {
	t.Helper()
	f.cmd.Process.Signal(syscall.SIGINT) //nolint:errcheck // Wait tells
	out := <-f.end
	f.cmd.Wait() //nolint:errcheck // exits with 1 when something was lost
	m := regexp.MustCompile(`(\d+) packets transmitted, (\d+) received`).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("ping: %s%s", out, f.errs.String())
	}
	sent, _ = strconv.Atoi(m[1]) // digits
	got, _ := strconv.Atoi(m[2])
	return sent, sent - got
}
