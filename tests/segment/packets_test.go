package segment_test

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/xfrmctl/xfrmctl/gsogro/segment"
)

var be = binary.BigEndian

const port = 2000 // destination of all packets of these tests

// stream is a flow of packets of TCP or UDP.
type stream struct {
	v6, udp  bool
	sport    uint16
	seq      uint32
	flags    uint8
	id       uint16
	tos, ttl uint8
	options  []byte
}

func (s *stream) name() string {
	n := "TCP"
	if s.udp {
		n = "UDP"
	}
	if s.v6 {
		return n + "6"
	}
	return n + "4"
}

// streams are the four kinds, TCP with what is special at a super-packet's ends.
func streams() []stream {
	timestamp := []byte{1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2}
	return []stream{
		{sport: 1, seq: 0xfffffff0, flags: 0xd9, id: 0xfff0, tos: 0x29, ttl: 64, options: timestamp}, // CWR ECE ACK PSH FIN
		{sport: 2, v6: true, flags: 0x18, tos: 0xb8, ttl: 3},
		{sport: 3, udp: true, ttl: 64, id: 9},
		{sport: 4, udp: true, v6: true, ttl: 64},
	}
}

// packet has a complete checksum, or the partial one of a super-packet.
func (s *stream) packet(payload []byte, partial bool) (pkt []byte, l4, csum int) {
	var l []byte
	proto := uint8(6)
	l = be.AppendUint16(be.AppendUint16(l, s.sport), port)
	if csum = 16; s.udp {
		proto, csum = 17, 6
		l = append(be.AppendUint16(l, uint16(8+len(payload))), 0, 0)
	} else {
		l = be.AppendUint32(be.AppendUint32(l, s.seq), 7)
		l = append(l, byte(20+len(s.options))/4<<4, s.flags, 1, 0, 0, 0, 0, 0)
		l = append(l, s.options...)
	}
	l = append(l, payload...)
	src, dst := []byte{10, 1, 0, 2}, []byte{10, 2, 0, 2}
	if s.v6 {
		src = []byte{0xfd, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}
		dst = []byte{0xfd, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}
	}
	sum := segment.PseudoSum(src, dst, proto, len(l))
	if !partial {
		sum = ^segment.AddSums(sum, segment.Sum(l))
		if s.udp && sum == 0 {
			sum = 0xffff
		}
	}
	be.PutUint16(l[csum:], sum)
	if s.v6 {
		pkt = be.AppendUint32(nil, 6<<28|uint32(s.tos)<<20|0x12345)
		pkt = append(be.AppendUint16(pkt, uint16(len(l))), proto, s.ttl)
		pkt = append(append(pkt, src...), dst...)
	} else {
		pkt = be.AppendUint16([]byte{0x45, s.tos}, uint16(20+len(l)))
		pkt = append(be.AppendUint16(pkt, s.id), 0x40, 0, s.ttl, proto, 0, 0)
		pkt = append(append(pkt, src...), dst...)
		be.PutUint16(pkt[10:], ^segment.Sum(pkt))
	}
	return append(pkt, l...), len(pkt), csum
}

// super is a super-packet as a sender's kernel makes it.
func (s *stream) super(payload []byte, mss int) (segment.Header, []byte) {
	pkt, l4, csum := s.packet(payload, true)
	h := segment.Header{
		Flags: segment.FlagNeedsChecksum, HdrLen: uint16(len(pkt) - len(payload)), GSOSize: uint16(mss),
		CsumStart: uint16(l4), CsumOffset: uint16(csum), GSOType: segment.GSOUDPL4,
	}
	if !s.udp {
		if h.GSOType = segment.GSOTCPv4; s.v6 {
			h.GSOType = segment.GSOTCPv6
		}
		if s.flags&0x80 != 0 {
			h.GSOType |= segment.GSOECN
		}
	}
	return h, pkt
}

// cut is the stream's payload in packets of their own.
func (s *stream) cut(payload []byte, mss int) [][]byte {
	var out [][]byte
	for n := 0; n < len(payload); n += mss {
		p := *s
		end := min(n+mss, len(payload))
		p.seq += uint32(n)
		p.id += uint16(len(out))
		if n > 0 {
			p.flags &^= 0x80
		}
		if end < len(payload) {
			p.flags &^= 0x09
		}
		pkt, _, _ := p.packet(payload[n:end], false)
		out = append(out, pkt)
	}
	return out
}

// ours tells the tests' packets from the kernel's own.
func ours(pkt []byte) bool {
	switch {
	case len(pkt) >= 28 && pkt[0]>>4 == 4:
		return (pkt[9] == 6 || pkt[9] == 17) && be.Uint16(pkt[22:]) == port
	case len(pkt) >= 48 && pkt[0]>>4 == 6:
		return (pkt[6] == 6 || pkt[6] == 17) && be.Uint16(pkt[42:]) == port
	}
	return false
}

// hop is what forwarding does to a packet.
func hop(pkt []byte) []byte {
	if pkt[0]>>4 == 6 {
		pkt[7]--
		return pkt
	}
	pkt[8]--
	pkt[10], pkt[11] = 0, 0
	be.PutUint16(pkt[10:], ^segment.Sum(pkt[:20]))
	return pkt
}

func random(n int) []byte {
	r := rand.New(rand.NewPCG(uint64(n), 3))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}
