package server

import (
	"syscall"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// sender is where answers go: a client's connection.
type sender interface {
	// Send sends one datagram; it may wait. The bytes are borrowed.
	Send(b []byte) error
}

// client is one connection while its requests are being answered, by one
// goroutine.
type client struct {
	to     sender
	portID uint32
	buf    []byte // of the answer being made
	err    error  // the connection failed: nothing more can be said
}

// send sends what make appends to a buffer, as one datagram.
func (c *client) send(make func(b []byte) ([]byte, error)) {
	if c.err != nil {
		return
	}
	b, err := make(c.buf[:0])
	if err == nil {
		err = c.to.Send(b)
	}
	clear(b) // keys
	if b != nil {
		c.buf = b[:0]
	}
	c.err = err
}

// header is that of an answer to m.
func (c *client) header(m *message) netlinkx.Header {
	return netlinkx.Header{Seq: m.seq, PortID: c.portID}
}

// ack sends the verdict on m; nil is success.
func (c *client) ack(m *message, a *netlinkx.Ack) {
	if a == nil {
		a = &netlinkx.Ack{}
	}
	c.send(func(b []byte) ([]byte, error) { return netlinkx.AppendAck(b, c.header(m), a, m.raw, true) })
}

// handler answers one message; done tells that the answer was a dump, which
// takes the place of an acknowledgement.
type handler func(c *client, m *message) (verdict *netlinkx.Ack, done bool)

// datagram answers the messages of one datagram, as netlink_rcv_skb does. The
// error is that of the connection.
func datagram(c *client, b []byte, handle handler) error {
	for c.err == nil {
		m, rest, ok := nextMessage(b)
		if !ok {
			break
		}
		b = rest
		var verdict *netlinkx.Ack
		if m.flags&flagRequest != 0 && m.typ >= minType {
			var done bool
			if verdict, done = handle(c, &m); done {
				continue
			}
		}
		if m.flags&flagAck != 0 || verdict != nil && verdict.Errno != 0 {
			c.ack(&m, verdict)
		}
	}
	return c.err
}

// request is a message of NETLINK_XFRM that has passed the checks that are the
// same for all.
type request struct {
	*message
	c     *client
	typ   netlinkx.MsgType
	attrs attrs
	fixed int // length of the fixed part
	// malformed is what is wrong with the contents of an attribute, for those
	// messages that look.
	malformed *netlinkx.Ack
	value     any // see netlinkx.Request.Value
}

// xfrm answers one message of NETLINK_XFRM (xfrm_user_rcv_msg).
func (s *Server) xfrm(c *client, m *message) (verdict *netlinkx.Ack, done bool) {
	t := netlinkx.MsgType(m.typ)
	fixed, ok := minSize(t)
	if !ok {
		return refuse(syscall.EINVAL, ""), false
	}
	if m.flags&flagDump != 0 && (t == netlinkx.MsgGetSA || t == netlinkx.MsgGetPolicy) {
		s.dump(c, m)
		return nil, true
	}
	r := &request{message: m, c: c, typ: t, fixed: fixed}
	if verdict = s.check(r); verdict == nil {
		verdict = s.perform(r)
	}
	return r.attrs.withText(verdict), false
}

// check parses a request.
func (s *Server) check(r *request) *netlinkx.Ack {
	p, trim := s.policy, trimmer(trimXFRM)
	if r.typ == netlinkx.MsgNewSPDInfo {
		p, trim = s.spdPolicy, trimSPD
	}
	payload := r.payload()
	if len(payload) < r.fixed {
		return invalid(textHeader)
	}
	at := min(align4(r.fixed), len(payload))
	var refused *netlinkx.Ack
	if r.attrs, refused = p.parse(payload[at:], sizeHeader+at); refused != nil {
		return refused
	}
	if r.typ != netlinkx.MsgNewSPDInfo {
		if refused = checkUnused(r.typ, &r.attrs); refused != nil {
			return refused
		}
	}
	if refused = checkRaw(r); refused != nil {
		return refused
	}
	b, malformed := r.attrs.canonical(payload, r.fixed, trim)
	defer clear(b) // keys
	r.malformed = malformed
	clampUnread(r.typ, b)
	v, err := netlinkx.DecodeRequest(r.typ, r.flags&^flagDump, b)
	if err != nil {
		return refuse(syscall.EINVAL, "")
	}
	r.value = v.Value()
	return nil
}
