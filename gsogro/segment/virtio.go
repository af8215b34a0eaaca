package segment

import (
	"encoding/binary"
	"errors"
)

// What this package refuses, built once.
var (
	ErrHeader   = errors.New("segment: virtio header too short")
	ErrGSO      = errors.New("segment: virtio header asks for a segmentation that does not fit the packet")
	ErrChecksum = errors.New("segment: virtio header places the checksum outside the packet")
	ErrPacket   = errors.New("segment: malformed packet")
)

// HeaderLen is the length of a Header in bytes.
const HeaderLen = 10

// Flags of a Header (linux/virtio_net.h).
const (
	FlagNeedsChecksum = 1 // the checksum field holds a partial sum, CsumStart and CsumOffset are valid
	FlagDataValid     = 2 // the checksum has been verified
)

// GSOType says how a super-packet is cut (VIRTIO_NET_HDR_GSO_*).
type GSOType uint8

// The types of segmentation. GSOUDP is fragmentation of one datagram (UFO),
// which this package refuses; GSOECN is added to a TCP type when the first
// segment carries CWR.
const (
	GSONone  GSOType = 0
	GSOTCPv4 GSOType = 1
	GSOUDP   GSOType = 3
	GSOTCPv6 GSOType = 4
	GSOUDPL4 GSOType = 5
	GSOECN   GSOType = 0x80
)

// Header is struct virtio_net_hdr, the version of 10 bytes that a TUN device
// puts before each packet. Numbers are in host order there.
//
//	| flags 1 | gso_type 1 | hdr_len 2 | gso_size 2 | csum_start 2 | csum_offset 2 |
type Header struct {
	Flags      uint8
	GSOType    GSOType
	HdrLen     uint16 // length of all headers; a hint
	GSOSize    uint16 // payload of a segment in bytes
	CsumStart  uint16 // from where to sum
	CsumOffset uint16 // where the checksum goes, from CsumStart
}

// Decode reads a header from the front of b. ErrHeader: b is too short.
func (h *Header) Decode(b []byte) error {
	if len(b) < HeaderLen {
		return ErrHeader
	}
	ne := binary.NativeEndian
	*h = Header{
		Flags: b[0], GSOType: GSOType(b[1]), HdrLen: ne.Uint16(b[2:]),
		GSOSize: ne.Uint16(b[4:]), CsumStart: ne.Uint16(b[6:]), CsumOffset: ne.Uint16(b[8:]),
	}
	return nil
}

// Encode writes the header to the front of b, which must have HeaderLen bytes.
func (h *Header) Encode(b []byte) {
	b = b[:HeaderLen]
	ne := binary.NativeEndian
	b[0], b[1] = h.Flags, uint8(h.GSOType)
	ne.PutUint16(b[2:], h.HdrLen)
	ne.PutUint16(b[4:], h.GSOSize)
	ne.PutUint16(b[6:], h.CsumStart)
	ne.PutUint16(b[8:], h.CsumOffset)
}
