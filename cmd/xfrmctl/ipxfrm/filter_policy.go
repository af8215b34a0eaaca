package ipxfrm

import "github.com/xfrmctl/xfrmctl/netlinkx"

// selectorHas tells which parts of a selector were named, to be compared in
// lists.
type selectorHas struct{ dev, proto, sport, dport bool }

// PolicyFilter says which policies a list or deleteall is about. The zero
// filter matches all, per-socket policies included.
type PolicyFilter struct {
	sel      netlinkx.Selector
	has      selectorHas
	noSocket bool
	dir      netlinkx.Opt[netlinkx.PolicyDir]
	index    netlinkx.Opt[uint32]
	ptype    netlinkx.Opt[netlinkx.PolicyType]
	action   netlinkx.Opt[netlinkx.Action]
	priority netlinkx.Opt[uint32]
	flags    netlinkx.Opt[netlinkx.PolicyFlags]
	ifID     netlinkx.Opt[uint32]
	mark     netlinkx.Opt[netlinkx.Mark]
	offload  offloadFilter
}

// Match reports whether the filter lets a policy through. It compares the
// bits of addresses under the filter's prefix, so that wider and narrower
// policies match alike. Any direction hides per-socket policies. Flags match
// when one of them is set. A mark matches when the policy's value is the same
// in the bits of the filter's mask.
func (f *PolicyFilter) Match(pol *netlinkx.Policy) bool {
	if f.noSocket && pol.Dir.Socket() || !f.matchSelector(&pol.Selector) {
		return false
	}
	if f.flags.Valid && pol.Flags&f.flags.V == 0 {
		return false
	}
	return optMatches(f.dir, pol.Dir) && optMatches(f.index, pol.Index) && optMatches(f.ptype, pol.Type.V) &&
		optMatches(f.action, pol.Action) && optMatches(f.priority, pol.Priority) && optMatches(f.ifID, pol.IfID) &&
		markMatches(f.mark, pol.Mark) && f.offload.match(pol.Offload)
}

func (f *PolicyFilter) matchSelector(s *netlinkx.Selector) bool {
	want := &f.sel
	if want.Family != netlinkx.FamilyUnspec && want.Family != s.Family {
		return false
	}
	if !prefixMatches(want.Src, s.Src.Addr()) || !prefixMatches(want.Dst, s.Dst.Addr()) {
		return false
	}
	return (!f.has.dev || want.IfIndex == s.IfIndex) &&
		(!f.has.proto || want.Proto == s.Proto) &&
		(!f.has.sport || want.SrcPort.Port == s.SrcPort.Port) &&
		(!f.has.dport || want.DstPort.Port == s.DstPort.Port)
}

// policyFilterKeywords are those of list and deleteall of policies.
var policyFilterKeywords = []keyword{
	{name: "nosock", help: "no per-socket policies", parse: func(p *parser) error {
		p.out.PolicyFilter.noSocket = true
		return nil
	}},
	{name: "dir", values: "POLICY-DIR", help: "only policies of this direction, and no per-socket policies", parse: func(p *parser) error {
		v, err := p.choice("POLICY-DIR", "DIR value is invalid")
		p.out.PolicyFilter.dir = netlinkx.Some(netlinkx.PolicyDir(v))
		return err
	}},
	{name: "index", values: "INDEX", help: "only the policy of this number", parse: func(p *parser) error {
		return p.opt32(&p.out.PolicyFilter.index, "INDEX", "INDEX value is invalid")
	}},
	{name: "ptype", values: "PTYPE", help: "only policies of this type", parse: func(p *parser) error {
		v, err := p.choice("PTYPE", "PTYPE value is invalid")
		p.out.PolicyFilter.ptype = netlinkx.Some(netlinkx.PolicyType(v))
		return err
	}},
	{name: "action", values: "ACTION", help: "only policies with this action", parse: func(p *parser) error {
		v, err := p.choice("ACTION", "ACTION value is invalid\n")
		p.out.PolicyFilter.action = netlinkx.Some(netlinkx.Action(v))
		return err
	}},
	{name: "priority", values: "PRIORITY", help: "only policies of this priority", parse: func(p *parser) error {
		return p.opt32(&p.out.PolicyFilter.priority, "PRIORITY", "PRIORITY value is invalid")
	}},
	{name: "flag", values: "POLICY-FLAG-LIST", help: "only policies with one of these flags", parse: func(p *parser) error {
		f := &p.out.PolicyFilter.flags
		v, err := p.flags("POLICY-FLAG", "FLAG value is invalid", uint32(f.V), 0xff)
		*f = netlinkx.Some(netlinkx.PolicyFlags(v))
		return err
	}},
	{name: "if_id", values: "IF_ID", ext: true, help: "only policies of this XFRM interface; 0: of none", parse: func(p *parser) error {
		return p.opt32(&p.out.PolicyFilter.ifID, "IF_ID", "IF_ID value is invalid")
	}},
	{name: "mark", values: "MARK [ mask MASK ]", ext: true, help: "only policies whose mark has this value in the bits of the mask", parse: func(p *parser) error {
		return p.markFilter(&p.out.PolicyFilter.mark)
	}},
	{name: "offload", values: offloadFilterValues, ext: true, help: "only policies that a device carries", parse: func(p *parser) error {
		return p.out.PolicyFilter.offload.parse(p)
	}},
}

func startPolicyFilter(p *parser) {
	p.out.PolicyFilter = &PolicyFilter{sel: netlinkx.Selector{Family: p.ctx.Family}}
}

func (p *parser) policyFilterOther() error {
	if p.policy.hasSelector {
		return p.unknown()
	}
	f := p.out.PolicyFilter
	if err := p.firstSelector(&f.sel); err != nil {
		return err
	}
	f.has = p.policy.has
	return nil
}
