package crash_test

import (
	"errors"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/tests/engine"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// payload is what each datagram carries, and espOverhead what ESP adds to it:
// the inner headers, ESP header, IV, padding, trailer and ICV.
const (
	payload     = 202 // with the inner headers and the trailer a multiple of four
	espOverhead = 28 + 8 + 8 + 2 + 16
)

// A stream sends datagrams from A to B without a pause, whether they can be
// sent or not.
type stream struct {
	from, to int
	arrived  atomic.Uint64
	stop     chan struct{}
	done     chan struct{}
}

func startStream(t *testing.T, p *sandbox.Pair) *stream {
	t.Helper()
	s := &stream{stop: make(chan struct{}), done: make(chan struct{}, 2)}
	const port = 7100
	a, b := netip.MustParseAddr(engine.InnerA).As4(), netip.MustParseAddr(engine.InnerB).As4()
	if err := p.B.Do(func() (err error) {
		s.to, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		wait := unix.NsecToTimeval(int64(100 * time.Millisecond))
		return errors.Join(err, unix.SetsockoptTimeval(s.to, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait), unix.Bind(s.to, &unix.SockaddrInet4{Port: port, Addr: b}))
	}); err != nil {
		t.Fatal(err)
	}
	if err := p.A.Do(func() (err error) {
		s.from, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		// the address goes away with the device and comes again
		return errors.Join(err, unix.SetsockoptInt(s.from, unix.IPPROTO_IP, unix.IP_FREEBIND, 1), unix.Bind(s.from, &unix.SockaddrInet4{Port: port, Addr: a}))
	}); err != nil {
		t.Fatal(err)
	}
	go s.send(&unix.SockaddrInet4{Port: port, Addr: b})
	go s.receive()
	return s
}

func (s *stream) send(to unix.Sockaddr) {
	defer func() { s.done <- struct{}{} }()
	b := make([]byte, payload)
	for {
		select {
		case <-s.stop:
			return
		default:
		}
		for range 8 {
			if err := unix.Sendto(s.from, b, 0, to); err != nil {
				time.Sleep(time.Millisecond) // no device at the moment
			}
		}
		time.Sleep(200 * time.Microsecond)
	}
}

func (s *stream) receive() {
	defer func() { s.done <- struct{}{} }()
	b := make([]byte, 2048)
	for {
		if _, _, err := unix.Recvfrom(s.to, b, 0); err == nil {
			s.arrived.Add(1)
			continue
		}
		select {
		case <-s.stop:
			return
		default:
		}
	}
}

// goesOn waits until more than seen datagrams have arrived.
func (s *stream) goesOn(t *testing.T, seen uint64) {
	t.Helper()
	for range 12_000 { // a minute
		if s.arrived.Load() > seen+4 {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("traffic does not go on")
}

func (s *stream) end() {
	close(s.stop)
	<-s.done
	<-s.done
	unix.Close(s.from)
	unix.Close(s.to)
}
