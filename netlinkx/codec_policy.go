package netlinkx

import "fmt"

// Offsets in struct xfrm_userpolicy_info.
const (
	polSel, polLimits, polUsage   = 0, 56, 120
	polPriority, polIndex, polDir = 152, 156, 160
	polAction, polFlags, polShare = 161, 162, 163
)

func putPolicyInfo(p []byte, pol *Policy) {
	putPolicySelector(p[polSel:], &pol.Selector)
	putLimits(p[polLimits:], &pol.Limits)
	putUsage(p[polUsage:], &pol.Usage)
	host.PutUint32(p[polPriority:], pol.Priority)
	host.PutUint32(p[polIndex:], pol.Index)
	p[polDir], p[polAction] = uint8(pol.Dir), uint8(pol.Action)
	p[polFlags], p[polShare] = uint8(pol.Flags), pol.Share
}

// putPolicySelector writes the selector of a policy, which needs a family even
// when it has no addresses.
func putPolicySelector(p []byte, s *Selector) {
	putSelector(p, s)
	f := orIPv4(familyOf(s.Family, s.Dst.Addr(), s.Src.Addr()))
	host.PutUint16(p[selFamily:], uint16(f))
}

func getPolicyInfo(msg MsgType, p []byte, pol *Policy) error {
	pol.Limits, pol.Usage = getLimits(p[polLimits:]), getUsage(p[polUsage:])
	pol.Priority, pol.Index = host.Uint32(p[polPriority:]), host.Uint32(p[polIndex:])
	pol.Dir, pol.Action = PolicyDir(p[polDir]), Action(p[polAction])
	pol.Flags, pol.Share = PolicyFlags(p[polFlags]), p[polShare]
	return getSelector(msg, p[polSel:], &pol.Selector)
}

func (p *Policy) appendTo(b []byte) ([]byte, error) {
	b, fixed := grow(b, SizePolicyInfo)
	putPolicyInfo(fixed, p)
	return p.appendAttrs(b)
}

// appendAttrs writes the attributes in the order of iproute2.
func (p *Policy) appendAttrs(b []byte) ([]byte, error) {
	b = appendPolicyType(b, p.Type)
	b, err := appendTemplates(b, p.Templates)
	if err != nil {
		return b, fmt.Errorf("%s: %w", p, err)
	}
	b = appendMark(b, p.Mark)
	if b, err = appendSecCtx(b, p.SecCtx); err != nil {
		return b, fmt.Errorf("%s: %w", p, err)
	}
	b = attrU32NZ(b, AttrIfID, p.IfID)
	return appendOffload(b, p.Offload), nil
}

// Offsets in struct xfrm_user_tmpl.
const (
	tmplDst, tmplSPI, tmplProto, tmplFamily, tmplSrc = 0, 16, 20, 24, 28
	tmplReqID, tmplMode, tmplShare, tmplOptional     = 44, 48, 49, 50
	tmplAAlgos, tmplEAlgos, tmplCAlgos               = 52, 56, 60
)

func appendTemplates(b []byte, ts []Template) ([]byte, error) {
	if len(ts) == 0 {
		return b, nil
	}
	if len(ts) > (0xffff-sizeAttr)/SizeTmpl {
		return b, fmt.Errorf("%d templates, at most %d", len(ts), MaxTemplates)
	}
	b, p := attr(b, AttrTmpl, len(ts)*SizeTmpl)
	for i := range ts {
		putTemplate(p[i*SizeTmpl:], &ts[i])
	}
	return b, nil
}

func putTemplate(p []byte, t *Template) {
	putAddr(p[tmplDst:], t.Dst)
	be.PutUint32(p[tmplSPI:], uint32(t.SPI))
	p[tmplProto] = uint8(t.Proto)
	host.PutUint16(p[tmplFamily:], uint16(familyOf(t.Family, t.Dst, t.Src)))
	putAddr(p[tmplSrc:], t.Src)
	host.PutUint32(p[tmplReqID:], t.ReqID)
	p[tmplMode], p[tmplShare] = uint8(t.Mode), t.Share
	if t.Optional {
		p[tmplOptional] = 1
	}
	host.PutUint32(p[tmplAAlgos:], t.AAlgos)
	host.PutUint32(p[tmplEAlgos:], t.EAlgos)
	host.PutUint32(p[tmplCAlgos:], t.CAlgos)
}

func getTemplate(p []byte) Template {
	f := Family(host.Uint16(p[tmplFamily:]))
	return Template{
		Dst: getAddr(p[tmplDst:], f), Src: getAddr(p[tmplSrc:], f), Family: f,
		SPI: SPI(be.Uint32(p[tmplSPI:])), Proto: Proto(p[tmplProto]),
		ReqID: host.Uint32(p[tmplReqID:]), Mode: Mode(p[tmplMode]), Share: p[tmplShare], Optional: p[tmplOptional] != 0,
		AAlgos: host.Uint32(p[tmplAAlgos:]), EAlgos: host.Uint32(p[tmplEAlgos:]), CAlgos: host.Uint32(p[tmplCAlgos:]),
	}
}

func (x *policyBox) templates(a *attrs) []Template {
	if len(a.data)%SizeTmpl != 0 {
		a.fail(fmt.Sprintf("length %d is no multiple of %d", len(a.data), SizeTmpl))
		return nil
	}
	ts := x.tmpls[:0]
	if n := len(a.data) / SizeTmpl; n > len(x.tmpls) {
		ts = make([]Template, 0, n)
	}
	for d := a.data; len(d) > 0; d = d[SizeTmpl:] {
		ts = append(ts, getTemplate(d))
	}
	return ts
}

func appendPolicyType(b []byte, t Opt[PolicyType]) []byte {
	if !t.Valid {
		return b
	}
	b, p := attr(b, AttrPolicyType, SizePolicyType)
	p[0] = uint8(t.V)
	return b
}

func (a *attrs) policyType() Opt[PolicyType] {
	if !a.want(SizePolicyType) {
		return Opt[PolicyType]{}
	}
	return Some(PolicyType(a.data[0]))
}

// policyBox is a policy with room for what it refers to, so that decoding one
// allocates once.
type policyBox struct {
	pol     Policy
	tmpls   [2]Template
	offload Offload
}

func (x *policyBox) attr(a *attrs) {
	p := &x.pol
	switch a.typ {
	case AttrTmpl:
		p.Templates = x.templates(a)
	case AttrPolicyType:
		p.Type = a.policyType()
	case AttrMark:
		p.Mark = a.mark()
	case AttrIfID:
		p.IfID = a.u32()
	case AttrSecCtx:
		p.SecCtx = a.secCtx()
	case AttrOffloadDev:
		p.Offload = a.offload(&x.offload)
	}
}

// decodePolicy decodes a NEWPOLICY, UPDPOLICY, or a POLEXPIRE whose fixed part
// has size bytes and begins with an xfrm_userpolicy_info.
func decodePolicy(msg MsgType, p []byte, size int) (*Policy, error) {
	fixed, a, err := split(msg, p, size)
	if err != nil {
		return nil, err
	}
	x := &policyBox{}
	if err := getPolicyInfo(msg, fixed, &x.pol); err != nil {
		return nil, err
	}
	for a.next() {
		x.attr(&a)
	}
	if a.err != nil {
		return nil, a.err
	}
	return &x.pol, nil
}

// decodeDeletedPolicy decodes a DELPOLICY event: the policy is in an
// attribute, the fixed part is how the deleter named it.
func decodeDeletedPolicy(p []byte) (*Policy, PolicyID, error) {
	fixed, a, err := split(MsgDelPolicy, p, SizePolicyID)
	if err != nil {
		return nil, PolicyID{}, err
	}
	id, err := getPolicyID(MsgDelPolicy, fixed)
	if err != nil {
		return nil, id, err
	}
	x := &policyBox{pol: Policy{Selector: id.Selector, Index: id.Index, Dir: id.Dir}}
	for a.next() {
		if a.typ == AttrPolicy && a.want(SizePolicyInfo) {
			if err := getPolicyInfo(MsgDelPolicy, a.data, &x.pol); err != nil {
				return nil, id, err
			}
			continue
		}
		x.attr(&a)
	}
	if a.err != nil {
		return nil, id, a.err
	}
	id.Type, id.Mark, id.IfID, id.SecCtx = x.pol.Type, x.pol.Mark, x.pol.IfID, x.pol.SecCtx
	return &x.pol, id, nil
}

// Offsets in struct xfrm_userpolicy_id.
const (
	polIDIndex, polIDDir = 56, 60
)

func putPolicyID(p []byte, id *PolicyID) {
	putPolicySelector(p, &id.Selector)
	host.PutUint32(p[polIDIndex:], id.Index)
	p[polIDDir] = uint8(id.Dir)
}

func getPolicyID(msg MsgType, p []byte) (id PolicyID, err error) {
	id.Index, id.Dir = host.Uint32(p[polIDIndex:]), PolicyDir(p[polIDDir])
	return id, getSelector(msg, p, &id.Selector)
}

func (id *PolicyID) appendTo(b []byte) ([]byte, error) {
	b, p := grow(b, SizePolicyID)
	putPolicyID(p, id)
	return id.appendAttrs(b)
}

func (id *PolicyID) appendAttrs(b []byte) ([]byte, error) {
	b = appendPolicyType(b, id.Type)
	b, err := appendSecCtx(b, id.SecCtx)
	if err != nil {
		return b, fmt.Errorf("%s: %w", id, err)
	}
	b = appendMark(b, id.Mark)
	return attrU32NZ(b, AttrIfID, id.IfID), nil
}

// attr decodes what names a policy besides the fixed part.
func (id *PolicyID) attr(a *attrs) {
	switch a.typ {
	case AttrPolicyType:
		id.Type = a.policyType()
	case AttrSecCtx:
		id.SecCtx = a.secCtx()
	case AttrMark:
		id.Mark = a.mark()
	case AttrIfID:
		id.IfID = a.u32()
	}
}

func decodePolicyID(msg MsgType, p []byte) (*PolicyID, error) {
	fixed, a, err := split(msg, p, SizePolicyID)
	if err != nil {
		return nil, err
	}
	id, err := getPolicyID(msg, fixed)
	for err == nil && a.next() {
		id.attr(&a)
	}
	if err == nil {
		err = a.err
	}
	if err != nil {
		return nil, err
	}
	return &id, nil
}
