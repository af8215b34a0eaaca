package rules

import (
	"net/netip"
	"syscall"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// CheckPolicy returns what the kernel refuses a policy for by itself
// (verify_newpolicy_info, xfrm_policy_construct), or nil. cpus and devices are
// no matter here: an offload to a NIC is refused as a device without offload
// does.
func CheckPolicy(p *netlinkx.Policy) *Refusal {
	if err := checkPolicyInfo(p); err != nil {
		return err
	}
	if err := CheckPolicyType(p.Type); err != nil {
		return err
	}
	if err := checkTemplates(p); err != nil {
		return err
	}
	return checkPolicyOffload(p.Offload)
}

func checkPolicyInfo(p *netlinkx.Policy) *Refusal {
	const maxShare = 3
	switch {
	case p.Share > maxShare:
		return invalid("Invalid policy share")
	case p.Action > netlinkx.ActionBlock:
		return invalid("Invalid policy action")
	case p.Selector.Family.Bits() == 0:
		return invalid("Invalid selector family")
	}
	if err := checkPrefixes(p.Selector.Family, &p.Selector); err != nil {
		return err
	}
	if err := CheckPolicyDir(p.Dir); err != nil {
		return err
	}
	if p.Index != 0 && p.Index&7 != uint32(p.Dir) {
		return invalid("Policy index doesn't match direction")
	}
	return nil
}

// CheckPolicyDir refuses directions other than in, out and fwd.
func CheckPolicyDir(d netlinkx.PolicyDir) *Refusal {
	if d > netlinkx.PolicyFwd {
		return invalid("Invalid policy direction")
	}
	return nil
}

// CheckPolicyType refuses types other than main and sub.
func CheckPolicyType(t netlinkx.Opt[netlinkx.PolicyType]) *Refusal {
	if t.V > netlinkx.PolicySub {
		return invalid("Invalid policy type")
	}
	return nil
}

// maxMode is XFRM_MODE_MAX.
const maxMode = 6

// checkTemplates is validate_tmpl.
func checkTemplates(p *netlinkx.Policy) *Refusal {
	if len(p.Templates) > netlinkx.MaxTemplates {
		return invalid("Template count must be <= XFRM_MAX_DEPTH (6)")
	}
	outer := p.Selector.Family
	for i := range p.Templates {
		t := &p.Templates[i]
		f := TemplateFamily(t, p.Selector.Family)
		switch {
		case Tunnels(t.Mode):
			if t.Optional && p.Dir == netlinkx.PolicyOut {
				return invalid("Mode in optional template not allowed in outbound policy")
			}
		case f != outer:
			return invalid("Mode in template doesn't support a family change")
		}
		if t.Mode >= maxMode {
			return invalid("Mode in template must be < XFRM_MODE_MAX (6)")
		}
		outer = f
		if f.Bits() == 0 {
			return invalid("Invalid family in template")
		}
		if !validProto(t.Proto) {
			return invalid("Invalid XFRM protocol in template")
		}
	}
	return nil
}

// TemplateFamily is the family that a template's addresses have.
func TemplateFamily(t *netlinkx.Template, policy netlinkx.Family) netlinkx.Family {
	if t.Family == netlinkx.FamilyUnspec {
		return policy
	}
	return t.Family
}

// Tunnels reports whether SAs of a mode have addresses of their own.
func Tunnels(m netlinkx.Mode) bool {
	return m == netlinkx.ModeTunnel || m == netlinkx.ModeBEET || m == netlinkx.ModeIPTFS
}

func validProto(p netlinkx.Proto) bool {
	return p.HasSPI() || p == netlinkx.ProtoRoute2 || p == netlinkx.ProtoHAO
}

// checkPolicyOffload answers as a device that cannot offload policies.
func checkPolicyOffload(o *netlinkx.Offload) *Refusal {
	switch {
	case o == nil:
		return nil
	case o.Flags != netlinkx.OffloadPacket:
		return invalid("Unrecognized flags in offload request")
	case o.IfIndex == 0:
		return invalid("")
	}
	return Refuse(syscall.EINVAL, "Policy offload is not supported")
}

// CheckOffload answers an SA's offload request as a device that cannot
// offload: crypto offload is granted and does nothing, packet offload is not.
func CheckOffload(sa *netlinkx.SA) *Refusal {
	o := sa.Offload
	if o == nil {
		return nil
	}
	const known = netlinkx.OffloadIPv6 | netlinkx.OffloadInbound | netlinkx.OffloadPacket
	inbound := o.Flags&netlinkx.OffloadInbound != 0
	switch {
	case o.Flags&^known != 0:
		return invalid("Unrecognized flags in offload request")
	case inbound && sa.Dir == netlinkx.DirOut || !inbound && sa.Dir == netlinkx.DirIn:
		return invalid("Mismatched SA and offload direction")
	case inbound && sa.IfID != 0:
		return invalid("XFRM if_id is not supported in RX path")
	case sa.TFCPad != 0:
		return invalid("TFC padding can't be offloaded")
	case o.Flags&netlinkx.OffloadPacket != 0:
		return invalid("")
	}
	return nil
}

// CheckHashThresholds refuses thresholds beyond the length of addresses.
func CheckHashThresholds(i *netlinkx.SPDInfo) *Refusal {
	if t := i.IPv4; t.Valid && (t.V.Local > 32 || t.V.Remote > 32) {
		return invalid("Invalid hash threshold (must be <= 32 for IPv4)")
	}
	if t := i.IPv6; t.Valid && (t.V.Local > 128 || t.V.Remote > 128) {
		return invalid("Invalid hash threshold (must be <= 128 for IPv6)")
	}
	return nil
}

// FillPrefixes gives a selector without prefixes empty ones of its family.
func FillPrefixes(s *netlinkx.Selector) {
	all := netip.PrefixFrom(s.Family.Unspecified(), 0)
	if !s.Dst.IsValid() {
		s.Dst = all
	}
	if !s.Src.IsValid() {
		s.Src = all
	}
}
