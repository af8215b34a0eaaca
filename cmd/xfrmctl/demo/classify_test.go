package demo

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// ipv4 returns a packet with a header of 20 bytes and options.
func ipv4(proto byte, options int, payload ...byte) []byte {
	b := make([]byte, 20+options)
	b[0], b[9] = 0x40|byte(len(b)/4), proto
	copy(b[12:], netip.MustParseAddr("10.0.0.1").AsSlice())
	copy(b[16:], netip.MustParseAddr("10.0.0.2").AsSlice())
	return append(b, payload...)
}

func ipv6(next byte, payload ...byte) []byte {
	b := make([]byte, 40)
	b[0], b[6] = 0x60, next
	copy(b[8:], netip.MustParseAddr("fd00::1").AsSlice())
	copy(b[24:], netip.MustParseAddr("fd00::2").AsSlice())
	return append(b, payload...)
}

// fragment makes an IPv4 packet a later fragment.
func fragment(b []byte) []byte {
	binary.BigEndian.PutUint16(b[6:], 185)
	return b
}

func TestClassify(t *testing.T) {
	espHeader := []byte{0, 0, 0x10, 1, 0, 0, 0, 1}
	marker := []byte("0123456789abcdef")
	extension := func(next byte) []byte { return []byte{next, 0, 0, 0, 0, 0, 0, 0} }
	for _, tt := range []struct {
		name   string
		ether  uint16
		packet []byte
		want   kind
		spi    netlinkx.SPI
	}{
		{"empty", etherIPv4, nil, kindClear, 0},
		{"short ipv4", etherIPv4, make([]byte, 19), kindClear, 0},
		{"short ipv6", etherIPv6, make([]byte, 39), kindClear, 0},
		{"unknown ethertype", 0x88cc, ipv4(protoESP, 0, espHeader...), kindClear, 0},
		{"arp", etherARP, make([]byte, 28), kindNeighbour, 0},
		{"esp", etherIPv4, ipv4(protoESP, 0, espHeader...), kindESP, 0x1001},
		{"esp behind options", etherIPv4, ipv4(protoESP, 8, espHeader...), kindESP, 0x1001},
		{"esp cut short", etherIPv4, ipv4(protoESP, 0, 0, 0, 0x10), kindESP, 0},
		{"esp, later fragment", etherIPv4, fragment(ipv4(protoESP, 0, espHeader...)), kindESP, 0},
		{"esp that can be read", etherIPv4, append(ipv4(protoESP, 0, espHeader...), marker...), kindClear, 0},
		{"icmp", etherIPv4, ipv4(1, 0, echo(false, 1, 1, []byte("x"))...), kindClear, 0},
		{"ip in ip", etherIPv4, ipv4(4, 0, ipv4(protoESP, 0, espHeader...)...), kindClear, 0},
		{"igmp", etherIPv4, ipv4(protoIGMP, 4, 0x22), kindNeighbour, 0},
		{"esp in udp counts as udp", etherIPv4, ipv4(17, 0, espHeader...), kindClear, 0},
		{"ipv6 esp", etherIPv6, ipv6(protoESP, espHeader...), kindESP, 0x1001},
		{"ipv6 esp behind extensions", etherIPv6, ipv6(protoDestOpts, append(extension(protoRouting), append(extension(protoESP), espHeader...)...)...), kindESP, 0x1001},
		{"ipv6 fragment of esp", etherIPv6, ipv6(protoFragment, append([]byte{protoESP, 0, 0, 8, 0, 0, 0, 0}, espHeader...)...), kindESP, 0},
		{"echo request", etherIPv6, ipv6(protoICMPv6, echo(true, 1, 1, []byte("x"))...), kindClear, 0},
		{"neighbour solicitation", etherIPv6, ipv6(protoICMPv6, 135, 0, 0, 0, 0, 0, 0, 0), kindNeighbour, 0},
		{"neighbour advertisement", etherIPv6, ipv6(protoICMPv6, 136, 0, 0, 0, 0, 0, 0, 0), kindNeighbour, 0},
		{"router solicitation", etherIPv6, ipv6(protoICMPv6, 133, 0, 0, 0, 0, 0, 0, 0), kindNeighbour, 0},
		{"mld behind hop by hop", etherIPv6, ipv6(protoHopByHop, append(extension(protoICMPv6), 143, 0, 0, 0, 0, 0, 0, 0)...), kindNeighbour, 0},
		{"parameter problem", etherIPv6, ipv6(protoICMPv6, 4, 0, 0, 0, 0, 0, 0, 0), kindClear, 0},
		{"extension longer than the packet", etherIPv6, ipv6(protoHopByHop, protoESP, 255, 0, 0, 0, 0, 0, 0), kindClear, 0},
		{"tcp", etherIPv6, ipv6(6, make([]byte, 20)...), kindClear, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k, spi := classify(tt.ether, tt.packet, marker)
			if k != tt.want || spi != tt.spi {
				t.Errorf("kind %d, SPI %s; want %d, %s", k, spi, tt.want, tt.spi)
			}
		})
	}
}

func FuzzClassify(f *testing.F) {
	f.Add(uint16(etherIPv6), ipv6(protoHopByHop, protoESP, 1, 0, 0, 0, 0, 0, 0))
	f.Add(uint16(etherIPv4), ipv4(protoESP, 8, 0, 0, 0, 1))
	f.Fuzz(func(t *testing.T, ether uint16, packet []byte) {
		k, spi := classify(ether, packet, nil)
		if spi != 0 && k != kindESP {
			t.Errorf("SPI %s of a packet of kind %d", spi, k)
		}
		_ = describePacket(ether, packet)
	})
}

func TestCount(t *testing.T) {
	var c count
	marker := []byte("0123456789abcdef")
	for range 3 {
		c.add(etherIPv4, ipv4(protoESP, 0, 0, 0, 0x10, 1), marker)
		c.add(etherIPv4, ipv4(protoESP, 0, 0, 0, 0x20, 2), marker)
	}
	c.add(etherARP, make([]byte, 28), marker)
	c.add(etherIPv6, ipv6(6, make([]byte, 20)...), marker)
	c.add(etherIPv4, ipv4(1, 0, echo(false, 1, 1, marker)...), marker)
	if c.packets() != 6 || c.packets(0x1001) != 3 || c.packets(0x1001, 0x3001) != 3 || c.clear != 2 {
		t.Errorf("%+v", c)
	}
	if want := "ip protocol 6 from fd00::1 to fd00::2"; c.firstBad != want {
		t.Errorf("first in clear: %q, want %q", c.firstBad, want)
	}
}
