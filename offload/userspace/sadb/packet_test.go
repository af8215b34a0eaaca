package sadb

import (
	"errors"
	"math"
	"net/netip"
	"sync"
	"syscall"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/sad"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xfrmstat"
)

// startAt begins an SA's sequence numbers behind n.
func startAt(n uint64, esn bool) saChange {
	return func(s *netlinkx.SA) {
		if !esn {
			s.Replay = &netlinkx.ReplayState{OSeq: uint32(n)}
			return
		}
		s.Dir, s.Flags = netlinkx.DirOut, netlinkx.FlagESN
		s.ReplayESN = &netlinkx.ReplayESN{OSeq: uint32(n), OSeqHi: uint32(n >> 32)}
	}
}

// TestSequenceNumbersEnd: the last number is used, then the SA refuses for
// ever.
func TestSequenceNumbersEnd(t *testing.T) {
	for _, esn := range []bool{false, true} {
		last := uint64(math.MaxUint32)
		if esn {
			last = math.MaxUint64
		}
		db, heard := newDB(t)
		must(t, db.AddSA(Cause{}, testSA(1, startAt(last-3, esn))))
		sa := theSA(db)
		if g := sa.Reserve(2, 200); g.N != 2 || g.Seq != last-2 || g.Drop != xfrmstat.None {
			t.Errorf("esn %v: %+v", esn, g)
		}
		if g := sa.Reserve(5, 500); g.N != 1 || g.Seq != last || g.Drop != xfrmstat.OutStateSeqError {
			t.Errorf("esn %v, the last one: %+v", esn, g)
		}
		for range 3 {
			if g := sa.Reserve(1, 100); g.N != 0 || g.Drop != xfrmstat.OutStateSeqError {
				t.Errorf("esn %v, none left: %+v", esn, g)
			}
		}
		if u := sa.Report().Usage; u.Packets != 3 || u.Bytes != 300 {
			t.Errorf("esn %v: charged %+v", esn, u)
		}
		if len(heard.headroom) != 1 || heard.headroom[0].Limit != last {
			t.Errorf("esn %v: headroom %+v", esn, heard.headroom)
		}
	}
}

// TestReserveGivesNoNumbers: without a counter there are no IVs for a
// counter-mode key, and nothing is asked for nothing.
func TestReserveGivesNoNumbers(t *testing.T) {
	db, _ := newDB(t)
	must(t, db.AddSA(Cause{}, testSA(1, func(s *netlinkx.SA) { s.Dir = netlinkx.DirIn; s.ReplayWindow = 32 })))
	if g := theSA(db).Reserve(1, 100); g != (sad.Grant{Drop: xfrmstat.OutStateDirError}) {
		t.Errorf("inbound SA: %+v", g)
	}
	db, _ = newDB(t)
	must(t, db.AddSA(Cause{}, testSA(1)))
	if g := theSA(db).Reserve(0, 0); g != (sad.Grant{Drop: xfrmstat.OutError}) {
		t.Errorf("no packets: %+v", g)
	}
}

// TestForgedPacketsUseUpNothing: a limit in packets is one of packets that were
// verified, however many come at once that are not.
func TestForgedPacketsUseUpNothing(t *testing.T) {
	db, heard := newDB(t)
	must(t, db.AddSA(Cause{}, testSA(1, func(s *netlinkx.SA) {
		s.ReplayWindow, s.Limits.SoftPackets, s.Limits.HardPackets = 32, 5, 10
	})))
	heard.take()
	sa := theSA(db)
	forged := make([]uint32, 64)
	for i := range forged {
		forged[i] = uint32(i + 1)
	}
	sa.CheckBatch(forged, make([]uint64, 64), make([]xfrmstat.Counter, 64))
	if sa.State() != sad.Valid || sa.Dying() {
		t.Errorf("state %d, dying %v after packets that were not verified", sa.State(), sa.Dying())
	}
	for i := range uint32(10) {
		full, why := sa.CheckReplay(i + 1)
		if why != xfrmstat.None {
			t.Fatalf("packet %d: %s", i+1, why)
		}
		sa.CommitReplay(full, 100)
	}
	if !sa.Dying() {
		t.Error("the soft limit was not told")
	}
	if _, why := sa.CheckReplay(11); why != xfrmstat.InStateExpired || sa.State() == sad.Valid {
		t.Errorf("behind the limit: %q, state %d", why, sa.State())
	}
}

func TestHeadroomIsToldOnce(t *testing.T) {
	db, heard := newDB(t)
	const threeQuarters = 3 << 30
	must(t, db.AddSA(Cause{}, testSA(1, startAt(threeQuarters-3, false))))
	sa := theSA(db)
	sa.Reserve(1, 100)
	if len(heard.headroom) != 0 {
		t.Errorf("told early: %+v", heard.headroom)
	}
	sa.Reserve(1, 100)
	sa.Reserve(1, 100)
	sa.Reserve(1, 100)
	if len(heard.headroom) != 1 {
		t.Errorf("told %d times", len(heard.headroom))
	}
}

// mayWrap asks for numbers that go round.
func mayWrap(s *netlinkx.SA) { s.ExtraFlags = netlinkx.ExtraOSeqMayWrap }

// TestCounterKeysDoNotWrap: a key whose IVs must not repeat ends with its
// numbers, whatever the flag says, and its user is warned.
func TestCounterKeysDoNotWrap(t *testing.T) {
	db, heard := newDB(t)
	must(t, db.AddSA(Cause{}, testSA(1, startAt(math.MaxUint32-1, false), mayWrap)))
	if g := theSA(db).Reserve(4, 400); g.N != 1 || g.Seq != math.MaxUint32 || g.Drop != xfrmstat.OutStateSeqError {
		t.Errorf("got %+v", g)
	}
	if g := theSA(db).Reserve(1, 100); g.N != 0 || g.Drop != xfrmstat.OutStateSeqError {
		t.Errorf("behind the end: %+v", g)
	}
	if len(heard.headroom) != 1 {
		t.Errorf("headroom was told %d times", len(heard.headroom))
	}
}

// TestMayWrap: with the flag numbers go round, as the user asked for.
func TestMayWrap(t *testing.T) {
	db, heard := newDB(t)
	must(t, db.AddSA(Cause{}, testSA(1, startAt(math.MaxUint32-1, false), mayWrap, func(s *netlinkx.SA) {
		s.AEAD = nil
		s.Crypt = &netlinkx.Algo{Name: "cbc(aes)", Key: netlinkx.NewKey(make([]byte, 16))}
		s.AuthTrunc = &netlinkx.AuthTrunc{Name: "hmac(sha256)", Key: netlinkx.NewKey(make([]byte, 32)), ICVBits: 128}
	})))
	g := theSA(db).Reserve(4, 400)
	if g.N != 4 || uint32(g.Seq) != math.MaxUint32 || uint32(g.Seq+1) != 0 {
		t.Errorf("got %+v", g)
	}
	if r := theSA(db).Report(); r.Replay.OSeq != 2 || len(heard.headroom) != 0 {
		t.Errorf("reported %+v, headroom %v", r.Replay, heard.headroom)
	}
}

// TestNumbersAreUnique: many threads, one SA, no number and no IV twice.
func TestNumbersAreUnique(t *testing.T) {
	db, _ := newDB(t, deaf)
	must(t, db.AddSA(Cause{}, testSA(1)))
	sa := theSA(db)
	var mu sync.Mutex
	seqs, ivs := map[uint64]bool{}, map[uint64]bool{}
	var wg sync.WaitGroup
	for n := 1; n <= 4; n++ {
		wg.Go(func() {
			for range 200 {
				g := sa.Reserve(n, uint64(100*n))
				mu.Lock()
				for i := range uint64(g.N) {
					if seqs[g.Seq+i] || ivs[g.IV+i] {
						t.Errorf("twice: number %d, IV %d", g.Seq+i, g.IV+i)
					}
					seqs[g.Seq+i], ivs[g.IV+i] = true, true
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if u := sa.Report().Usage; u.Packets != 2000 || len(seqs) != 2000 {
		t.Errorf("%d packets charged, %d numbers", u.Packets, len(seqs))
	}
}

// journal is an IVCounter whose state the test sets.
type journal struct {
	memCounter
	err      error
	prepared int
	released int
}

func (j *journal) Reserve(n int) (uint64, error) {
	if j.err != nil {
		return 0, j.err
	}
	return j.memCounter.Reserve(n)
}
func (j *journal) Prepare() { j.prepared++ }
func (j *journal) Release() { j.released++ }

func TestCounterOfTheKey(t *testing.T) {
	j := &journal{}
	refuse := errors.New("journal lost")
	var err error
	db, _ := newDB(t, func(c *Config) {
		c.Key = func(name string, _ netlinkx.Key) (IVCounter, error) {
			if name != "rfc4106(gcm(aes))" {
				t.Errorf("key of %s", name)
			}
			return j, err
		}
	})
	j.Raise(5000)
	must(t, db.AddSA(Cause{}, testSA(1, func(s *netlinkx.SA) { s.Dir = netlinkx.DirOut })))
	if g := theSA(db).Reserve(1, 1); g.Seq != 5001 || j.prepared != 1 {
		t.Errorf("a key that was used: %+v, prepared %d", g, j.prepared)
	}
	must(t, db.AddSA(Cause{}, testSA(2, startAt(9000, false))))
	if j.Seq() < 9000 || theSA(db).Reserve(1, 1).Seq != 9001 {
		t.Errorf("a number that was asked for: journal at %d", j.Seq())
	}
	j.err = refuse
	if g := theSA(db).Reserve(1, 1); g.N != 0 || g.Drop != xfrmstat.OutStateProtoError {
		t.Errorf("no lease: %+v", g)
	}
	must(t, db.FlushSAs(Cause{}, 0))
	if j.released != 2 {
		t.Errorf("released %d times", j.released)
	}
	j.Raise(math.MaxUint32)
	refuses(t, db.AddSA(Cause{}, testSA(3)), syscall.EINVAL, "key of rfc4106(gcm(aes)) has used up its sequence numbers: give the SA a new key")
	err = refuse
	refuses(t, db.AddSA(Cause{}, testSA(3)), syscall.EINVAL, "key of rfc4106(gcm(aes)) refused: journal lost")
	must(t, db.AddSA(Cause{}, testSA(3, func(s *netlinkx.SA) { s.Dir = netlinkx.DirIn })))
	must(t, db.AddSA(Cause{}, testSA(4, func(s *netlinkx.SA) {
		s.AEAD, s.Crypt = nil, &netlinkx.Algo{Name: "cbc(aes)", Key: netlinkx.NewKey(make([]byte, 16))}
	})))
	if n := db.SADInfo().Count; n != 2 {
		t.Errorf("%d SAs", n)
	}
}

func TestReplayAndStatistics(t *testing.T) {
	db, _ := newDB(t)
	must(t, db.AddSA(Cause{}, testSA(1, func(s *netlinkx.SA) { s.ReplayWindow = 32 })))
	sa := theSA(db)
	seqs := []uint32{100, 100, 50, 101, 0}
	full, why := make([]uint64, 5), make([]xfrmstat.Counter, 5)
	sa.CheckBatch(seqs, full, why)
	if n := sa.CommitBatch(full[:4], why[:4]); n != 2 || why[0] != xfrmstat.None || why[1] != xfrmstat.InStateSeqError || why[2] != xfrmstat.InStateSeqError || why[3] != xfrmstat.None {
		t.Errorf("%d committed, %v", n, why)
	}
	sa.Charge(2, 3000)
	if _, c := sa.CheckReplay(0); c != xfrmstat.InStateSeqError {
		t.Errorf("number 0: %v", c)
	}
	sa.NoteIntegrity(3)
	r := sa.Report()
	if r.Stats != (netlinkx.SAStats{ReplayWindow: 1, Replay: 1, IntegrityFailed: 3}) || r.Usage.Packets != 2 || r.Usage.Bytes != 3000 ||
		r.Replay.Seq != 101 || r.Replay.Bitmap != 3 || r.LastUsed == 0 || r.Usage.UseTime == 0 {
		t.Errorf("reported %+v %+v %+v, last used %d", r.Stats, r.Usage, r.Replay, r.LastUsed)
	}
}

func TestMapping(t *testing.T) {
	db, heard := newDB(t)
	must(t, db.AddSA(Cause{}, testSA(1, func(s *netlinkx.SA) {
		s.Encap, s.MTimerThresh = &netlinkx.Encap{Type: netlinkx.EncapESPinUDP, SrcPort: 4500, DstPort: 4500}, 60
	})))
	heard.take()
	sa := theSA(db)
	sa.NoteSource(netip.MustParseAddrPort("192.0.2.1:4500"))
	if n := heard.take(); len(n) != 0 {
		t.Errorf("nothing has changed, but: %+v", n)
	}
	for _, from := range []string{"192.0.2.1:1", "192.0.2.1:1", "192.0.2.7:1", "192.0.2.7:2"} {
		sa.NoteSource(netip.MustParseAddrPort(from))
	}
	n := heard.take()
	if len(n) != 2 {
		t.Fatalf("%d events", len(n))
	}
	m := n[0].Event.(*netlinkx.MappingEvent).Mapping
	if m.OldPort != 4500 || m.NewPort != 1 || m.NewSrc != addr("192.0.2.1") || n[1].Event.(*netlinkx.MappingEvent).Mapping.NewPort != 2 {
		t.Errorf("events: %+v", n)
	}
}
