package kernel_test

import (
	"errors"
	"io/fs"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	nlx "github.com/xfrmctl/xfrmctl/netlinkx"
)

func tunnelTemplate() nlx.Template {
	t := nlx.NewTemplate()
	t.Src, t.Dst, t.Family, t.Proto, t.Mode, t.ReqID = ip1, ip2, nlx.FamilyIPv4, nlx.ProtoESP, nlx.ModeTunnel, 7
	return t
}

var policyCases = []struct {
	name string
	set  func(*nlx.Policy)
}{
	{"plain", func(p *nlx.Policy) {}},
	{"host bits kept", func(p *nlx.Policy) { p.Selector.Src = netip.MustParsePrefix("10.1.2.3/8") }},
	{"ipv6 that ends in zeros", func(p *nlx.Policy) {
		p.Selector = nlx.Selector{Src: netip.MustParsePrefix("2001:db8::/32"), Dst: netip.MustParsePrefix("::/0")}
	}},
	{"ports", func(p *nlx.Policy) {
		p.Selector.Proto, p.Selector.DstPort, p.Selector.SrcPort = 6, nlx.PortMatch{Port: 80, Mask: 0xffff}, nlx.PortMatch{Port: 0x400, Mask: 0xfc00}
	}},
	{"block", func(p *nlx.Policy) { p.Action, p.Priority = nlx.ActionBlock, 4000000000 }},
	{"index", func(p *nlx.Policy) { p.Index = 8001 }},
	{"flags", func(p *nlx.Policy) { p.Flags = nlx.PolicyLocalOK | nlx.PolicyICMP }},
	{"templates", func(p *nlx.Policy) {
		opt := tunnelTemplate()
		opt.Mode, opt.Optional, opt.Src, opt.Dst = nlx.ModeTransport, true, netip.IPv4Unspecified(), netip.IPv4Unspecified()
		opt.EAlgos = 0xf0f0
		p.Templates = []nlx.Template{opt, tunnelTemplate(), tunnelTemplate()}
	}},
	{"mark and if_id", func(p *nlx.Policy) { p.Mark, p.IfID = nlx.Mark{Value: 5, Mask: 0xff}, 0x80000000 }},
	{"mark zero with mask", func(p *nlx.Policy) { p.Mark = nlx.Mark{Mask: 0xff} }},
	{"limits", func(p *nlx.Policy) {
		p.Limits = nlx.Limits{SoftBytes: 1, HardBytes: 2, SoftPackets: 3, HardPackets: 4, SoftAdd: 1000, HardAdd: 1001, SoftUse: 1002, HardUse: 1003}
	}},
}

// TestPolicyReadsBackAsWritten adds a policy for each feature, and reads it
// back by selector and by index.
func TestPolicyReadsBackAsWritten(t *testing.T) {
	c, _ := dial(t)
	ctx := background(t)
	for _, tc := range policyCases {
		t.Run(tc.name, func(t *testing.T) {
			p := policyN(1)
			p.Templates = []nlx.Template{tunnelTemplate()}
			tc.set(p)
			if err := c.AddPolicy(ctx, p); err != nil {
				t.Fatalf("%+v", err)
			}
			id := p.ID()
			id.Index, id.Selector = 0, p.Selector
			got, err := c.GetPolicy(ctx, id)
			if err != nil {
				t.Fatalf("%+v", err)
			}
			want := *p
			want.Usage, want.Type, want.Selector.Family = got.Usage, got.Type, got.Selector.Family
			if want.Index == 0 {
				want.Index = got.Index
			}
			if d := cmp.Diff(&want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); d != "" {
				t.Errorf("read back (-want +got):\n%s", d)
			}
			if err := c.AddPolicy(ctx, p); !errors.Is(err, fs.ErrExist) {
				t.Errorf("second add: %v", err)
			}
			p.Priority++
			if err := c.UpdatePolicy(ctx, p); err != nil {
				t.Errorf("%+v", err)
			}
			if again, err := c.GetPolicy(ctx, got.ID()); err != nil || again.Priority != p.Priority || again.Index != got.Index {
				t.Errorf("by index after update: %+v, %v", again, err)
			}
			if err := c.DeletePolicy(ctx, got.ID()); err != nil {
				t.Errorf("%+v", err)
			}
		})
	}
}

func TestSubPolicies(t *testing.T) {
	c, _ := dial(t)
	ctx := background(t)
	p := policyN(1)
	p.Type = nlx.Some(nlx.PolicySub)
	if err := c.AddPolicy(ctx, p); errors.Is(err, errors.ErrUnsupported) {
		t.Skipf("needs CONFIG_XFRM_SUB_POLICY; sub-policies were not tried: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	if err := c.FlushPolicies(ctx, nlx.Opt[nlx.PolicyType]{}); err != nil {
		t.Fatal(err)
	}
	list, err := c.ListPolicies(ctx)
	if err != nil || len(list) != 1 {
		t.Fatalf("after a flush of main: %d policies, %v", len(list), err)
	}
	if err := c.FlushPolicies(ctx, nlx.Some(nlx.PolicySub)); err != nil {
		t.Fatal(err)
	}
	if list, err = c.ListPolicies(ctx); err != nil || len(list) != 0 {
		t.Errorf("after a flush of sub: %d policies, %v", len(list), err)
	}
}

func TestThresholdsAndDefaults(t *testing.T) {
	c, _ := dial(t)
	ctx := background(t)
	want := nlx.SPDInfo{IPv4: nlx.Some(nlx.HashThreshold{Local: 24, Remote: 16}), IPv6: nlx.Some(nlx.HashThreshold{Local: 64, Remote: 48})}
	if err := c.SetSPDInfo(ctx, &want); err != nil {
		t.Fatal(err)
	}
	if i, err := c.SPDInfo(ctx); err != nil || i.IPv4 != want.IPv4 || i.IPv6 != want.IPv6 {
		t.Errorf("thresholds %+v, %v", i, err)
	}
	if err := c.SetSPDInfo(ctx, &nlx.SPDInfo{IPv4: nlx.Some(nlx.HashThreshold{Local: 33})}); !errors.As(err, new(*nlx.Error)) {
		t.Errorf("threshold of 33 bits: %v", err)
	}
	if err := c.SetDefaults(ctx, nlx.Defaults{In: nlx.DefaultBlock}); err != nil {
		t.Fatal(err)
	}
	d, err := c.Defaults(ctx)
	if err != nil || d != (nlx.Defaults{In: nlx.DefaultBlock, Fwd: nlx.DefaultAccept, Out: nlx.DefaultAccept}) {
		t.Errorf("defaults %+v, %v", d, err)
	}
}
