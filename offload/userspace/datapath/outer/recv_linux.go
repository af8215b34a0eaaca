package outer

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// MaxDatagram is the longest datagram that a Batch can take whole.
const MaxDatagram = 65535

// stride keeps the datagrams of a batch apart, and off the same cache sets.
const stride = MaxDatagram + 1 + 1664

// Batch is the memory into which Recv receives. One thread's sockets share one.
type Batch struct {
	// Room is how many bytes before each datagram belong to it as well.
	room    int
	buf     []byte
	msgs    []mmsghdr
	iovs    []unix.Iovec
	names   []unix.RawSockaddrInet6
	control [][controlRoom]byte
	v6      bool
}

// NewBatch returns a batch of n datagrams, each with room bytes before it. Its
// memory is touched as far as datagrams reach, no further.
func NewBatch(n, room int) *Batch {
	b := &Batch{
		room: room, buf: make([]byte, n*(stride+room)),
		msgs: make([]mmsghdr, n), iovs: make([]unix.Iovec, n),
		names: make([]unix.RawSockaddrInet6, n), control: make([][controlRoom]byte, n),
	}
	for i := range b.msgs {
		h := &b.msgs[i].hdr
		b.iovs[i].Base = &b.buf[i*(stride+room)+room]
		b.iovs[i].SetLen(MaxDatagram)
		h.Iov = &b.iovs[i]
		h.SetIovlen(1)
		h.Name = (*byte)(unsafe.Pointer(&b.names[i]))
		h.Control = &b.control[i][0]
	}
	return b
}

// Recv receives up to most datagrams (0: as many as fit) and returns how many.
// It never blocks: errors are plain errnos, EAGAIN when there are none.
func (s *Socket) Recv(b *Batch, most int) (int, error) {
	if most == 0 || most > len(b.msgs) {
		most = len(b.msgs)
	}
	header := s.key.Port == 0 && !s.key.V6
	for i := range most {
		h := &b.msgs[i].hdr
		if header { // nothing else is needed
			h.Namelen, h.Name, h.Control = 0, nil, nil
			h.SetControllen(0)
			continue
		}
		h.Name, h.Namelen = (*byte)(unsafe.Pointer(&b.names[i])), unix.SizeofSockaddrInet6
		h.Control = &b.control[i][0]
		h.SetControllen(controlRoom)
	}
	b.v6 = s.key.V6
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&b.msgs[0])), uintptr(most), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// Message describes datagram i of the last Recv.
func (b *Batch) Message(i int, m *Message) {
	h := &b.msgs[i]
	n := int(h.len)
	start := i*(stride+b.room) + b.room
	*m = Message{Data: b.buf[start : start+n], Segment: n, Truncated: h.hdr.Flags&unix.MSG_TRUNC != 0}
	if b.v6 {
		name := &b.names[i]
		m.Src, m.Port = name.Addr, getPort(&name.Port)
	} else {
		name := (*unix.RawSockaddrInet4)(unsafe.Pointer(&b.names[i]))
		m.Port = getPort(&name.Port)
		copy(m.Src[:4], name.Addr[:])
	}
	m.parse(b.control[i][:min(int(h.hdr.Controllen), controlRoom)])
}

// Put makes m datagram i, as if it had been received from a socket of either
// family: for sockets that are not the kernel's. Data is copied.
func (b *Batch) Put(i int, m *Message, v6 bool) {
	h := &b.msgs[i]
	start := i*(stride+b.room) + b.room
	h.len = uint32(copy(b.buf[start:start+MaxDatagram], m.Data))
	b.v6 = v6
	b.putAddresses(i, m)
	c := b.control[i][:0]
	r := Run{Src: m.Dst, TOS: m.TOS, TTL: m.TTL}
	if v6 {
		c = appendSource(c, true, &r)
	} else {
		var data []byte
		c, data = appendMessage(c, unix.IPPROTO_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
		copy(data[8:12], m.Dst[:4])
		c = appendInt(appendInt(c, m.TOS, unix.IPPROTO_IP, unix.IP_TOS), m.TTL, unix.IPPROTO_IP, unix.IP_TTL)
	}
	if m.Segment > 0 {
		var data []byte
		c, data = appendMessage(c, unix.SOL_UDP, unix.UDP_GRO, 4)
		native.PutUint32(data, uint32(m.Segment))
	}
	h.hdr.SetControllen(len(c))
	h.hdr.Flags = 0
	if m.Truncated {
		h.hdr.Flags = unix.MSG_TRUNC
	}
}

func (b *Batch) putAddresses(i int, m *Message) {
	if b.v6 {
		putPort(&b.names[i].Port, m.Port)
		b.names[i].Addr = m.Src
		return
	}
	name := (*unix.RawSockaddrInet4)(unsafe.Pointer(&b.names[i]))
	putPort(&name.Port, m.Port)
	copy(name.Addr[:], m.Src[:4])
}

// Len returns how many datagrams the batch can take.
func (b *Batch) Len() int { return len(b.msgs) }

// Before returns the room before datagram i and the datagram, as one slice, for
// headers that are written in front of what was received.
func (b *Batch) Before(i int) []byte {
	start := i * (stride + b.room)
	return b.buf[start : start+b.room+int(b.msgs[i].len)]
}

func getPort(p *uint16) uint16 {
	return binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(p))[:])
}
