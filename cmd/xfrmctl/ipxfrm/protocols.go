package ipxfrm

import (
	"bufio"
	"io"
	"strconv"
	"strings"
)

// Protocols holds the names of upper-layer protocols. It is immutable.
type Protocols struct {
	byName   map[string]uint8
	byNumber map[uint8]string
	ordered  []string
}

// ReadProtocols reads a file of the form of /etc/protocols: on each line a
// name, a number, aliases, and a comment after '#'. The first line of a name
// or number counts. Lines that are something else are skipped, as the C
// library does.
func ReadProtocols(r io.Reader) (*Protocols, error) {
	p := &Protocols{byName: make(map[string]uint8), byNumber: make(map[uint8]string)}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		n, err := strconv.ParseUint(f[1], 10, 32)
		if err != nil {
			continue
		}
		p.add(uint(n), append(f[:1:1], f[2:]...)...)
	}
	return p, lines.Err()
}

// add names a protocol. Numbers above 255 are no protocols of IP; a selector
// keeps their low byte, as that of ip does.
func (p *Protocols) add(n uint, names ...string) {
	for _, name := range names {
		if _, ok := p.byName[name]; !ok {
			p.byName[name] = uint8(n)
		}
	}
	if _, ok := p.byNumber[uint8(n)]; !ok && n <= 255 {
		p.byNumber[uint8(n)] = names[0]
		p.ordered = append(p.ordered, names[0])
	}
}

// ByName finds a protocol by its name or an alias, in the case that it is
// written in.
func (p *Protocols) ByName(name string) (uint8, bool) {
	n, ok := p.byName[name]
	return n, ok
}

// Name returns the name of a protocol, or "".
func (p *Protocols) Name(n uint8) string { return p.byNumber[n] }

// text returns the name of a protocol, or its number.
func (p *Protocols) text(n uint8) string {
	if s := p.Name(n); s != "" {
		return s
	}
	return strconv.Itoa(int(n))
}

// names returns the first name of each protocol.
func (p *Protocols) names() []string { return p.ordered }

// BuiltinProtocols returns the names of the protocols that selectors know more
// of than the number, and some others, for systems without /etc/protocols.
func BuiltinProtocols() *Protocols {
	p := &Protocols{byName: make(map[string]uint8), byNumber: make(map[uint8]string)}
	p.add(0, "ip", "IP")
	p.add(1, "icmp", "ICMP")
	p.add(2, "igmp", "IGMP")
	p.add(4, "ipencap", "IP-ENCAP")
	p.add(6, "tcp", "TCP")
	p.add(17, "udp", "UDP")
	p.add(33, "dccp", "DCCP")
	p.add(41, "ipv6", "IPv6")
	p.add(47, "gre", "GRE")
	p.add(50, "esp", "IPSEC-ESP")
	p.add(51, "ah", "IPSEC-AH")
	p.add(58, "ipv6-icmp", "IPv6-ICMP")
	p.add(89, "ospf", "OSPFIGP")
	p.add(94, "ipip", "IPIP")
	p.add(103, "pim", "PIM")
	p.add(108, "ipcomp", "IPCOMP")
	p.add(112, "vrrp", "VRRP")
	p.add(115, "l2tp", "L2TP")
	p.add(132, "sctp", "SCTP")
	p.add(135, "mobility-header", "Mobility-Header")
	p.add(136, "udplite", "UDPLite")
	return p
}
