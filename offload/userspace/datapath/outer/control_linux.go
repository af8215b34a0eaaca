package outer

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

var native = binary.NativeEndian

// appendMessage appends the header of a control message with n bytes of data
// and returns the data's place.
func appendMessage(c []byte, level, kind, n int) (all, data []byte) {
	off := len(c)
	all = c[:off+unix.CmsgSpace(n)]
	clear(all[off:])
	h := all[off:]
	native.PutUint64(h, uint64(unix.CmsgLen(n)))
	native.PutUint32(h[8:], uint32(level))
	native.PutUint32(h[12:], uint32(kind))
	return all, h[unix.CmsgLen(0):]
}

// appendSource says from which address, and with which traffic class.
func appendSource(c []byte, v6 bool, r *Run) []byte {
	var data []byte
	if v6 {
		c, data = appendMessage(c, unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo)
		copy(data, r.Src[:])
		c, data = appendMessage(c, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, 4)
		native.PutUint32(data, uint32(r.TOS))
		return appendInt(c, r.TTL, unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT)
	}
	c, data = appendMessage(c, unix.IPPROTO_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
	copy(data[4:8], r.Src[:4]) // ipi_spec_dst
	c = appendInt(c, r.TOS, unix.IPPROTO_IP, unix.IP_TOS)
	return appendInt(c, r.TTL, unix.IPPROTO_IP, unix.IP_TTL)
}

// appendInt appends an int, unless it is 0: the default.
func appendInt(c []byte, v uint8, level, kind int) []byte {
	if v == 0 {
		return c
	}
	c, data := appendMessage(c, level, kind, 4)
	native.PutUint32(data, uint32(v))
	return c
}

func appendSegment(c []byte, size int) []byte {
	c, data := appendMessage(c, unix.SOL_UDP, unix.UDP_SEGMENT, 2)
	native.PutUint16(data, uint16(size))
	return c
}

// parse reads the control messages of a received datagram into m.
func (m *Message) parse(c []byte) {
	for len(c) >= unix.CmsgLen(0) {
		n := int(native.Uint64(c))
		if n < unix.CmsgLen(0) || n > len(c) {
			return
		}
		m.take(int(native.Uint32(c[8:])), int(native.Uint32(c[12:])), c[unix.CmsgLen(0):n])
		step := unix.CmsgSpace(n - unix.CmsgLen(0))
		if step >= len(c) {
			return
		}
		c = c[step:]
	}
}

func (m *Message) take(level, kind int, data []byte) {
	switch {
	case level == unix.SOL_UDP && kind == unix.UDP_GRO && len(data) >= 4:
		if n := int(native.Uint32(data)); n > 0 {
			m.Segment = n
		}
	case level == unix.IPPROTO_IP && kind == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
		copy(m.Dst[:4], data[8:12]) // ipi_addr: what the header says
	case level == unix.IPPROTO_IP && kind == unix.IP_TOS && len(data) >= 1:
		m.TOS = data[0]
	case level == unix.IPPROTO_IP && kind == unix.IP_TTL && len(data) >= 4:
		m.TTL = uint8(native.Uint32(data))
	case level == unix.IPPROTO_IPV6 && kind == unix.IPV6_HOPLIMIT && len(data) >= 4:
		m.TTL = uint8(native.Uint32(data))
	case level == unix.IPPROTO_IPV6 && kind == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
		copy(m.Dst[:], data[:16])
	case level == unix.IPPROTO_IPV6 && kind == unix.IPV6_TCLASS && len(data) >= 4:
		m.TOS = uint8(native.Uint32(data))
	}
}
