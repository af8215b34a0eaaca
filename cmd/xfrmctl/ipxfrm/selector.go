package ipxfrm

import (
	"math"
	"strings"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// selectorKeywords are the words of a SELECTOR besides those of its UPSPEC.
var selectorKeywords = []keyword{
	{name: "src", values: "ADDR[/PLEN]", help: "source addresses", parse: func(p *parser) error {
		a, err := p.endpoint("src")
		if err != nil {
			return err
		}
		p.sel.Family, p.sel.Src, p.policy.src = a.family, prefixOrNone(a), a
		return nil
	}},
	{name: "dst", values: "ADDR[/PLEN]", help: "destination addresses", parse: func(p *parser) error {
		a, err := p.endpoint("dst")
		if err != nil {
			return err
		}
		p.sel.Family, p.sel.Dst, p.policy.dst = a.family, prefixOrNone(a), a
		return nil
	}},
	{name: "dev", values: "DEV", help: "network device, or none", parse: func(p *parser) (err error) {
		p.policy.has.dev = true
		if p.accept("none") {
			p.sel.IfIndex = 0
			return nil
		}
		p.sel.IfIndex, err = p.device("DEV value is invalid")
		return err
	}},
}

// upspecKeywords must come without other words between them.
var upspecKeywords = []keyword{
	{name: "proto", values: "PROTO", help: "upper-layer protocol", parse: (*parser).upperProto},
	{name: "sport", values: "PORT", help: "source port of tcp, udp, sctp and dccp; 0 is any", parse: func(p *parser) error {
		p.policy.has.sport, p.policy.ports = true, true
		return p.port(&p.sel.SrcPort, "value after \"sport\" is invalid")
	}},
	{name: "dport", values: "PORT", help: "destination port", parse: func(p *parser) error {
		p.policy.has.dport, p.policy.ports = true, true
		return p.port(&p.sel.DstPort, "value after \"dport\" is invalid")
	}},
	{name: "type", values: "NUMBER", help: "type of icmp, ipv6-icmp and mobility-header", parse: func(p *parser) error {
		p.policy.has.sport, p.policy.types = true, true
		return p.octet(&p.sel.SrcPort, "value after \"type\" is invalid")
	}},
	{name: "code", values: "NUMBER", help: "code of icmp", parse: func(p *parser) error {
		p.policy.has.dport, p.policy.types = true, true
		return p.octet(&p.sel.DstPort, "value after \"code\" is invalid")
	}},
	{name: "key", values: "KEY", help: "key of gre", parse: (*parser).greKey},
}

// selectorWords returns all words of a SELECTOR.
func selectorWords() []keyword {
	return append(selectorKeywords[:len(selectorKeywords):len(selectorKeywords)], upspecKeywords...)
}

// parseSelector parses a SELECTOR, which may be empty, into s. It ends at the
// first word that is none of its own, or at a second UPSPEC.
func (p *parser) parseSelector(s *netlinkx.Selector) error {
	p.sel = s
	p.policy.src, p.policy.dst = address{}, address{}
	for upspec := false; ; {
		if err := p.keywords(selectorKeywords); err != nil {
			return err
		}
		if upspec || !p.more() || findKeyword(upspecKeywords, p.peek()) == nil {
			break
		}
		upspec = true
		if err := p.upspec(); err != nil {
			return err
		}
	}
	return p.sameFamily(p.policy.src, p.policy.dst)
}

// upspec parses the part of a selector that is about the upper layer.
func (p *parser) upspec() error {
	p.policy.ports, p.policy.types, p.policy.key = false, false, false
	if err := p.keywords(upspecKeywords); err != nil {
		return err
	}
	const (
		any, icmp, tcp, udp, dccp, gre, icmp6, sctp, mobility = 0, 1, 6, 17, 33, 47, 58, 132, 135
	)
	words := ""
	switch p.sel.Proto {
	case any, tcp, udp, dccp, sctp:
	default:
		if p.policy.ports {
			words = "\"sport\" and \"dport\" are"
		}
	}
	if pr := p.sel.Proto; words == "" && p.policy.types && pr != icmp && pr != icmp6 && pr != mobility {
		words = "\"type\" and \"code\" are"
	}
	if words == "" && p.policy.key && p.sel.Proto != gre {
		words = "\"key\" is"
	}
	if words == "" {
		return nil
	}
	return check("%s invalid with PROTO value \"%s\"", words, p.protocols().text(p.sel.Proto))
}

func (p *parser) upperProto() error {
	w, err := p.value("PROTO")
	if err != nil {
		p.expect(p.protocols().names()...)
		return err
	}
	p.policy.has.proto = true
	if w == "any" {
		p.sel.Proto = 0
		return nil
	}
	if n, ok := p.protocols().ByName(w); ok {
		p.sel.Proto = n
		return nil
	}
	n, ok := parse8(w)
	if !ok {
		e := p.invalid("PROTO value is invalid")
		e.Suggest = Nearest(w, p.protocols().names())
		return e
	}
	p.sel.Proto = n
	return nil
}

// port takes a port; 0 adds no mask, so that it matches any.
func (p *parser) port(m *netlinkx.PortMatch, msg string) error {
	w, err := p.value("PORT")
	if err != nil {
		return err
	}
	v, ok := parse16(w)
	if !ok {
		return p.invalid(msg)
	}
	m.Port = v
	if v != 0 {
		m.Mask = math.MaxUint16
	}
	return nil
}

// octet takes a type or code; 0 is one like others.
func (p *parser) octet(m *netlinkx.PortMatch, msg string) error {
	w, err := p.value("NUMBER")
	if err != nil {
		return err
	}
	v, ok := parse8(w)
	if !ok {
		return p.invalid(msg)
	}
	*m = netlinkx.PortMatch{Port: uint16(v), Mask: math.MaxUint16}
	return nil
}

// greKey takes a GRE key: its upper half is kept as the source port, its lower
// half as the destination port. Lists compare the lower half alone.
func (p *parser) greKey() error {
	w, err := p.value("KEY")
	if err != nil {
		return err
	}
	v, err := p.greKeyValue(w)
	if err != nil {
		return err
	}
	p.policy.key, p.policy.has.dport = true, true
	p.sel.SrcPort = netlinkx.PortMatch{Port: uint16(v >> 16), Mask: math.MaxUint16}
	p.sel.DstPort = netlinkx.PortMatch{Port: uint16(v), Mask: math.MaxUint16}
	return nil
}

func (p *parser) greKeyValue(w string) (uint32, error) {
	if !strings.Contains(w, ".") {
		v, ok := parse32(w)
		if !ok {
			return 0, &Error{Code: codeWords, Text: "value after \"key\" is invalid"}
		}
		return v, nil
	}
	a, _, ok := parseAddress(w, netlinkx.FamilyIPv4)
	if !ok {
		return 0, p.fail(codeCheck, "Error: an IP address is expected rather than \"%s\"", w)
	}
	b := a.addr.As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3]), nil
}

// protocols returns the names of protocols.
func (p *parser) protocols() *Protocols {
	if p.ctx.Protocols != nil {
		return p.ctx.Protocols()
	}
	return BuiltinProtocols()
}
