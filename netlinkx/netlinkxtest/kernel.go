package netlinkxtest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Handler answers a request. What it returns is all that is sent back; nil
// stands for an acknowledgement if the request asks for one. Sequence numbers
// of 0 become the request's. Calls come one at a time.
type Handler func(req Message) []Message

// Kernel is a fake kernel. Its zero value acknowledges everything. Dial and
// DialMonitor are what netlinkx.Config and netlinkx.MonitorConfig take.
// Handle is set before the first use; everything else may be called by
// several goroutines.
type Kernel struct {
	Handle Handler

	mu       sync.Mutex
	handling sync.Mutex
	requests []Message
	conns    []*conn
}

// Dial connects a client.
func (k *Kernel) Dial() (netlinkx.Transport, error) { return k.DialMonitor(nil) }

// DialMonitor connects a listener to the groups.
func (k *Kernel) DialMonitor(groups []netlinkx.Group) (netlinkx.Transport, error) {
	c := &conn{k: k, groups: slices.Clone(groups), wake: make(chan struct{}, 1)}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.conns = append(k.conns, c)
	return c, nil
}

// Requests returns the requests so far.
func (k *Kernel) Requests() []Message {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.requests)
}

// Open returns the number of connections that are not closed.
func (k *Kernel) Open() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.conns)
}

// Notify sends messages to the listeners of a group, each one a datagram
// unless it says otherwise.
func (k *Kernel) Notify(g netlinkx.Group, ms ...Message) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range k.conns {
		if slices.Contains(c.groups, g) {
			c.push(ms)
		}
	}
}

func (k *Kernel) remove(c *conn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.conns = slices.DeleteFunc(k.conns, func(o *conn) bool { return o == c })
}

// answer runs the handler and completes what it says.
func (k *Kernel) answer(req Message) []Message {
	k.handling.Lock()
	defer k.handling.Unlock()
	k.mu.Lock()
	k.requests = append(k.requests, req)
	k.mu.Unlock()
	var ms []Message
	if k.Handle != nil {
		ms = slices.Clone(k.Handle(req))
	}
	if ms == nil && req.Flags&FlagAck != 0 {
		ms = []Message{Ack(req)}
	}
	for i := range ms {
		if ms[i].Seq == 0 {
			ms[i].Seq = req.Seq
		}
	}
	return ms
}

// datagram is what one read returns.
type datagram struct {
	b    []byte
	fail error
}

// conn is one client's end.
type conn struct {
	k      *Kernel
	groups []netlinkx.Group
	wake   chan struct{} // has one element when something changed

	mu       sync.Mutex // taken after Kernel.mu
	queue    []datagram
	deadline time.Time
	closed   bool
}

func (c *conn) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *conn) push(ms []Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range ms {
		last := len(c.queue) - 1
		switch {
		case m.Fail != nil:
			c.queue = append(c.queue, datagram{fail: m.Fail})
		case m.Same && last >= 0 && c.queue[last].fail == nil:
			c.queue[last].b = m.encode(c.queue[last].b)
		default:
			c.queue = append(c.queue, datagram{b: m.encode(nil)})
		}
	}
	c.signal()
}

// Send hands each message of the datagram to the handler.
func (c *conn) Send(b []byte) error {
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if closed {
		return fmt.Errorf("send: %w", net.ErrClosed)
	}
	for m, rest, ok := decodeMessage(b); ok; m, rest, ok = decodeMessage(rest) {
		c.push(c.k.answer(m))
	}
	return nil
}

// Recv waits for a datagram.
func (c *conn) Recv(b []byte) (int, error) {
	for {
		n, deadline, err := c.try(b)
		if err != errWait {
			return n, err
		}
		var expired <-chan time.Time // never, without a deadline
		if !deadline.IsZero() {
			timer := time.NewTimer(time.Until(deadline))
			defer timer.Stop()
			expired = timer.C
		}
		select {
		case <-c.wake:
		case <-expired:
		}
	}
}

var errWait = errors.New("nothing queued")

// try reads without waiting; errWait when it would have to, until the deadline.
func (c *conn) try(b []byte) (n int, deadline time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return 0, c.deadline, fmt.Errorf("receive: %w", net.ErrClosed)
	case !c.deadline.IsZero() && !time.Now().Before(c.deadline):
		return 0, c.deadline, os.ErrDeadlineExceeded
	case len(c.queue) == 0:
		return 0, c.deadline, errWait
	}
	d := c.queue[0]
	c.queue = c.queue[1:]
	if d.fail != nil {
		return 0, c.deadline, d.fail
	}
	if len(d.b) > len(b) {
		return 0, c.deadline, fmt.Errorf("receive: datagram of %d bytes, room for %d", len(d.b), len(b))
	}
	return copy(b, d.b), c.deadline, nil
}

// SetDeadline ends a Recv that waits, like that of a socket.
func (c *conn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	c.signal()
	return nil
}

// Close ends a Recv that waits, too.
func (c *conn) Close() error {
	c.k.remove(c)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return fmt.Errorf("close: %w", net.ErrClosed)
	}
	c.closed = true
	c.signal()
	return nil
}
