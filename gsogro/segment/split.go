package segment

const (
	// TrailerRoom is how many bytes behind a segment the caller may overwrite;
	// the Splitter puts them back. It is enough for the padding and ICV of
	// every ESP suite without TFC padding.
	TrailerRoom = 64

	maxHeaders = 512 // of a super-packet; more are refused
)

// Splitter cuts one packet after the other. The zero value is ready for Init.
//
//	super-packet:  | headers | payload 0        | payload 1        | payload 2 |
//	segment 0:     | headers | payload 0        |
//	segment 1:                        | headers | payload 1        |
//	segment 2:                                           | headers | payload 2 |
//
// The headers of a segment take the place of the last bytes of the segment
// before, which the caller must be done with.
type Splitter struct {
	pkt []byte
	layout
	mss      int
	next     int // offset of the next payload; len(pkt) at the end
	index    int
	segments int

	firstFlags, lastFlags, midFlags uint8

	id, baseIP, baseL4 uint32 // sums of what is the same in all segments
	seq                uint32
	noChecksum         bool

	saved   [TrailerRoom]byte
	savedAt int
	savedN  int

	template [maxHeaders]byte
}

// Init begins with a packet and its virtio header as they came from the TUN
// device. pkt is borrowed, and scribbled on, until the last segment has been
// used. A packet without segmentation is one segment; a checksum that the kernel
// left partial is completed in all cases.
//
// Errors: ErrGSO, ErrChecksum, ErrPacket; such a packet is to be dropped. The
// IP header of a packet without segmentation and checksum is not looked at.
func (s *Splitter) Init(h *Header, pkt []byte) error {
	s.pkt, s.index, s.savedN = nil, 0, 0
	s.next, s.segments = 0, 0
	if h.GSOType == GSONone {
		return s.initSingle(h, pkt)
	}
	if err := s.layout.parse(pkt); err != nil {
		return err
	}
	if s.total != len(pkt) || s.header > maxHeaders || s.header == s.total || !s.fits(h) {
		return ErrGSO
	}
	s.pkt, s.mss = pkt, int(h.GSOSize)
	s.segments = (s.total - s.header + s.mss - 1) / s.mss
	s.next = s.header
	copy(s.template[:], pkt[:s.header])
	s.prepare(h)
	return nil
}

// fits compares the virtio header with what the packet is.
func (s *Splitter) fits(h *Header) bool {
	switch h.GSOType {
	case GSOTCPv4, GSOTCPv4 | GSOECN:
		if s.v6 || s.proto != protoTCP {
			return false
		}
	case GSOTCPv6, GSOTCPv6 | GSOECN:
		if !s.v6 || s.proto != protoTCP {
			return false
		}
	case GSOUDPL4:
		if s.proto != protoUDP {
			return false
		}
	default:
		return false
	}
	if h.GSOSize == 0 {
		return false
	}
	if h.Flags&FlagNeedsChecksum == 0 {
		return !s.routed
	}
	return int(h.CsumStart) == s.l4 && int(h.CsumOffset) == s.csumOffset()
}

func (s *Splitter) initSingle(h *Header, pkt []byte) error {
	if len(pkt) == 0 {
		return ErrPacket
	}
	if h.Flags&FlagNeedsChecksum != 0 {
		start, at := int(h.CsumStart), int(h.CsumStart)+int(h.CsumOffset)
		if at+2 > len(pkt) {
			return ErrChecksum
		}
		be.PutUint16(pkt[at:], notZero(^Sum(pkt[start:])))
	}
	s.pkt, s.header, s.mss, s.segments = pkt, 0, len(pkt), 1
	return nil
}

// notZero: a UDP checksum of 0 means none, and 0xffff is the same sum. Linux
// does so for every protocol when it completes a checksum (CSUM_MANGLED_0), but not
// for TCP when it segments.
func notZero(sum uint16) uint16 {
	if sum == 0 {
		return 0xffff
	}
	return sum
}

// prepare sums what is the same in all segments.
func (s *Splitter) prepare(h *Header) {
	t := s.template[:s.header]
	old := be.Uint16(t[s.l4+s.csumOffset():])
	// without a checksum of its own a UDP super-packet has none in its segments
	s.noChecksum = s.proto == protoUDP && h.Flags&FlagNeedsChecksum == 0 && old == 0
	if s.routed {
		// only the kernel's partial sum knows the last destination: take its
		// pseudo-header without the length
		s.baseL4 = uint32(old) + uint32(^uint16(s.total-s.l4))
	} else {
		s.baseL4 = uint32(s.pseudo(t, 0))
	}
	be.PutUint16(t[s.l4+s.csumOffset():], 0)
	if !s.v6 {
		s.id = uint32(be.Uint16(t[4:]))
		be.PutUint16(t[2:], 0)
		be.PutUint16(t[4:], 0)
		be.PutUint16(t[10:], 0)
		s.baseIP = uint32(Sum(t[:s.l4]))
	}
	if s.proto == protoUDP {
		be.PutUint16(t[s.l4+udpLength:], 0)
	} else {
		s.prepareTCP(t[s.l4:])
	}
	s.baseL4 += uint32(Sum(t[s.l4:]))
}

func (s *Splitter) prepareTCP(t []byte) {
	s.seq = be.Uint32(t[tcpSeq:])
	f := t[tcpFlags]
	// CWR says it once (RFC 3168 section 6.1.2); PSH and FIN belong to the end
	s.firstFlags, s.midFlags, s.lastFlags = f&^(flagPSH|flagFIN), f&^(flagPSH|flagFIN|flagCWR), f&^flagCWR
	if s.segments == 1 {
		s.firstFlags = f
	}
	be.PutUint32(t[tcpSeq:], 0)
	t[tcpFlags] = 0
}

// Segments is how many segments there are in all.
func (s *Splitter) Segments() int { return s.segments }

// MaxLen is the length of the longest segment in bytes, headers included:
// compare it with the path MTU before the first.
func (s *Splitter) MaxLen() int { return min(s.header+s.mss, len(s.pkt)) }

// Next returns the next segment, a whole IP packet, or nil at the end. It is
// borrowed until the next call. Its capacity reaches into the segments to come:
// up to TrailerRoom bytes behind it may be overwritten, and are put back by the
// next call. Bytes before it belong to segments that are done.
func (s *Splitter) Next() []byte {
	s.restore()
	if s.index == s.segments {
		return nil
	}
	start := s.next - s.header
	if s.segments == 1 && s.header == 0 {
		s.index++
		return s.pkt
	}
	end := min(s.next+s.mss, s.total)
	s.save(end)
	seg := s.pkt[start:end]
	s.write(seg)
	s.next = end
	s.index++
	return s.pkt[start:end:min(end+TrailerRoom, cap(s.pkt))]
}

func (s *Splitter) save(end int) {
	s.savedAt, s.savedN = end, copy(s.saved[:], s.pkt[end:])
}

func (s *Splitter) restore() {
	if s.savedN > 0 {
		copy(s.pkt[s.savedAt:], s.saved[:s.savedN])
		s.savedN = 0
	}
}

// write puts the headers before the payload.
func (s *Splitter) write(seg []byte) {
	copy(seg, s.template[:s.header])
	if s.v6 {
		be.PutUint16(seg[4:], uint16(len(seg)-ipv6Len))
	} else {
		id := uint16(s.id + uint32(s.index)) // RFC 791: a number for each datagram
		be.PutUint16(seg[2:], uint16(len(seg)))
		be.PutUint16(seg[4:], id)
		be.PutUint16(seg[10:], ^fold(s.baseIP+uint32(len(seg))+uint32(id)))
	}
	l4, n := seg[s.l4:], uint32(len(seg)-s.l4)
	sum := s.baseL4 + n + uint32(Sum(seg[s.header:]))
	if s.proto == protoUDP {
		be.PutUint16(l4[udpLength:], uint16(n))
		if !s.noChecksum {
			be.PutUint16(l4[udpCsum:], notZero(^fold(sum+n)))
		}
		return
	}
	seq, flags := s.seq+uint32(s.index*s.mss), s.flags()
	be.PutUint32(l4[tcpSeq:], seq)
	l4[tcpFlags] = flags
	sum += seq>>16 + seq&0xffff + uint32(flags)
	be.PutUint16(l4[tcpCsum:], ^fold(sum))
}

func (s *Splitter) flags() uint8 {
	switch s.index {
	case 0:
		return s.firstFlags
	case s.segments - 1:
		return s.lastFlags
	}
	return s.midFlags
}
