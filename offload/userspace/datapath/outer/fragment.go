package outer

import "encoding/binary"

// Sizes and protocol numbers of RFC 791 and RFC 8200.
const (
	ipv6HeaderLen     = 40
	fragmentHeaderLen = 8
	maxOptionsLen     = 256 // of extension headers before ESP that we would repeat

	nextHopByHop = 0
	nextRouting  = 43
	nextFragment = 44

	moreFragments = 0x2000 // IPv4, beside the offset in units of 8 bytes
)

// fragments cuts an IP packet that is longer than the MTU: the kernel does it
// for packets that it makes the header of, and refuses those that come with
// one (raw_send_hdrinc).
type fragments struct {
	head    [ipv6HeaderLen + maxOptionsLen + fragmentHeaderLen]byte
	headLen int
	v6      bool
	payload []byte // not yet handed out, borrowed
	offset  int
	each    int // bytes of payload in all but the last, a multiple of 8
	flags   uint16
}

// init prepares to cut pkt. id tells the fragments of one packet from others';
// IPv4 uses its lower half, which must not be 0. It returns false for what
// cannot be cut.
func (f *fragments) init(pkt []byte, mtu int, id uint32) bool {
	f.offset, f.v6 = 0, len(pkt) > 0 && pkt[0]>>4 == 6
	if f.v6 {
		return f.init6(pkt, mtu, id)
	}
	if len(pkt) < 20 {
		return false
	}
	n := int(pkt[0]&15) * 4
	if n < 20 || len(pkt) <= n {
		return false
	}
	f.headLen = copy(f.head[:], pkt[:n])
	binary.BigEndian.PutUint16(f.head[4:], uint16(id))
	f.flags = binary.BigEndian.Uint16(pkt[6:]) &^ (moreFragments | 0x1fff)
	f.payload, f.each = pkt[n:], (mtu-n)&^7
	return f.each > 0
}

// init6 repeats what routers on the way look at (RFC 8200 section 4.5).
func (f *fragments) init6(pkt []byte, mtu int, id uint32) bool {
	if len(pkt) <= ipv6HeaderLen {
		return false
	}
	place, n := 6, ipv6HeaderLen // of the next header field, of what is repeated
	for off, at := ipv6HeaderLen, 6; off+8 <= len(pkt); {
		next := pkt[at]
		if next != nextHopByHop && next != nextRouting && next != 60 {
			break
		}
		at, off = off, off+8+8*int(pkt[off+1])
		if next != 60 { // destination options are repeated before a routing header only
			place, n = at, off
		}
	}
	if n > ipv6HeaderLen+maxOptionsLen || n >= len(pkt) {
		return false
	}
	copy(f.head[:], pkt[:n])
	h := f.head[n : n+fragmentHeaderLen]
	h[0], h[1] = f.head[place], 0
	binary.BigEndian.PutUint32(h[4:], id)
	f.head[place] = nextFragment
	f.headLen, f.payload = n+fragmentHeaderLen, pkt[n:]
	f.each = (mtu - f.headLen) &^ 7
	return f.each > 0
}

// next returns the header and the payload of the next fragment, nil at the end.
// The header is valid until the next call.
func (f *fragments) next() (head, payload []byte) {
	if len(f.payload) == 0 {
		return nil, nil
	}
	n := min(f.each, len(f.payload))
	payload, f.payload = f.payload[:n], f.payload[n:]
	more := len(f.payload) > 0
	head = f.head[:f.headLen]
	if f.v6 {
		binary.BigEndian.PutUint16(head[4:], uint16(f.headLen-ipv6HeaderLen+n))
		at := binary.BigEndian.AppendUint16(nil, uint16(f.offset))
		if more {
			at[1] |= 1
		}
		copy(head[f.headLen-fragmentHeaderLen+2:], at)
	} else {
		binary.BigEndian.PutUint16(head[2:], uint16(f.headLen+n))
		flags := f.flags | uint16(f.offset/8)
		if more {
			flags |= moreFragments
		}
		binary.BigEndian.PutUint16(head[6:], flags)
	}
	f.offset += n
	return head, payload
}
