package interop_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// port is what both sides send datagrams from and to.
const port = 7007

// patience is how long a datagram may take on a machine that has other things
// to do, and tick how often a receiver looks whether it still has to wait.
const (
	patience = 20 * time.Second
	tick     = 100 * time.Millisecond
)

// content returns the bytes of a datagram: no two are alike.
func content(size int, seed uint64) []byte {
	b := make([]byte, size)
	r := rand.New(rand.NewPCG(seed, uint64(size)))
	for i := 0; i+8 <= size; i += 8 {
		binary.NativeEndian.PutUint64(b[i:], r.Uint64())
	}
	for i := size &^ 7; i < size; i++ {
		b[i] = byte(r.Uint64())
	}
	return b
}

// An endpoint is a UDP socket of one side.
type endpoint struct {
	fd     int
	family byte
	buf    []byte
}

// open binds a socket to an address of the side, and connects it to the other.
func open(t *testing.T, ns *sandbox.NS, family byte, own, other string) *endpoint {
	t.Helper()
	e := &endpoint{family: family, buf: make([]byte, 1<<16)}
	err := ns.Do(func() (err error) {
		af := unix.AF_INET
		if family == 6 {
			af = unix.AF_INET6
		}
		if e.fd, err = unix.Socket(af, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		wait := unix.NsecToTimeval(int64(tick))
		return errors.Join(
			unix.SetsockoptInt(e.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20),
			unix.SetsockoptInt(e.fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 8<<20),
			unix.SetsockoptTimeval(e.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait),
			e.observe(),
			unix.Bind(e.fd, address(own)),
			unix.Connect(e.fd, address(other)))
	})
	if err != nil {
		t.Fatalf("socket from %s to %s: %v", own, other, err)
	}
	t.Cleanup(func() { unix.Close(e.fd) })
	return e
}

func address(text string) unix.Sockaddr {
	a := netip.MustParseAddr(text)
	if a.Is4() {
		return &unix.SockaddrInet4{Port: port, Addr: a.As4()}
	}
	return &unix.SockaddrInet6{Port: port, Addr: a.As16()}
}

// observe asks for the inner header's fields with each datagram.
func (e *endpoint) observe() error {
	if e.family == 4 {
		return errors.Join(unix.SetsockoptInt(e.fd, unix.IPPROTO_IP, unix.IP_RECVTOS, 1), unix.SetsockoptInt(e.fd, unix.IPPROTO_IP, unix.IP_RECVTTL, 1))
	}
	return errors.Join(unix.SetsockoptInt(e.fd, unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS, 1), unix.SetsockoptInt(e.fd, unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT, 1))
}

// send sends one datagram.
func (e *endpoint) send(b []byte) error {
	for {
		_, err := unix.Write(e.fd, b)
		// an ICMP message about an earlier datagram
		if errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.EINTR) {
			continue
		}
		return err
	}
}

// An arrival is a datagram with what its IP header said.
type arrival struct {
	data     []byte // borrowed until the next call
	tos, ttl byte
}

// receive waits for one datagram as long as it may take.
func (e *endpoint) receive() (a arrival, err error) {
	for range patience / tick {
		if a, err = e.poll(); !errors.Is(err, unix.EAGAIN) {
			break
		}
	}
	return a, err
}

// poll waits for one datagram for a tick.
func (e *endpoint) poll() (arrival, error) {
	oob := make([]byte, 128)
	for {
		n, oobn, _, _, err := unix.Recvmsg(e.fd, e.buf, oob, 0)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.ECONNREFUSED) {
			continue
		}
		if err != nil {
			return arrival{}, err
		}
		a := arrival{data: e.buf[:n]}
		messages, err := unix.ParseSocketControlMessage(oob[:oobn])
		if err != nil {
			return arrival{}, err
		}
		for _, m := range messages {
			switch {
			case m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_TOS, m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_TCLASS:
				a.tos = m.Data[0]
			case m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_TTL, m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_HOPLIMIT:
				a.ttl = m.Data[0]
			}
		}
		return a, nil
	}
}

// carry sends a datagram from one endpoint to the other and compares.
func carry(from, to *endpoint, b []byte) (arrival, error) {
	if err := from.send(b); err != nil {
		return arrival{}, fmt.Errorf("%d bytes: send: %w", len(b), err)
	}
	a, err := to.receive()
	switch {
	case errors.Is(err, unix.EAGAIN):
		return a, fmt.Errorf("%d bytes: lost", len(b))
	case err != nil:
		return a, fmt.Errorf("%d bytes: %w", len(b), err)
	case len(a.data) != len(b):
		return a, fmt.Errorf("%d bytes: %d arrived", len(b), len(a.data))
	case !bytes.Equal(a.data, b):
		return a, fmt.Errorf("%d bytes: other bytes arrived", len(b))
	}
	return a, nil
}

// rest returns how many datagrams wait although none should.
func (e *endpoint) rest() (n int) {
	for {
		if _, _, err := unix.Recvfrom(e.fd, e.buf, unix.MSG_DONTWAIT); err != nil {
			return n
		}
		n++
	}
}
