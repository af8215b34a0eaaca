// Package tun gives tests TUN devices with virtio headers in namespaces of
// their own.
package tun

import (
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/gsogro/segment"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// Device is a TUN device with a virtio header.
type Device struct {
	t     testing.TB
	fd    int
	index int
	buf   []byte
}

// What a device's reader takes unsegmented.
const (
	OffloadTCP = unix.TUN_F_CSUM | unix.TUN_F_TSO4 | unix.TUN_F_TSO6 | unix.TUN_F_TSO_ECN
	OffloadAll = OffloadTCP | unix.TUN_F_USO4 | unix.TUN_F_USO6
)

// Open makes a device with addresses, which is gone when the test ends. USO came
// with Linux 6.2: without it the test is skipped.
func Open(t testing.TB, ns *sandbox.NS, name string, offloads int, addrs ...string) *Device {
	t.Helper()
	d := &Device{t: t, fd: -1, buf: make([]byte, 1<<17)}
	err := ns.Do(func() (err error) {
		if d.fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0); err != nil {
			return err
		}
		ifr, err := unix.NewIfreq(name)
		if err != nil {
			return err
		}
		ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
		if err := unix.IoctlIfreq(d.fd, unix.TUNSETIFF, ifr); err != nil {
			return err
		}
		return unix.IoctlSetInt(d.fd, unix.TUNSETOFFLOAD, offloads)
	})
	if d.fd >= 0 {
		t.Cleanup(func() { unix.Close(d.fd) })
	}
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, unix.ENODEV):
		t.Skip("needs TUN devices (CONFIG_TUN); nothing of this test ran")
	case errors.Is(err, unix.EINVAL) && offloads&unix.TUN_F_USO4 != 0:
		t.Skip("needs UDP segmentation on TUN devices (TUN_F_USO4, Linux 6.2); nothing of this test ran")
	case err != nil:
		t.Fatal(err)
	}
	ip := sandbox.IP()
	ns.MustRun(t, ip, "link", "set", "dev", name, "addrgenmode", "none", "mtu", "1500")
	for _, a := range addrs {
		ns.MustRun(t, ip, "addr", "add", a, "dev", name, "nodad")
	}
	ns.MustRun(t, ip, "link", "set", "dev", name, "up")
	d.index = index(t, ns, name)
	awaitAddrs(t, ns, name, addrs)
	return d
}

// awaitAddrs waits until IPv6 addresses can be used: the kernel sees to that in
// a thread of its own, duplicate address detection or not.
func awaitAddrs(t testing.TB, ns *sandbox.NS, name string, addrs []string) {
	t.Helper()
	want := 0
	for _, a := range addrs {
		if netip.MustParsePrefix(a).Addr().Is6() {
			want++
		}
	}
	if !sandbox.Await(func() bool {
		local := ns.MustRun(t, sandbox.IP(), "-6", "route", "show", "table", "local", "type", "local", "dev", name)
		tentative := ns.MustRun(t, sandbox.IP(), "-6", "addr", "show", "dev", name, "tentative")
		return strings.Count(local, "local ") >= want && tentative == ""
	}) {
		t.Fatalf("the IPv6 addresses of %s are not ready", name)
	}
}

func index(t testing.TB, ns *sandbox.NS, name string) (n int) {
	t.Helper()
	if err := ns.Do(func() error {
		ifr, err := unix.NewIfreq(name)
		if err != nil {
			return err
		}
		s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(s)
		err = unix.IoctlIfreq(s, unix.SIOCGIFINDEX, ifr)
		n = int(ifr.Uint32())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

// Forward makes the namespace a router.
func Forward(t testing.TB, ns *sandbox.NS) {
	t.Helper()
	if err := ns.Do(func() error {
		return errors.Join(
			os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0),
			os.WriteFile("/proc/sys/net/ipv6/conf/all/forwarding", []byte("1"), 0))
	}); err != nil {
		t.Fatal(err)
	}
}

// Write hands a virtio header and a packet to the kernel, as received.
func (d *Device) Write(b []byte) error {
	_, err := unix.Write(d.fd, b)
	return err
}

// Read returns the next packet that is the test's own, and its virtio header, or
// nil when none has come for long. Borrowed until the next call.
func (d *Device) Read(ours func(pkt []byte) bool) (segment.Header, []byte) {
	d.t.Helper()
	for {
		p := []unix.PollFd{{Fd: int32(d.fd), Events: unix.POLLIN}}
		n, err := unix.Poll(p, int(sandbox.Patience.Milliseconds()))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			d.t.Fatal(err)
		}
		if n == 0 {
			return segment.Header{}, nil
		}
		if n, err = unix.Read(d.fd, d.buf); err != nil {
			d.t.Fatal(err)
		}
		var h segment.Header
		if err := h.Decode(d.buf[:n]); err != nil {
			d.t.Fatal(err)
		}
		if pkt := d.buf[segment.HeaderLen:n]; ours(pkt) {
			return h, pkt
		}
	}
}

// Inject hands a super-packet to the kernel for transmission by the device, as
// a packet socket with PACKET_VNET_HDR does.
func (d *Device) Inject(ns *sandbox.NS, h *segment.Header, pkt []byte) error {
	b := make([]byte, segment.HeaderLen, segment.HeaderLen+len(pkt))
	h.Encode(b)
	proto := uint16(unix.ETH_P_IP)
	if pkt[0]>>4 == 6 {
		proto = unix.ETH_P_IPV6
	}
	proto = proto<<8 | proto>>8
	return ns.Do(func() error {
		s, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(s)
		if err := unix.SetsockoptInt(s, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1); err != nil {
			return err
		}
		return unix.Sendto(s, append(b, pkt...), 0, &unix.SockaddrLinklayer{Protocol: proto, Ifindex: d.index})
	})
}
