package ifaces

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/jsimonetti/rtnetlink/v2"
	"github.com/mdlayher/netlink"

	"github.com/xfrmctl/xfrmctl/ifaces/rtnl"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// socket is a routing socket in one namespace.
type socket struct {
	home  *os.File // the namespace, nil unknown
	enter bool     // home is not the caller's

	mu     sync.Mutex // guards what is below, and the request in flight
	conn   *rtnetlink.Conn
	many   *rtnl.Conn // for batches, opened by the first
	closed bool
}

// bufferSize is offered for every datagram, which lets the kernel send dumps
// in datagrams of 32 KiB and saves a look at the size of each.
const bufferSize = 64 << 10

// connect opens the socket, in home where that is not where the caller's
// thread is.
func (s *socket) connect() error {
	cfg := &netlink.Config{Strict: true, MessageBufferSize: bufferSize}
	if s.home != nil && (s.enter || !isOwn(s.home)) {
		cfg.NetNS = int(s.home.Fd())
	}
	conn, err := rtnetlink.Dial(cfg)
	if err != nil {
		return dialError(err)
	}
	s.conn = conn
	return nil
}

// isOwn reports whether f is the namespace of the calling thread, which may be
// another one when a socket is opened a second time.
func isOwn(f *os.File) bool {
	own, err := os.Stat(ownNamespace)
	if err != nil {
		return true
	}
	return sameFile(f, own)
}

func sameFile(f *os.File, other os.FileInfo) bool {
	fi, err := f.Stat()
	return err == nil && os.SameFile(fi, other)
}

// errClosed is what a closed Conn answers.
var errClosed = errors.New("connection is closed")

func (s *socket) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	s.closed = true
	err := s.drop()
	if s.many != nil {
		err = errors.Join(err, s.many.Close())
	}
	return err
}

// batch sends many messages over a socket of its own.
func (s *socket) batch(ctx context.Context, msgs []rtnl.Message) (*rtnl.Result, error) {
	many, err := s.openMany()
	if err != nil {
		return &rtnl.Result{}, err
	}
	return many.Batch(ctx, msgs)
}

func (s *socket) openMany() (*rtnl.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	if s.many == nil {
		ns := netlinkx.NetNS{}
		if s.home != nil && (s.enter || !isOwn(s.home)) {
			ns = netlinkx.NetNSFD(int(s.home.Fd()))
		}
		t, err := rtnl.Dial(ns)
		if err != nil {
			return nil, dialError(err)
		}
		s.many = rtnl.New(t)
	}
	return s.many, nil
}

func (s *socket) drop() error {
	if s.conn == nil {
		return nil
	}
	err := s.conn.Close()
	s.conn = nil
	return err
}

// exchange sends one message and returns all that answers it. It ends when ctx
// does; the socket is then dropped, because the rest of the answer may still
// come, and the next exchange opens another.
func (s *socket) exchange(ctx context.Context, m rtnetlink.Message, typ uint16, flags netlink.HeaderFlags) ([]netlink.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.conn == nil {
		if err := s.connect(); err != nil {
			return nil, err
		}
	}
	conn := s.conn
	stop := context.AfterFunc(ctx, func() {
		_ = conn.SetReadDeadline(time.Unix(1, 0)) // a closed socket has no reader to wake
	})
	msgs, err := s.ask(m, typ, flags)
	if !stop() {
		_ = s.drop() // it holds nothing that was not read
		if err != nil {
			err = context.Cause(ctx)
		}
	}
	return msgs, err
}

func (s *socket) ask(m rtnetlink.Message, typ uint16, flags netlink.HeaderFlags) ([]netlink.Message, error) {
	sent, err := s.conn.Send(m, typ, flags)
	if err != nil {
		return nil, err
	}
	for {
		_, msgs, err := s.conn.Receive()
		var op *netlink.OpError
		if errors.As(err, &op) && op.Sequence != 0 && op.Sequence != sent.Header.Sequence {
			continue // of an earlier request
		}
		if err != nil {
			return nil, err
		}
		if len(msgs) == 0 || msgs[0].Header.Sequence == sent.Header.Sequence {
			return msgs, nil
		}
	}
}

func dialError(err error) error {
	e := &netlinkx.Error{Op: "open", Object: "routing socket"}
	if !errors.As(err, &e.Errno) {
		return fmt.Errorf("open routing socket: %w", err)
	}
	if errors.Is(e, os.ErrPermission) {
		e.Hint = "entering a network namespace needs CAP_SYS_ADMIN, in it and here"
	}
	return e
}
