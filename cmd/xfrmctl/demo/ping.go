package demo

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// firstWait is how long an answer may take; an emulated machine under load
	// takes its time over the first one.
	firstWait = 3 * time.Second
	// shortWait is for when an answer has failed to come already.
	shortWait = time.Second
	// bindWait is how long a new address may take to be usable.
	bindWait = 3 * time.Second
	// answerTick and bindTick are the pieces in which these times pass: a machine
	// that stands still for seconds uses up one.
	answerTick = 100 * time.Millisecond
	bindTick   = 5 * time.Millisecond
)

// pinger sends echo requests from one address to another and waits for each
// answer. It serves one goroutine.
type pinger struct {
	sock   *os.File
	v6     bool
	id     uint16
	marker []byte // random; the payload consists of it
	lost   error  // why an answer did not come
}

// newPinger opens a raw socket in ns.
func newPinger(ctx context.Context, ns *Namespace, from, to netip.Addr) (*pinger, error) {
	p := &pinger{v6: from.Is6(), marker: make([]byte, 16)}
	rand.Read(p.marker) // never fails
	p.id = binary.BigEndian.Uint16(p.marker)
	fd, err := openRaw(ns, p.v6)
	if err != nil {
		return nil, err
	}
	if err := connect(ctx, fd, from, to); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("ping from %s to %s: %w", from, to, err)
	}
	p.sock = os.NewFile(uintptr(fd), "icmp socket")
	return p, nil
}

func openRaw(ns *Namespace, v6 bool) (fd int, err error) {
	family, proto := unix.AF_INET, unix.IPPROTO_ICMP
	if v6 {
		family, proto = unix.AF_INET6, unix.IPPROTO_ICMPV6
	}
	err = ns.Do(func() error {
		fd, err = unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, proto)
		if err != nil {
			return socketError("raw socket", err)
		}
		return nil
	})
	return fd, err
}

// connect ties the socket to its addresses.
func connect(ctx context.Context, fd int, from, to netip.Addr) error {
	if err := bind(ctx, fd, from); err != nil {
		return err
	}
	return unix.Connect(fd, sockaddr(to))
}

// awaitAddress waits until an address can be used.
func awaitAddress(ctx context.Context, ns *Namespace, a netip.Addr) error {
	fd, err := openRaw(ns, a.Is6())
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := bind(ctx, fd, a); err != nil {
		return fmt.Errorf("use %s: %w", a, err)
	}
	return nil
}

// bind gives the socket its address. A new IPv6 address cannot be used at once:
// the kernel finishes it in the background, and drops what comes for it.
func bind(ctx context.Context, fd int, from netip.Addr) error {
	for ticks := bindWait / bindTick; ; ticks-- {
		err := unix.Bind(fd, sockaddr(from))
		if !errors.Is(err, unix.EADDRNOTAVAIL) || ticks == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(bindTick):
		}
	}
}

func sockaddr(a netip.Addr) unix.Sockaddr {
	if a.Is4() {
		return &unix.SockaddrInet4{Addr: a.As4()}
	}
	return &unix.SockaddrInet6{Addr: a.As16()}
}

// run sends n requests, one after another, and returns how many were answered.
// An error means that it could not go on.
func (p *pinger) run(ctx context.Context, n int, wait time.Duration) (answered int, err error) {
	stop := context.AfterFunc(ctx, func() {
		_ = p.sock.SetReadDeadline(time.Unix(1, 0)) // a closed socket has no reader to wake
	})
	defer stop()
	for seq := range n {
		err := p.once(ctx, uint16(seq+1), wait)
		switch {
		case ctx.Err() != nil:
			return answered, ctx.Err()
		case err != nil:
			p.lost, wait = err, min(wait, shortWait)
		default:
			answered++
		}
	}
	return answered, nil
}

func (p *pinger) once(ctx context.Context, seq uint16, wait time.Duration) error {
	request := echo(p.v6, p.id, seq, p.marker)
	if _, err := p.sock.Write(request); err != nil {
		return bare(err)
	}
	for range wait / answerTick {
		answered, err := p.tick(ctx, request)
		if answered || err != nil {
			return err
		}
	}
	return fmt.Errorf("no answer within %s", wait)
}

// tick waits for the answer to a request for a while.
func (p *pinger) tick(ctx context.Context, request []byte) (answered bool, err error) {
	if err := p.sock.SetReadDeadline(time.Now().Add(answerTick)); err != nil {
		return false, err
	}
	if err := ctx.Err(); err != nil {
		return false, err // it may have ended before the deadline was set
	}
	buf := make([]byte, 1500)
	for {
		n, err := p.sock.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return false, nil
		}
		if err != nil {
			return false, bare(err) // such as what an ICMP error said
		}
		if isReply(p.v6, buf[:n], request) {
			return true, nil
		}
	}
}

// bare drops the operation and the name of the socket.
func bare(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

func (p *pinger) close() error { return p.sock.Close() }
