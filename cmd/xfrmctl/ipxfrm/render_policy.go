package ipxfrm

import "github.com/xfrmctl/xfrmctl/netlinkx"

// policy prints a policy without the end of the record. title stands in front
// of the first line, indent in front of the others; but for those that ip
// never indents, which matters in acquire events.
func (t *textRecord) policy(p *netlinkx.Policy, title, indent string) {
	t.str(title)
	t.selector(&p.Selector, netlinkx.FamilyUnspec)
	t.secCtx(p.SecCtx)
	t.str(indent)
	t.policyInfo(p)
	if t.stats() {
		t.lifetimes(&p.Limits, &p.Usage, indent)
	}
	t.marks(p.Mark, netlinkx.Mark{})
	for i := range p.Templates {
		t.template(&p.Templates[i], indent)
	}
	if p.Offload != nil {
		t.offload(p.Offload, indent, "")
	}
	if p.IfID != 0 {
		t.str(indent).str("if_id ").hexAlt(p.IfID).line()
	}
}

// policyInfo prints the line from the direction to the flags.
func (t *textRecord) policyInfo(p *netlinkx.Policy) {
	kind := "dir "
	if p.Dir.Socket() {
		kind = "socket "
	}
	t.str(kind).str(shownPolicyDir(p.Dir)).str(" ")
	if p.Action != netlinkx.ActionAllow || t.stats() {
		t.str("action ").str(shownAction(p.Action)).str(" ")
	}
	if t.stats() {
		t.str("index ").dec(uint64(p.Index)).str(" ")
	}
	t.str("priority ").dec(uint64(p.Priority)).str(" ")
	t.policyType(p.Type)
	if t.stats() {
		t.str("share ").str(shownShare(p.Share)).str(" ")
	}
	if p.Flags != 0 || t.stats() {
		names := shownPolicyFlags[:2]
		if t.p.Extensions {
			names = shownPolicyFlags
		}
		t.str("flag ").flags(names, uint32(p.Flags))
	}
	if t.stats() {
		t.str(" (0x").octet(uint8(p.Flags)).str(")")
	}
	t.line()
}

func (t *textRecord) policyType(v netlinkx.Opt[netlinkx.PolicyType]) {
	if v.Valid {
		t.str("ptype ").str(shownPolicyType(v.V)).str(" ")
	}
}

// templateFamily is the family in which a template's addresses are printed.
// With none they are "???": the kernel gives templates the policy's.
func templateFamily(m *netlinkx.Template) netlinkx.Family {
	for _, f := range [...]netlinkx.Family{m.Family, netlinkx.FamilyOf(m.Dst), netlinkx.FamilyOf(m.Src)} {
		if f != netlinkx.FamilyUnspec {
			return f
		}
	}
	return netlinkx.FamilyUnspec
}

func (t *textRecord) template(m *netlinkx.Template, indent string) {
	f := templateFamily(m)
	t.str(indent).str("tmpl src ").addr(m.Src, f).str(" dst ").addr(m.Dst, f).line()
	t.str(indent).str("\tproto ").str(shownProto(m.Proto)).str(" ")
	t.spi(m.SPI, false)
	t.reqIDAndMode(m.ReqID, m.Mode)
	if m.Optional || t.stats() {
		level := "required"
		if m.Optional {
			level = "use"
		}
		t.str(indent).str("\tlevel ").str(level).str(" ")
		if t.stats() {
			t.str("share ").str(shownShare(m.Share)).str(" ")
		}
		t.line()
	}
	if t.stats() {
		t.str(indent).str("\t").algoMasks(m.EAlgos, m.AAlgos, m.CAlgos).line()
	}
}

func (t *textRecord) algoMasks(enc, auth, comp uint32) *textRecord {
	t.str("enc-mask ").hexPad(enc, 8).str(" auth-mask ").hexPad(auth, 8)
	return t.str(" comp-mask ").hexPad(comp, 8)
}
