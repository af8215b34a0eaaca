package rtnl

import (
	"fmt"
	"syscall"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// readBuffer is what a socket's receive buffer shall hold, in bytes: the refusals
// of a chunk, or some thousand notifications.
const readBuffer = 4 << 20

// socket is a routing socket. The runtime's poller waits for it.
type socket struct {
	c   *netlink.Conn
	raw syscall.RawConn
}

// Dial opens a routing socket in the namespace, the zero NetNS is the caller's,
// and joins multicast groups (RTNLGRP_*).
func Dial(ns netlinkx.NetNS, groups ...uint32) (netlinkx.Transport, error) {
	cfg := &netlink.Config{}
	f, err := ns.Open()
	if err != nil {
		return nil, err
	}
	if f != nil {
		defer f.Close() // the socket needs it no longer
		cfg.NetNS = int(f.Fd())
	}
	c, err := netlink.Dial(unix.NETLINK_ROUTE, cfg)
	if err != nil {
		return nil, fmt.Errorf("open routing socket: %w", err)
	}
	s := &socket{c: c}
	if err := s.setup(groups); err != nil {
		_ = c.Close() // that error is the news
		return nil, fmt.Errorf("open routing socket: %w", err)
	}
	return s, nil
}

func (s *socket) setup(groups []uint32) (err error) {
	if s.raw, err = s.c.SyscallConn(); err != nil {
		return err
	}
	// old kernels know none of these, and get by without
	for _, o := range []netlink.ConnOption{netlink.ExtendedAcknowledge, netlink.CapAcknowledge, netlink.GetStrictCheck} {
		_ = s.c.SetOption(o, true)
	}
	_ = s.c.SetReadBuffer(readBuffer) // less only loses messages sooner, which shows
	for _, g := range groups {
		if err := s.c.JoinGroup(g); err != nil {
			return fmt.Errorf("join group %d: %w", g, err)
		}
	}
	return nil
}

// Send implements netlinkx.Transport. An unconnected netlink socket sends to the
// kernel.
func (s *socket) Send(b []byte) (err error) {
	werr := s.raw.Write(func(fd uintptr) bool {
		for {
			if _, err = unix.Write(int(fd), b); err != unix.EINTR {
				return err != unix.EAGAIN
			}
		}
	})
	return joined("send", err, werr)
}

// Recv implements netlinkx.Transport. What another process sent is dropped.
func (s *socket) Recv(b []byte) (n int, err error) {
	rerr := s.raw.Read(func(fd uintptr) bool {
		for {
			var from unix.Sockaddr
			n, from, err = unix.Recvfrom(int(fd), b, unix.MSG_DONTWAIT)
			if nl, ok := from.(*unix.SockaddrNetlink); err == nil && ok && nl.Pid != 0 || err == unix.EINTR {
				continue
			}
			return err != unix.EAGAIN
		}
	})
	return n, joined("receive", err, rerr)
}

func joined(op string, err, poll error) error {
	if poll != nil {
		return poll
	}
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return nil
}

// SetDeadline implements netlinkx.Transport.
func (s *socket) SetDeadline(t time.Time) error { return s.c.SetDeadline(t) }

// Close implements netlinkx.Transport.
func (s *socket) Close() error { return s.c.Close() }
