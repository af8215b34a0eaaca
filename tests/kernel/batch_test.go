package kernel_test

import (
	"errors"
	"io/fs"
	"net/netip"
	"testing"

	nlx "github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// policyN returns the nth of many different policies.
func policyN(n int) *nlx.Policy {
	p := nlx.NewPolicy()
	p.Selector = nlx.Selector{
		Src: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 1, byte(n >> 8), byte(n)}), 32),
		Dst: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 2, byte(n >> 8), byte(n)}), 32),
	}
	p.Dir = nlx.PolicyOut
	return p
}

// TestBatchReportsEach: the kernel goes on after a refusal, and the batch says
// which requests were refused.
func TestBatchReportsEach(t *testing.T) {
	c, _ := dial(t)
	ctx := background(t)
	const n = 3000
	b, bad := c.NewBatch(), map[int]bool{}
	for i := range n {
		p := policyN(i)
		if i%7 == 3 {
			p, bad[i] = policyN(i-1), true // there already
		}
		b.Add(nlx.AddPolicy(p))
	}
	res, err := b.Commit(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Failed) != len(bad) || len(res.Unknown) != 0 || res.Applied != n-len(bad) || res.Unsent != n {
		t.Fatalf("%d applied, %d failed, %d unknown, unsent %d; want %d and %d failed", res.Applied, len(res.Failed), len(res.Unknown), res.Unsent, n-len(bad), len(bad))
	}
	for _, f := range res.Failed {
		if !bad[f.Index] || !errors.Is(f.Err, fs.ErrExist) || f.Err.Object != policyN(f.Index-1).String() {
			t.Fatalf("request %d: %v", f.Index, f.Err)
		}
	}
	if i, err := c.SPDInfo(ctx); err != nil || int(i.Counts.Out) != res.Applied {
		t.Errorf("kernel has %d policies, %v, want %d", i.Counts.Out, err, res.Applied)
	}
}

func TestBatchStopOnError(t *testing.T) {
	c, _ := dial(t)
	b := c.NewBatch()
	b.StopOnError = true
	for range 2 {
		for i := range 2000 {
			b.Add(nlx.AddPolicy(policyN(i)))
		}
	}
	res, err := b.Commit(background(t))
	if err != nil || res.Unsent >= b.Len() || len(res.Failed) == 0 || res.Applied != 2000 {
		t.Errorf("%d applied, %d failed, unsent %d of %d, %v", res.Applied, len(res.Failed), res.Unsent, b.Len(), err)
	}
}

// TestBatchOverrun floods a receive buffer that is too small: no request may
// count as applied that was refused.
func TestBatchOverrun(t *testing.T) {
	ns := sandbox.New(t)
	c := dialIn(t, ns, nil)
	small := dialIn(t, ns, &nlx.Config{ReadBuffer: 1})
	ctx := background(t)
	fill := c.NewBatch()
	const n = 600
	for i := range n {
		fill.Add(nlx.AddPolicy(policyN(i)))
	}
	if res, err := fill.Commit(ctx); err != nil || res.Applied != n {
		t.Fatal(res, err)
	}
	b := small.NewBatch()
	for i := range n {
		b.Add(nlx.AddPolicy(policyN(i)))
	}
	res, err := b.Commit(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if res.Applied != 0 || len(res.Failed)+len(res.Unknown) != n {
		t.Errorf("of %d refused requests %d count as applied, %d failed, %d unknown", n, res.Applied, len(res.Failed), len(res.Unknown))
	}
	t.Logf("%d failed, %d unknown", len(res.Failed), len(res.Unknown))
}

func TestBatchRefusesAnsweredRequests(t *testing.T) {
	c, _ := dial(t)
	b := c.NewBatch()
	b.Add(nlx.AddPolicy(policyN(1)))
	b.Add(nlx.GetSADInfo())
	if res, err := b.Commit(background(t)); err == nil || res.Unsent != 0 {
		t.Errorf("batch with a get: %+v, %v", res, err)
	}
}

// TestDeleteByIndex: what a manager should do, and what deleteall does.
func TestDeleteByIndex(t *testing.T) {
	c, _ := dial(t)
	ctx := background(t)
	b := c.NewBatch()
	for i := range 500 {
		b.Add(nlx.AddPolicy(policyN(i)))
	}
	if _, err := b.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	var ids []nlx.PolicyID
	for p, err := range c.Policies(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, p.ID())
	}
	b.Reset()
	for i := range ids {
		if ids[i].Index == 0 || ids[i].Selector != (nlx.Selector{}) {
			t.Fatalf("%v is not named by its index", ids[i])
		}
		b.Add(nlx.DeletePolicy(&ids[i]))
	}
	if res, err := b.Commit(ctx); err != nil || res.Applied != 500 {
		t.Errorf("%+v, %v", res, err)
	}
}
