package sadb

import (
	"net/netip"
	"sync"
	"syscall"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/rules"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xfrmstat"
)

// moveTo is an entry that moves testSA's tunnel to another source.
func moveTo(src string) netlinkx.MigrateEntry {
	return netlinkx.MigrateEntry{
		OldDst: addr("192.0.2.2"), OldSrc: addr("192.0.2.1"), NewDst: addr("192.0.2.2"), NewSrc: addr(src),
		Proto: netlinkx.ProtoESP, Mode: netlinkx.ModeTunnel, OldFamily: netlinkx.FamilyIPv4, NewFamily: netlinkx.FamilyIPv4,
	}
}

func migration(entries ...netlinkx.MigrateEntry) *netlinkx.Migrate {
	p := testPolicy(netlinkx.PolicyOut)
	return &netlinkx.Migrate{Policy: netlinkx.PolicyID{Selector: p.Selector, Dir: p.Dir}, Entries: entries}
}

func TestMigrate(t *testing.T) {
	db, heard := newDB(t)
	must(t, db.AddSA(Cause{}, testSA(1, func(s *netlinkx.SA) { s.ReplayWindow = 32 })))
	must(t, db.AddPolicy(Cause{}, testPolicy(netlinkx.PolicyOut)))
	old := theSA(db)
	old.Reserve(5, 500)
	_, _ = old.CheckReplay(9)
	old.CommitReplay(9, 100)
	heard.take()
	must(t, db.Migrate(Cause{PortID: 1}, migration(moveTo("192.0.2.50"))))
	if got := decide(db, packet("10.1.0.1", "10.2.0.1")); got != "protect 1" {
		t.Errorf("after the move: %q", got)
	}
	sa := theSA(db)
	r := sa.Report()
	if r.Src != addr("192.0.2.50") || r.Replay.OSeq != 5 || r.Replay.Seq != 9 || r.Usage.Packets != 6 || db.SADInfo().Count != 1 {
		t.Errorf("moved SA: %+v %+v %+v", r, r.Replay, r.Usage)
	}
	if g := old.Reserve(1, 1); g.N != 0 || g.Drop != xfrmstat.OutStateInvalid {
		t.Errorf("the old SA: %+v", g)
	}
	if g := sa.Reserve(1, 1); g.Seq != 6 {
		t.Errorf("the new SA: %+v", g)
	}
	id := migration().Policy
	if p, err := db.GetPolicy(&id); err != nil || p.Templates[0].Src != addr("192.0.2.50") || p.Index != 1 {
		t.Errorf("policy %+v, %v", p, err)
	}
	if n := heard.take(); len(n) != 1 || n[0].Cause != (Cause{}) {
		t.Errorf("events %+v", n)
	}
}

// TestMigrateTwice: two entries that fit one SA move it once, for there is one
// use of its counter.
func TestMigrateTwice(t *testing.T) {
	db, _ := newDB(t)
	must(t, db.AddSA(Cause{}, testSA(1, func(s *netlinkx.SA) { s.ReqID = 1 })))
	must(t, db.AddPolicy(Cause{}, testPolicy(netlinkx.PolicyOut, func(p *netlinkx.Policy) { p.Templates[0].ReqID = 1 })))
	any, named := moveTo("192.0.2.50"), moveTo("192.0.2.60")
	named.ReqID = 1
	must(t, db.Migrate(Cause{}, migration(any, named)))
	if n := db.SADInfo().Count; n != 1 {
		t.Errorf("%d SAs, want 1", n)
	}
	if r := theSA(db).Report(); r.Src != addr("192.0.2.50") {
		t.Errorf("moved to %s", r.Src)
	}
}

func TestMigrateRefusals(t *testing.T) {
	db, _ := newDB(t)
	move := moveTo("192.0.2.50")
	none, twice, null := migration(), migration(move, move), migration(moveTo("0.0.0.0"))
	const count = "Invalid number of SAs to migrate, must be 0 < num <= XFRM_MAX_DEPTH (6)"
	refuses(t, db.Migrate(Cause{}, none), syscall.EINVAL, count)
	refuses(t, db.Migrate(Cause{}, null), syscall.EINVAL, "Addresses in the MIGRATE attribute's list cannot be null")
	refuses(t, db.Migrate(Cause{}, twice), syscall.EINVAL, "Entries in the MIGRATE attribute's list must be unique")
	refuses(t, db.Migrate(Cause{}, migration(move)), syscall.ENOENT, "Target policy not found")
	must(t, db.AddPolicy(Cause{}, testPolicy(netlinkx.PolicyOut, func(p *netlinkx.Policy) { p.Templates[0].ReqID = 1 })))
	other := move
	other.ReqID = 2
	refuses(t, db.Migrate(Cause{}, migration(other)), rules.ErrnoNoData, "")
	m := migration(move)
	m.Policy.Dir = 3
	refuses(t, db.Migrate(Cause{}, m), syscall.EINVAL, "Invalid policy direction")
}

func stateMove(spi netlinkx.SPI, dst string) *MigrateStateRequest {
	return &MigrateStateRequest{MigrateState: netlinkx.MigrateState{
		SA:     netlinkx.SAID{Dst: addr("192.0.2.2"), SPI: spi, Proto: netlinkx.ProtoESP, Family: netlinkx.FamilyIPv4},
		NewDst: addr(dst), NewSrc: addr("192.0.2.60"), NewFamily: netlinkx.FamilyIPv4, NewReqID: 4,
	}}
}

func TestMigrateState(t *testing.T) {
	db, heard := newDB(t)
	udp := &netlinkx.Encap{Type: netlinkx.EncapESPinUDP, SrcPort: 4500, DstPort: 4500}
	must(t, db.AddSA(Cause{}, testSA(1, func(s *netlinkx.SA) { s.Encap, s.MTimerThresh = udp, 9 })))
	theSA(db).Reserve(3, 300)
	heard.take()
	must(t, db.MigrateState(Cause{PortID: 7, Seq: 8}, stateMove(1, "192.0.2.70")))
	r := theSA(db).Report()
	if r.Dst != addr("192.0.2.70") || r.Src != addr("192.0.2.60") || r.ReqID != 4 || r.Encap == nil || r.MTimerThresh != 9 || r.Replay.OSeq != 3 {
		t.Errorf("moved: %+v %+v", r, r.Replay)
	}
	if n := heard.take(); len(n) != 1 || n[0].Cause != (Cause{PortID: 7, Seq: 8}) {
		t.Errorf("events %+v", n)
	}
	back := stateMove(1, "192.0.2.2")
	back.SA.Dst, back.Encap = addr("192.0.2.70"), &netlinkx.Encap{}
	must(t, db.MigrateState(Cause{}, back))
	if r := theSA(db).Report(); r.Encap != nil || r.MTimerThresh != 0 {
		t.Errorf("without encapsulation: %+v", r)
	}
}

func TestMigrateStateRefusals(t *testing.T) {
	db, _ := newDB(t)
	must(t, db.AddSA(Cause{}, testSA(1)))
	must(t, db.AddSA(Cause{}, testSA(1, func(s *netlinkx.SA) { s.Dst = addr("192.0.2.3") })))
	for _, tt := range []struct {
		change func(*MigrateStateRequest)
		errno  syscall.Errno
		text   string
	}{
		{func(r *MigrateStateRequest) { r.SA.SPI = 0 }, syscall.EINVAL, "Invalid SPI 0x0"},
		{func(r *MigrateStateRequest) { r.Reserved = true }, syscall.EINVAL, "Reserved field must be zero"},
		{func(r *MigrateStateRequest) { r.Flags = 9 }, syscall.EINVAL, "Unknown flags: 0x8"},
		{func(r *MigrateStateRequest) { r.NewFamily = 3 }, syscall.EINVAL, "Invalid address family"},
		{func(r *MigrateStateRequest) { r.SA.SPI = 5 }, syscall.ESRCH, "Can not find state"},
		{func(r *MigrateStateRequest) { r.Flags = netlinkx.MigrateUpdateH2HSel }, syscall.EINVAL, "SA selector is not a single-host match for SA addresses"},
		{func(r *MigrateStateRequest) { r.Encap = &netlinkx.Encap{Type: 7} }, syscall.EINVAL, "Unsupported encapsulation type"},
		{func(r *MigrateStateRequest) { r.MTimerThresh = netlinkx.Some[uint32](1) }, syscall.EINVAL, "MTIMER_THRESH requires encapsulation"},
		{func(r *MigrateStateRequest) { r.NATKeepalive = netlinkx.Some[uint32](1) }, syscall.EINVAL, "NAT_KEEPALIVE_INTERVAL requires encapsulation"},
		{func(r *MigrateStateRequest) { r.NewDst = addr("192.0.2.3") }, syscall.EEXIST, "New SA tuple already occupied"},
	} {
		r := stateMove(1, "192.0.2.70")
		tt.change(r)
		refuses(t, db.MigrateState(Cause{}, r), tt.errno, tt.text)
	}
	if n := db.SADInfo().Count; n != 2 {
		t.Errorf("%d SAs", n)
	}
}

// TestHostToHostSelector: the flag moves a selector that is for the SA's own
// addresses along.
func TestHostToHostSelector(t *testing.T) {
	db, _ := newDB(t)
	must(t, db.AddSA(Cause{}, testSA(1, func(s *netlinkx.SA) {
		s.Mode = netlinkx.ModeTransport
		s.Selector.Dst, s.Selector.Src, s.Selector.Proto = pfx("192.0.2.2/32"), pfx("192.0.2.1/32"), 6
	})))
	r := stateMove(1, "192.0.2.70")
	r.Flags = netlinkx.MigrateUpdateH2HSel
	must(t, db.MigrateState(Cause{}, r))
	want := netlinkx.Selector{Family: netlinkx.FamilyIPv4, Dst: pfx("192.0.2.70/32"), Src: netip.PrefixFrom(addr("192.0.2.60"), 32), Proto: 6}
	if s := theSA(db).Conf().Selector; s != want {
		t.Errorf("selector %+v", s)
	}
}

// TestNoNumberTwiceAcrossAMove: threads that still have the old SA cannot take
// a number that the new one gives.
func TestNoNumberTwiceAcrossAMove(t *testing.T) {
	db, _ := newDB(t, deaf)
	must(t, db.AddSA(Cause{}, testSA(1)))
	var mu sync.Mutex
	seen := map[uint64]bool{}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for range 300 {
				sa := theSA(db)
				for range 3 {
					g := sa.Reserve(1, 1)
					mu.Lock()
					if g.N == 1 && seen[g.Seq] {
						t.Errorf("number %d twice", g.Seq)
					}
					seen[g.Seq] = g.N == 1
					mu.Unlock()
				}
			}
		})
	}
	here, there := "192.0.2.2", "192.0.2.70"
	for range 100 {
		r := stateMove(1, there)
		r.SA.Dst = addr(here)
		must(t, db.MigrateState(Cause{}, r))
		here, there = there, here
	}
	wg.Wait()
}
