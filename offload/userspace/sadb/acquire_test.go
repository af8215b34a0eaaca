package sadb

import (
	"encoding/binary"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// acquires returns the ACQUIREs among what was heard.
func acquires(r *recorder) (got []netlinkx.Acquire) {
	for _, n := range r.take() {
		if e, ok := n.Event.(*netlinkx.AcquireEvent); ok {
			got = append(got, e.Acquire)
		}
	}
	return got
}

func TestAcquire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, heard := newDB(t)
		must(t, db.AddPolicy(Cause{}, testPolicy(netlinkx.PolicyOut, func(p *netlinkx.Policy) { p.Templates[0].ReqID = 5 })))
		f := packet("10.1.0.1", "10.2.0.1")
		for range 3 {
			if got := decide(db, f); got != "drop XfrmOutNoStates" {
				t.Fatal(got)
			}
		}
		got := acquires(heard)
		if len(got) != 1 {
			t.Fatalf("%d acquires of three packets", len(got))
		}
		a := got[0]
		if a.SA.Dst != addr("192.0.2.2") || a.SA.Src != addr("192.0.2.1") || a.Seq == 0 || a.Policy.Templates[0].ReqID != 5 ||
			a.Selector.Dst != pfx("10.2.0.1/32") || a.Selector.DstPort != (netlinkx.PortMatch{Port: 2000, Mask: 0xffff}) || a.AAlgos != netlinkx.AllAlgos {
			t.Errorf("acquire: %+v", a)
		}
		// the key manager answers
		must(t, db.AddSA(Cause{}, testSA(9, func(sa *netlinkx.SA) { sa.ReqID, sa.Seq = 5, a.Seq })))
		if n := db.SADInfo().Count; n != 1 || db.sas.Acquires() != 0 {
			t.Errorf("%d SAs, %d acquires after the answer", n, db.sas.Acquires())
		}
		if got := decide(db, f); got != "protect 9" {
			t.Errorf("after the answer: %q", got)
		}
	})
}

func TestAcquireOnlyForListeners(t *testing.T) {
	db, heard := newDB(t)
	heard.deaf[netlinkx.GroupAcquire] = true
	must(t, db.AddPolicy(Cause{}, testPolicy(netlinkx.PolicyOut)))
	decide(db, packet("10.1.0.1", "10.2.0.1"))
	if n := db.SADInfo().Count; n != 0 {
		t.Errorf("%d larval SAs without a listener", n)
	}
}

func TestAcquireAgainAfterExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, heard := newDB(t)
		must(t, db.AddPolicy(Cause{}, testPolicy(netlinkx.PolicyOut)))
		f := packet("10.1.0.1", "10.2.0.1")
		decide(db, f)
		time.Sleep(31 * time.Second)
		decide(db, f)
		if got := acquires(heard); len(got) != 2 || got[0].Seq == got[1].Seq {
			t.Errorf("acquires: %+v", got)
		}
	})
}

// TestAcquiresAreBounded: a flood of destinations, each of which wants an SA of
// its own, makes no more larval SAs than allowed.
func TestAcquiresAreBounded(t *testing.T) {
	db, _ := newDB(t, func(c *Config) { c.MaxAcquires = 10 })
	must(t, db.AddPolicy(Cause{}, testPolicy(netlinkx.PolicyOut, func(p *netlinkx.Policy) { p.Templates[0].Mode = netlinkx.ModeTransport })))
	f := packet("10.1.0.1", "10.2.0.1")
	for i := range uint16(1000) {
		binary.BigEndian.PutUint16(f.Dst[2:], i)
		decide(db, f)
	}
	if n := db.SADInfo().Count; n != 10 {
		t.Errorf("%d larval SAs, want 10", n)
	}
	must(t, db.FlushSAs(Cause{}, 0))
	decide(db, f)
	if n := db.SADInfo().Count; n != 1 || db.sas.Acquires() != 1 {
		t.Errorf("after a flush: %d larval SAs, %d counted", n, db.sas.Acquires())
	}
}

// TestAllocSPIForAcquire: the key manager names the acquire by its number.
func TestAllocSPIForAcquire(t *testing.T) {
	db, heard := newDB(t)
	must(t, db.AddPolicy(Cause{}, testPolicy(netlinkx.PolicyOut)))
	decide(db, packet("10.1.0.1", "10.2.0.1"))
	a := acquires(heard)[0]
	r := &netlinkx.SPIRange{SA: *testSA(0, func(sa *netlinkx.SA) { sa.Seq, sa.ReqID = a.Seq, 77 }).SA, Min: 0x600, Max: 0x600}
	sa, err := db.AllocSPI(Cause{}, r)
	must(t, err)
	if n := db.SADInfo().Count; n != 1 || sa.Seq != a.Seq || sa.ReqID != 0 {
		t.Errorf("%d SAs, got %+v", n, sa)
	}
}

func TestPerCPUAcquire(t *testing.T) {
	db, heard := newDB(t)
	must(t, db.AddSA(Cause{}, testSA(1, func(s *netlinkx.SA) { s.Dir = netlinkx.DirOut })))
	must(t, db.AddPolicy(Cause{}, testPolicy(netlinkx.PolicyOut, func(p *netlinkx.Policy) { p.Flags = netlinkx.PolicyCPUAcquire })))
	f := packet("10.1.0.1", "10.2.0.1")
	var d Decision
	for range 3 {
		if db.Outbound(f, 2, &d); d.Verdict != Protect || d.SAs[0].SPI() != 1 {
			t.Fatalf("the SA for all CPUs is not used meanwhile: %v", d.Verdict)
		}
	}
	if got := acquires(heard); len(got) != 1 || got[0].PCPU != netlinkx.Some[uint32](2) {
		t.Errorf("acquires: %+v", got)
	}
}

func TestRequestAcquire(t *testing.T) {
	db, heard := newDB(t)
	a := &netlinkx.Acquire{Policy: *testPolicy(netlinkx.PolicyOut), AAlgos: 3, Selector: netlinkx.Selector{Proto: 6}}
	must(t, db.RequestAcquire(Cause{}, a))
	if got := acquires(heard); len(got) != 1 || got[0].AAlgos != 3 || got[0].SA.Dst != addr("192.0.2.2") || got[0].Selector.Proto != 6 {
		t.Errorf("acquires: %+v", got)
	}
	if db.SADInfo().Count != 0 {
		t.Error("a larval SA was made")
	}
	a.PCPU = netlinkx.Some[uint32](4)
	refuses(t, db.RequestAcquire(Cause{}, a), syscall.EINVAL, "pCPU number too big")
}
