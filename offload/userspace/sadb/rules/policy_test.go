package rules

import (
	"net/netip"
	"syscall"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

func goodPolicy() *netlinkx.Policy {
	p := netlinkx.NewPolicy()
	p.Dir = netlinkx.PolicyOut
	p.Selector = netlinkx.Selector{Family: netlinkx.FamilyIPv4, Src: netip.MustParsePrefix("10.1.0.0/16"), Dst: netip.MustParsePrefix("10.2.0.0/16")}
	t := netlinkx.NewTemplate()
	t.Proto, t.Mode = netlinkx.ProtoESP, netlinkx.ModeTunnel
	p.Templates = []netlinkx.Template{t}
	return p
}

func TestPolicyRefusals(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*netlinkx.Policy)
		text   string
	}{
		{"share", func(p *netlinkx.Policy) { p.Share, p.Action = 4, 9 }, "Invalid policy share"},
		{"action", func(p *netlinkx.Policy) { p.Action, p.Dir = 2, 9 }, "Invalid policy action"},
		{"family", func(p *netlinkx.Policy) { p.Selector.Family, p.Dir = 0, 9 }, "Invalid selector family"},
		{"prefix", func(p *netlinkx.Policy) { p.Selector.Dst, p.Dir = netip.MustParsePrefix("fd00::/64"), 9 }, textPrefix4},
		{"direction", func(p *netlinkx.Policy) { p.Dir, p.Index = 3, 8 }, "Invalid policy direction"},
		{"index", func(p *netlinkx.Policy) { p.Index, p.Type = 8, netlinkx.Some[netlinkx.PolicyType](2) }, "Policy index doesn't match direction"},
		{"type", func(p *netlinkx.Policy) {
			p.Type, p.Templates[0].Proto = netlinkx.Some[netlinkx.PolicyType](2), 0
		}, "Invalid policy type"},
		{"templates", func(p *netlinkx.Policy) { p.Templates = make([]netlinkx.Template, 7) }, "Template count must be <= XFRM_MAX_DEPTH (6)"},
		{"protocol", func(p *netlinkx.Policy) { p.Templates[0].Proto = 17 }, "Invalid XFRM protocol in template"},
		{"mode", func(p *netlinkx.Policy) { p.Templates[0].Mode = 6 }, "Mode in template must be < XFRM_MODE_MAX (6)"},
		{"transport of another family", func(p *netlinkx.Policy) {
			p.Templates[0].Mode, p.Templates[0].Family = netlinkx.ModeTransport, netlinkx.FamilyIPv6
		}, "Mode in template doesn't support a family change"},
		{"template family", func(p *netlinkx.Policy) { p.Templates[0].Family = 3 }, "Invalid family in template"},
		{"optional tunnel", func(p *netlinkx.Policy) { p.Templates[0].Optional = true }, "Mode in optional template not allowed in outbound policy"},
		{"offload flags", func(p *netlinkx.Policy) { p.Offload = &netlinkx.Offload{IfIndex: 1} }, "Unrecognized flags in offload request"},
		{"offload", func(p *netlinkx.Policy) { p.Offload = &netlinkx.Offload{IfIndex: 1, Flags: netlinkx.OffloadPacket} }, "Policy offload is not supported"},
	} {
		p := goodPolicy()
		tt.change(p)
		if err := CheckPolicy(p); err == nil || err.Errno != syscall.EINVAL || err.Text != tt.text {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.text)
		}
	}
}

func TestGoodPolicies(t *testing.T) {
	for name, c := range map[string]func(*netlinkx.Policy){
		"plain":        func(*netlinkx.Policy) {},
		"no templates": func(p *netlinkx.Policy) { p.Templates = nil },
		"six templates": func(p *netlinkx.Policy) {
			p.Templates = []netlinkx.Template{p.Templates[0], p.Templates[0], p.Templates[0], p.Templates[0], p.Templates[0], p.Templates[0]}
		},
		"optional tunnel, in": func(p *netlinkx.Policy) { p.Dir, p.Templates[0].Optional = netlinkx.PolicyIn, true },
		"own index":           func(p *netlinkx.Policy) { p.Index = 8*100 + 1 },
		"transport in an ipv6 tunnel": func(p *netlinkx.Policy) {
			t := p.Templates[0]
			t.Mode = netlinkx.ModeTransport
			p.Templates[0].Family = netlinkx.FamilyIPv4
			p.Templates = append(p.Templates, t)
		},
	} {
		p := goodPolicy()
		c(p)
		if err := CheckPolicy(p); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHashThresholds(t *testing.T) {
	four, six := netlinkx.Some(netlinkx.HashThreshold{Local: 33}), netlinkx.Some(netlinkx.HashThreshold{Remote: 129})
	if err := CheckHashThresholds(&netlinkx.SPDInfo{IPv4: four}); err == nil || err.Text != "Invalid hash threshold (must be <= 32 for IPv4)" {
		t.Errorf("ipv4: %v", err)
	}
	if err := CheckHashThresholds(&netlinkx.SPDInfo{IPv6: six}); err == nil || err.Text != "Invalid hash threshold (must be <= 128 for IPv6)" {
		t.Errorf("ipv6: %v", err)
	}
	if err := CheckHashThresholds(&netlinkx.SPDInfo{}); err != nil {
		t.Errorf("none: %v", err)
	}
}
