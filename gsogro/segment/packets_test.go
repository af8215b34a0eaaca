package segment

import (
	"encoding/binary"
	"math/rand/v2"
)

// spec is a packet of TCP or UDP; build makes it with the slow checksum.
type spec struct {
	v6, udp          bool
	src, dst         byte // last byte of the address
	sport, dport     uint16
	seq, ack         uint32
	flags            uint8
	window           uint16
	options          []byte
	tos, ttl         uint8
	label            uint32
	id               uint16
	df               bool
	payload          []byte
	badSum, badIPSum bool
}

func tcp4(seq uint32, payload []byte) spec {
	return spec{src: 1, dst: 2, sport: 1000, dport: 2000, seq: seq, ack: 7, flags: flagACK, window: 500, ttl: 64, df: true, payload: payload}
}

func (s *spec) l4() []byte {
	var b []byte
	if s.udp {
		b = be.AppendUint16(be.AppendUint16(nil, s.sport), s.dport)
		b = be.AppendUint16(b, uint16(udpLen+len(s.payload)))
		b = append(b, 0, 0)
	} else {
		b = be.AppendUint16(be.AppendUint16(nil, s.sport), s.dport)
		b = be.AppendUint32(be.AppendUint32(b, s.seq), s.ack)
		b = append(b, byte(tcpLen+len(s.options))/4<<4, s.flags)
		b = be.AppendUint16(b, s.window)
		b = append(append(b, 0, 0, 0, 0), s.options...)
	}
	return append(b, s.payload...)
}

func (s *spec) addresses() (src, dst []byte) {
	if s.v6 {
		src = []byte{0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, s.src}
		dst = []byte{0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, s.dst}
		return src, dst
	}
	return []byte{192, 0, 2, s.src}, []byte{192, 0, 2, s.dst}
}

func (s *spec) build() []byte {
	l4 := s.l4()
	src, dst := s.addresses()
	proto, at := byte(protoTCP), tcpCsum
	if s.udp {
		proto, at = protoUDP, udpCsum
	}
	pseudo := append(append([]byte{}, src...), dst...)
	pseudo = be.AppendUint32(append(pseudo, 0, 0, 0, proto), uint32(len(l4)))
	sum := ^slowSum(append(pseudo, l4...))
	if s.udp && sum == 0 {
		sum = 0xffff
	}
	if s.badSum {
		sum ^= 0x100
	}
	be.PutUint16(l4[at:], sum)
	var p []byte
	if s.v6 {
		p = be.AppendUint32(nil, 6<<28|uint32(s.tos)<<20|s.label)
		p = append(be.AppendUint16(p, uint16(len(l4))), proto, s.ttl)
		return append(append(append(p, src...), dst...), l4...)
	}
	p = be.AppendUint16([]byte{0x45, s.tos}, uint16(ipv4Len+len(l4)))
	p = be.AppendUint16(p, s.id)
	if s.df {
		p = append(p, 0x40, 0)
	} else {
		p = append(p, 0, 0)
	}
	p = append(append(append(p, s.ttl, proto, 0, 0), src...), dst...)
	be.PutUint16(p[10:], ^slowSum(p))
	if s.badIPSum {
		p[10] ^= 1
	}
	return append(p, l4...)
}

// slowSum is RFC 1071 in its plainest form.
func slowSum(b []byte) uint16 {
	var sum uint64
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint64(b[i])<<8 | uint64(b[i+1])
	}
	if len(b)%2 != 0 {
		sum += uint64(b[len(b)-1]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

// super makes a super-packet as the kernel hands it out: one header, a partial
// checksum.
func (s *spec) super(mss int) (Header, []byte) {
	pkt := s.build()
	var l layout
	if err := l.parse(pkt); err != nil {
		panic(err)
	}
	h := Header{
		Flags: FlagNeedsChecksum, GSOSize: uint16(mss), HdrLen: uint16(l.header),
		CsumStart: uint16(l.l4), CsumOffset: uint16(l.csumOffset()),
	}
	switch {
	case s.udp:
		h.GSOType = GSOUDPL4
	case s.v6:
		h.GSOType = GSOTCPv6
	default:
		h.GSOType = GSOTCPv4
	}
	if !s.udp && s.flags&flagCWR != 0 {
		h.GSOType |= GSOECN
	}
	src, dst := s.addresses()
	pseudo := be.AppendUint32(append(append(append([]byte{}, src...), dst...), 0, 0, 0, l.proto), uint32(l.total-l.l4))
	be.PutUint16(pkt[l.l4+l.csumOffset():], slowSum(pseudo))
	return h, pkt
}

// cut is what splitting s gives, packet by packet.
func (s *spec) cut(mss int) [][]byte {
	var out [][]byte
	for at, i := 0, 0; at < len(s.payload); at, i = at+mss, i+1 {
		p := *s
		end := min(at+mss, len(s.payload))
		p.payload = s.payload[at:end]
		p.seq += uint32(at)
		p.id += uint16(i)
		if i > 0 {
			p.flags &^= flagCWR
		}
		if end < len(s.payload) {
			p.flags &^= flagPSH | flagFIN
		}
		out = append(out, p.build())
	}
	return out
}

// random bytes that are the same in each run.
func random(n int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n+8)
	for i := 0; i < n; i += 8 {
		binary.LittleEndian.PutUint64(b[i:], r.Uint64())
	}
	return b[:n]
}
