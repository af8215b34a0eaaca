package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/nlsock"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb"
)

// engine is a server with an empty database.
func engine(t testing.TB) *Server {
	t.Helper()
	s := New(Config{Status: func() any { return map[string]int{"sas": 1} }})
	db := sadb.New(sadb.Config{Listener: s, CPUs: 4})
	s.Attach(db)
	t.Cleanup(db.Close)
	return s
}

// serve listens for a server in a directory of the test's.
func serve(t testing.TB, s *Server) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "esp.sock")
	l, err := nlsock.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	l.QueueLimit = 256 << 10
	done := make(chan error, 1)
	go func() { done <- l.Serve(s.Handle) }()
	t.Cleanup(func() {
		if err := errors.Join(l.Close(), <-done); err != nil {
			t.Error(err)
		}
	})
	return path
}

func dial(t testing.TB, path string) *netlinkx.Conn {
	t.Helper()
	c, err := netlinkx.Dial(&netlinkx.Config{Dial: func() (netlinkx.Transport, error) { return nlsock.DialXFRM(path) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func monitor(t testing.TB, path string, groups ...netlinkx.Group) *netlinkx.Monitor {
	t.Helper()
	m, err := netlinkx.NewMonitor(&netlinkx.MonitorConfig{
		Groups: groups, Resync: true,
		Dial: func(g []netlinkx.Group) (netlinkx.Transport, error) { return nlsock.DialMonitor(path, g) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func testSA(spi uint32) *netlinkx.SA {
	sa := netlinkx.NewSA()
	sa.Src, sa.Dst = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	sa.Proto, sa.SPI, sa.Mode, sa.ReqID = netlinkx.ProtoESP, netlinkx.SPI(spi), netlinkx.ModeTunnel, 3
	sa.AEAD = &netlinkx.AEAD{Name: "rfc4106(gcm(aes))", Key: netlinkx.NewKey(make([]byte, 20)), ICVBits: 128}
	sa.ReplayWindow = 32
	return sa
}

func testPolicy(n int) *netlinkx.Policy {
	p := netlinkx.NewPolicy()
	p.Selector.Src = netip.MustParsePrefix("10.1.0.0/24")
	p.Selector.Dst = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 2, byte(n >> 8), byte(n)}), 32)
	p.Dir, p.Priority = netlinkx.PolicyOut, uint32(n)
	tm := netlinkx.NewTemplate()
	tm.Src, tm.Dst = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	tm.Proto, tm.ReqID, tm.Mode = netlinkx.ProtoESP, 3, netlinkx.ModeTunnel
	p.Templates = []netlinkx.Template{tm}
	return p
}

func TestSAs(t *testing.T) {
	ctx := context.Background()
	c := dial(t, serve(t, engine(t)))
	sa := testSA(0x100)
	if err := c.AddSA(ctx, sa); err != nil {
		t.Fatal(err)
	}
	err := c.AddSA(ctx, sa)
	if !errors.Is(err, fs.ErrExist) {
		t.Errorf("twice: %v", err)
	}
	got, err := c.GetSA(ctx, sa.ID())
	if err != nil || got.SPI != sa.SPI || !got.AEAD.Key.Equal(sa.AEAD.Key) || got.Replay == nil || got.Usage.AddTime == 0 {
		t.Errorf("get: %+v, %v", got, err)
	}
	bad := testSA(0x101)
	bad.AEAD.ICVBits = 100
	var e *netlinkx.Error
	if err = c.AddSA(ctx, bad); !errors.As(err, &e) || e.Errno != syscall.ENOSYS || e.Text != "Requested AEAD algorithm not found" {
		t.Errorf("odd ICV: %v", err)
	}
	if err := c.DeleteSA(ctx, sa.ID()); err != nil {
		t.Error(err)
	}
	if err := c.DeleteSA(ctx, sa.ID()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("deleted twice: %v", err)
	}
}

func TestSADatabase(t *testing.T) {
	ctx := context.Background()
	c := dial(t, serve(t, engine(t)))
	sa := testSA(0x100)
	if err := c.AddSA(ctx, sa); err != nil {
		t.Fatal(err)
	}
	larval, err := c.AllocSPI(ctx, &netlinkx.SPIRange{SA: *testSA(0), Min: 0x200, Max: 0x2ff})
	if err != nil || larval.SPI < 0x200 || larval.SPI > 0x2ff {
		t.Errorf("allocspi: %+v, %v", larval, err)
	}
	info, err := c.SADInfo(ctx)
	if err != nil || info.Count != 2 {
		t.Errorf("info: %+v, %v", info, err)
	}
	ae, err := c.GetAE(ctx, netlinkx.AEID{SA: sa.ID(), Flags: netlinkx.AEReplayThresh})
	if err != nil || ae.ID.SA.SPI != sa.SPI || !ae.ReplayThresh.Valid {
		t.Errorf("ae: %+v, %v", ae, err)
	}
	if err := c.FlushSAs(ctx, 0); err != nil {
		t.Error(err)
	}
	if list, err := c.ListSAs(ctx, nil); err != nil || len(list) != 0 {
		t.Errorf("after a flush: %v, %v", list, err)
	}
}

func TestPolicies(t *testing.T) {
	ctx := context.Background()
	c := dial(t, serve(t, engine(t)))
	p := testPolicy(1)
	if err := c.AddPolicy(ctx, p); err != nil {
		t.Fatal(err)
	}
	if err := c.AddPolicy(ctx, p); !errors.Is(err, fs.ErrExist) {
		t.Errorf("twice: %v", err)
	}
	got, err := c.GetPolicy(ctx, p.ID())
	if err != nil || got.Index&7 != 1 || len(got.Templates) != 1 || !got.Type.Valid {
		t.Fatalf("get: %+v, %v", got, err)
	}
	if err := c.DeletePolicy(ctx, got.ID()); err != nil {
		t.Errorf("delete by index: %v", err)
	}
	if err := c.SetDefaults(ctx, netlinkx.Defaults{In: netlinkx.DefaultBlock}); err != nil {
		t.Error(err)
	}
	if d, err := c.Defaults(ctx); err != nil || d.In != netlinkx.DefaultBlock || d.Out != netlinkx.DefaultAccept {
		t.Errorf("defaults: %+v, %v", d, err)
	}
	if err := c.SetSPDInfo(ctx, &netlinkx.SPDInfo{IPv4: netlinkx.Some(netlinkx.HashThreshold{Local: 24, Remote: 16})}); err != nil {
		t.Error(err)
	}
	info, err := c.SPDInfo(ctx)
	if err != nil || info.IPv4.V != (netlinkx.HashThreshold{Local: 24, Remote: 16}) || info.Counts != (netlinkx.SPDCounts{}) {
		t.Errorf("info: %+v, %v", info, err)
	}
}

// TestManyObjects: batches in and dumps out, of more than a datagram holds.
func TestManyObjects(t *testing.T) {
	ctx := context.Background()
	c := dial(t, serve(t, engine(t)))
	const n = 3000
	b := c.NewBatch()
	for i := range n {
		b.Add(netlinkx.AddSA(testSA(uint32(0x1000 + i))))
		b.Add(netlinkx.AddPolicy(testPolicy(i)))
	}
	b.Add(netlinkx.AddSA(testSA(0x1000)))
	res, err := b.Commit(ctx)
	if err != nil || res.Applied != 2*n || len(res.Failed) != 1 || res.Failed[0].Index != 2*n {
		t.Fatalf("batch: %d applied, %d failed, %v", res.Applied, len(res.Failed), err)
	}
	sas, err := c.ListSAs(ctx, nil)
	if err != nil || len(sas) != n {
		t.Errorf("%d SAs, %v", len(sas), err)
	}
	seen := map[netlinkx.SPI]bool{}
	for _, sa := range sas {
		seen[sa.SPI] = true
	}
	if len(seen) != n {
		t.Errorf("%d different SAs", len(seen))
	}
	if ps, err := c.ListPolicies(ctx); err != nil || len(ps) != n {
		t.Errorf("%d policies, %v", len(ps), err)
	}
	f := &netlinkx.SAFilter{Dst: netip.MustParsePrefix("203.0.113.0/24")}
	if sas, err := c.ListSAs(ctx, f); err != nil || len(sas) != 0 {
		t.Errorf("filtered: %d SAs, %v", len(sas), err)
	}
}

func next(t *testing.T, m *netlinkx.Monitor) *netlinkx.Notice {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	n, err := m.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestEvents(t *testing.T) {
	ctx := context.Background()
	path := serve(t, engine(t))
	c, m, other := dial(t, path), monitor(t, path), monitor(t, path, netlinkx.GroupPolicy)
	sa, p := testSA(0x100), testPolicy(1)
	for _, err := range []error{
		c.AddSA(ctx, sa), c.AddPolicy(ctx, p), c.DeleteSA(ctx, sa.ID()), c.FlushPolicies(ctx, netlinkx.Opt[netlinkx.PolicyType]{}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for range 4 {
		n := next(t, m)
		got = append(got, fmt.Sprintf("%T", n.Event))
		if n.Seq == 0 {
			t.Errorf("%T without a sequence number", n.Event)
		}
		if e, ok := n.Event.(*netlinkx.SAEvent); ok && !e.SA.AEAD.Key.Equal(sa.AEAD.Key) {
			t.Errorf("%T without its key", n.Event)
		}
	}
	want := "[*netlinkx.SAEvent *netlinkx.PolicyEvent *netlinkx.SAEvent *netlinkx.FlushPolicyEvent]"
	if fmt.Sprint(got) != want {
		t.Errorf("events %v, want %v", got, want)
	}
	if _, ok := next(t, other).Event.(*netlinkx.PolicyEvent); !ok {
		t.Error("a listener of one group hears another")
	}
}

// TestSlowMonitor: a listener that falls behind is told, and lists.
func TestSlowMonitor(t *testing.T) {
	ctx := context.Background()
	path := serve(t, engine(t))
	c, m := dial(t, path), monitor(t, path, netlinkx.GroupSA)
	b := c.NewBatch()
	const n = 12000
	for i := range n {
		b.Add(netlinkx.AddSA(testSA(uint32(0x1000 + i))))
	}
	if res, err := b.Commit(ctx); err != nil || res.Applied != n {
		t.Fatalf("batch: %+v, %v", res, err)
	}
	lost, listed := false, 0
	for {
		switch e := next(t, m).Event.(type) {
		case *netlinkx.LostEvent:
			lost = true
		case *netlinkx.ResyncEvent:
			if e.SA == nil {
				if !lost || listed != n {
					t.Errorf("lost %v, %d of %d listed", lost, listed, n)
				}
				return
			}
			listed++
		}
	}
}

func TestStatus(t *testing.T) {
	b, err := nlsock.Status(serve(t, engine(t)))
	if err != nil || string(b) != "{\"sas\":1}\n" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestNoLinks(t *testing.T) {
	_, err := nlsock.DialRoute(serve(t, engine(t)), netlinkx.NetNS{})
	if !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("got %v", err)
	}
}
