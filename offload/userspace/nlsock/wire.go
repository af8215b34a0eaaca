package nlsock

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"syscall"
)

var host = binary.NativeEndian

// Protocol is what a connection speaks.
type Protocol uint32

// Protocols; the first two are the kernel's netlink families.
const (
	ProtocolRoute  Protocol = 0 // NETLINK_ROUTE: links
	ProtocolXFRM   Protocol = 6 // NETLINK_XFRM
	ProtocolStatus Protocol = 0xffff
)

// Netlink's own message types, and two of this package that the kernel's
// protocols do not have.
const (
	typeError   = 2
	typeDone    = 3
	typeOverrun = 4 // NLMSG_OVERRUN: events were lost here
	typeHello   = 0xff01
	typeStatus  = 0xff02
)

// Header flags.
const (
	flagRequest = 0x1
	flagMulti   = 0x2
	flagAck     = 0x4
	flagCapped  = 0x100
	flagTLVs    = 0x200
)

const (
	sizeHeader = 16
	sizeAttr   = 4
	sizeHello  = sizeHeader + 16
	ackText    = 1 // NLMSGERR_ATTR_MSG
	maxGroup   = 31
)

// magic begins the body of a hello; its last byte is the version.
var magic = [8]byte{'x', 'f', 'r', 'm', 'e', 's', 'p', 1}

func align4(n int) int { return (n + 3) &^ 3 }

// appendHeader appends a netlink header of a message with n bytes of payload.
func appendHeader(b []byte, n int, typ, flags uint16, seq, pid uint32) []byte {
	b = host.AppendUint32(b, uint32(sizeHeader+n))
	b = host.AppendUint16(b, typ)
	b = host.AppendUint16(b, flags)
	b = host.AppendUint32(b, seq)
	return host.AppendUint32(b, pid)
}

// hello is a client's first message.
//
//	0..15    16..23  24..27    28..31
//	header   magic   protocol  groups, bit n-1 for group n
type hello struct {
	protocol Protocol
	groups   uint32
}

func (h hello) encode() []byte {
	b := appendHeader(nil, sizeHello-sizeHeader, typeHello, flagRequest|flagAck, 1, 0)
	b = append(b, magic[:]...)
	b = host.AppendUint32(b, uint32(h.protocol))
	return host.AppendUint32(b, h.groups)
}

func decodeHello(b []byte) (hello, error) {
	if len(b) != sizeHello || host.Uint32(b) != sizeHello || host.Uint16(b[4:]) != typeHello {
		return hello{}, fmt.Errorf("first datagram of %d bytes is no hello", len(b))
	}
	if !bytes.Equal(b[sizeHeader:sizeHeader+8], magic[:]) {
		return hello{}, fmt.Errorf("hello of another version")
	}
	return hello{protocol: Protocol(host.Uint32(b[24:])), groups: host.Uint32(b[28:])}, nil
}

// encodeAck answers a hello: an NLMSG_ERROR whose header holds the port id.
func encodeAck(errno syscall.Errno, text string, portID uint32) []byte {
	n, flags := 4+sizeHeader, uint16(flagCapped)
	if text != "" {
		n += align4(sizeAttr + len(text) + 1)
		flags |= flagTLVs
	}
	b := appendHeader(nil, n, typeError, flags, 1, portID)
	b = host.AppendUint32(b, uint32(-int32(errno)))
	b = appendHeader(b, sizeHello-sizeHeader, typeHello, flagRequest|flagAck, 1, 0)
	if text == "" {
		return b
	}
	b = host.AppendUint16(b, uint16(sizeAttr+len(text)+1))
	b = host.AppendUint16(b, ackText)
	b = append(append(b, text...), 0)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// decodeAck reads the answer to a hello.
func decodeAck(b []byte) (errno syscall.Errno, text string, err error) {
	if len(b) < 2*sizeHeader+4 || host.Uint16(b[4:]) != typeError {
		return 0, "", fmt.Errorf("%d bytes that are no answer to a hello", len(b))
	}
	errno = syscall.Errno(-int32(host.Uint32(b[sizeHeader:])))
	tlv := b[2*sizeHeader+4:]
	if host.Uint16(b[6:])&flagTLVs != 0 && len(tlv) > sizeAttr && host.Uint16(tlv[2:]) == ackText {
		n := min(int(host.Uint16(tlv)), len(tlv))
		text = string(bytes.TrimRight(tlv[sizeAttr:max(n, sizeAttr)], "\x00"))
	}
	return errno, text, nil
}
