package provision

import (
	"net/netip"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// saContradictions names what an SA says that no engine can do: it would be
// taken, and left out without a word.
func saContradictions(sa *netlinkx.SA) []string {
	words := selectorContradictions(&sa.Selector)
	if !familyFits(sa.Family, sa.Dst, sa.Src) {
		words = append(words, "family: not that of the addresses")
	}
	if sa.OutputMark.Value == 0 && sa.OutputMark.Mask != 0 {
		words = append(words, "output-mark: a mask without a mark changes nothing")
	}
	return words
}

func policyContradictions(p *netlinkx.Policy) []string {
	words := selectorContradictions(&p.Selector)
	if p.Share != 0 {
		words = append(words, "share: the kernel does not keep it")
	}
	for _, t := range p.Templates {
		if !familyFits(t.Family, t.Dst, t.Src) {
			words = append(words, "tmpl: its family is not that of its addresses")
		}
	}
	return words
}

func selectorContradictions(s *netlinkx.Selector) (words []string) {
	if !familyFits(s.Family, s.Src.Addr(), s.Dst.Addr()) {
		words = append(words, "sel: its family is not that of its addresses")
	}
	if s.SrcPort.Mask == 0 && s.SrcPort.Port != 0 || s.DstPort.Mask == 0 && s.DstPort.Port != 0 {
		words = append(words, "sel: a port with mask 0 matches every port")
	}
	return words
}

// familyFits reports whether a family is that of the addresses; either may be
// absent.
func familyFits(f netlinkx.Family, addrs ...netip.Addr) bool {
	for _, a := range addrs {
		if f != 0 && a.IsValid() && netlinkx.FamilyOf(a) != f {
			return false
		}
	}
	return true
}
