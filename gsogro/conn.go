package gsogro

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Config says which namespace a Conn works in. The zero Config is the caller's.
type Config struct {
	NetNS netlinkx.NetNS
}

// Conn reads and changes the devices of one network namespace. It is safe for
// concurrent use; requests take turns. Errors of the kernel are
// *netlinkx.Error.
type Conn struct {
	home *os.File // the namespace, nil: the caller's

	mu      sync.Mutex // guards what is below, and the request in flight
	route   *netlink.Conn
	ethtool *netlink.Conn // nil before the first use
	family  uint16
	names   []string // the features' string set

	// What touches the system, replaced by tests.
	askRoute   func(ctx context.Context, typ uint16, flags netlink.HeaderFlags, payload []byte) ([]netlink.Message, error)
	askEthtool func(ctx context.Context, cmd uint8, flags netlink.HeaderFlags, payload []byte) ([]genetlink.Message, error)
	files      sysfs
}

// Dial connects in cfg's namespace; nil is the zero Config. It fails with
// fs.ErrNotExist when the namespace does not exist and with fs.ErrPermission
// when entering it is not allowed. Reading needs no privilege otherwise.
func Dial(cfg *Config) (*Conn, error) {
	c := &Conn{}
	if cfg != nil && !cfg.NetNS.IsZero() {
		f, err := cfg.NetNS.Open()
		if err != nil {
			return nil, err
		}
		c.home = f
	}
	route, err := netlink.Dial(netlinkRoute, c.socketConfig())
	if err != nil {
		return nil, errors.Join(dialError("routing socket", err), c.closeHome())
	}
	c.route = route
	c.askRoute, c.askEthtool, c.files = c.exchangeRoute, c.exchangeEthtool, newFiles(c.home)
	return c, nil
}

// sysfs is /sys/class/net of the namespace: files of devices, trimmed, and the
// drivers of hardware ("" for virtual devices). Errors are those of os.
type sysfs interface {
	read(device, name string) (string, error)
	write(device, name, value string) error
	driver(device string) (string, error)
}

func (c *Conn) socketConfig() *netlink.Config {
	cfg := &netlink.Config{Strict: true, MessageBufferSize: 64 << 10}
	if c.home != nil {
		cfg.NetNS = int(c.home.Fd())
	}
	return cfg
}

func (c *Conn) closeHome() error {
	if c.home == nil {
		return nil
	}
	return c.home.Close()
}

// Close closes the connection. Requests under way fail.
func (c *Conn) Close() error {
	err := c.route.Close()
	if c.ethtool != nil {
		err = errors.Join(err, c.ethtool.Close())
	}
	return errors.Join(err, c.closeHome())
}

func dialError(what string, err error) error {
	e := &netlinkx.Error{Op: "open", Object: what}
	if !errors.As(err, &e.Errno) {
		return fmt.Errorf("open %s: %w", what, err)
	}
	if errors.Is(e, fs.ErrPermission) {
		e.Hint = "entering a network namespace needs CAP_SYS_ADMIN, in it and here"
	}
	return e
}

// refused makes a *netlinkx.Error of what the netlink library returns.
func refused(op, object string, err error) error {
	e := &netlinkx.Error{Op: op, Object: object}
	if !errors.As(err, &e.Errno) {
		return fmt.Errorf("%s %s: %w", op, object, err)
	}
	var nl *netlink.OpError
	if errors.As(err, &nl) {
		e.Text = nl.Message
	}
	switch {
	case errors.Is(e, fs.ErrPermission):
		e.Hint = "this needs CAP_NET_ADMIN in the network namespace"
	case e.Errno == syscall.ENODEV:
		e.Hint = "there is no such device in this network namespace: ip link"
	}
	return e
}

// until makes ctx end a read of conn; the returned function ends the watch.
func until(ctx context.Context, deadline func(time.Time) error) func() {
	stop := context.AfterFunc(ctx, func() { _ = deadline(time.Unix(1, 0)) }) // a closed socket has no reader to wake
	return func() {
		if !stop() {
			_ = deadline(time.Time{})
		}
	}
}

func (c *Conn) exchangeRoute(ctx context.Context, typ uint16, flags netlink.HeaderFlags, payload []byte) ([]netlink.Message, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer until(ctx, c.route.SetDeadline)()
	msgs, err := exchange(c.route, netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(typ), Flags: flags},
		Data:   payload,
	})
	return msgs, orContext(ctx, err)
}

// messenger is a socket of the netlink library.
type messenger interface {
	Send(netlink.Message) (netlink.Message, error)
	Receive() ([]netlink.Message, error)
}

// exchange sends a request and reads all that answers it: a dump to its end,
// anything else to its acknowledgement, which is asked for, because the
// library's own Execute leaves one in the queue that follows an object.
func exchange(conn messenger, m netlink.Message) ([]netlink.Message, error) {
	dump := m.Header.Flags&netlink.Dump == netlink.Dump
	m.Header.Flags |= netlink.Request
	if !dump {
		m.Header.Flags |= netlink.Acknowledge
	}
	sent, err := conn.Send(m)
	if err != nil {
		return nil, err
	}
	var out []netlink.Message
	for {
		msgs, err := conn.Receive()
		var op *netlink.OpError
		if errors.As(err, &op) && op.Sequence != 0 && op.Sequence != sent.Header.Sequence {
			continue // of an earlier request
		}
		if err != nil {
			return nil, err
		}
		done := dump && (len(msgs) == 0 || msgs[0].Header.Sequence == sent.Header.Sequence)
		for _, m := range msgs {
			switch {
			case m.Header.Sequence != sent.Header.Sequence:
			case m.Header.Type == netlink.Error:
				done = true
			default:
				out = append(out, m)
			}
		}
		if done {
			return out, nil
		}
	}
}

// dialEthtool opens the socket at the first use: a device's sizes need none.
func (c *Conn) dialEthtool() error {
	if c.ethtool != nil {
		return nil
	}
	conn, err := netlink.Dial(netlinkGeneric, c.socketConfig())
	if err != nil {
		return err
	}
	family, err := genetlink.NewConn(conn).GetFamily(ethtoolFamily)
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	c.ethtool, c.family = conn, family.ID
	return nil
}

func (c *Conn) exchangeEthtool(ctx context.Context, cmd uint8, flags netlink.HeaderFlags, payload []byte) ([]genetlink.Message, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.dialEthtool(); err != nil {
		return nil, err
	}
	defer until(ctx, c.ethtool.SetDeadline)()
	data, err := genetlink.Message{Header: genetlink.Header{Command: cmd, Version: ethtoolVersion}, Data: payload}.MarshalBinary()
	if err != nil {
		return nil, err
	}
	msgs, err := exchange(c.ethtool, netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(c.family), Flags: flags},
		Data:   data,
	})
	if err != nil {
		return nil, orContext(ctx, err)
	}
	out := make([]genetlink.Message, len(msgs))
	for i, m := range msgs {
		if err := out[i].UnmarshalBinary(m.Data); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func orContext(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}
