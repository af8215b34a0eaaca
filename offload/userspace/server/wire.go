package server

import (
	"encoding/binary"
	"syscall"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

var host = binary.NativeEndian

// Header flags of requests and answers.
const (
	flagRequest = 0x1
	flagMulti   = 0x2
	flagAck     = 0x4
	flagReplace = 0x100
	flagExcl    = 0x200
	flagCreate  = 0x400
	flagDump    = 0x300
)

// Netlink's own message types end below minType (NLMSG_MIN_TYPE).
const (
	minType    = 0x10
	typeError  = 2
	typeDone   = 3
	sizeHeader = 16
	sizeAttr   = 4
)

func align4(n int) int { return (n + 3) &^ 3 }

// message is one request as it came: the whole of it, borrowed.
type message struct {
	raw   []byte // with the header
	typ   uint16
	flags uint16
	seq   uint32
	pid   uint32 // as the client wrote it: what the kernel repeats in events
}

// payload returns what follows the header.
func (m *message) payload() []byte { return m.raw[sizeHeader:] }

// nextMessage cuts a message off a datagram as netlink_rcv_skb does: what is
// malformed ends the datagram without a word.
func nextMessage(b []byte) (m message, rest []byte, ok bool) {
	if len(b) < sizeHeader {
		return m, nil, false
	}
	n := int(host.Uint32(b))
	if n < sizeHeader || n > len(b) {
		return m, nil, false
	}
	m = message{raw: b[:n:n], typ: host.Uint16(b[4:]), flags: host.Uint16(b[6:]), seq: host.Uint32(b[8:]), pid: host.Uint32(b[12:])}
	return m, b[min(align4(n), len(b)):], true
}

// refuse is a refusal with a text.
func refuse(errno syscall.Errno, text string) *netlinkx.Ack {
	return &netlinkx.Ack{Errno: errno, Text: text}
}

// invalid is the most common one.
func invalid(text string) *netlinkx.Ack { return refuse(syscall.EINVAL, text) }
