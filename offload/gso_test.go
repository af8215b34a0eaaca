package offload

import (
	"testing"

	"github.com/xfrmctl/xfrmctl/gsogro"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

func TestSoftwareGSO(t *testing.T) {
	path := func() *gsogro.State {
		on := func(n string) gsogro.Feature { return gsogro.Feature{Name: n, Active: true} }
		return &gsogro.State{Link: &gsogro.Link{Name: "eth0", MTU: 1500}, Features: gsogro.FeatureSet{
			gsogro.TxScatterGather: on(gsogro.TxScatterGather), gsogro.TxGSO: on(gsogro.TxGSO)}}
	}
	tests := []struct {
		name  string
		alter func(*GSOQuestion, *Kernel)
		fails string // the first clause that fails, "" none
	}{
		{"fine", func(*GSOQuestion, *Kernel) {}, ""},
		{"module", func(_ *GSOQuestion, k *Kernel) { k.Offload4 = Outcome{Known: true, Why: "x"} }, "esp4_offload"},
		{"module of the other family", func(_ *GSOQuestion, k *Kernel) { k.Offload6 = Outcome{Known: true} }, ""},
		{"module unknown", func(_ *GSOQuestion, k *Kernel) { k.Offload4 = Outcome{} }, ""},
		{"encapsulation", func(q *GSOQuestion, _ *Kernel) { q.SA.Encap = &netlinkx.Encap{Type: netlinkx.EncapESPinUDP} }, "encapsulation"},
		{"nesting", func(q *GSOQuestion, _ *Kernel) { q.Templates = 2 }, "nesting"},
		{"gso off", func(q *GSOQuestion, _ *Kernel) { q.Path.Features[gsogro.TxGSO] = gsogro.Feature{} }, "device"},
		{"scatter-gather off", func(q *GSOQuestion, _ *Kernel) { delete(q.Path.Features, gsogro.TxScatterGather) }, "device"},
		{"nothing known", func(q *GSOQuestion, _ *Kernel) { q.Templates, q.Path = 0, nil }, ""},
	}
	for _, tt := range tests {
		q, k := &GSOQuestion{SA: plainSA(), Templates: 1, Path: path()}, ableKernel()
		tt.alter(q, k)
		first := ""
		for _, c := range SoftwareGSO(q, k) {
			if c.Why == "" {
				t.Errorf("%s: clause %s says nothing", tt.name, c.Name)
			}
			if !c.OK && !c.Maybe && first == "" {
				first = c.Name
				if c.Fix == "" && tt.name != "module" {
					t.Errorf("%s: clause %s has no fix", tt.name, c.Name)
				}
			}
		}
		if first != tt.fails {
			t.Errorf("%s: %q fails first, want %q", tt.name, first, tt.fails)
		}
	}
}
