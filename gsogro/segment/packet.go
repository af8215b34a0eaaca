package segment

import "encoding/binary"

const (
	protoHopByHop = 0
	protoTCP      = 6
	protoUDP      = 17
	protoRouting  = 43
	protoDestOpts = 60

	ipv4Len = 20
	ipv6Len = 40
	tcpLen  = 20
	udpLen  = 8

	maxPacket = 65535 // of either family: what one write to a TUN device takes
)

// Offsets in TCP and UDP headers (RFC 9293, RFC 768).
const (
	tcpSeq, tcpAck, tcpOff, tcpFlags, tcpWindow, tcpCsum = 4, 8, 12, 13, 14, 16
	udpLength, udpCsum                                   = 4, 6
)

// Flags of TCP.
const (
	flagFIN = 0x01
	flagSYN = 0x02
	flagRST = 0x04
	flagPSH = 0x08
	flagACK = 0x10
	flagURG = 0x20
	flagECE = 0x40
	flagCWR = 0x80
)

var be = binary.BigEndian

// layout is where the headers of a packet of TCP or UDP end.
type layout struct {
	v6     bool
	routed bool  // a routing header: the destination is not that of the pseudo-header
	proto  uint8 // protoTCP or protoUDP
	l4     int   // offset of the TCP or UDP header
	header int   // bytes of all headers; payload begins there
	total  int   // length of the packet by its IP header
}

// parse finds the layout of an unfragmented packet of TCP or UDP whose headers
// lie within pkt. ErrPacket if it is anything else.
func (l *layout) parse(pkt []byte) error {
	*l = layout{}
	if len(pkt) < ipv4Len {
		return ErrPacket
	}
	var ok bool
	switch pkt[0] >> 4 {
	case 4:
		ok = l.parse4(pkt)
	case 6:
		ok = len(pkt) >= ipv6Len && l.parse6(pkt)
	}
	if !ok || l.total > len(pkt) {
		return ErrPacket
	}
	return l.parse4Up(pkt[:l.total])
}

func (l *layout) parse4(pkt []byte) bool {
	l.l4, l.total, l.proto = int(pkt[0]&0xf)*4, int(be.Uint16(pkt[2:])), pkt[9]
	return l.l4 >= ipv4Len && be.Uint16(pkt[6:])&0x3fff == 0
}

func (l *layout) parse6(pkt []byte) bool {
	l.v6, l.l4, l.total, l.proto = true, ipv6Len, ipv6Len+int(be.Uint16(pkt[4:])), pkt[6]
	for {
		switch l.proto {
		case protoHopByHop, protoDestOpts, protoRouting:
		default:
			return true
		}
		if len(pkt) < l.l4+8 {
			return false
		}
		l.routed = l.routed || l.proto == protoRouting
		l.proto = pkt[l.l4]
		l.l4 += (int(pkt[l.l4+1]) + 1) * 8
	}
}

// parse4Up reads the length of the TCP or UDP header.
func (l *layout) parse4Up(pkt []byte) error {
	switch l.proto {
	case protoTCP:
		if len(pkt) < l.l4+tcpLen {
			return ErrPacket
		}
		n := int(pkt[l.l4+tcpOff]>>4) * 4
		if n < tcpLen || len(pkt) < l.l4+n {
			return ErrPacket
		}
		l.header = l.l4 + n
	case protoUDP:
		if len(pkt) < l.l4+udpLen {
			return ErrPacket
		}
		l.header = l.l4 + udpLen
	default:
		return ErrPacket
	}
	return nil
}

// csumOffset is where the checksum lies in the TCP or UDP header.
func (l *layout) csumOffset() int {
	if l.proto == protoTCP {
		return tcpCsum
	}
	return udpCsum
}

// pseudo is the sum of the pseudo-header for n bytes of TCP or UDP: PseudoSum
// with fewer steps, for it is needed once for each packet.
func (l *layout) pseudo(pkt []byte, n int) uint16 {
	addrs := pkt[12:20]
	if l.v6 {
		addrs = pkt[8:40]
	}
	s := uint64(l.proto) + uint64(n)
	for ; len(addrs) >= 8; addrs = addrs[8:] {
		w := be.Uint64(addrs)
		s += w>>32 + w&0xffffffff
	}
	return fold64(s)
}

// headerOK verifies the checksum of an IPv4 header without options.
func headerOK(h []byte) bool {
	h = h[:ipv4Len]
	a, b := be.Uint64(h), be.Uint64(h[8:])
	return fold64(a>>32+a&0xffffffff+b>>32+b&0xffffffff+uint64(be.Uint32(h[16:]))) == 0xffff
}
