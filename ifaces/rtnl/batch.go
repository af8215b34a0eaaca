package rtnl

import (
	"context"
	"encoding/binary"
	"errors"
	"syscall"

	"github.com/mdlayher/netlink"
)

// Result says what became of the messages of a batch, by index. A message is
// either failed, unknown, unsent, or carried out.
type Result struct {
	// Failed are refusals; the errors are *netlink.OpError.
	Failed map[int]error
	// Unknown are messages whose refusals may have been lost because the
	// receive buffer overflowed: read back.
	Unknown []int
	// Unsent is the first message that was not sent, or their number.
	Unsent int
}

// Limits of a chunk, which is one datagram: a refusal takes some 2 KiB of the
// receive buffer, and links and addresses take the kernel long, so that larger
// chunks are no faster.
const (
	chunkMessages = 100
	chunkBytes    = 32 << 10
)

// Batch sends messages in order, many in a datagram, with an acknowledgement for
// the last of each. The receiver carries out each by itself and goes on behind a
// refusal; nothing is sent behind a datagram in which one was refused. The
// error tells what else ended the batch early. The result is never nil.
func (c *Conn) Batch(ctx context.Context, msgs []Message) (*Result, error) {
	res := &Result{Failed: map[int]error{}}
	for res.Unsent < len(msgs) && len(res.Failed) == 0 && res.Unknown == nil {
		if err := c.turn(ctx, func() error { return c.chunk(msgs, res) }); err != nil {
			return res, err
		}
	}
	return res, nil
}

// chunk sends one datagram and reads the verdicts on it.
func (c *Conn) chunk(msgs []Message, res *Result) error {
	first, seq := res.Unsent, c.seq+1
	c.out = c.out[:0]
	n, last := 0, 0
	for first+n < len(msgs) && n < chunkMessages && len(c.out) < chunkBytes {
		last = (len(c.out) + 3) &^ 3
		c.out = appendMessage(c.out, &msgs[first+n], seq+uint32(n))
		n++
	}
	flags := binary.NativeEndian.Uint16(c.out[last+6:])
	binary.NativeEndian.PutUint16(c.out[last+6:], flags|uint16(netlink.Acknowledge))
	c.seq += uint32(n)
	if err := c.t.Send(c.out); err != nil {
		return err
	}
	res.Unsent += n
	err := c.verdicts(seq, n, func(i int, err error) { res.Failed[first+i] = err })
	if err == nil {
		return nil
	}
	for i := first; i < first+n; i++ {
		if res.Failed[i] == nil {
			res.Unknown = append(res.Unknown, i)
		}
	}
	if errors.Is(err, syscall.ENOBUFS) {
		return nil // what is unknown says it
	}
	return err
}

// verdicts reads up to the acknowledgement of the last of n messages: they are
// answered in order.
func (c *Conn) verdicts(seq uint32, n int, failed func(i int, err error)) error {
	for {
		size, err := c.t.Recv(c.in)
		if err != nil {
			return err
		}
		for b := c.in[:size]; len(b) >= sizeofHeader; {
			m, rest, err := cut(b)
			if err != nil {
				return err
			}
			b = rest
			i := int32(m.Header.Sequence - seq)
			if i < 0 || int(i) >= n || m.Header.Type != netlink.Error {
				continue
			}
			if err := refusal(m); err != nil {
				failed(int(i), err)
			}
			if int(i) == n-1 {
				return nil
			}
		}
	}
}
