package netlinkx

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"
)

// Config says how to reach the kernel. The zero Config is the caller's network
// namespace with default buffers.
type Config struct {
	// NetNS is the namespace whose SAs and policies are meant.
	NetNS NetNS
	// ReadBuffer is the socket's receive buffer in bytes; 0 means 4 MiB. The
	// kernel may grant less to callers without CAP_NET_ADMIN; batches shrink
	// to what was granted.
	ReadBuffer int
	// OnWarning is called with what the kernel says about requests that it
	// carried out. Calls are synchronous; nil drops warnings.
	OnWarning func(*Warning)
	// Dial, if not nil, connects to another engine than the kernel.
	Dial func() (Transport, error)
	// Tap, if not nil, is told of all datagrams, those of dumps included.
	Tap Tap
}

// Conn is a connection to the XFRM engine of one network namespace. It is safe
// for concurrent use; requests take turns. Dumps run on sockets of their own,
// so requests may be made while one is being read. The thread of the caller
// is never moved to another namespace.
type Conn struct {
	cfg Config
	mu  sync.Mutex // guards what is below
	t   transport
	seq uint32
	buf []byte // requests
	in  []byte // answers
	// starts is memory for where the messages of a batch's chunk begin.
	starts []int
	room   int  // of the receive buffer, bytes
	warm   bool // a chunk of a batch was answered: modules are loaded
}

// recvSize is offered for every datagram: the kernel sizes dumps by the largest
// buffer that it has seen, up to 32 KiB.
const recvSize = 64 << 10

// Dial connects. It fails with errors.ErrUnsupported when the kernel has no
// XFRM and with fs.ErrNotExist when the namespace does not exist. Missing
// privilege shows with the first request.
func Dial(cfg *Config) (*Conn, error) {
	c := &Conn{in: make([]byte, recvSize)}
	if cfg != nil {
		c.cfg = *cfg
	}
	t, room, err := c.connect()
	if err != nil {
		return nil, err
	}
	c.t, c.room = t, room
	return c, nil
}

func (c *Conn) connect() (transport, int, error) {
	t, room, err := c.connectBare()
	if err == nil && c.cfg.Tap != nil {
		t = tapped{t, c.cfg.Tap}
	}
	return t, room, err
}

func (c *Conn) connectBare() (transport, int, error) {
	if c.cfg.Dial != nil {
		t, err := c.cfg.Dial()
		if err != nil {
			return nil, 0, err
		}
		return foreign{t}, defaultReadBuffer, nil
	}
	s, err := openSocket(c.cfg.NetNS, c.cfg.ReadBuffer, nil, false)
	if err != nil {
		return nil, 0, err
	}
	return s, s.readBuffer(), nil
}

// Close closes the connection. Requests under way fail.
func (c *Conn) Close() error { return c.t.close() }

// Do sends one request and waits for the kernel's word on it. Errors of the
// kernel are *Error. An answer that is an object is dropped: use the method
// that returns it.
func (c *Conn) Do(ctx context.Context, r Request) error {
	_, err := c.ask(ctx, r)
	return err
}

// answer is a message of the kernel's reply, owned by the caller.
type answer struct {
	typ     MsgType
	flags   uint16
	payload []byte
}

// ask sends r, and returns the kernel's answer if it has one.
func (c *Conn) ask(ctx context.Context, r Request) (*answer, error) {
	a, err := c.exchange(ctx, r)
	var e *Error
	if errors.As(err, &e) && e.Errno == syscall.EEXIST {
		c.nameHolder(ctx, r, e)
	}
	return a, err
}

func (c *Conn) exchange(ctx context.Context, r Request) (*answer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.arm(ctx)()
	seq := c.nextSeq(1)
	flags := uint16(flagAck)
	if r.answered() {
		flags = 0
	}
	b, err := AppendRequest(c.buf[:0], r, seq, flags)
	if err != nil {
		return nil, err
	}
	c.buf = b
	defer clear(b) // keys
	if err := c.t.send(b); err != nil {
		return nil, c.ioError(ctx, r, err)
	}
	return c.await(ctx, r, seq, b)
}

// await reads until the answer to the request seq has come.
func (c *Conn) await(ctx context.Context, r Request, seq uint32, sent []byte) (*answer, error) {
	for {
		n, _, err := c.t.recv(c.in)
		if err != nil {
			return nil, c.ioError(ctx, r, err)
		}
		for m, rest := (message{}), c.in[:n]; ; {
			var ok bool
			if m, rest, ok, err = nextMessage(rest); err != nil {
				return nil, fmt.Errorf("%s %s: %w", r.Op(), r.Object(), err)
			} else if !ok {
				break
			}
			if m.seq != seq {
				continue // late answer to a request that was given up
			}
			switch m.typ {
			case nlmsgError:
				ack, err := parseAck(m)
				if err != nil {
					return nil, err
				}
				return nil, c.verdict(r, sent, ack)
			case nlmsgDone, nlmsgNoop:
			default:
				return &answer{MsgType(m.typ), m.flags, append([]byte(nil), m.payload...)}, nil
			}
		}
	}
}

// verdict turns an acknowledgement into an error, or passes its warning on.
func (c *Conn) verdict(r Request, sent []byte, ack ackInfo) error {
	if ack.errno != 0 {
		return newError(r, sent, ack)
	}
	if ack.text != "" && c.cfg.OnWarning != nil {
		c.cfg.OnWarning(&Warning{Op: r.Op(), Object: r.Object(), Text: ack.text})
	}
	return nil
}

func (c *Conn) nextSeq(n int) uint32 {
	if c.seq == 0 {
		c.seq = uint32(time.Now().Unix()) // not another process's numbers in a trace
	}
	first := c.seq + 1
	c.seq += uint32(n)
	return first
}

// arm makes ctx end what the transport is waiting for, until the returned
// function is called.
func (c *Conn) arm(ctx context.Context) func() { return arm(ctx, c.t) }

func arm(ctx context.Context, t transport) func() {
	if ctx.Done() == nil {
		return func() {}
	}
	fired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(fired)
		_ = t.setDeadline(time.Unix(1, 0)) // a closed transport fails by itself
	})
	return func() {
		if !stop() {
			<-fired
			_ = t.setDeadline(time.Time{})
		}
	}
}

// ioError names what was under way; a deadline that ctx caused is ctx's error.
func (c *Conn) ioError(ctx context.Context, r Request, err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil {
		err = ctx.Err()
	}
	return fmt.Errorf("%s %s: %w", r.Op(), r.Object(), err)
}
