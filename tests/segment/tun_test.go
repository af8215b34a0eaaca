// Package segment_test compares package segment with the kernel: its own
// segmentation, the super-packets it hands out, and what it makes of ours.
package segment_test

import (
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/gsogro/segment"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// tun is a TUN device with a virtio header, in a namespace of the test's.
type tun struct {
	t     *testing.T
	fd    int
	index int
	buf   []byte
}

// offloads that a TUN device can be given: what its reader takes unsegmented.
const (
	offloadTCP = unix.TUN_F_CSUM | unix.TUN_F_TSO4 | unix.TUN_F_TSO6 | unix.TUN_F_TSO_ECN
	offloadAll = offloadTCP | unix.TUN_F_USO4 | unix.TUN_F_USO6
)

// openTUN makes a device with addresses. USO came with Linux 6.2: without it
// the test is skipped.
func openTUN(t *testing.T, ns *sandbox.NS, name string, offloads int, addrs ...string) *tun {
	t.Helper()
	d := &tun{t: t, fd: -1, buf: make([]byte, 1<<17)}
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
		d.index = int(ifr.Uint32())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *tun) write(b []byte) error {
	_, err := unix.Write(d.fd, b)
	return err
}

// read returns the next packet of the tests' own and its virtio header, or nil
// when none has come for a second.
func (d *tun) read() (segment.Header, []byte) {
	d.t.Helper()
	for {
		p := []unix.PollFd{{Fd: int32(d.fd), Events: unix.POLLIN}}
		n, err := unix.Poll(p, int(time.Second/time.Millisecond))
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

// readAll reads so many packets, splitting those that need it.
func (d *tun) readAll(want int) (packets [][]byte, supers int) {
	d.t.Helper()
	for len(packets) < want {
		h, pkt := d.read()
		if pkt == nil {
			return packets, supers
		}
		if h.GSOType != segment.GSONone {
			supers++
		}
		packets = append(packets, split(d.t, &h, pkt)...)
	}
	return packets, supers
}

func split(t *testing.T, h *segment.Header, pkt []byte) [][]byte {
	t.Helper()
	var sp segment.Splitter
	if err := sp.Init(h, pkt); err != nil {
		t.Fatalf("%+v, %x: %v", h, pkt[:min(len(pkt), 80)], err)
	}
	var out [][]byte
	for seg := sp.Next(); seg != nil; seg = sp.Next() {
		out = append(out, append([]byte(nil), seg...))
	}
	return out
}

// inject hands a super-packet to the kernel for transmission by the device, as
// a packet socket with PACKET_VNET_HDR does.
func (d *tun) inject(ns *sandbox.NS, h *segment.Header, pkt []byte) error {
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
