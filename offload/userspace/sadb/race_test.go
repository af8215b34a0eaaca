package sadb

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xaddr"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xfrmstat"
)

// TestPacketsDuringChanges runs packet threads against a control side that
// changes everything. One SA and one policy stay: packets for them must always
// pass. It is for the race detector as well.
func TestPacketsDuringChanges(t *testing.T) {
	db, heard := newDB(t)
	heard.deaf = nil // aevents too
	stays := func(s *netlinkx.SA) { s.ReqID, s.ReplayWindow = 1000, 32 }
	must(t, db.AddSA(Cause{}, testSA(1000, stays)))
	must(t, db.AddPolicy(Cause{}, testPolicy(netlinkx.PolicyOut, func(p *netlinkx.Policy) { p.Templates[0].ReqID = 1000 })))
	must(t, db.AddPolicy(Cause{}, testPolicy(netlinkx.PolicyIn)))

	var over atomic.Bool
	var wg sync.WaitGroup
	for thread := range uint32(2) {
		wg.Go(func() { sendAndReceive(t, db, thread, &over) })
	}
	for round := range 150 {
		change(t, db, round)
		heard.take()
	}
	over.Store(true)
	wg.Wait()
	must(t, db.FlushSAs(Cause{}, 0))
	must(t, db.FlushPolicies(Cause{}, netlinkx.Opt[netlinkx.PolicyType]{}))
	if db.SADInfo().Count != 0 || db.sas.Entries() != 0 || db.policies.Entries() != 0 || db.sas.Acquires() != 0 {
		t.Errorf("after a flush: %d SAs, %d entries of them, %d of policies, %d acquires", db.SADInfo().Count,
			db.sas.Entries(), db.policies.Entries(), db.sas.Acquires())
	}
}

func sendAndReceive(t *testing.T, db *DB, cpu uint32, over *atomic.Bool) {
	f, wants := packet("10.1.0.1", "10.2.0.1"), packet("10.7.0.1", "10.2.0.1")
	dst := [16]byte(xaddr.Of(addr("192.0.2.2")))
	var d Decision
	for seq := uint32(1); !over.Load(); seq++ {
		if db.Outbound(f, cpu, &d); d.Verdict != Protect || d.SAs[0].SPI() != 1000 {
			t.Errorf("outbound: %v %v", d.Verdict, d.Counter)
			return
		}
		if g := d.SAs[0].Reserve(2, 200); g.N != 2 {
			t.Errorf("reservation: %+v", g)
			return
		}
		db.Outbound(wants, cpu, &d) // acquires come and go
		sa := db.Inbound(&dst, netlinkx.FamilyIPv4, 1000, 0)
		if sa == nil || sa.Receivable(0) != xfrmstat.None {
			t.Error("inbound: not found")
			return
		}
		if full, why := sa.CheckReplay(seq); why == xfrmstat.None {
			sa.CommitReplay(full, 100)
		}
		if why := db.CheckInbound(f, []*SA{sa}); why != xfrmstat.None {
			t.Errorf("inbound policy: %v", why)
			return
		}
	}
}

func change(t *testing.T, db *DB, round int) {
	for i := range 4 {
		must(t, db.AddSA(Cause{}, testSA(netlinkx.SPI(i+1), func(s *netlinkx.SA) { s.IfID = uint32(round % 3) })))
	}
	must(t, db.UpdateSA(Cause{}, testSA(1000, func(s *netlinkx.SA) {
		s.ReqID, s.ReplayWindow, s.Limits.SoftPackets = 1000, 32, uint64(round)
	})))
	other := testPolicy(netlinkx.PolicyOut, source("10.7.0.0/16"), func(p *netlinkx.Policy) { p.Templates[0].ReqID = 77 })
	must(t, db.UpdatePolicy(Cause{}, other))
	must(t, db.UpdatePolicy(Cause{}, testPolicy(netlinkx.PolicyOut, func(p *netlinkx.Policy) {
		p.Templates[0].ReqID, p.Priority = 1000, uint32(round%5)
	})))
	w := db.WalkSAs(nil)
	w.Next(func(sa *netlinkx.SA) bool { return sa.SPI != 2 })
	if _, err := db.AllocSPI(Cause{}, &netlinkx.SPIRange{SA: *testSA(0, func(s *netlinkx.SA) { s.ReqID = 77 }).SA, Min: 0x900, Max: 0x9ff}); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		id := testSA(netlinkx.SPI(i + 1)).SA.ID()
		must(t, db.DeleteSA(Cause{}, &id))
	}
	w.Close()
	for _, err := range []error{db.DeletePolicy(Cause{}, ptr(other.ID())), db.SetAE(Cause{}, &netlinkx.AE{ID: netlinkx.AEID{SA: testSA(1000).SA.ID()}, ETimerThresh: netlinkx.Some[uint32](3)}, true)} {
		must(t, err)
	}
}
