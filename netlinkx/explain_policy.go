package netlinkx

import (
	"fmt"
	"syscall"
)

// What is wrong with policies (verify_newpolicy_info, validate_tmpl and
// xfrm_add_policy of net/xfrm/xfrm_user.c, xfrm_policy.c).
var policyRules = []rule{
	{msgs: writePolicy, errno: syscall.EEXIST, say: sayPolicyTaken},
	{msgs: aboutPolicy, errno: syscall.ENOENT, say: sayPolicyMissing},
	{words: "selector family", hint: "a policy's selector has family inet or inet6: that of its prefixes"},
	{msgs: aboutPolicy, words: "address family in selector", hint: "a policy's selector has family inet or inet6: that of its prefixes"},
	{msgs: aboutPolicy, words: "prefix length in selector", hint: "a selector's prefix is at most 32 bits long for inet, 128 for inet6; do both prefixes have the selector's family?"},
	{words: "policy index direction", say: sayPolicyIndex},
	{words: "policy direction", hint: "a policy's direction is in, out or fwd"},
	{words: "policy action", hint: "a policy's action is allow or block"},
	{words: "policy share", hint: "share is any, session, user or unique"},
	{words: "policy type", hint: "ptype is main or, with CONFIG_XFRM_SUB_POLICY, sub"},
	{words: "template count", say: sayTemplateCount},
	{words: "protocol in template", hint: "a template's protocol is esp, ah, comp, hao, route2 or ipsec-any"},
	{words: "family in template", hint: "a template's family is inet or inet6, that of its addresses"},
	{words: "mode in template must be", hint: "template modes are transport, tunnel, ro, in_trigger, beet and, since linux 6.14, iptfs"},
	{words: "mode in template family change", say: sayTemplateFamily},
	{words: "optional template outbound", hint: "outbound, level use works in transport mode only: a tunnel cannot be skipped once chosen; use level required, or a second policy without the template"},
	{words: "hash threshold", hint: "hash thresholds are prefix lengths: at most 32 for inet (hthresh4), 128 for inet6 (hthresh6)"},
	{words: "hthresh attribute length", hint: "this kernel wants another form of the hash thresholds than linux 7.2 does"},
	{msgs: writePolicy, errno: syscall.EINVAL, bare: true, say: sayPolicyInvalid},
}

func sayPolicyTaken(f *failure) string {
	id, ok := f.policyID()
	if !ok {
		return ""
	}
	return join("the kernel compared the selector (host bits beyond the prefix too), direction, type, mark and if_id, and one policy has the same; priority and templates do not distinguish",
		"`policy update` replaces it", listPolicies(id))
}

func sayPolicyMissing(f *failure) string {
	id, ok := f.policyID()
	if !ok {
		return ""
	}
	what := "the exact selector (host bits beyond the prefix too)"
	if id.Index != 0 {
		what = fmt.Sprintf("index %d", id.Index)
	}
	parts := []string{"the kernel compared " + what + ", direction, type, mark and if_id"}
	if id.Mark == (Mark{}) && id.IfID == 0 {
		parts = append(parts, "this request has neither mark nor if_id: a policy that has one is not found without it")
	}
	if dir := PolicyDir(id.Index & 7); id.Index != 0 && dir != id.Dir {
		parts = append(parts, fmt.Sprintf("an index that ends in %d belongs to direction %s", id.Index&7, dir))
	}
	return join(append(parts, listPolicies(id))...)
}

func sayPolicyIndex(f *failure) string {
	id, ok := f.policyID()
	if !ok {
		return ""
	}
	return fmt.Sprintf("the low 3 bits of an index are the direction: %d belongs to %s; leave the index out to have one chosen", id.Index, PolicyDir(id.Index&7))
}

func sayTemplateCount(f *failure) string {
	n := ""
	if p, ok := f.obj.(*Policy); ok {
		n = fmt.Sprintf(", this one has %d", len(p.Templates))
	}
	return fmt.Sprintf("a policy has at most %d templates%s; in and fwd policies work with 5 at most", MaxTemplates, n)
}

func sayTemplateFamily(f *failure) string {
	p, ok := f.obj.(*Policy)
	if !ok {
		return "in transport mode a template has the family of the policy's selector"
	}
	outer := familyOf(p.Selector.Family, p.Selector.Dst.Addr(), p.Selector.Src.Addr())
	for i := range p.Templates {
		t := &p.Templates[i]
		family := familyOf(t.Family, t.Dst, t.Src)
		if family != FamilyUnspec && family != outer && !t.changesFamily() {
			return fmt.Sprintf("template %d has mode %s, which keeps the packet's family: the packet is %s there, the template's addresses are %s; use mode tunnel", i+1, t.Mode, outer, family)
		}
		if family != FamilyUnspec {
			outer = family
		}
	}
	return "in transport mode a template has the family of the policy's selector"
}

func (t *Template) changesFamily() bool {
	return t.Mode == ModeTunnel || t.Mode == ModeBEET || t.Mode == ModeIPTFS
}

// sayPolicyInvalid: kernels before 6.1 give no texts.
func sayPolicyInvalid(f *failure) string {
	p, ok := f.obj.(*Policy)
	if !ok {
		return ""
	}
	var parts []string
	if len(p.Templates) > MaxTemplates {
		parts = append(parts, sayTemplateCount(f))
	}
	if p.Index != 0 && PolicyDir(p.Index&7) != p.Dir {
		parts = append(parts, sayPolicyIndex(f))
	}
	for i := range p.Templates {
		if t := &p.Templates[i]; t.Optional && p.Dir == PolicyOut && t.changesFamily() {
			parts = append(parts, fmt.Sprintf("template %d: outbound, level use works in transport mode only", i+1))
		}
	}
	if p.Dir.Socket() {
		parts = append(parts, "a policy's direction is in, out or fwd")
	}
	if len(parts) == 0 {
		return "the kernel does not say why: kernels before 6.1 give no reasons, and a security context needs an lsm that takes it"
	}
	return join(parts...)
}
