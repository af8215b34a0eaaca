package netlinkx

import (
	"context"
	"errors"
	"fmt"
	"iter"
)

// ErrDumpInterrupted tells that the tables changed while they were being read,
// so that objects may be missing or come twice.
var ErrDumpInterrupted = errors.New("dump was interrupted by a change and may be inconsistent")

// dumpRetries is how often a list is read again before ErrDumpInterrupted.
const dumpRetries = 3

// dumpPolicies is the body of a policy dump: none.
type dumpPolicies struct{}

func (dumpPolicies) appendTo(b []byte) ([]byte, error) { return b, nil }
func (dumpPolicies) String() string                    { return "policies" }

// SAs reads the SAs that match f (nil: all) as the kernel sends them, in
// memory that does not grow with their number. Values are owned by the caller;
// other requests may be made meanwhile. An error is the last pair:
// ErrDumpInterrupted when everything has been sent but the tables changed.
func (c *Conn) SAs(ctx context.Context, f *SAFilter) iter.Seq2[*SA, error] {
	if f == nil {
		f = &SAFilter{}
	}
	r := Request{typ: MsgGetSA, op: "list", body: f}
	return dump(ctx, c, r, MsgNewSA, func(p []byte) (*SA, error) { return decodeSA(MsgNewSA, p, SizeSAInfo) })
}

// ScanSAs is SAs without an allocation per SA: the value and all that it refers
// to is borrowed until the next step of the loop.
func (c *Conn) ScanSAs(ctx context.Context, f *SAFilter) iter.Seq2[*SA, error] {
	if f == nil {
		f = &SAFilter{}
	}
	r := Request{typ: MsgGetSA, op: "list", body: f}
	x := &saBox{}
	return dump(ctx, c, r, MsgNewSA, func(p []byte) (*SA, error) { return x.decode(MsgNewSA, p, SizeSAInfo) })
}

// Policies reads all policies, those of sockets included. See SAs.
func (c *Conn) Policies(ctx context.Context) iter.Seq2[*Policy, error] {
	r := Request{typ: MsgGetPolicy, op: "list", body: dumpPolicies{}}
	return dump(ctx, c, r, MsgNewPolicy, func(p []byte) (*Policy, error) {
		return decodePolicy(MsgNewPolicy, p, SizePolicyInfo)
	})
}

// ListSAs collects SAs. A dump that was interrupted is repeated some times;
// then the last list comes with ErrDumpInterrupted.
func (c *Conn) ListSAs(ctx context.Context, f *SAFilter) ([]*SA, error) {
	return collect(func() iter.Seq2[*SA, error] { return c.SAs(ctx, f) })
}

// ListPolicies collects policies. See ListSAs.
func (c *Conn) ListPolicies(ctx context.Context) ([]*Policy, error) {
	return collect(func() iter.Seq2[*Policy, error] { return c.Policies(ctx) })
}

func collect[T any](read func() iter.Seq2[T, error]) (list []T, err error) {
	for range dumpRetries {
		list, err = nil, nil
		for v, e := range read() {
			if e != nil {
				err = e
				break
			}
			list = append(list, v)
		}
		if !errors.Is(err, ErrDumpInterrupted) {
			break
		}
	}
	return list, err
}

// dump sends r as a dump on a connection of its own and yields what comes. The
// connection ends with the loop, also when it is left early.
func dump[T any](ctx context.Context, c *Conn, r Request, want MsgType, dec func([]byte) (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		t, _, err := c.connect()
		if err != nil {
			yield(none, err)
			return
		}
		defer t.close()
		defer arm(ctx, t)()
		d := &dumper[T]{c: c, t: t, r: r, seq: 1, want: want, dec: dec}
		if err := d.run(ctx, yield); err != nil {
			yield(none, err)
		}
	}
}

type dumper[T any] struct {
	c     *Conn
	t     transport
	r     Request
	seq   uint32
	want  MsgType
	dec   func([]byte) (T, error)
	intr  bool
	ended bool
}

// run returns the error to yield last; nil too when the loop was left.
func (d *dumper[T]) run(ctx context.Context, yield func(T, error) bool) error {
	req, err := AppendRequest(nil, d.r, d.seq, flagDump)
	if err != nil {
		return err
	}
	if err := d.t.send(req); err != nil {
		return d.c.ioError(ctx, d.r, err)
	}
	buf := make([]byte, dumpSlots*slotSize)
	lengths := make([]int, dumpSlots)
	for !d.ended {
		n, err := d.t.recvMany(buf, lengths)
		if err != nil {
			return d.c.ioError(ctx, d.r, err)
		}
		for i := 0; i < n && !d.ended; i++ {
			more, err := d.datagram(req, buf[i*slotSize:][:lengths[i]], yield)
			if err != nil || !more {
				return err
			}
		}
	}
	if d.intr {
		return fmt.Errorf("%s %s: %w", d.r.Op(), d.r.Object(), ErrDumpInterrupted)
	}
	return nil
}

// A dump's datagrams have 32 KiB at most, whatever is offered (netlink_dump and
// netlink_recvmsg in net/netlink/af_netlink.c). More than dumpSlots at once are
// no faster.
const (
	slotSize  = 32 << 10
	dumpSlots = 4
)

// datagram handles one datagram of the dump; more is false when the loop was left.
func (d *dumper[T]) datagram(req, b []byte, yield func(T, error) bool) (more bool, err error) {
	for len(b) > 0 && !d.ended {
		var m message
		if m, b, _, err = nextMessage(b); err != nil {
			return false, fmt.Errorf("%s %s: %w", d.r.Op(), d.r.Object(), err)
		}
		if more, err := d.message(req, m, yield); err != nil || !more {
			return false, err
		}
	}
	return true, nil
}

// message handles one message of the dump; more is false when the loop was left.
func (d *dumper[T]) message(req []byte, m message, yield func(T, error) bool) (more bool, err error) {
	if m.seq != d.seq {
		return true, nil
	}
	d.intr = d.intr || m.flags&flagIntr != 0
	switch {
	case m.typ == nlmsgDone || m.typ == nlmsgError:
		parse := parseDone
		if m.typ == nlmsgError {
			parse = parseAck
		}
		d.ended = true
		ack, err := parse(m)
		if err != nil {
			return false, err
		}
		return true, d.c.verdict(d.r, req, ack)
	case MsgType(m.typ) != d.want:
		return true, nil
	}
	v, err := d.dec(m.payload)
	if err != nil {
		return false, fmt.Errorf("%s %s: %w", d.r.Op(), d.r.Object(), err)
	}
	return yield(v, nil), nil
}
