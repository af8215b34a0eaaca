package kernel_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	nlx "github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// listen starts a monitor of SAs, policies and expiries.
func listen(t *testing.T, cfg nlx.MonitorConfig) *nlx.Monitor {
	t.Helper()
	if cfg.Groups == nil {
		cfg.Groups = []nlx.Group{nlx.GroupSA, nlx.GroupPolicy, nlx.GroupExpire, nlx.GroupMigrate}
	}
	m, err := nlx.NewMonitor(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// next returns the next event, or fails.
func next[T nlx.Event](t *testing.T, m *nlx.Monitor) T {
	t.Helper()
	n, err := m.Next(background(t))
	if err != nil {
		t.Fatal(err)
	}
	e, ok := n.Event.(T)
	if !ok {
		t.Fatalf("event %T, want %T", n.Event, e)
	}
	return e
}

func TestMonitorPolicies(t *testing.T) {
	c, ns := dial(t)
	ctx := background(t)
	m := listen(t, nlx.MonitorConfig{NetNS: nlx.NetNSFD(ns.FD())})
	p := policyN(3)
	p.Mark, p.IfID, p.Templates = nlx.Mark{Value: 1, Mask: 3}, 9, []nlx.Template{tunnelTemplate()}
	if err := c.AddPolicy(ctx, p); err != nil {
		t.Fatal(err)
	}
	e := next[*nlx.PolicyEvent](t, m)
	if e.Op != nlx.EventNew || e.Policy.IfID != 9 || e.Policy.Selector.Dst != p.Selector.Dst || len(e.Policy.Templates) != 1 {
		t.Errorf("new policy: %+v", e)
	}
	p.Priority = 77
	if err := c.UpdatePolicy(ctx, p); err != nil {
		t.Fatal(err)
	}
	if e := next[*nlx.PolicyEvent](t, m); e.Op != nlx.EventUpdate || e.Policy.Priority != 77 {
		t.Errorf("updated policy: %+v", e)
	}
	id := p.ID()
	if err := c.DeletePolicy(ctx, id); err != nil {
		t.Fatal(err)
	}
	if e := next[*nlx.PolicyEvent](t, m); e.Op != nlx.EventDelete || e.Policy.Priority != 77 || e.Deleted.Selector.Src != p.Selector.Src || e.Policy.IfID != 9 {
		t.Errorf("deleted policy: %+v", e)
	}
	if err := c.SetDefaults(ctx, nlx.Defaults{In: nlx.DefaultBlock}); err != nil {
		t.Fatal(err)
	}
	if e := next[*nlx.DefaultsEvent](t, m); e.Defaults.In != nlx.DefaultBlock {
		t.Errorf("defaults: %+v", e)
	}
}

func TestMonitorSAs(t *testing.T) {
	c, ns := dial(t)
	needESP(t, c)
	ctx := background(t)
	m := listen(t, nlx.MonitorConfig{NetNS: nlx.NetNSFD(ns.FD())})
	sa := esp(0x100)
	sa.Dir, sa.ReplayWindow, sa.IfID = nlx.DirIn, 64, 5
	if err := c.AddSA(ctx, sa); err != nil {
		t.Fatal(err)
	}
	e := next[*nlx.SAEvent](t, m)
	if e.Op != nlx.EventNew || e.SA.SPI != 0x100 || e.SA.IfID != 5 || e.SA.ReplayWindow != 64 || !e.SA.AEAD.Key.Equal(sa.AEAD.Key) {
		t.Errorf("new sa: %+v", e)
	}
	// The direction of an SA that was read back is no obstacle.
	held, err := c.GetSA(ctx, sa.ID())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Do(ctx, nlx.Expire(&nlx.ExpireSA{SA: *held})); err != nil {
		t.Fatalf("%+v", err)
	}
	if e := next[*nlx.ExpireEvent](t, m); e.Hard || e.SA.SPI != 0x100 || e.SA.IfID != 5 {
		t.Errorf("soft expiry: %+v", e)
	}
	if err := c.DeleteSA(ctx, sa.ID()); err != nil {
		t.Fatal(err)
	}
	if e := next[*nlx.SAEvent](t, m); e.Op != nlx.EventDelete || e.SA.SPI != 0x100 || e.SA.Src != ip1 || e.SA.IfID != 5 || e.SA.AEAD == nil {
		t.Errorf("deleted sa: %+v", e)
	}
	if err := c.AddSA(ctx, sa); err != nil {
		t.Fatal(err)
	}
	next[*nlx.SAEvent](t, m)
	if err := c.FlushSAs(ctx, nlx.ProtoESP); err != nil {
		t.Fatal(err)
	}
	if e := next[*nlx.FlushSAEvent](t, m); e.Proto != nlx.ProtoESP {
		t.Errorf("flush: %+v", e)
	}
}

// TestMonitorLosesAndResyncs floods a small buffer: the loss is said, and then
// comes a list of what is there, with an end mark.
func TestMonitorLosesAndResyncs(t *testing.T) {
	c, ns := dial(t)
	ctx := background(t)
	m := listen(t, nlx.MonitorConfig{NetNS: nlx.NetNSFD(ns.FD()), ReadBuffer: 1, Resync: true})
	b := c.NewBatch()
	const n = 500
	for i := range n {
		b.Add(nlx.AddPolicy(policyN(i)))
	}
	if res, err := b.Commit(ctx); err != nil || res.Applied != n {
		t.Fatal(res, err)
	}
	lost, listed := false, map[netip.Prefix]bool{}
	for {
		x, err := m.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		switch e := x.Event.(type) {
		case *nlx.LostEvent:
			lost = true
		case *nlx.ResyncEvent:
			if e.Policy != nil {
				listed[e.Policy.Selector.Src] = true
			} else if e.SA == nil {
				if !lost || len(listed) != n {
					t.Errorf("lost %v, %d of %d policies listed", lost, len(listed), n)
				}
				return
			}
		}
	}
}

// TestMonitorAllNSID: events come from every namespace that has an id in the
// listener's, with that id, and from no other.
func TestMonitorAllNSID(t *testing.T) {
	here, ns := dial(t)
	known, stranger := sandbox.New(t), sandbox.New(t)
	// A device with its other end there gives a namespace an id.
	ns.MustRun(t, sandbox.IP(), "link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns", known.Path())
	m := listen(t, nlx.MonitorConfig{NetNS: nlx.NetNSFD(ns.FD()), AllNSID: true})
	ctx := background(t)
	for i, c := range []*nlx.Conn{dialIn(t, stranger, nil), dialIn(t, known, nil), here} {
		if err := c.AddPolicy(ctx, policyN(i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := 1; i <= 2; i++ {
		n, err := m.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		e, ok := n.Event.(*nlx.PolicyEvent)
		if !ok || e.Policy.Selector.Src != policyN(i).Selector.Src {
			t.Fatalf("event %+v, want the policy of namespace %d", n.Event, i)
		}
		if elsewhere := n.NSID.Valid && n.NSID.V >= 0; elsewhere != (i == 1) {
			t.Errorf("event of namespace %d has the namespace id %+v", i, n.NSID)
		}
	}
}

func TestMonitorStops(t *testing.T) {
	_, ns := dial(t)
	m := listen(t, nlx.MonitorConfig{NetNS: nlx.NetNSFD(ns.FD())})
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if n, err := m.Next(ctx); err == nil {
		t.Errorf("event %+v out of nothing", n)
	}
}
