package server

import (
	"errors"
	"syscall"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb"
)

// dumpSize is what a datagram of a dump holds at most, as the kernel's do for
// readers with a large buffer, unless a single object is larger.
const dumpSize = 32<<10 - 320

// dumper puts the messages of a dump into datagrams.
type dumper struct {
	c *client
	h netlinkx.Header
	b []byte // messages that have not been sent
}

func newDumper(c *client, m *message) *dumper {
	h := c.header(m)
	h.Flags = flagMulti
	return &dumper{c: c, h: h, b: c.buf[:0]}
}

// put appends a message. It returns false when the datagram is full: send it,
// and put the message again.
func (d *dumper) put(appendTo func(b []byte, h netlinkx.Header) ([]byte, error)) bool {
	had := len(d.b)
	b, err := appendTo(d.b, d.h)
	if err != nil {
		d.c.err = err
		return false
	}
	if len(b) > dumpSize && had > 0 {
		clear(b[had:]) // keys
		d.b = b[:had]
		return false
	}
	d.b = b
	return true
}

// flush sends what there is.
func (d *dumper) flush() {
	if len(d.b) > 0 && d.c.err == nil {
		d.c.err = d.c.to.Send(d.b)
	}
	clear(d.b) // keys
	d.b = d.b[:0]
}

// end sends what is left, and the end of the dump in a datagram of its own; a
// nil verdict is success.
func (d *dumper) end(a *netlinkx.Ack) {
	d.flush()
	d.c.buf = d.b
	if a == nil {
		a = &netlinkx.Ack{}
	}
	d.c.send(func(b []byte) ([]byte, error) { return netlinkx.AppendDone(b, d.h, a) })
}

// run sends all that a walk finds. next calls the function with one object
// after the other until it returns false, and is done at the end.
func (d *dumper) run(next func() (done bool)) {
	for d.c.err == nil {
		done := next()
		d.flush()
		if done {
			return
		}
	}
}

// dump answers a dump of SAs or policies. The connection's buffer is read from
// between two datagrams, so that a dump takes no more memory than one of them.
func (s *Server) dump(c *client, m *message) {
	d := newDumper(c, m)
	if netlinkx.MsgType(m.typ) == netlinkx.MsgGetPolicy {
		w := s.db.WalkPolicies(netlinkx.Opt[netlinkx.PolicyType]{})
		defer w.Close()
		d.run(func() bool {
			return w.Next(func(p *netlinkx.Policy) bool {
				return d.put(func(b []byte, h netlinkx.Header) ([]byte, error) { return netlinkx.AppendPolicy(b, h, p) })
			})
		})
		d.end(nil)
		return
	}
	f, verdict := s.saFilter(m)
	if verdict != nil && verdict.Errno != 0 {
		d.end(verdict)
		return
	}
	w := s.db.WalkSAs(f)
	defer w.Close()
	d.run(func() bool {
		return w.Next(func(sa *netlinkx.SA) bool {
			return d.put(func(b []byte, h netlinkx.Header) ([]byte, error) { return netlinkx.AppendSA(b, h, sa) })
		})
	})
	d.end(verdict)
}

// saFilter reads the filter of a dump (xfrm_dump_sa): its attributes begin
// right behind the netlink header.
func (s *Server) saFilter(m *message) (*netlinkx.SAFilter, *netlinkx.Ack) {
	a, refused := s.policy.parse(m.payload(), sizeHeader)
	if refused != nil {
		return nil, refused
	}
	for t := range a.data { // the others mean nothing here, and may be anything
		if at := netlinkx.AttrType(t); at != netlinkx.AttrProto && at != netlinkx.AttrAddressFilter {
			a.data[t] = nil
		}
	}
	if p := a.data[netlinkx.AttrAddressFilter]; p != nil {
		if p[filterSrcLen] > 128 || p[filterDstLen] > 128 {
			return nil, refuse(syscall.EINVAL, "")
		}
		p = append([]byte(nil), p...)
		n := uint8(netlinkx.Family(host.Uint16(p[filterFamily:])).Bits())
		p[filterSrcLen], p[filterDstLen] = min(p[filterSrcLen], n), min(p[filterDstLen], n)
		a.data[netlinkx.AttrAddressFilter] = p
	}
	b, _ := a.canonical(nil, 0, trimXFRM)
	r, err := netlinkx.DecodeRequest(netlinkx.MsgGetSA, flagDump, b)
	if err != nil {
		return nil, refuse(syscall.EINVAL, "")
	}
	f, _ := r.Value().(*netlinkx.SAFilter)
	return f, a.withText(nil)
}

// Offsets in struct xfrm_address_filter.
const (
	filterFamily = 32
	filterSrcLen = 34
	filterDstLen = 35
)

// verdict turns the answer of the database into that of the client.
func verdict(err error) *netlinkx.Ack {
	if err == nil {
		return nil
	}
	var refusal *sadb.Refusal
	if errors.As(err, &refusal) {
		return &netlinkx.Ack{Errno: refusal.Errno, Text: refusal.Text}
	}
	return refuse(syscall.EIO, err.Error())
}
