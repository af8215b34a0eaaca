package flow

import (
	"bytes"
	"errors"
	"math/bits"
	"time"

	"github.com/xfrmctl/xfrmctl/gsogro/segment"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

const (
	headerRoom = 1024  // most bytes before the fragmented part
	maxPayload = 65535 // of the fragmented part
	blocks     = (maxPayload + 7) / 8
)

var errDuplicate = errors.New("flow: duplicate fragment")

// partial is a datagram of which fragments are missing. The fragmented part is
// written to its place at once; which units of 8 bytes have come is a bitmap.
//
//	buf: | room, then the headers of the first fragment | fragmented part |
//	     0                                     headerRoom      headerRoom+end
type partial struct {
	src, dst [16]byte
	id       uint32
	ifIndex  uint32
	family   netlinkx.Family
	proto    uint8

	condemned bool
	df        bool  // of the longest fragment (kernel: max_df_size)
	ecn       uint8 // one bit for each ECN codepoint that has come
	longest   uint32

	since     time.Duration
	fragments uint64 // taken, duplicates included
	header    int    // bytes of header, once the first fragment has come
	got       int    // units that have come
	end       int    // bytes of the fragmented part, once the last fragment has come
	highest   int    // end of what has come
	fragAt    int    // offset of the IPv6 fragment header in the first fragment
	nextHdr   uint8  // what the fragment header of the first fragment says

	have [(blocks + 63) / 64]uint64
	buf  [headerRoom + maxPayload]byte
}

func (p *partial) start(f *Flow, now time.Duration) {
	p.src, p.dst, p.id, p.ifIndex, p.family, p.proto = f.Src, f.Dst, f.FragID, f.IfIndex, f.Family, f.Proto
	p.condemned, p.df, p.ecn, p.longest = false, false, 0, 0
	p.since, p.fragments = now, 0
	p.header, p.got, p.end, p.highest, p.fragAt, p.nextHdr = 0, 0, 0, 0, 0, 0
	clear(p.have[:])
}

// insert copies one checked fragment to its place.
func (p *partial) insert(pkt []byte, f *Flow) error {
	part := pkt[f.HeaderLen:]
	from, to := int(f.FragOffset), int(f.FragOffset)+len(part)
	if p.end != 0 && (to > p.end || !f.MF && to != p.end) || !f.MF && to < p.highest {
		return ErrOverlap
	}
	first, last := from/8, (to+7)/8
	switch n := p.count(first, last); {
	case n == 0:
	case n == last-first && bytes.Equal(p.buf[headerRoom+from:headerRoom+to], part) && (f.MF || p.end == to):
		return errDuplicate
	default:
		return ErrOverlap
	}
	copy(p.buf[headerRoom+from:], part)
	p.mark(first, last)
	p.got += last - first
	p.highest = max(p.highest, to)
	if !f.MF {
		p.end = to
	}
	if f.TotalLen > p.longest {
		p.longest, p.df = f.TotalLen, f.DF
	}
	p.ecn |= 1 << (f.TOS & 3)
	if from == 0 {
		p.insertHeader(pkt, f)
	}
	return nil
}

// insertHeader keeps the headers of the first fragment, which are those of the
// datagram, right before the fragmented part.
func (p *partial) insertHeader(pkt []byte, f *Flow) {
	p.header = int(f.HeaderLen)
	if f.Family == netlinkx.FamilyIPv6 {
		p.header = int(f.FragHeader)
		p.fragAt, p.nextHdr = int(f.FragHeader), f.Proto
	}
	copy(p.buf[headerRoom-p.header:headerRoom], pkt)
}

// complete: the last fragment has come, and as many units as it takes.
func (p *partial) complete() bool {
	return p.end != 0 && p.header != 0 && p.got == (p.end+7)/8
}

// count is how many of the units [first, last) have come.
func (p *partial) count(first, last int) int {
	n := 0
	for i := first / 64; i <= (last-1)/64; i++ {
		n += bits.OnesCount64(p.have[i] & span(i, first, last))
	}
	return n
}

func (p *partial) mark(first, last int) {
	for i := first / 64; i <= (last-1)/64; i++ {
		p.have[i] |= span(i, first, last)
	}
}

// span is the part of [first, last) that lies in word i of the bitmap.
func span(i, first, last int) uint64 {
	m := ^uint64(0)
	if lo := first - i*64; lo > 0 {
		m <<= lo
	}
	if hi := (i+1)*64 - last; hi > 0 {
		m &= ^uint64(0) >> hi
	}
	return m
}

// finish turns the headers of the first fragment into those of the datagram.
func (p *partial) finish() ([]byte, error) {
	pkt := p.buf[headerRoom-p.header : headerRoom+p.end]
	ce, ok := p.mergedECN()
	if !ok {
		return nil, ErrECN
	}
	if p.family == netlinkx.FamilyIPv6 {
		return pkt, p.finish6(pkt, ce)
	}
	return pkt, p.finish4(pkt, ce)
}

const ecnCE = 3

// mergedECN: Congestion Experienced of one fragment is that of the datagram; a
// fragment that is not ECN-capable beside one that is marked is a
// contradiction (RFC 3168 section 5.3; kernel: ip_frag_ecn_table).
func (p *partial) mergedECN() (ce, ok bool) {
	const notECT, marked = 1 << 0, 1 << ecnCE
	if p.ecn&marked == 0 {
		return false, true
	}
	return true, p.ecn&notECT == 0
}

func (p *partial) finish4(pkt []byte, ce bool) error {
	if len(pkt) > 65535 {
		return ErrTooLong
	}
	if ce {
		pkt[1] |= ecnCE
	}
	be.PutUint16(pkt[2:], uint16(len(pkt)))
	frag := uint16(0)
	if p.df {
		frag = fragDF
	}
	be.PutUint16(pkt[6:], frag)
	be.PutUint16(pkt[10:], 0)
	be.PutUint16(pkt[10:], ^segment.Sum(pkt[:p.header]))
	return nil
}

func (p *partial) finish6(pkt []byte, ce bool) error {
	if len(pkt)-ipv6HeaderLen > 65535 {
		return ErrTooLong
	}
	if ce {
		pkt[1] |= ecnCE << 4
	}
	be.PutUint16(pkt[4:], uint16(len(pkt)-ipv6HeaderLen))
	// the byte that named the fragment header is the first of the header before
	// it, or the next header field of the IPv6 header
	at, off := 6, ipv6HeaderLen
	for off < p.fragAt {
		at = off
		off += (int(pkt[off+1]) + 1) * 8
	}
	pkt[at] = p.nextHdr
	return nil
}
