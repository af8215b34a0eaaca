package encap

import (
	"encoding/binary"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Write puts the outer header of an ESP packet of espLen bytes at the front of
// dst and returns its length, o.HeaderLen. In transport mode inner must still
// hold its header; dst may overlap it. (Where header and ESP share memory with
// inner: Write before the ESP transform.)
//
// Errors are ErrRoom and ErrTooLong.
func (t *Transform) Write(dst, inner []byte, o *Outer, espLen int) (int, error) {
	n := o.HeaderLen
	if len(dst) < n {
		return 0, ErrRoom
	}
	h := dst[:n]
	ip := n
	if t.udp {
		ip -= udpLen
		espLen += udpLen
	}
	if ip+espLen > 0xffff+t.lengthGrace() {
		return 0, ErrTooLong
	}
	switch {
	case t.mode == netlinkx.ModeTransport:
		copy(h[:ip], inner[:ip])
		if t.v6 {
			h[o.patch] = t.proto()
		} else {
			h[9] = t.proto()
		}
	case t.v6:
		copy(h, t.template[:v6Len])
	default:
		copy(h, t.template[:v4Len])
	}
	if t.v6 {
		t.fields6(h, o, ip-v6Len+espLen)
	} else {
		t.fields4(h[:ip], o, ip+espLen)
	}
	if t.udp {
		u := h[ip:]
		copy(u, t.template[t.headerSize-udpLen:t.headerSize])
		put16(u[4:], uint16(espLen))
		u[6], u[7] = 0, 0
	}
	return n, nil
}

// lengthGrace is what IPv6 does not count in its length field.
func (t *Transform) lengthGrace() int {
	if t.v6 {
		return v6Len
	}
	return 0
}

func (t *Transform) proto() byte {
	if t.udp {
		return protoUDP
	}
	return protoESP
}

func (t *Transform) fields4(h []byte, o *Outer, total int) {
	if t.mode == netlinkx.ModeTransport {
		put16(h[2:], uint16(total))
		h[10], h[11] = 0, 0
		put16(h[10:], fold(sum16(h)))
		return
	}
	h[1] = o.TOS
	put16(h[2:], uint16(total))
	put16(h[4:], o.ID)
	df := uint16(0)
	if o.DF {
		df = 0x4000
	}
	put16(h[6:], df)
	h[8] = o.TTL
	// The template's sum has its own TTL.
	sum := t.sum + uint32(o.TOS) + uint32(total) + uint32(o.ID) + uint32(df) + uint32(o.TTL)<<8 + uint32(^(uint16(t.ttl) << 8))
	put16(h[10:], fold(sum))
}

func (t *Transform) fields6(h []byte, o *Outer, payload int) {
	put16(h[4:], uint16(payload))
	if t.mode == netlinkx.ModeTransport {
		return
	}
	binary.BigEndian.PutUint32(h, 6<<28|uint32(o.TOS)<<20|o.FlowLabel&0xfffff)
	h[7] = o.TTL
}

// Finish completes pkt, the outer packet from its IP header on, once ESP is in
// place: UDP over IPv6 has a checksum (RFC 8200 section 8.1); UDP over IPv4
// goes without (RFC 3948 section 2.1), and then there is nothing to do.
func (t *Transform) Finish(pkt []byte, o *Outer) {
	if !t.v6 || !t.udp {
		return
	}
	u := pkt[o.HeaderLen-udpLen:]
	sum := uint64(protoUDP) + uint64(len(u))
	sum = sumWide(pkt[8:v6Len], sum)
	u[6], u[7] = 0, 0
	sum = sumWide(u, sum)
	sum = sum>>32 + sum&0xffffffff
	sum = sum>>16 + sum&0xffff
	sum = sum>>16 + sum&0xffff
	c := fold(uint32(sum))
	if c == 0 {
		c = 0xffff
	}
	put16(u[6:], c)
}

// sumWide adds b to a one's complement sum, four bytes at a time.
func sumWide(b []byte, sum uint64) uint64 {
	for ; len(b) >= 4; b = b[4:] {
		sum += uint64(binary.BigEndian.Uint32(b))
	}
	for i := range b {
		sum += uint64(b[i]) << (24 - 8*i)
	}
	return sum
}

func flowLabel(h []byte) uint32 { return binary.BigEndian.Uint32(h) & 0xfffff }

func be16(b []byte) uint16 { return binary.BigEndian.Uint16(b) }

func put16(b []byte, v uint16) { binary.BigEndian.PutUint16(b, v) }
