package gro_test

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// transfer is how much TCP carries in each run.
const transfer = 32 << 20

// TestCoalescing: with GRO the receiver's stack sees packets of several
// segments, without it one segment each. The sender cuts its packets itself. What
// waits for each other is joined: on a busy machine it takes several tries until
// they do.
func TestCoalescing(t *testing.T) {
	p := newPair(t)
	// veth has its peer join packets only when it could not have sent large ones
	const noTSO = "tx-tcp-segmentation off tx-tcp6-segmentation off tx-tcp-ecn-segmentation off tx-tcp-mangleid-segmentation off"
	if out, code := gro(t, p.left, "set v0 tx-generic-segmentation off "+noTSO); code != 0 {
		t.Fatalf("exit code %d: %s", code, out)
	}
	ratio := map[string]float64{}
	for _, on := range []string{"off", "on", "off"} {
		// veth polls for each packet, which leaves none to join: let packets wait
		if out, code := gro(t, p.right, "set v1 gro_flush_timeout 200000 napi_defer_hard_irqs 2 rx-gro "+on); code != 0 {
			t.Fatalf("rx-gro %s: exit code %d: %s", on, code, out)
		}
		for tries := 0; tries == 0 || on == "on" && ratio[on] < 1.5 && tries < 10; tries++ {
			packets, took := p.measure(t)
			const mss = 1448
			ratio[on] = float64(transfer) / float64(packets) / mss
			t.Logf("rx-gro %s: %d packets, %.2f segments each, %.2f Gbit/s", on, packets, ratio[on], transfer*8/took.Seconds()/1e9)
		}
	}
	if ratio["on"] < 1.5 {
		t.Errorf("with GRO a packet has %.2f segments, want well above 1", ratio["on"])
	}
	if ratio["off"] > 1.02 {
		t.Errorf("without GRO a packet has %.2f segments, want 1", ratio["off"])
	}
}

// measure sends over TCP from left to right, and counts the packets with data
// that the right side's stack gets.
func (p *pair) measure(t *testing.T) (packets int, took time.Duration) {
	t.Helper()
	var l net.Listener
	tap := -1
	if err := p.right.Do(func() (err error) {
		if l, err = net.Listen("tcp4", "10.99.0.2:0"); err != nil {
			return err
		}
		tap, err = openTap()
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	defer unix.Close(tap)
	count, stop := make(chan int), make(chan struct{})
	go countPackets(tap, stop, count)
	received := make(chan error)
	go func() { received <- receive(l) }()
	start := time.Now()
	if err := send(p.left, l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if err := <-received; err != nil {
		t.Fatal(err)
	}
	took = time.Since(start)
	close(stop)
	return <-count, took
}

func receive(l net.Listener) error {
	c, err := l.Accept()
	if err != nil {
		return err
	}
	defer c.Close()
	n, err := io.Copy(io.Discard, c)
	if err == nil && n != transfer {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func send(ns *sandbox.NS, to string) error {
	var c net.Conn
	if err := ns.Do(func() (err error) { c, err = net.Dial("tcp4", to); return err }); err != nil {
		return err
	}
	buf := make([]byte, 64<<10)
	for range transfer / len(buf) {
		if _, err := c.Write(buf); err != nil {
			return errors.Join(err, c.Close())
		}
	}
	return c.Close()
}

// openTap opens a socket that gets copies of all IPv4 packets, as the stack
// gets them, cut to their headers.
func openTap() (int, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(htons(unix.ETH_P_IP)))
	if err != nil {
		return -1, err
	}
	tv := unix.Timeval{Usec: 20_000}
	return fd, errors.Join(unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20))
}

func htons(v uint16) uint16 { return v<<8 | v>>8 }

// countPackets counts incoming TCP packets with data until it is stopped and
// none is left.
func countPackets(fd int, stop chan struct{}, result chan int) {
	buf, n := make([]byte, 128), 0
	for {
		size, from, err := unix.Recvfrom(fd, buf, unix.MSG_TRUNC)
		if err != nil {
			select {
			case <-stop:
				result <- n
				return
			default:
				continue
			}
		}
		if a, ok := from.(*unix.SockaddrLinklayer); ok && a.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		if buf[9] == unix.IPPROTO_TCP && size > 100 {
			n++
		}
	}
}
