package datapath

import (
	"encoding/binary"
	"net/netip"

	"github.com/xfrmctl/xfrmctl/gsogro/segment"
)

// udpPacket makes an IP packet with n bytes of UDP payload and right checksums.
func udpPacket(src, dst netip.Addr, port uint16, n int, df bool) []byte {
	u := make([]byte, 8+n)
	binary.BigEndian.PutUint16(u, port)
	binary.BigEndian.PutUint16(u[2:], 7)
	binary.BigEndian.PutUint16(u[4:], uint16(len(u)))
	for i := range n {
		u[8+i] = byte(i + n)
	}
	sum := ^segment.AddSums(segment.PseudoSum(src.AsSlice(), dst.AsSlice(), 17, len(u)), segment.Sum(u))
	if sum == 0 {
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(u[6:], sum)
	return ipPacket(src, dst, 17, u, df)
}

// tcpPacket makes a TCP segment.
func tcpPacket(src, dst netip.Addr, seq uint32, n int) []byte {
	u := make([]byte, 20+n)
	binary.BigEndian.PutUint16(u, 1000)
	binary.BigEndian.PutUint16(u[2:], 2000)
	binary.BigEndian.PutUint32(u[4:], seq)
	binary.BigEndian.PutUint32(u[8:], 1)
	u[12], u[13] = 5<<4, 0x10
	binary.BigEndian.PutUint16(u[14:], 512)
	for i := range n {
		u[20+i] = byte(int(seq) + i*7)
	}
	binary.BigEndian.PutUint16(u[16:], ^segment.AddSums(segment.PseudoSum(src.AsSlice(), dst.AsSlice(), 6, len(u)), segment.Sum(u)))
	return ipPacket(src, dst, 6, u, true)
}

func ipPacket(src, dst netip.Addr, proto byte, payload []byte, df bool) []byte {
	if src.Is6() {
		p := make([]byte, 40, 40+len(payload))
		p[0], p[6], p[7] = 0x60, proto, 64
		binary.BigEndian.PutUint16(p[4:], uint16(len(payload)))
		copy(p[8:], src.AsSlice())
		copy(p[24:], dst.AsSlice())
		return append(p, payload...)
	}
	p := make([]byte, 20, 20+len(payload))
	p[0], p[8], p[9] = 0x45, 64, proto
	binary.BigEndian.PutUint16(p[2:], uint16(20+len(payload)))
	if df {
		p[6] = 0x40
	}
	copy(p[12:], src.AsSlice())
	copy(p[16:], dst.AsSlice())
	binary.BigEndian.PutUint16(p[10:], ^segment.Sum(p))
	return append(p, payload...)
}

// fragments cuts an IPv4 packet into pieces of n bytes.
func fragments(whole []byte, n int) (parts [][]byte) {
	body := whole[20:]
	for off := 0; off < len(body); off += n {
		end := min(off+n, len(body))
		p := append(append([]byte(nil), whole[:20]...), body[off:end]...)
		field := uint16(off / 8)
		if end < len(body) {
			field |= 0x2000
		}
		binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
		binary.BigEndian.PutUint16(p[4:], 77)
		binary.BigEndian.PutUint16(p[6:], field)
		clear(p[10:12])
		binary.BigEndian.PutUint16(p[10:], ^segment.Sum(p[:20]))
		parts = append(parts, p)
	}
	return parts
}

// plain puts an empty virtio header before a packet.
func plain(p []byte) []byte { return append(make([]byte, segment.HeaderLen), p...) }

// super makes one TCP super-packet, as a device hands it out, and the packets
// it stands for.
func super(src, dst netip.Addr, seq uint32, mss, n int) (whole []byte, parts [][]byte) {
	for i := range n {
		parts = append(parts, tcpPacket(src, dst, seq+uint32(i*mss), mss))
	}
	head := len(parts[0]) - mss
	big := append([]byte(nil), parts[0]...)
	for _, p := range parts[1:] {
		big = append(big, p[head:]...)
	}
	h := segment.Header{Flags: segment.FlagNeedsChecksum, GSOType: segment.GSOTCPv4, HdrLen: uint16(head), GSOSize: uint16(mss), CsumStart: uint16(head - 20), CsumOffset: 16}
	if src.Is6() {
		h.GSOType = segment.GSOTCPv6
		binary.BigEndian.PutUint16(big[4:], uint16(len(big)-40))
	} else {
		binary.BigEndian.PutUint16(big[2:], uint16(len(big)))
	}
	// the kernel leaves the sum of the pseudo-header in the checksum field
	binary.BigEndian.PutUint16(big[head-20+16:], segment.PseudoSum(src.AsSlice(), dst.AsSlice(), 6, len(big)-head+20))
	whole = make([]byte, segment.HeaderLen, segment.HeaderLen+len(big))
	h.Encode(whole)
	return append(whole, big...), parts
}
