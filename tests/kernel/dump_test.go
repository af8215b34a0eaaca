package kernel_test

import (
	"net/netip"
	"testing"

	nlx "github.com/xfrmctl/xfrmctl/netlinkx"
)

// TestLongDump: a dump of many datagrams is whole and has nothing twice, also
// when others run at the same time and when one is left early.
func TestLongDump(t *testing.T) {
	c, _ := dial(t)
	ctx := background(t)
	const n = 5000 // a megabyte
	b := c.NewBatch()
	for i := range n {
		b.Add(nlx.AddPolicy(policyN(i)))
	}
	if res, err := b.Commit(ctx); err != nil || res.Applied != n {
		t.Fatalf("%d of %d applied: %v", res.Applied, n, err)
	}
	seen := map[netip.Prefix]bool{}
	for p, err := range c.Policies(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if seen[p.Selector.Src] {
			t.Fatalf("%v twice", p)
		}
		seen[p.Selector.Src] = true
		if len(seen)%1000 != 500 {
			continue
		}
		for other, err := range c.Policies(ctx) {
			if other == nil || err != nil {
				t.Fatalf("%v, %v", other, err)
			}
			break
		}
	}
	if len(seen) != n {
		t.Errorf("%d policies, want %d", len(seen), n)
	}
	if list, err := c.ListPolicies(ctx); err != nil || len(list) != n {
		t.Errorf("%d policies in the list, want %d: %v", len(list), n, err)
	}
}
