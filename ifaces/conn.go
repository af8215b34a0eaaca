package ifaces

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/jsimonetti/rtnetlink/v2"
	"github.com/mdlayher/netlink"

	"github.com/xfrmctl/xfrmctl/ifaces/rtnl"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Config says which namespace a Conn works in. The zero Config is the
// caller's.
type Config struct {
	// NetNS is the namespace in which interfaces are made and looked for.
	NetNS netlinkx.NetNS
	// OnWarning is called with what is worth knowing about a request that was
	// carried out. Calls are synchronous; nil drops warnings.
	OnWarning func(*Warning)
	// Engine, if not nil, has the XFRM interfaces that are meant, in place of
	// the kernel.
	Engine *Engine
	// Dial, if not nil, connects to another kernel than this one, such as a fake
	// one, for all requests. Namespaces are then not entered.
	Dial func() (netlinkx.Transport, error)
	// Tap, if not nil, is told of all requests but those of batches, each as a
	// datagram with nothing else, and of the messages that answer it in the same
	// way.
	Tap netlinkx.Tap
}

// Conn manages the XFRM interfaces of one network namespace. It is safe for
// concurrent use; requests take turns. An operation of several requests is not
// atomic against other users of the namespace.
//
// Errors of the kernel are *netlinkx.Error and answer errors.Is as that type
// says; KindError, MismatchError and ConflictError carry more.
type Conn struct {
	cfg  Config
	home *os.File // this namespace, nil when it could not be opened

	// What touches the system, replaced by tests.
	exchange     func(ctx context.Context, m rtnetlink.Message, typ uint16, flags netlink.HeaderFlags) ([]netlink.Message, error)
	batch        func(ctx context.Context, msgs []rtnl.Message) (*rtnl.Result, error)
	closeSocket  func() error
	dial         func(*Config) (*Conn, error)
	namespaces   func() []netlinkx.NetNS
	transportSAs func(ctx context.Context) (int, error)
}

// Dial connects to rtnetlink in cfg's namespace; nil is the zero Config. It
// fails with fs.ErrNotExist when the namespace does not exist and with
// fs.ErrPermission when entering it is not allowed. Missing privilege for
// changes shows with the first one; reading needs none.
func Dial(cfg *Config) (*Conn, error) {
	c := &Conn{dial: Dial, namespaces: visibleNamespaces}
	if cfg != nil {
		c.cfg = *cfg
	}
	if err := c.connect(); err != nil {
		return nil, err
	}
	if c.cfg.Tap != nil {
		c.exchange = tapped(c.exchange, c.cfg.Tap)
	}
	return c, nil
}

func (c *Conn) connect() error {
	if c.cfg.Dial != nil {
		return c.dialOther()
	}
	home, err := openHome(c.cfg.NetNS)
	if err != nil {
		return err
	}
	c.home = home
	s := &socket{home: home, enter: !c.cfg.NetNS.IsZero()}
	if err := s.connect(); err != nil {
		closeFile(home)
		return err
	}
	c.exchange, c.batch, c.closeSocket = s.exchange, s.batch, s.close
	c.transportSAs = c.countTransportSAs
	if e := c.cfg.Engine; e != nil {
		t, err := e.Links(c.cfg.NetNS)
		if err != nil {
			_ = c.Close() // that error is the news
			return err
		}
		d := &divided{links: rtnl.New(t), rest: s}
		c.exchange, c.batch, c.closeSocket = d.exchange, d.batch, d.close
	}
	return nil
}

// dialOther connects to what is in the kernel's place.
func (c *Conn) dialOther() error {
	t, err := c.cfg.Dial()
	if err != nil {
		return err
	}
	conn := rtnl.New(t)
	c.exchange = func(ctx context.Context, m rtnetlink.Message, typ uint16, flags netlink.HeaderFlags) ([]netlink.Message, error) {
		return exchangeOver(ctx, conn, m, typ, flags)
	}
	c.batch, c.closeSocket = conn.Batch, conn.Close
	c.transportSAs = func(context.Context) (int, error) { return 0, nil }
	return nil
}

// openHome opens the namespace. The caller's own may be out of reach where
// /proc is not mounted, which only costs explanations.
func openHome(ns netlinkx.NetNS) (*os.File, error) {
	if !ns.IsZero() {
		return ns.Open()
	}
	f, err := os.Open(ownNamespace)
	if err != nil {
		return nil, nil
	}
	return f, nil
}

// ownNamespace names the namespace of the thread that opens it.
const ownNamespace = "/proc/thread-self/ns/net"

func closeFile(f *os.File) {
	if f != nil {
		_ = f.Close() // opened for reading: nothing is lost
	}
}

// Close closes the connection. Requests under way fail.
func (c *Conn) Close() error {
	closeFile(c.home)
	return c.closeSocket()
}

// request is one message and what it is about.
type request struct {
	op, object string
	typ        uint16
	flags      netlink.HeaderFlags
	msg        rtnetlink.Message
}

// do sends a request that the kernel answers with an ack.
func (c *Conn) do(ctx context.Context, r request) error {
	r.flags |= netlink.Request | netlink.Acknowledge
	msgs, err := c.exchange(ctx, r.msg, r.typ, r.flags)
	if err != nil {
		return kernelError(r, err)
	}
	for _, m := range msgs {
		if text := ackText(m); text != "" {
			c.warn(WarnKernel, r.object, text)
		}
	}
	return nil
}

// get sends a request that the kernel answers with messages of type want.
func (c *Conn) get(ctx context.Context, r request, want uint16) ([]netlink.Message, error) {
	r.flags |= netlink.Request
	msgs, err := c.exchange(ctx, r.msg, r.typ, r.flags)
	if err != nil {
		return nil, kernelError(r, err)
	}
	out := msgs[:0]
	for _, m := range msgs {
		if uint16(m.Header.Type) == want {
			out = append(out, m)
		}
	}
	return out, nil
}

// dumpRetries is how often a list is read again that changed meanwhile.
const dumpRetries = 5

// dump reads a list. When it changes during every attempt, the last one comes
// with netlinkx.ErrDumpInterrupted.
func (c *Conn) dump(ctx context.Context, r request, want uint16) ([]netlink.Message, error) {
	r.flags |= netlink.Dump
	var msgs []netlink.Message
	var err error
	for range dumpRetries {
		if msgs, err = c.get(ctx, r, want); err != nil {
			return nil, err
		}
		if !interrupted(msgs) {
			return msgs, nil
		}
	}
	return msgs, fmt.Errorf("%s: %w", r.op, netlinkx.ErrDumpInterrupted)
}

func interrupted(msgs []netlink.Message) bool {
	for _, m := range msgs {
		if m.Header.Flags&netlink.DumpInterrupted != 0 {
			return true
		}
	}
	return false
}

// keepGoing reports whether a list that came with err is still of use.
func keepGoing(err error) bool { return err == nil || errors.Is(err, netlinkx.ErrDumpInterrupted) }
