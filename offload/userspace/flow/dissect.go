package flow

import (
	"encoding/binary"
	"errors"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// What Dissect refuses, built once. A refused packet belongs to no flow and
// must be dropped (XfrmInHdrError, XfrmOutError).
var (
	ErrVersion   = errors.New("flow: neither IPv4 nor IPv6")
	ErrTruncated = errors.New("flow: packet ends before its headers do")
	ErrLength    = errors.New("flow: length in the IP header is wrong")
	ErrHeaders   = errors.New("flow: too many IPv6 extension headers")
)

// maxExtHeaders is how many extension headers are followed. Linux gives up
// after 15 and goes on with what it has (MAX_FLOW_DISSECT_HDRS); here such a
// packet is refused, for nobody sends one except to hide its upper layer.
const maxExtHeaders = 15

const (
	ipv4HeaderLen = 20
	ipv6HeaderLen = 40

	fragOffsetMask = 0x1fff // of IPv4's flags and fragment offset, in units of 8 bytes
	fragMF         = 0x2000
	fragDF         = 0x4000
)

var be = binary.BigEndian

// Dissect fills f from the IP packet that pkt begins with. Bytes behind the
// packet's own length are allowed (RFC 4303 section 2.7, TFC padding) and not
// looked at. pkt is borrowed for the call. On error, which is one of this
// package's sentinels, f holds no flow.
func Dissect(pkt []byte, f *Flow) error {
	if len(pkt) < ipv4HeaderLen {
		return ErrTruncated
	}
	switch pkt[0] >> 4 {
	case 4:
		return dissect4(pkt, f)
	case 6:
		return dissect6(pkt, f)
	}
	return ErrVersion
}

func (f *Flow) reset() {
	*f = Flow{Mark: f.Mark, IfIndex: f.IfIndex, IfID: f.IfID}
}

func dissect4(pkt []byte, f *Flow) error {
	ihl, total := int(pkt[0]&0xf)*4, int(be.Uint16(pkt[2:]))
	if ihl < ipv4HeaderLen || total < ihl {
		return ErrLength
	}
	if total > len(pkt) {
		return ErrTruncated
	}
	f.reset()
	f.Family = netlinkx.FamilyIPv4
	copy(f.Src[:4], pkt[12:])
	copy(f.Dst[:4], pkt[16:])
	f.TotalLen, f.HeaderLen = uint32(total), uint16(ihl)
	f.TOS, f.TTL, f.Proto = pkt[1], pkt[8], pkt[9]
	f.FragID = uint32(be.Uint16(pkt[4:]))
	frag := be.Uint16(pkt[6:])
	f.DF, f.MF, f.FragOffset = frag&fragDF != 0, frag&fragMF != 0, frag&fragOffsetMask<<3
	f.Fragment = f.MF || f.FragOffset != 0
	if !f.Fragment {
		f.upperLayer(pkt[ihl:total])
	}
	return nil
}

func dissect6(pkt []byte, f *Flow) error {
	if len(pkt) < ipv6HeaderLen {
		return ErrTruncated
	}
	total := ipv6HeaderLen + int(be.Uint16(pkt[4:]))
	if total > len(pkt) {
		return ErrTruncated
	}
	f.reset()
	f.Family = netlinkx.FamilyIPv6
	copy(f.Src[:], pkt[8:24])
	copy(f.Dst[:], pkt[24:40])
	first := be.Uint32(pkt)
	f.TOS, f.FlowLabel = uint8(first>>20), first&0xfffff
	f.TTL, f.TotalLen = pkt[7], uint32(total)
	f.Proto, f.HeaderLen = pkt[6], ipv6HeaderLen
	if err := f.extensionHeaders(pkt[:total]); err != nil {
		f.Family = netlinkx.FamilyUnspec
		return err
	}
	if !f.Fragment {
		f.upperLayer(pkt[f.HeaderLen:total])
	}
	return nil
}

// extensionHeaders walks from the end of the IPv6 header to the upper layer,
// or to the end of the fragment header of a real fragment. An authentication
// header is an upper layer, as in the kernel.
func (f *Flow) extensionHeaders(pkt []byte) error {
	off := int(f.HeaderLen)
	for range maxExtHeaders + 1 {
		switch f.Proto {
		case ProtoHopByHop, ProtoRouting, ProtoDestOpts:
			if len(pkt)-off < 8 || len(pkt)-off < (int(pkt[off+1])+1)*8 {
				return ErrTruncated
			}
			f.Proto = pkt[off]
			off += (int(pkt[off+1]) + 1) * 8
		case ProtoFragment:
			if len(pkt)-off < 8 {
				return ErrTruncated
			}
			f.FragHeader, f.Proto = uint16(off), pkt[off]
			frag := be.Uint16(pkt[off+2:])
			f.FragOffset, f.MF, f.FragID = frag&^7, frag&1 != 0, be.Uint32(pkt[off+4:])
			f.Fragment = f.MF || f.FragOffset != 0
			off += 8
		default:
			f.HeaderLen = uint16(off)
			return nil
		}
		f.HeaderLen = uint16(off)
		if f.Fragment {
			return nil
		}
	}
	return ErrHeaders
}

// upperLayer reads what stands for ports. Too few bytes leave them 0: then
// only selectors without ports match, as in the kernel.
func (f *Flow) upperLayer(p []byte) {
	switch f.Proto {
	case ProtoTCP, ProtoUDP, ProtoUDPLite, ProtoSCTP:
		if len(p) >= 4 {
			f.SrcPort, f.DstPort = be.Uint16(p), be.Uint16(p[2:])
		}
	case ProtoICMP, ProtoICMPv6:
		if len(p) >= 2 && (f.Proto == ProtoICMP) == (f.Family == netlinkx.FamilyIPv4) {
			f.SrcPort, f.DstPort = uint16(p[0]), uint16(p[1])
		}
	case ProtoMH:
		// RFC 6275 section 6.1.1: the type is the third byte
		if f.Family == netlinkx.FamilyIPv6 && len(p) >= 3 {
			f.SrcPort = uint16(p[2])
		}
	case ProtoGRE:
		f.GREKey = greKey(p)
		f.SrcPort, f.DstPort = uint16(f.GREKey>>16), uint16(f.GREKey)
	}
}

// GRE header: flags and version (2), protocol (2), then by flags checksum and
// offset (4), key (4), sequence number (4). RFC 2784, 2890; version 1 is PPTP
// (RFC 2637), where the kernel takes the call ID only.
const (
	greChecksum    = 0x8000
	greRouting     = 0x4000
	greKeyPresent  = 0x2000
	greVersionMask = 0x0007
	greProtoPPP    = 0x880b
)

func greKey(p []byte) uint32 {
	if len(p) < 8 {
		return 0
	}
	flags := be.Uint16(p)
	version := flags & greVersionMask
	if flags&greKeyPresent == 0 || flags&greRouting != 0 || version > 1 {
		return 0
	}
	if version == 1 && (be.Uint16(p[2:]) != greProtoPPP || flags&greChecksum != 0) {
		return 0
	}
	off := 4
	if flags&greChecksum != 0 {
		off += 4
	}
	if len(p) < off+4 {
		return 0
	}
	key := be.Uint32(p[off:])
	if version == 1 {
		key &= 0xffff
	}
	return key
}
