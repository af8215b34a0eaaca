package ipxfrm

import (
	"encoding/binary"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// mark takes the value of a mark and, directly after it, its mask. A mark
// without mask bits is none.
func (p *parser) mark(m *netlinkx.Mark) (err error) {
	if m.Value, err = p.number32("MARK", "MARK value is invalid\n"); err != nil {
		return err
	}
	m.Mask = 1<<32 - 1
	if p.accept("mask") {
		if m.Mask, err = p.number32("MASK", "MASK value is invalid\n"); err != nil {
			return err
		}
	}
	if m.Mask == 0 {
		m.Value = 0
	}
	return nil
}

// outputMark takes the mark to set. Its mask stays what an earlier output-mark
// said; the kernel ignores one without a value.
func (p *parser) outputMark() (err error) {
	m := &p.state.outputMark
	if m.Value, err = p.number32("MARK", "value after \"output-mark\" is invalid"); err != nil {
		return err
	}
	if p.accept("mask") {
		m.Mask, err = p.number32("MASK", "mask value is invalid\n")
	}
	return err
}

// seqWord takes a sequence number, which ip stores in network byte order
// although the kernel uses it in that of the host.
func (p *parser) seqWord() error {
	v, err := p.number32("SEQ", "SEQ value is invalid")
	p.state.seq = toNetwork(v)
	return err
}

// toNetwork returns the number whose bytes in memory are v in network order.
func toNetwork(v uint32) uint32 {
	return binary.NativeEndian.Uint32(binary.BigEndian.AppendUint32(nil, v))
}

// saDir takes the direction of an SA.
func (p *parser) saDir() error {
	v, err := p.choice("DIR", "DIR value is not \"in\" or \"out\"")
	p.state.dir = netlinkx.Dir(v)
	return err
}

// saSelector takes the selector of an SA, whose addresses may be of another
// family than those before; the later ones must be of its family.
func (p *parser) saSelector() error {
	if !p.more() {
		p.expectKeywords(selectorWords())
		return errIncomplete
	}
	p.family = netlinkx.FamilyUnspec
	err := p.parseSelector(&p.out.SA.Selector)
	p.family = p.out.SA.Selector.Family
	return err
}

// encap takes the encapsulation.
func (p *parser) encap() error {
	v, err := p.choice("ENCAP-TYPE", "ENCAP-TYPE value is invalid")
	if err != nil {
		return err
	}
	e := &netlinkx.Encap{Type: netlinkx.EncapType(v)}
	if e.SrcPort, err = p.number16("PORT", "SPORT value after \"encap\" is invalid"); err != nil {
		return err
	}
	if e.DstPort, err = p.number16("PORT", "DPORT value after \"encap\" is invalid"); err != nil {
		return err
	}
	a, err := p.address("OADDR")
	e.OriginalAddr = a.addr
	p.state.encap = e
	return err
}

func (p *parser) number16(meta, msg string) (uint16, error) {
	w, err := p.value(meta)
	if err != nil {
		return 0, err
	}
	v, ok := parse16(w)
	if !ok {
		return 0, p.invalid(msg)
	}
	return v, nil
}

// opt32 takes a number into v, which is present then.
func (p *parser) opt32(v *netlinkx.Opt[uint32], meta, msg string) error {
	n, err := p.number32(meta, msg)
	*v = netlinkx.Some(n)
	return err
}

// careOf takes the care-of address of Mobile IPv6.
func (p *parser) careOf() error {
	if err := p.once("coa"); err != nil {
		return err
	}
	a, err := p.prefix("ADDR[/PLEN]")
	if err != nil {
		return err
	}
	if a.family == netlinkx.FamilyUnspec {
		return p.invalid("value after \"coa\" has an unrecognized address family")
	}
	p.out.SA.CareOf = a.addr
	return nil
}

// secCtx takes a security context. Those of SELinux are all there is: DOI and
// algorithm are 1.
func (p *parser) secCtx() error {
	if err := p.once("ctx"); err != nil {
		return err
	}
	w, err := p.value("CTX")
	c := &netlinkx.SecCtx{DOI: 1, Alg: 1, Context: w}
	switch {
	case p.out.SA != nil:
		p.out.SA.SecCtx = c
	default:
		p.policy.secCtx = c
	}
	return err
}

// saOffload takes mode, device and direction of an offload. The direction is
// the SA's.
func (p *parser) saOffload() error {
	if err := p.offloadMode(); err != nil {
		return err
	}
	index, err := p.offloadDevice()
	if err != nil {
		return err
	}
	w, err := p.literal("dir")
	if err != nil {
		return err
	}
	if w != "dir" {
		return p.invalid("Missing DIR keyword")
	}
	p.state.offload = &netlinkx.Offload{IfIndex: index}
	return p.saDir()
}

// saOffloadWish is saOffload for an SA that is added: a wish may stand before
// what `ip` knows, and then the kernel's answer is not the last word. With auto
// the device may be left out: that of the route is meant.
func (p *parser) saOffloadWish() error {
	wish := OffloadWish("")
	for _, w := range []OffloadWish{OffloadAuto, OffloadPrefer, OffloadRequire} {
		if wish == "" && p.accept(string(w)) {
			wish = w
		}
	}
	if wish == "" {
		return p.saOffload()
	}
	p.out.Wish = wish
	p.out.WishType = p.peek()
	if p.out.WishType != "crypto" && p.out.WishType != "packet" {
		p.out.WishType = ""
	}
	if wish != OffloadAuto || p.peek() == "dev" || p.out.WishType != "" && p.pos+1 < len(p.words) && p.words[p.pos+1] == "dev" {
		return p.saOffload()
	}
	if err := p.offloadMode(); err != nil {
		return err
	}
	p.state.offload = &netlinkx.Offload{}
	if !p.accept("dir") {
		return nil // the SA's own, which checkWish demands
	}
	return p.saDir()
}

// checkWish refuses a wish without a direction: a NIC works for one.
func (p *parser) checkWish() *Error {
	switch {
	case p.out.Wish == "":
		return nil
	case p.out.Verb != "add":
		return p.fail(codeWords, "Error: offload "+string(p.out.Wish)+" is for \"state add\": an update does not move an SA")
	case p.state.dir != netlinkx.DirUnset:
		return nil
	}
	return p.fail(codeWords, "Error: offload "+string(p.out.Wish)+" needs a direction: \"dir in\" or \"dir out\"")
}

func (p *parser) offloadMode() error {
	if p.accept("crypto") {
		return nil
	}
	if p.accept("packet") {
		p.state.packet = true
	}
	return nil
}

// offloadDevice takes "dev" and a device.
func (p *parser) offloadDevice() (int32, error) {
	w, err := p.literal("dev")
	if err != nil {
		return 0, err
	}
	if w != "dev" {
		return 0, p.invalid("Missing dev keyword")
	}
	return p.device("Invalid device name")
}

// literal takes the next word, which should be the one given.
func (p *parser) literal(word string) (string, error) {
	if !p.more() {
		p.expect(word)
		return "", errIncomplete
	}
	p.pos++
	return p.last(), nil
}

// iptfsList takes the parameters of IP-TFS.
func (p *parser) iptfsList() error {
	p.iptfs = &p.out.SA.IPTFS
	start := p.pos
	if err := p.keywords(iptfsKeywords); err != nil {
		return err
	}
	if p.pos == start {
		e := missing("IPTFS-LIST")
		e.Suggest = Nearest(p.peek(), keywordNames(iptfsKeywords))
		return e
	}
	return nil
}

func (p *parser) reorderWindow() error {
	v, err := p.number16("COUNT", "value after \"reorder-window\" is invalid")
	p.iptfs.ReorderWindow = netlinkx.Some(v)
	return err
}

// limitWord is shared by SAs and policies.
var limitWord = keyword{name: "limit", values: "LIMIT", help: "when the SA or policy expires; may come once for each limit", parse: (*parser).limit}

// limitKeywords are the limits; soft ones give an event, hard ones end it.
var limitKeywords = []keyword{
	limitKeyword("time-soft", "SECONDS", "since it was added", func(l *netlinkx.Limits) *uint64 { return &l.SoftAdd }),
	limitKeyword("time-hard", "SECONDS", "since it was added", func(l *netlinkx.Limits) *uint64 { return &l.HardAdd }),
	limitKeyword("time-use-soft", "SECONDS", "since it was first used", func(l *netlinkx.Limits) *uint64 { return &l.SoftUse }),
	limitKeyword("time-use-hard", "SECONDS", "since it was first used", func(l *netlinkx.Limits) *uint64 { return &l.HardUse }),
	limitKeyword("byte-soft", "BYTES", "bytes that it carried", func(l *netlinkx.Limits) *uint64 { return &l.SoftBytes }),
	limitKeyword("byte-hard", "BYTES", "bytes that it carried; 0 is reached by the first packet", func(l *netlinkx.Limits) *uint64 { return &l.HardBytes }),
	limitKeyword("packet-soft", "COUNT", "packets that it carried", func(l *netlinkx.Limits) *uint64 { return &l.SoftPackets }),
	limitKeyword("packet-hard", "COUNT", "packets that it carried; 0 is reached by the first packet", func(l *netlinkx.Limits) *uint64 { return &l.HardPackets }),
}

func limitKeyword(name, meta, help string, field func(*netlinkx.Limits) *uint64) keyword {
	return keyword{name: name, values: meta, help: help, parse: func(p *parser) error {
		w, err := p.value(meta)
		if err != nil {
			return err
		}
		v, ok := parse64(w)
		if !ok {
			return p.invalid("value after \"" + name + "\" is invalid")
		}
		*field(p.limits) = v
		return nil
	}}
}

// limit takes one limit.
func (p *parser) limit() error {
	if k := p.acceptKeyword(limitKeywords); k != nil {
		return k.parse(p)
	}
	w, err := p.value("LIMIT")
	if err != nil {
		return err
	}
	e := p.invalid("LIMIT value is invalid")
	e.Suggest = Nearest(w, keywordNames(limitKeywords))
	return e
}
