package ipxfrm

import (
	"net/netip"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// idWords is an ID: what of src, dst, proto and spi was given.
type idWords struct {
	src, dst address
	// family is that of the address given last, zero without one.
	family netlinkx.Family
	proto  netlinkx.Proto
	spi    netlinkx.SPI

	hasProto, hasSPI bool
}

// idKeywords may come in any order, but without other words between them.
var idKeywords = []keyword{
	{name: "src", values: "ADDR", help: "source address", parse: func(p *parser) (err error) {
		p.id.src, err = p.endpoint("src")
		p.id.family = p.id.src.family
		return err
	}},
	{name: "dst", values: "ADDR", help: "destination address", parse: func(p *parser) (err error) {
		p.id.dst, err = p.endpoint("dst")
		p.id.family = p.id.dst.family
		return err
	}},
	{name: "proto", values: "XFRM-PROTO", help: "IPsec protocol", parse: func(p *parser) error {
		v, err := p.choice("XFRM-PROTO", "XFRM-PROTO value is invalid")
		p.id.proto, p.id.hasProto = netlinkx.Proto(v), true
		return err
	}},
	{name: "spi", values: "SPI", help: "security parameter index", parse: func(p *parser) error {
		v, err := p.number32("SPI", "SPI value is invalid")
		p.id.spi, p.id.hasSPI = netlinkx.SPI(v), true
		return err
	}},
}

// parseID parses an ID, which may be empty. Unless it is loose it must name
// the protocol.
func (p *parser) parseID(loose bool) (*idWords, error) {
	id := &p.slot.id
	if p.state.id == id { // an endpoint of a template or a second ID
		id = &idWords{}
	}
	*id = idWords{}
	p.id = id
	if err := p.keywords(idKeywords); err != nil {
		return nil, err
	}
	if err := p.sameFamily(id.src, id.dst); err != nil {
		return nil, err
	}
	if id.spi != 0 && isRouteOptimisation(id.proto) {
		return nil, check("\"spi\" is invalid with XFRM-PROTO value \"%s\"", id.proto)
	}
	if id.spi >= 0x10000 && id.proto == netlinkx.ProtoComp {
		return nil, check("SPI value is too large with XFRM-PROTO value \"%s\"", id.proto)
	}
	if loose || id.proto != 0 {
		return id, nil
	}
	e := missing("XFRM-PROTO")
	e.Suggest = Nearest(p.peek(), append(p.command.words(), keywordNames(idKeywords)...))
	return nil, e
}

// sameFamily reports addresses of different families, in the words of ip.
func (p *parser) sameFamily(src, dst address) error {
	if src.family == 0 || dst.family == 0 || src.family == dst.family {
		return nil
	}
	return p.invalid("the same address family is required between values after \"src\" and \"dst\"")
}

func isRouteOptimisation(proto netlinkx.Proto) bool {
	return proto == netlinkx.ProtoRoute2 || proto == netlinkx.ProtoHAO
}

// firstID parses an ID where none has come yet.
func (p *parser) firstID(loose bool) (*idWords, error) {
	if p.state.id != nil {
		return nil, p.unknown()
	}
	id, err := p.parseID(loose)
	if err != nil {
		return nil, err
	}
	p.state.id = id
	return id, nil
}

// keepFamily makes the family of the first addresses that of later ones.
func (p *parser) keepFamily(f netlinkx.Family) {
	if p.family == netlinkx.FamilyUnspec {
		p.family = f
	}
}

// saID returns the ID of a command that names one SA.
func (id *idWords) saID(family netlinkx.Family) netlinkx.SAID {
	if id.family != 0 {
		family = id.family
	}
	return netlinkx.SAID{Dst: id.dst.addr, Src: id.src.addr, SPI: id.spi, Proto: id.proto, Family: family}
}

// prefixOrNone returns the prefix of an address for matching; addresses that
// were not given, or of no length, match all.
func prefixOrNone(a address) netip.Prefix {
	if !a.addr.IsValid() {
		return netip.Prefix{}
	}
	return a.prefix()
}
