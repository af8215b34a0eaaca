package demo

import (
	"bytes"
	"encoding/binary"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// kind is what a packet on the wire is.
type kind int

const (
	// kindClear is all that is not one of the others, and whatever shows the
	// marker of a ping, be it called ESP.
	kindClear kind = iota
	kindESP
	// kindNeighbour is how hosts find each other and announce groups: ARP, IPv6
	// neighbour discovery, IGMP, MLD. None of it carries traffic.
	kindNeighbour
)

// Ethertypes and protocol numbers (IEEE 802 and IANA registries).
const (
	etherIPv4 = 0x0800
	etherARP  = 0x0806
	etherIPv6 = 0x86dd

	protoHopByHop = 0
	protoIGMP     = 2
	protoRouting  = 43
	protoFragment = 44
	protoESP      = 50
	protoDestOpts = 60
)

const (
	ipv4HeaderLen = 20
	ipv6HeaderLen = 40
)

// classify tells what a packet is, which begins with its IP header. The SPI is
// that of ESP, else 0.
func classify(etherType uint16, packet, marker []byte) (kind, netlinkx.SPI) {
	if len(marker) > 0 && bytes.Contains(packet, marker) {
		return kindClear, 0
	}
	switch etherType {
	case etherARP:
		return kindNeighbour, 0
	case etherIPv4:
		return classifyIPv4(packet)
	case etherIPv6:
		return classifyIPv6(packet)
	}
	return kindClear, 0
}

func classifyIPv4(p []byte) (kind, netlinkx.SPI) {
	if len(p) < ipv4HeaderLen {
		return kindClear, 0
	}
	header := int(p[0]&0xf) * 4
	fragment := binary.BigEndian.Uint16(p[6:])&0x1fff != 0
	switch p[9] {
	case protoESP:
		return kindESP, spi(p, header, fragment)
	case protoIGMP:
		return kindNeighbour, 0
	}
	return kindClear, 0
}

// spi reads the SPI behind a header; only the first fragment has one.
func spi(p []byte, header int, fragment bool) netlinkx.SPI {
	if fragment || len(p) < header+4 {
		return 0
	}
	return netlinkx.SPI(binary.BigEndian.Uint32(p[header:]))
}

// classifyIPv6 goes through the extension headers (RFC 8200 section 4).
func classifyIPv6(p []byte) (kind, netlinkx.SPI) {
	if len(p) < ipv6HeaderLen {
		return kindClear, 0
	}
	next, at, fragment := p[6], ipv6HeaderLen, false
	for len(p) >= at+8 {
		switch next {
		case protoHopByHop, protoRouting, protoDestOpts:
			next, at = p[at], at+8*(1+int(p[at+1]))
		case protoFragment:
			fragment = fragment || binary.BigEndian.Uint16(p[at+2:])>>3 != 0
			next, at = p[at], at+8
		case protoESP:
			return kindESP, spi(p, at, fragment)
		case protoICMPv6:
			if !fragment && isNeighbour(p[at]) {
				return kindNeighbour, 0
			}
			return kindClear, 0
		default:
			return kindClear, 0
		}
	}
	return kindClear, 0
}

// isNeighbour reports whether an ICMPv6 type is one of neighbour discovery
// (133 to 137, RFC 4861) or of MLD (130 to 132, 143; RFC 2710, RFC 3810).
func isNeighbour(typ byte) bool { return typ >= 130 && typ <= 137 || typ == 143 }

// count is what has been seen on the wire.
type count struct {
	esp      map[netlinkx.SPI]int
	clear    int
	firstBad string // a description of the first packet in clear
}

// packets returns the number of ESP packets with these SPIs, or all.
func (c *count) packets(spis ...netlinkx.SPI) (n int) {
	if len(spis) == 0 {
		for _, m := range c.esp {
			n += m
		}
	}
	for _, s := range spis {
		n += c.esp[s]
	}
	return n
}

func (c *count) add(etherType uint16, packet, marker []byte) {
	k, s := classify(etherType, packet, marker)
	switch k {
	case kindESP:
		if c.esp == nil {
			c.esp = make(map[netlinkx.SPI]int)
		}
		c.esp[s]++
	case kindClear:
		c.clear++
		if c.firstBad == "" {
			c.firstBad = describePacket(etherType, packet)
		}
	}
}
