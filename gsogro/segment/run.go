package segment

import "bytes"

const (
	maxRunHeader = 128 // IPv6 and the longest TCP header take 100
	runStart     = 64  // where the packet begins in a run's memory; the virtio header is right before it
	// runRoom holds the longest packet and the ESP trailer of the last one to be
	// opened. It is an odd multiple of a cache line, so that the starts of runs
	// do not compete for the same lines.
	runRoom = 64 * 1035
)

// run is a super-packet under construction.
//
//	buf: | … virtio | headers | payload … | (room) |
//	     0          runStart              end
type run struct {
	buf    []byte
	layout // of the first packet
	device uint32
	out    int

	mss      int // payload of the first packet
	end      int
	packets  int
	seq      uint32 // of the next packet, TCP
	firstID  uint16 // IPv4
	fixedID  bool
	verified bool // checksum of the first packet
	open     bool
	ended    bool // by the packet appended last
	flags    uint8

	header [maxRunHeader]byte // of the first packet; its place in buf may be reserved for the next packet
}

// trim cuts off what is behind the end of the IP packet (TFC padding).
func trim(pkt []byte) []byte {
	n := len(pkt)
	switch {
	case len(pkt) >= ipv4Len && pkt[0]>>4 == 4:
		n = max(ipv4Len, int(be.Uint16(pkt[2:])))
	case len(pkt) >= ipv6Len && pkt[0]>>4 == 6:
		n = ipv6Len + int(be.Uint16(pkt[4:]))
	}
	return pkt[:min(n, len(pkt))]
}

// mergeable: a packet of TCP or UDP without options or extension headers of IP,
// and right as far as its headers tell. IPv4's header checksum is verified
// here, because a merged packet gets a new one.
func (l *layout) mergeable(pkt []byte) bool {
	if l.parse(pkt) != nil || l.total != len(pkt) {
		return false
	}
	if l.v6 {
		if l.l4 != ipv6Len {
			return false
		}
	} else if l.l4 != ipv4Len || !headerOK(pkt) {
		return false
	}
	return l.proto == protoTCP || int(be.Uint16(pkt[l.l4+udpLength:])) == l.total-l.l4 && be.Uint16(pkt[l.l4+udpCsum:]) != 0
}

// minTCP is the smallest segment of TCP that the kernel cuts from a
// super-packet; since 7.x it mangles those of less (kernel: TCP_MIN_GSO_SIZE).
const minTCP = 8

// begins: the packet can be the first of several.
func (l *layout) begins(pkt []byte) bool {
	if l.proto == protoUDP {
		return l.total > l.header
	}
	if l.total-l.header < minTCP {
		return false
	}
	const never = flagFIN | flagSYN | flagRST | flagPSH | flagURG
	return pkt[l.l4+tcpFlags]&never == 0 && !oddChecksum(pkt[l.l4:])
}

// oddChecksum: a TCP checksum of 0xffff is right where 0 is, but is not what
// splitting would give.
func oddChecksum(tcp []byte) bool { return be.Uint16(tcp[tcpCsum:]) == 0xffff }

// checksumOK verifies the checksum of TCP or UDP.
func (l *layout) checksumOK(pkt []byte) bool {
	return AddSums(Sum(pkt[l.l4:l.total]), l.pseudo(pkt, l.total-l.l4)) == 0xffff
}

func (r *run) begin(pkt []byte, l *layout, device uint32) {
	r.layout, r.device = *l, device
	r.mss, r.end, r.packets = l.total-l.header, runStart+l.total, 1
	r.firstID, r.fixedID, r.verified, r.open, r.ended, r.flags = 0, false, false, true, false, 0
	copy(r.header[:], pkt[:l.header])
	if !l.v6 {
		r.firstID = be.Uint16(pkt[4:])
	}
	if l.proto == protoTCP {
		r.seq = be.Uint32(pkt[l.l4+tcpSeq:]) + uint32(r.mss)
	}
}

// sameFlow compares addresses, protocol and ports.
func (r *run) sameFlow(pkt []byte, l *layout, device uint32) bool {
	if l.v6 != r.v6 || l.proto != r.proto || device != r.device {
		return false
	}
	if be.Uint32(pkt[l.l4:]) != be.Uint32(r.header[r.l4:]) {
		return false
	}
	if l.v6 {
		return [32]byte(pkt[8:40]) == [32]byte(r.header[8:40])
	}
	return be.Uint64(pkt[12:]) == be.Uint64(r.header[12:])
}

// continues: of the run's flow, the packet is the next one, and a super-packet's
// only header can speak for it.
func (r *run) continues(pkt []byte, l *layout) bool {
	n := l.total - l.header
	if n == 0 || n > r.mss || l.header != r.layout.header || r.end-runStart+n > maxPacket {
		return false
	}
	if l.v6 {
		// version, traffic class, flow label; next header and hop limit
		if be.Uint32(pkt) != be.Uint32(r.header[:]) || be.Uint16(pkt[6:]) != be.Uint16(r.header[6:]) {
			return false
		}
	} else if !r.continues4(pkt) {
		return false
	}
	return l.proto == protoUDP || r.continuesTCP(pkt[l.l4:l.header])
}

func (r *run) continues4(pkt []byte) bool {
	// version, header length and TOS; flags; TTL and protocol
	if be.Uint16(pkt) != be.Uint16(r.header[:]) || be.Uint32(pkt[6:]) != be.Uint32(r.header[6:]) {
		return false
	}
	const df = 0x40
	id := be.Uint16(pkt[4:])
	if r.packets == 1 {
		return id == r.firstID+1 || id == r.firstID && pkt[6]&df != 0
	}
	if r.fixedID {
		return id == r.firstID
	}
	return id == r.firstID+uint16(r.packets)
}

func (r *run) continuesTCP(t []byte) bool {
	h := r.header[r.l4:r.layout.header]
	const own = flagPSH | flagFIN
	f := t[tcpFlags]
	return be.Uint32(t[tcpSeq:]) == r.seq &&
		// acknowledgement; header length and reserved bits; window
		be.Uint32(t[tcpAck:]) == be.Uint32(h[tcpAck:]) && t[tcpOff] == h[tcpOff] &&
		(f^h[tcpFlags])&^(own|flagCWR) == 0 && f&flagCWR == 0 &&
		be.Uint16(t[tcpWindow:]) == be.Uint16(h[tcpWindow:]) &&
		be.Uint16(t[tcpCsum+2:]) == be.Uint16(h[tcpCsum+2:]) && !oddChecksum(t) &&
		bytes.Equal(t[tcpLen:], h[tcpLen:])
}

// append counts in a packet whose payload is at the end of the run.
func (r *run) append(pkt []byte, l *layout) {
	n := l.total - l.header
	if !l.v6 && r.packets == 1 {
		r.fixedID = be.Uint16(pkt[4:]) == r.firstID
	}
	r.packets++
	r.end += n
	r.seq += uint32(n)
	r.ended = n < r.mss
	if l.proto == protoTCP {
		r.flags = pkt[l.l4+tcpFlags] & (flagPSH | flagFIN)
		r.ended = r.ended || r.flags != 0
	}
}

// finish completes the headers and returns the virtio header and the packet.
func (r *run) finish() []byte {
	out := r.buf[runStart-HeaderLen : r.end]
	h := Header{}
	if r.packets > 1 {
		pkt := out[HeaderLen:]
		h = Header{
			Flags: FlagNeedsChecksum, HdrLen: uint16(r.layout.header), GSOSize: uint16(r.mss),
			CsumStart: uint16(r.l4), CsumOffset: uint16(r.csumOffset()), GSOType: r.finishHeaders(pkt),
		}
	}
	h.Encode(out)
	return out
}

func (r *run) finishHeaders(pkt []byte) GSOType {
	if r.v6 {
		be.PutUint16(pkt[4:], uint16(len(pkt)-ipv6Len))
	} else {
		be.PutUint16(pkt[2:], uint16(len(pkt)))
		be.PutUint16(pkt[10:], 0)
		be.PutUint16(pkt[10:], ^Sum(pkt[:ipv4Len]))
	}
	l4 := pkt[r.l4:]
	be.PutUint16(l4[r.csumOffset():], r.pseudo(pkt, len(l4)))
	if r.proto == protoUDP {
		be.PutUint16(l4[udpLength:], uint16(len(l4)))
		return GSOUDPL4
	}
	l4[tcpFlags] |= r.flags
	t := GSOTCPv4
	if r.v6 {
		t = GSOTCPv6
	}
	if l4[tcpFlags]&flagCWR != 0 {
		t |= GSOECN
	}
	return t
}
