package rtnl

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/mdlayher/netlink"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// bufferSize is offered for every datagram, which lets the kernel send dumps
// in datagrams of 32 KiB.
const bufferSize = 64 << 10

// Message is a request without its header. Its memory is the caller's.
type Message struct {
	Type  uint16
	Flags netlink.HeaderFlags
	Body  []byte
}

// Conn sends requests over a transport. It is safe for concurrent use; requests
// take turns. Refusals are *netlink.OpError, as package netlink has them.
type Conn struct {
	mu  sync.Mutex // guards what is below, and the request in flight
	t   netlinkx.Transport
	seq uint32
	in  []byte
	out []byte
}

// New returns a Conn, which closes the transport with itself.
func New(t netlinkx.Transport) *Conn { return &Conn{t: t, in: make([]byte, bufferSize)} }

// Close closes the transport. Requests under way fail.
func (c *Conn) Close() error { return c.t.Close() }

// Exchange sends one message and returns all that answers it. A late answer to
// a request that was given up is known by its number.
func (c *Conn) Exchange(ctx context.Context, m *Message) (msgs []netlink.Message, err error) {
	err = c.turn(ctx, func() error {
		c.seq++
		if err := c.t.Send(appendMessage(nil, m, c.seq)); err != nil {
			return err
		}
		msgs, err = c.collect(m.Flags)
		return err
	})
	return msgs, err
}

// turn runs work when no other request is under way. It ends when ctx does.
func (c *Conn) turn(ctx context.Context, work func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() {
		_ = c.t.SetDeadline(time.Unix(1, 0)) // a closed transport fails by itself
	})
	err := work()
	if !stop() {
		_ = c.t.SetDeadline(time.Time{}) // as above
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = context.Cause(ctx)
		}
	}
	return err
}

// appendMessage appends a message with its header, padded.
func appendMessage(b []byte, m *Message, seq uint32) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	b = binary.NativeEndian.AppendUint32(b, uint32(sizeofHeader+len(m.Body)))
	b = binary.NativeEndian.AppendUint16(b, m.Type)
	b = binary.NativeEndian.AppendUint16(b, uint16(m.Flags|netlink.Request))
	b = binary.NativeEndian.AppendUint32(b, seq)
	b = binary.NativeEndian.AppendUint32(b, 0) // the kernel knows our port
	return append(b, m.Body...)
}

// collect reads until the request has been answered: by an acknowledgement, the
// end of a dump, or, where neither was asked for, one message.
func (c *Conn) collect(flags netlink.HeaderFlags) (out []netlink.Message, err error) {
	single := flags&(netlink.Acknowledge|netlink.Dump) == 0
	for {
		n, err := c.t.Recv(c.in)
		if err != nil {
			return nil, err
		}
		for b := c.in[:n]; len(b) >= sizeofHeader; {
			m, rest, err := cut(b)
			if err != nil {
				return nil, err
			}
			b = rest
			switch {
			case m.Header.Sequence != c.seq:
				continue
			case m.Header.Type == netlink.Error:
				return append(out, m), refusal(m)
			case m.Header.Type == netlink.Done:
				return out, refusal(m)
			}
			if out = append(out, m); single {
				return out, nil
			}
		}
	}
}
