package netlinkx

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// nlSocket is a transport over a netlink socket. The socket belongs to the
// runtime's poller; reads and writes go to the kernel directly, because the
// acknowledgements of many messages and the namespace id of an event are not
// to be had otherwise.
type nlSocket struct {
	c    *netlink.Conn
	raw  syscall.RawConn
	oob  []byte        // for the sender's namespace; nil if that is not asked for
	many *manyReceiver // made by the first recvMany
}

// openSocket opens a NETLINK_XFRM socket in ns that belongs to the groups.
func openSocket(ns NetNS, readBuffer int, groups []Group, allNSID bool) (*nlSocket, error) {
	f, err := ns.Open()
	if err != nil {
		return nil, err
	}
	cfg := &netlink.Config{}
	if f != nil {
		defer f.Close()
		cfg.NetNS = int(f.Fd())
	}
	c, err := netlink.Dial(unix.NETLINK_XFRM, cfg)
	if err != nil {
		return nil, newDialError(err)
	}
	s := &nlSocket{c: c}
	if err := s.setup(readBuffer, groups, allNSID); err != nil {
		c.Close()
		return nil, err
	}
	return s, nil
}

func (s *nlSocket) setup(readBuffer int, groups []Group, allNSID bool) (err error) {
	if s.raw, err = s.c.SyscallConn(); err != nil {
		return err
	}
	// Without extended acknowledgements (before Linux 4.12) errors have no text;
	// that is no reason to fail.
	_ = s.c.SetOption(netlink.ExtendedAcknowledge, true)
	_ = s.c.SetOption(netlink.CapAcknowledge, true) // do not echo requests: they hold keys
	if readBuffer == 0 {
		readBuffer = defaultReadBuffer
	}
	_ = s.c.SetReadBuffer(readBuffer) // what we get is asked for with readBuffer
	if allNSID {
		if err := s.c.SetOption(netlink.ListenAllNSID, true); err != nil {
			return newDialError(fmt.Errorf("listen to all namespaces: %w", err))
		}
		s.oob = make([]byte, unix.CmsgSpace(4))
	}
	for _, g := range groups {
		if err := s.c.JoinGroup(uint32(g)); err != nil {
			return newDialError(fmt.Errorf("join multicast group %d: %w", g, err))
		}
	}
	return nil
}

// readBuffer returns the size of the socket's receive buffer in bytes, as the
// kernel counts (twice what was asked for).
func (s *nlSocket) readBuffer() int {
	n, err := s.c.ReadBuffer()
	if err != nil {
		return 0
	}
	return n
}

func (s *nlSocket) send(b []byte) (err error) {
	werr := s.raw.Write(func(fd uintptr) bool {
		for {
			// No address: an unconnected netlink socket sends to the kernel.
			_, err = unix.Write(int(fd), b)
			if err != unix.EINTR {
				return err != unix.EAGAIN
			}
		}
	})
	return sysErr("send", err, werr)
}

// sendQuick is send for what the kernel does within a millisecond.
func (s *nlSocket) sendQuick(b []byte) (err error) {
	werr := s.raw.Write(func(fd uintptr) bool {
		for {
			if err = writeNoWait(fd, b); err != unix.EINTR {
				return err != unix.EAGAIN
			}
		}
	})
	return sysErr("send", err, werr)
}

func (s *nlSocket) recv(b []byte) (n int, nsid Opt[int32], err error) {
	if s.oob != nil {
		return s.recvNSID(b)
	}
	var from uint32
	rerr := s.raw.Read(func(fd uintptr) bool {
		for {
			n, from, err = recvNoWait(fd, b)
			if err != unix.EINTR {
				return err != unix.EAGAIN
			}
		}
	})
	if err := sysErr("receive", err, rerr); err != nil {
		return 0, nsid, err
	}
	if from != 0 {
		return 0, nsid, nil // not from the kernel
	}
	if n > len(b) {
		return 0, nsid, errTruncated(len(b))
	}
	return n, nsid, nil
}

func (s *nlSocket) recvMany(b []byte, lengths []int) (n int, err error) {
	if s.many == nil {
		s.many = newManyReceiver(len(lengths))
	}
	slots := s.many.prepare(b)
	rerr := s.raw.Read(func(fd uintptr) bool {
		for {
			n, err = s.many.recvNoWait(fd, slots)
			if err != unix.EINTR {
				return err != unix.EAGAIN
			}
		}
	})
	if err := sysErr("receive", err, rerr); err != nil {
		return 0, err
	}
	for i := range n {
		if lengths[i] = s.many.length(i); lengths[i] > slotSize {
			return 0, errTruncated(slotSize)
		}
	}
	return n, nil
}

// recvNSID is recv with the namespace of the sender.
func (s *nlSocket) recvNSID(b []byte) (n int, nsid Opt[int32], err error) {
	var oobn, flags int
	var from unix.Sockaddr
	rerr := s.raw.Read(func(fd uintptr) bool {
		for {
			n, oobn, flags, from, err = unix.Recvmsg(int(fd), b, s.oob, 0)
			if err != unix.EINTR {
				return err != unix.EAGAIN
			}
		}
	})
	if err := sysErr("receive", err, rerr); err != nil {
		return 0, nsid, err
	}
	if a, ok := from.(*unix.SockaddrNetlink); !ok || a.Pid != 0 {
		return 0, nsid, nil // not from the kernel
	}
	if flags&unix.MSG_TRUNC != 0 {
		return 0, nsid, errTruncated(len(b))
	}
	return n, senderNSID(s.oob[:oobn]), nil
}

func errTruncated(room int) error {
	return fmt.Errorf("netlink receive: datagram of more than %d bytes", room)
}

// senderNSID finds the namespace id in ancillary data (NETLINK_LISTEN_ALL_NSID).
func senderNSID(oob []byte) (id Opt[int32]) {
	if len(oob) == 0 {
		return id
	}
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return id
	}
	for _, m := range msgs {
		if m.Header.Level == unix.SOL_NETLINK && m.Header.Type == unix.NETLINK_LISTEN_ALL_NSID && len(m.Data) >= 4 {
			return Some(int32(host.Uint32(m.Data)))
		}
	}
	return id
}

func (s *nlSocket) setDeadline(t time.Time) error { return s.c.SetDeadline(t) }
func (s *nlSocket) close() error                  { return s.c.Close() }

// sysErr joins the error of a system call with that of the poller around it.
func sysErr(call string, err, pollErr error) error {
	switch {
	case pollErr != nil && errors.Is(pollErr, os.ErrDeadlineExceeded):
		return os.ErrDeadlineExceeded
	case pollErr != nil:
		return fmt.Errorf("netlink %s: %w", call, pollErr)
	case err != nil:
		return fmt.Errorf("netlink %s: %w", call, err)
	}
	return nil
}
