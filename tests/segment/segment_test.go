// Package segment_test compares package segment with the kernel: its own
// segmentation, the super-packets it hands out, and what it makes of ours.
package segment_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/gsogro/segment"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
	"github.com/xfrmctl/xfrmctl/tests/tun"
)

func compare(t *testing.T, got, want [][]byte) {
	t.Helper()
	for i := range min(len(got), len(want)) {
		if !bytes.Equal(got[i], want[i]) {
			t.Fatalf("packet %d of %d:\n%x\nwant\n%x", i, len(want), got[i][:min(len(got[i]), 100)], want[i][:min(len(want[i]), 100)])
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d packets, want %d", len(got), len(want))
	}
}

// readAll reads so many packets, splitting those that need it.
func readAll(t *testing.T, d *tun.Device, want int) (packets [][]byte, supers int) {
	t.Helper()
	for len(packets) < want {
		h, pkt := d.Read(ours)
		if pkt == nil {
			return packets, supers
		}
		if h.GSOType != segment.GSONone {
			supers++
		}
		packets = append(packets, split(t, &h, pkt)...)
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

// sizes are payload and segment size. The kernel segments no TCP under 8 bytes.
func sizes() [][2]int {
	return [][2]int{{1, 1}, {8, 8}, {9, 8}, {16, 8}, {100, 99}, {100, 50}, {1400, 1400}, {1401, 1400}, {2800, 1400}, {14000, 1000}, {60000, 1428}, {64000, 1420}}
}

// TestKernelSegments: the kernel segments in software what it sends through a
// device without offloads. Splitter must give the same bytes.
func TestKernelSegments(t *testing.T) {
	for _, s := range streams() {
		t.Run(s.name(), func(t *testing.T) {
			ns := sandbox.New(t)
			d := tun.Open(t, ns, "tun0", 0)
			for _, n := range sizes() {
				if n[0] <= n[1] {
					continue // not a super-packet to the kernel
				}
				h, pkt := s.super(random(n[0]), n[1])
				err := d.Inject(ns, &h, pkt)
				if errors.Is(err, unix.EINVAL) && s.udp {
					t.Skip("needs UDP segmentation in virtio headers (Linux 6.2); nothing of this test ran")
				}
				if err != nil {
					t.Fatal(err)
				}
				want := split(t, &h, pkt)
				got, supers := readAll(t, d, len(want))
				if supers != 0 {
					t.Fatal("the kernel did not segment")
				}
				compare(t, got, want)
				compare(t, want, s.cut(random(n[0]), n[1]))
			}
		})
	}
}

// TestKernelChecksum: the kernel completes partial checksums in software as
// Splitter does.
func TestKernelChecksum(t *testing.T) {
	ns := sandbox.New(t)
	d := tun.Open(t, ns, "tun0", 0)
	for _, s := range streams() {
		for _, n := range []int{0, 1, 2, 500, 1400} {
			h, pkt := s.super(random(n), 1400)
			h.GSOType, h.GSOSize = segment.GSONone, 0
			if err := d.Inject(ns, &h, pkt); err != nil {
				t.Fatal(err)
			}
			got, _ := readAll(t, d, 1)
			compare(t, got, split(t, &h, pkt))
		}
	}
}

// router is a namespace that forwards from device tuna to device tunb.
func router(t *testing.T, offloads int) (a, b *tun.Device) {
	ns := sandbox.New(t)
	a = tun.Open(t, ns, "tuna", 0, "10.1.0.1/24", "fd01::1/64")
	b = tun.Open(t, ns, "tunb", offloads, "10.2.0.1/24", "fd02::1/64")
	tun.Forward(t, ns)
	return a, b
}

// coalesce merges packets and returns what would be written.
func coalesce(t *testing.T, packets [][]byte) []segment.Output {
	t.Helper()
	c := segment.NewCoalescer(segment.CoalescerConfig{})
	for _, p := range packets {
		buf := c.Reserve(len(p) + 18)
		copy(buf, p)
		c.Commit(len(p), 0)
	}
	return c.Outputs()
}

// TestKernelTakesCoalesced: the kernel forwards a super-packet of ours. What
// comes out are the packets that were merged, one hop later: when the kernel
// segments it, and when it hands it out whole and Splitter does.
func TestKernelTakesCoalesced(t *testing.T) {
	for name, whole := range map[string]bool{"segmented by the kernel": false, "handed out whole": true} {
		for _, s := range streams() {
			t.Run(name+"/"+s.name(), func(t *testing.T) {
				offloads := 0
				if whole {
					if offloads = tun.OffloadTCP; s.udp {
						offloads = tun.OffloadAll
					}
				}
				a, b := router(t, offloads)
				for _, n := range sizes() {
					packets := s.cut(random(n[0]), n[1])
					out := coalesce(t, packets)
					if len(out) != 1 {
						t.Fatalf("%d by %d: %d outputs", n[0], n[1], len(out))
					}
					err := a.Write(out[0].Buf)
					if errors.Is(err, unix.EINVAL) && s.udp && len(packets) > 1 {
						t.Skip("needs UDP segmentation in virtio headers (Linux 6.2); this part did not run")
					}
					if err != nil {
						t.Fatalf("%d by %d: %v", n[0], n[1], err)
					}
					for _, p := range packets {
						hop(p)
					}
					got, supers := readAll(t, b, len(packets))
					compare(t, got, packets)
					if (supers == 1) != (whole && len(packets) > 1) {
						t.Errorf("%d by %d: %d super-packets", n[0], n[1], supers)
					}
				}
			})
		}
	}
}

// TestKernelTakesInterleaved: several flows in turn, merged, forwarded; each
// flow's packets come out in order.
func TestKernelTakesInterleaved(t *testing.T) {
	a, b := router(t, 0)
	var flows [4][][]byte
	for i, s := range streams() {
		flows[i] = s.cut(random(20*1000), 1000)
	}
	var in [][]byte
	for j := range 20 {
		for i := range flows {
			in = append(in, flows[i][j])
		}
	}
	out := coalesce(t, in)
	if len(out) != 4 {
		t.Fatalf("%d outputs", len(out))
	}
	for _, o := range out {
		if err := a.Write(o.Buf); errors.Is(err, unix.EINVAL) {
			t.Skip("needs UDP segmentation in virtio headers (Linux 6.2); nothing of this test ran")
		} else if err != nil {
			t.Fatal(err)
		}
	}
	got, _ := readAll(t, b, len(in))
	var want [][]byte
	for i := range flows {
		want = append(want, flows[i]...)
	}
	for _, p := range want {
		hop(p)
	}
	compare(t, got, want)
}

// TestKernelDelivers: a program on this host gets the datagrams of a
// super-packet one by one, or, if it asks for that, as they were merged.
func TestKernelDelivers(t *testing.T) {
	for _, s := range streams()[2:] {
		for _, gro := range []int{0, 1} {
			t.Run(fmt.Sprintf("%s/UDP_GRO %d", s.name(), gro), func(t *testing.T) {
				ns := sandbox.New(t)
				d := tun.Open(t, ns, "tun0", 0, "10.1.0.1/24", "fd01::1/64", "10.2.0.2/32", "fd02::2/128")
				fd := listen(t, ns, s.v6, gro)
				payload := random(20*1000 + 7)
				out := coalesce(t, s.cut(payload, 1000))
				if err := d.Write(out[0].Buf); errors.Is(err, unix.EINVAL) {
					t.Skip("needs UDP segmentation in virtio headers (Linux 6.2); nothing of this test ran")
				} else if err != nil {
					t.Fatal(err)
				}
				var got []byte
				datagrams, buf := 0, make([]byte, 1<<16)
				for len(got) < len(payload) {
					n, _, err := unix.Recvfrom(fd, buf, 0)
					if err != nil {
						t.Fatalf("after %d bytes: %v", len(got), err)
					}
					got = append(got, buf[:n]...)
					datagrams++
				}
				want := 21
				if gro != 0 {
					want = 1
				}
				if !bytes.Equal(got, payload) || datagrams != want {
					t.Errorf("%d datagrams, want %d", datagrams, want)
				}
			})
		}
	}
}

func listen(t *testing.T, ns *sandbox.NS, v6 bool, gro int) (fd int) {
	t.Helper()
	if err := ns.Do(func() (err error) {
		var sa unix.Sockaddr = &unix.SockaddrInet4{Port: port}
		domain := unix.AF_INET
		if v6 {
			sa, domain = &unix.SockaddrInet6{Port: port}, unix.AF_INET6
		}
		if fd, err = unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		return errors.Join(
			unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_GRO, gro),
			unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 2}),
			unix.Bind(fd, sa))
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}
