package netlinkx

import (
	"bytes"
	"fmt"
	"syscall"
)

// Netlink's own message types.
const (
	nlmsgNoop  = 1
	nlmsgError = 2
	nlmsgDone  = 3
)

// Attributes of an extended acknowledgement (NLMSGERR_ATTR_*).
const (
	ackMsg      = 1
	ackOffset   = 2
	ackMissType = 5
	ackMissNest = 6
)

// message is one netlink message of a datagram; payload is borrowed.
type message struct {
	typ, flags uint16
	seq        uint32
	pid        uint32
	payload    []byte
}

// nextMessage cuts the next message off a datagram; ok is false at its end.
func nextMessage(b []byte) (m message, rest []byte, ok bool, err error) {
	if len(b) == 0 {
		return m, nil, false, nil
	}
	if len(b) < sizeHeader {
		return m, nil, false, fmt.Errorf("malformed netlink datagram: %d stray bytes", len(b))
	}
	n := int(host.Uint32(b))
	if n < sizeHeader || n > len(b) {
		return m, nil, false, fmt.Errorf("malformed netlink message: length %d, %d bytes received", n, len(b))
	}
	m = message{typ: host.Uint16(b[4:]), flags: host.Uint16(b[6:]), seq: host.Uint32(b[8:]), pid: host.Uint32(b[12:]), payload: b[sizeHeader:n]}
	return m, b[min(align4(n), len(b)):], true, nil
}

// parseAck decodes NLMSG_ERROR: an errno, the request or (capped) its header,
// and the attributes of an extended acknowledgement.
func parseAck(m message) (ackInfo, error) {
	p := m.payload
	if len(p) < 4+sizeHeader {
		return ackInfo{}, fmt.Errorf("malformed acknowledgement of %d bytes", len(p))
	}
	ack := ackInfo{errno: syscall.Errno(-int32(host.Uint32(p)))}
	if m.flags&flagAckTLVs == 0 {
		return ack, nil
	}
	skip := 4 + sizeHeader
	if m.flags&flagCapped == 0 {
		skip = 4 + align4(int(host.Uint32(p[4:])))
	}
	if skip < 4+sizeHeader || skip > len(p) {
		return ack, nil
	}
	return ack, ack.tlvs(p[skip:])
}

// parseDone decodes the end of a dump: an errno and, if there is more, the
// attributes of an extended acknowledgement.
func parseDone(m message) (ackInfo, error) {
	if len(m.payload) < 4 {
		return ackInfo{}, nil
	}
	ack := ackInfo{errno: syscall.Errno(-int32(host.Uint32(m.payload)))}
	if m.flags&flagAckTLVs == 0 {
		return ack, nil
	}
	return ack, ack.tlvs(m.payload[4:])
}

func (ack *ackInfo) tlvs(b []byte) error {
	a := attrs{b: b}
	for a.next() {
		switch a.typ {
		case ackMsg:
			ack.text = string(bytes.TrimRight(a.data, "\x00"))
		case ackOffset:
			ack.offset = int(a.u32())
		case ackMissType:
			ack.missType, ack.hasMiss = uint16(a.u32()), true
		case ackMissNest:
			ack.missOffset = int(a.u32())
		}
	}
	if a.err != nil {
		return fmt.Errorf("malformed extended acknowledgement: %w", a.err)
	}
	return nil
}
