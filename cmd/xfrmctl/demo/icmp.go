package demo

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// ICMP types of echo (RFC 792, RFC 4443 section 4).
const (
	echoRequest4 = 8
	echoReply4   = 0
	echoRequest6 = 128
	echoReply6   = 129
)

const (
	icmpHeaderLen = 8
	payloadLen    = 56 // as ping has it
)

// echo returns an echo request whose payload is filled with the marker. In
// IPv6 the kernel puts the checksum in.
//
//	0     1     2..3      4..5  6..7  8..
//	type  code  checksum  id    seq   payload
func echo(v6 bool, id, seq uint16, marker []byte) []byte {
	b := make([]byte, icmpHeaderLen+payloadLen)
	b[0] = echoRequest4
	if v6 {
		b[0] = echoRequest6
	}
	binary.BigEndian.PutUint16(b[4:], id)
	binary.BigEndian.PutUint16(b[6:], seq)
	for at := icmpHeaderLen; at < len(b); at += len(marker) {
		copy(b[at:], marker)
	}
	if !v6 {
		binary.BigEndian.PutUint16(b[2:], checksum(b))
	}
	return b
}

// isReply reports whether a received message answers the request. IPv4 raw
// sockets give the IP header as well.
func isReply(v6 bool, message, request []byte) bool {
	want := byte(echoReply6)
	if !v6 {
		want = echoReply4
		if len(message) < ipv4HeaderLen {
			return false
		}
		message = message[min(int(message[0]&0xf)*4, len(message)):]
	}
	return len(message) == len(request) && message[0] == want && message[1] == 0 &&
		string(message[4:]) == string(request[4:])
}

// checksum is the Internet checksum (RFC 1071) of b, whose length is even.
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

// describePacket says in a few words what a packet is.
func describePacket(etherType uint16, p []byte) string {
	switch {
	case etherType == etherIPv4 && len(p) >= ipv4HeaderLen:
		return fmt.Sprintf("ip protocol %d from %s to %s", p[9], addrAt(p[12:16]), addrAt(p[16:20]))
	case etherType == etherIPv6 && len(p) >= ipv6HeaderLen:
		return fmt.Sprintf("ip protocol %d from %s to %s", p[6], addrAt(p[8:24]), addrAt(p[24:40]))
	}
	return fmt.Sprintf("%d bytes of ethertype %#04x", len(p), etherType)
}

func addrAt(b []byte) netip.Addr {
	a, _ := netip.AddrFromSlice(b) // callers give 4 or 16 bytes
	return a
}
