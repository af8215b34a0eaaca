package ipxfrm

import (
	"slices"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// policyWords holds what was said of a policy or selector until it can be put
// together.
type policyWords struct {
	hasSelector bool
	src, dst    address
	has         selectorHas
	// ports, types and key tell which words an UPSPEC had.
	ports, types, key bool

	dir    netlinkx.PolicyDir
	ptype  netlinkx.Opt[netlinkx.PolicyType]
	secCtx *netlinkx.SecCtx
}

// maxTemplates is how many templates ip takes; the kernel takes fewer.
const maxTemplates = 16

// has reports whether a keyword that may come once has come.
func (p *parser) has(key string) bool { return slices.Contains(p.seen, key) }

// firstSelector parses a selector where none has come yet.
func (p *parser) firstSelector(s *netlinkx.Selector) error {
	p.policy.hasSelector = true
	if err := p.parseSelector(s); err != nil {
		return err
	}
	p.keepFamily(s.Family)
	return nil
}

func startPolicy(p *parser) {
	p.out.Policy = p.slot.newPolicy()
	p.out.Policy.Selector.Family = p.ctx.Family
	p.limits = &p.out.Policy.Limits
}

func (p *parser) policyOther() error {
	if p.policy.hasSelector {
		return p.unknownSince()
	}
	return p.firstSelector(&p.out.Policy.Selector)
}

func (p *parser) finishPolicy() error {
	if !p.has("dir") {
		return errNoDir
	}
	pol := p.out.Policy
	pol.Dir, pol.Type, pol.SecCtx = p.policy.dir, p.policy.ptype, p.policy.secCtx
	pol.Mark, pol.IfID = p.state.mark, p.state.ifID
	pol.Offload = p.state.offload
	pol.Selector.Family = orIPv4(pol.Selector.Family)
	return nil
}

var errNoDir = &Error{Code: codeCheck, Text: "Not enough information: DIR is required."}

func (p *parser) policyIDOther() error {
	if p.policy.hasSelector {
		return p.unknown()
	}
	return p.firstSelector(&p.out.PolicyID.Selector)
}

func (p *parser) finishPolicyID() error {
	if !p.has("dir") {
		return errNoDir
	}
	if !p.policy.hasSelector && !p.has("index") {
		return check("Not enough information: either SELECTOR or INDEX is required.")
	}
	if p.policy.hasSelector && p.has("index") {
		return &Error{Code: codeWords, Text: "Error: either \"SELECTOR\" is duplicate, or \"INDEX\" is garbage."}
	}
	id := &p.out.PolicyID
	id.Dir, id.Type, id.SecCtx = p.policy.dir, p.policy.ptype, p.policy.secCtx
	id.Mark, id.IfID = lookupMark(p.state.mark), p.state.ifID
	id.Selector.Family = orIPv4(id.Selector.Family)
	return nil
}

func (p *parser) policyType() error {
	if err := p.once("ptype"); err != nil {
		return err
	}
	v, err := p.choice("PTYPE", "PTYPE value is invalid")
	p.policy.ptype = netlinkx.Some(netlinkx.PolicyType(v))
	return err
}

func (p *parser) flushType() error {
	err := p.policyType()
	p.out.FlushType = p.policy.ptype
	return err
}

// policyOffload takes the offload of a policy, of which there is one kind.
func (p *parser) policyOffload() error {
	w, err := p.literal("packet")
	if err != nil {
		return err
	}
	if w != "packet" {
		return p.invalid("Invalid offload mode")
	}
	index, err := p.offloadDevice()
	p.state.offload = &netlinkx.Offload{IfIndex: index, Flags: netlinkx.OffloadPacket}
	return err
}

// parseTemplate takes a template. Its ID begins with the first word that is
// none of its other words, and must be whole then.
func (p *parser) parseTemplate() error {
	pol := p.out.Policy
	if len(pol.Templates) == maxTemplates {
		return check("Too many tmpls: buffer overflow")
	}
	t := netlinkx.NewTemplate()
	t.Family = p.family
	p.template = &t
	if !p.more() {
		p.expectKeywords(idKeywords)
		p.expectKeywords(templateKeywords)
		return errIncomplete
	}
	for hasID := false; ; hasID = true {
		if err := p.keywords(templateKeywords); err != nil {
			return err
		}
		if hasID {
			break
		}
		if !p.more() {
			p.expectKeywords(idKeywords)
			break
		}
		if err := p.templateID(&t); err != nil {
			return err
		}
	}
	if pol.Templates == nil {
		pol.Templates = p.slot.templates[:0]
	}
	pol.Templates = append(pol.Templates, t)
	return nil
}

// templateID takes the ID of a template. Its family is that of its own
// addresses, and then of the words that follow.
func (p *parser) templateID(t *netlinkx.Template) error {
	p.family = netlinkx.FamilyUnspec
	id, err := p.parseID(false)
	if err != nil {
		return err
	}
	t.Src, t.Dst, t.Proto, t.SPI = id.src.addr, id.dst.addr, id.proto, id.spi
	if id.family != 0 {
		t.Family = id.family
	}
	p.family = t.Family
	return nil
}

// hashThreshold takes two prefix lengths.
func (p *parser) hashThreshold(word string, limit uint8, v *netlinkx.Opt[netlinkx.HashThreshold]) error {
	if err := p.once(word); err != nil {
		return err
	}
	local, err := p.bits(limit, word+" LBITS value is invalid")
	if err != nil {
		return err
	}
	remote, err := p.bits(limit, word+" RBITS value is invalid")
	*v = netlinkx.Some(netlinkx.HashThreshold{Local: local, Remote: remote})
	return err
}

func (p *parser) bits(limit uint8, msg string) (uint8, error) {
	w, err := p.value("BITS")
	if err != nil {
		return 0, err
	}
	v, ok := parse8(w)
	if !ok || v > limit {
		return 0, p.invalid(msg)
	}
	return v, nil
}

func (p *parser) unknownDirection() error {
	w, _ := p.value("POLICY-DIR")
	e := p.invalid("unknown direction")
	e.Suggest = Nearest(w, p.command.words())
	return e
}
