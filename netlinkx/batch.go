package netlinkx

import (
	"context"
	"errors"
	"fmt"
	"syscall"
)

// Batch sends many requests with few system calls and one acknowledgement for
// each chunk of some hundred messages, which is several times as fast as one
// by one. It is no transaction: the kernel carries out each message by itself,
// and goes on after one that it refuses. BatchResult says what became of each.
//
// Objects of requests are borrowed until Commit returns. A Batch is for one
// goroutine.
type Batch struct {
	c    *Conn
	reqs []Request
	// StopOnError ends the batch behind the chunk in which a request failed.
	StopOnError bool
}

// BatchResult says what was applied. Indexes count the calls of Add from 0.
// A request is either failed, unknown, unsent, or applied.
type BatchResult struct {
	Applied  int
	Failed   []BatchError
	Warnings []BatchWarning
	// Unknown lists requests whose errors may have been lost because the
	// receive buffer overflowed. They may be applied or not: read back.
	Unknown []int
	// Unsent is the index of the first request that was not sent, or the
	// number of requests.
	Unsent int
}

// BatchError is the kernel's refusal of one request.
type BatchError struct {
	Index int
	Err   *Error
}

// BatchWarning is what the kernel said of a request that it carried out. Only
// the last request of a chunk is acknowledged, so others may go unwarned.
type BatchWarning struct {
	Index   int
	Warning Warning
}

// NewBatch returns an empty batch on c.
func (c *Conn) NewBatch() *Batch { return &Batch{c: c} }

// Add appends a request. One that is answered with an object (get, allocate)
// makes Commit fail.
func (b *Batch) Add(r Request) { b.reqs = append(b.reqs, r) }

// Len returns the number of requests.
func (b *Batch) Len() int { return len(b.reqs) }

// Reset empties the batch for reuse of its memory.
func (b *Batch) Reset() {
	clear(b.reqs)
	b.reqs = b.reqs[:0]
}

// Limits of a chunk. ackRoom is what one refusal takes of the receive buffer
// (a datagram with its bookkeeping). chunkBytes are about 90 SAs, which take
// the kernel a millisecond; larger chunks are no faster.
const (
	chunkMax   = 512
	chunkBytes = 32 << 10
	ackRoom    = 2048
)

// Commit sends the requests in order. The error tells what ended the batch
// early: ctx, the socket, a value that cannot be encoded. Refusals by the
// kernel are in the result, which is never nil. The batch keeps its requests.
func (b *Batch) Commit(ctx context.Context) (*BatchResult, error) {
	res := &BatchResult{}
	err := b.commit(ctx, res)
	res.Applied = res.Unsent - len(res.Failed) - len(res.Unknown)
	named := 0
	for _, f := range res.Failed {
		if f.Err.Errno == syscall.EEXIST && named < maxNamedHolders {
			named++
			b.c.nameHolder(ctx, b.reqs[f.Index], f.Err)
		}
	}
	return res, err
}

// maxNamedHolders bounds the extra look-ups after a batch.
const maxNamedHolders = 16

func (b *Batch) commit(ctx context.Context, res *BatchResult) error {
	for i, r := range b.reqs {
		if r.answered() {
			return fmt.Errorf("batch: request %d (%s %s) has an answer", i, r.Op(), r.Object())
		}
	}
	c := b.c
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.arm(ctx)()
	for res.Unsent < len(b.reqs) {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("batch: %w", err)
		}
		ch, err := b.encode(res.Unsent)
		if ch.n > 0 {
			if err := ch.exchange(ctx, res); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
		if b.StopOnError && len(res.Failed)+len(res.Unknown) > 0 {
			return nil
		}
	}
	return nil
}

// chunk is a run of requests that goes out in one datagram.
type chunk struct {
	b        *Batch
	first, n int
	seq      uint32
	starts   []int
	slow     bool // may take the kernel long: modules to load, devices to program
}

// encode fills the send buffer with requests from first on. After an error the
// chunk holds those in front of the one that could not be encoded.
func (b *Batch) encode(first int) (*chunk, error) {
	c := b.c
	limit := min(chunkMax, max(c.room/ackRoom, 1), len(b.reqs)-first)
	ch := &chunk{b: b, first: first, seq: c.nextSeq(limit), starts: c.starts[:0], slow: !c.warm}
	c.buf = c.buf[:0]
	for ch.n < limit && len(c.buf) < chunkBytes {
		start := align4(len(c.buf))
		buf, err := AppendRequest(c.buf, b.reqs[first+ch.n], ch.seq+uint32(ch.n), 0)
		if err != nil {
			ch.wantAck()
			return ch, fmt.Errorf("batch: request %d: %w", first+ch.n, err)
		}
		c.buf = buf
		ch.slow = ch.slow || offloads(b.reqs[first+ch.n])
		ch.starts = append(ch.starts, start)
		ch.n++
	}
	ch.wantAck()
	c.starts = ch.starts
	return ch, nil
}

// offloads reports whether a device has to be programmed.
func offloads(r Request) bool {
	switch o := r.body.(type) {
	case *SA:
		return o.Offload != nil
	case *Policy:
		return o.Offload != nil
	case *SAID, *PolicyID:
		return false
	}
	return true // rare, and not known to be quick
}

// wantAck asks for an acknowledgement of the last request: the kernel answers
// in order, so every refusal comes before it.
func (ch *chunk) wantAck() {
	if ch.n > 0 {
		h := ch.b.c.buf[ch.starts[ch.n-1]:]
		host.PutUint16(h[6:], host.Uint16(h[6:])|flagAck)
	}
}

// exchange sends the chunk and reads the verdicts.
func (ch *chunk) exchange(ctx context.Context, res *BatchResult) error {
	c := ch.b.c
	defer clear(c.buf) // keys
	send := c.t.sendQuick
	if ch.slow {
		send = c.t.send
	}
	if err := send(c.buf); err != nil {
		return c.ioError(ctx, ch.b.reqs[ch.first], err)
	}
	res.Unsent += ch.n
	last := ch.seq + uint32(ch.n) - 1
	for {
		n, _, err := c.t.recv(c.in)
		if errors.Is(err, syscall.ENOBUFS) {
			return ch.overrun(ctx, res)
		}
		if err != nil {
			for i := range ch.n {
				res.Unknown = append(res.Unknown, ch.first+i)
			}
			return c.ioError(ctx, ch.b.reqs[ch.first], err)
		}
		for rest := c.in[:n]; len(rest) > 0; {
			var m message
			if m, rest, _, err = nextMessage(rest); err != nil {
				return fmt.Errorf("batch: %w", err)
			}
			if i := int32(m.seq - ch.seq); i < 0 || int(i) >= ch.n || m.typ != nlmsgError {
				continue
			}
			if err := ch.verdict(m, res); err != nil {
				return err
			}
			if m.seq == last {
				c.warm = true
				return nil
			}
		}
	}
}

// verdict files one acknowledgement.
func (ch *chunk) verdict(m message, res *BatchResult) error {
	i := int(m.seq - ch.seq)
	r := ch.b.reqs[ch.first+i]
	ack, err := parseAck(m)
	if err != nil {
		return fmt.Errorf("batch: request %d: %w", ch.first+i, err)
	}
	if ack.errno != 0 {
		end := len(ch.b.c.buf)
		if i+1 < ch.n {
			end = ch.starts[i+1]
		}
		res.Failed = append(res.Failed, BatchError{ch.first + i, newError(r, ch.b.c.buf[ch.starts[i]:end], ack)})
		return nil
	}
	if ack.text != "" {
		w := Warning{Op: r.Op(), Object: r.Object(), Text: ack.text}
		res.Warnings = append(res.Warnings, BatchWarning{ch.first + i, w})
		if ch.b.c.cfg.OnWarning != nil {
			ch.b.c.cfg.OnWarning(&w)
		}
	}
	return nil
}

// overrun handles lost acknowledgements: what is still queued is read up to
// the answer of a request that has one for certain, and the rest of the
// chunk's requests is unknown.
func (ch *chunk) overrun(ctx context.Context, res *BatchResult) error {
	c := ch.b.c
	known := map[int]bool{}
	for _, f := range res.Failed { // refused before the loss
		known[f.Index-ch.first] = true
	}
	seq := c.nextSeq(1)
	probe, err := AppendRequest(nil, GetSADInfo(), seq, 0)
	if err != nil {
		return err
	}
	err = c.t.send(probe)
	for done := false; err == nil && !done; {
		var n int
		if n, _, err = c.t.recv(c.in); errors.Is(err, syscall.ENOBUFS) {
			err = nil
			continue
		}
		for rest := c.in[:n]; err == nil && len(rest) > 0; {
			var m message
			if m, rest, _, err = nextMessage(rest); err != nil {
				break
			}
			done = done || m.seq == seq
			if i := int32(m.seq - ch.seq); i >= 0 && int(i) < ch.n && m.typ == nlmsgError {
				known[int(i)] = true
				err = ch.verdict(m, res)
			}
		}
	}
	for i := range ch.n {
		if !known[i] {
			res.Unknown = append(res.Unknown, ch.first+i)
		}
	}
	if err != nil {
		return c.ioError(ctx, ch.b.reqs[ch.first], err)
	}
	return nil
}
