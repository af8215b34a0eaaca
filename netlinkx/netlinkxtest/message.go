package netlinkxtest

import (
	"encoding/binary"
	"syscall"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Netlink's own message types.
const (
	TypeError netlinkx.MsgType = 2 // acknowledgement, with errno 0 or not
	TypeDone  netlinkx.MsgType = 3 // end of a multipart answer
)

// Flags of a netlink header.
const (
	FlagRequest  = 0x1
	FlagMulti    = 0x2
	FlagAck      = 0x4
	FlagDumpIntr = 0x10  // the tables changed during the dump
	FlagDump     = 0x300 // of requests
	FlagCapped   = 0x100 // of acknowledgements: the request's payload is left out
	FlagAckTLVs  = 0x200 // of acknowledgements: extended attributes follow
)

const headerLen = 16

// Message is one netlink message, or something that happens in place of one.
type Message struct {
	Type    netlinkx.MsgType
	Flags   uint16
	Seq     uint32 // of answers: 0 stands for the request's
	PortID  uint32
	Payload []byte

	// Same puts the message into the datagram of the one before it.
	Same bool
	// Cut is how many bytes are missing at the message's end, although its
	// header counts them.
	Cut int
	// Fail, if not nil, makes the read fail with it in place of a message,
	// once: syscall.ENOBUFS for lost messages.
	Fail error
}

// encode appends the message as it is on the wire, padded.
func (m Message) encode(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	h := make([]byte, headerLen)
	binary.NativeEndian.PutUint32(h, uint32(headerLen+len(m.Payload)))
	binary.NativeEndian.PutUint16(h[4:], uint16(m.Type))
	binary.NativeEndian.PutUint16(h[6:], m.Flags)
	binary.NativeEndian.PutUint32(h[8:], m.Seq)
	binary.NativeEndian.PutUint32(h[12:], m.PortID)
	b = append(append(b, h...), m.Payload...)
	return b[:len(b)-min(m.Cut, headerLen+len(m.Payload))]
}

// decodeMessage cuts the first message off b. Payloads are copies.
func decodeMessage(b []byte) (m Message, rest []byte, ok bool) {
	if len(b) < headerLen {
		return m, nil, false
	}
	n := int(binary.NativeEndian.Uint32(b))
	if n < headerLen || n > len(b) {
		return m, nil, false
	}
	m = Message{
		Type:    netlinkx.MsgType(binary.NativeEndian.Uint16(b[4:])),
		Flags:   binary.NativeEndian.Uint16(b[6:]),
		Seq:     binary.NativeEndian.Uint32(b[8:]),
		PortID:  binary.NativeEndian.Uint32(b[12:]),
		Payload: append([]byte(nil), b[headerLen:n]...),
	}
	return m, b[min((n+3)&^3, len(b)):], true
}

// ExtAck is an extended acknowledgement. The zero ExtAck says nothing.
type ExtAck struct {
	Text     string
	Offset   int                  // of the attribute at fault in the request; 0 none
	MissType netlinkx.Opt[uint16] // attribute that is missing
}

// Attributes of extended acknowledgements.
const (
	ackText     = 1
	ackOffset   = 2
	ackMissType = 5
)

func (x ExtAck) encode() (b []byte) {
	u32 := func(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }
	if x.Text != "" {
		b = appendAttr(b, ackText, append([]byte(x.Text), 0))
	}
	if x.Offset != 0 {
		b = appendAttr(b, ackOffset, u32(uint32(x.Offset)))
	}
	if x.MissType.Valid {
		b = appendAttr(b, ackMissType, u32(uint32(x.MissType.V)))
	}
	return b
}

func appendAttr(b []byte, typ uint16, data []byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(4+len(data)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = append(b, data...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// Refuse answers req with an errno and what there is to say about it. As with
// NETLINK_CAP_ACK the request's payload is not echoed. An errno of 0 is
// success; a text is then a warning.
func Refuse(req Message, errno syscall.Errno, x ExtAck) Message {
	p := binary.NativeEndian.AppendUint32(nil, uint32(-int32(errno)))
	p = append(p, Message{Type: req.Type, Flags: req.Flags, Seq: req.Seq, PortID: req.PortID}.encode(nil)...)
	binary.NativeEndian.PutUint32(p[4:], uint32(headerLen+len(req.Payload)))
	m := Message{Type: TypeError, Flags: FlagCapped, Payload: p}
	if tlvs := x.encode(); len(tlvs) > 0 {
		m.Flags |= FlagAckTLVs
		m.Payload = append(m.Payload, tlvs...)
	}
	return m
}

// RefuseEchoing is Refuse without NETLINK_CAP_ACK: the whole request comes back
// in front of the extended attributes.
func RefuseEchoing(req Message, errno syscall.Errno, x ExtAck) Message {
	m := Refuse(req, errno, ExtAck{})
	m.Flags = 0
	m.Payload = append(m.Payload, req.Payload...)
	for len(m.Payload)%4 != 0 {
		m.Payload = append(m.Payload, 0)
	}
	if tlvs := x.encode(); len(tlvs) > 0 {
		m.Flags |= FlagAckTLVs
		m.Payload = append(m.Payload, tlvs...)
	}
	return m
}

// Ack acknowledges req.
func Ack(req Message) Message { return Refuse(req, 0, ExtAck{}) }

// Object is the message that carries an object: r as the library encodes it,
// in an answer or event of its type.
//
// It panics when r cannot be encoded, which only a wrong test brings about.
func Object(r netlinkx.Request) Message {
	b, err := netlinkx.AppendRequest(nil, r, 0, 0)
	if err != nil {
		panic("netlinkxtest: " + err.Error())
	}
	m, _, _ := decodeMessage(b)
	m.Flags = 0
	return m
}

// Dump makes a multipart answer of messages: two in each datagram, and its end
// in a datagram of its own.
func Dump(ms ...Message) []Message {
	answer := make([]Message, 0, len(ms)+1)
	for i, m := range ms {
		m.Flags |= FlagMulti
		m.Same = i%2 == 1
		answer = append(answer, m)
	}
	return append(answer, Message{Type: TypeDone, Flags: FlagMulti, Payload: make([]byte, 4)})
}

// Interrupted marks the answer of Dump: the tables changed meanwhile.
func Interrupted(answer []Message) []Message {
	for i := range answer {
		answer[i].Flags |= FlagDumpIntr
	}
	return answer
}
