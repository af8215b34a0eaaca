package sadb

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xfrmstat"
)

// timeline runs for some seconds and returns what was heard in each, as
// "second event".
func timeline(r *recorder, seconds int) (got []string) {
	for s := 0; s <= seconds; s++ {
		synctest.Wait()
		for _, n := range r.take() {
			got = append(got, fmt.Sprint(s, " ", eventName(n.Event)))
		}
		time.Sleep(time.Second)
	}
	return got
}

func eventName(e netlinkx.Event) string {
	level := map[bool]string{false: "soft", true: "hard"}
	switch e := e.(type) {
	case *netlinkx.SAEvent:
		return e.Op.String()
	case *netlinkx.PolicyEvent:
		return "policy " + e.Op.String()
	case *netlinkx.ExpireEvent:
		return level[e.Hard]
	case *netlinkx.PolicyExpireEvent:
		return "policy " + level[e.Hard]
	case *netlinkx.AcquireEvent:
		return "acquire"
	case *netlinkx.AEvent:
		return fmt.Sprintf("ae %x", uint32(e.AE.ID.Flags))
	}
	return fmt.Sprintf("%T", e)
}

func TestTimeLimits(t *testing.T) {
	for _, tt := range []struct {
		name   string
		limits netlinkx.Limits
		useAt  int // second of the first packet, -1 never
		want   []string
	}{
		{"none", netlinkx.Unlimited(), 0, nil},
		{"added", netlinkx.Limits{SoftAdd: 3, HardAdd: 5}, -1, []string{"3 soft", "5 hard"}},
		{"soft only", netlinkx.Limits{SoftAdd: 3}, -1, []string{"3 soft"}},
		{"used, never", netlinkx.Limits{SoftUse: 2, HardUse: 4}, -1, nil},
		{"one second", netlinkx.Limits{HardAdd: 1}, -1, []string{"1 hard"}},
		{"soft and hard at once", netlinkx.Limits{SoftAdd: 4, HardAdd: 4}, -1, []string{"4 hard"}},
		{"used", netlinkx.Limits{SoftUse: 2, HardUse: 4}, 3, []string{"5 soft", "7 hard"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db, heard := newDB(t)
				l := tt.limits
				l.SoftBytes, l.HardBytes, l.SoftPackets, l.HardPackets = netlinkx.Inf, netlinkx.Inf, netlinkx.Inf, netlinkx.Inf
				must(t, db.AddSA(Cause{}, testSA(1, func(sa *netlinkx.SA) { sa.Limits = l })))
				heard.take()
				sa := theSA(db)
				if tt.useAt >= 0 {
					time.AfterFunc(time.Duration(tt.useAt)*time.Second, func() { sa.Reserve(1, 100) })
				}
				if d := cmp.Diff(tt.want, timeline(heard, 9)); d != "" {
					t.Errorf("events (-want +got):\n%s", d)
				}
			})
		})
	}
}

// theSA returns the newest SA.
func theSA(db *DB) *SA {
	db.mu.Lock()
	defer db.mu.Unlock()
	return newest(db.sas.All())
}

// TestClockStep: when the clock jumps over both limits the soft event comes
// first, and the hard one a while later, as in the kernel.
func TestClockStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, heard := newDB(t)
		must(t, db.AddSA(Cause{}, testSA(1, func(sa *netlinkx.SA) { sa.Limits.SoftAdd, sa.Limits.HardAdd = 10, 20 })))
		heard.take()
		time.Sleep(5 * time.Second)
		u := theSA(db).Report().Usage
		u.AddTime -= 1000
		must(t, db.SetAE(Cause{}, &netlinkx.AE{ID: netlinkx.AEID{SA: testSA(1).SA.ID()}, Usage: &u}, true))
		if d := cmp.Diff([]string{"5 soft", "16 hard"}, timeline(heard, 30)); d != "" {
			t.Errorf("events (-want +got):\n%s", d)
		}
	})
}

func TestLarvalExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, heard := newDB(t)
		_, err := db.AllocSPI(Cause{}, &netlinkx.SPIRange{SA: *testSA(0).SA, Min: 0x100, Max: 0x1ff})
		must(t, err)
		if d := cmp.Diff([]string{"30 hard"}, timeline(heard, 40)); d != "" {
			t.Errorf("events (-want +got):\n%s", d)
		}
		if db.sas.Entries() != 0 {
			t.Error("the larval SA left something behind")
		}
	})
}

// TestPacketLimits: the packet that reaches a limit passes; the next one meets
// it.
func TestPacketLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, heard := newDB(t)
		must(t, db.AddSA(Cause{}, testSA(1, func(sa *netlinkx.SA) { sa.Limits.SoftPackets, sa.Limits.HardPackets = 2, 5 })))
		heard.take()
		sa := theSA(db)
		var got []string
		for i := range 7 {
			g := sa.Reserve(1, 100)
			synctest.Wait()
			s := fmt.Sprint(i+1, " ", g.N, g.Drop)
			for _, n := range heard.take() {
				s += " " + eventName(n.Event)
			}
			got = append(got, s)
		}
		want := []string{"1 1 ", "2 1 ", "3 1  soft", "4 1 ", "5 1 ", "6 0 XfrmOutStateExpired hard", "7 0 XfrmOutStateInvalid"}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("packets (-want +got):\n%s", d)
		}
	})
}

// TestLimitsInABatch: a batch is cut where a packet at a time would be.
func TestLimitsInABatch(t *testing.T) {
	for _, tt := range []struct {
		limits func(*netlinkx.Limits)
		n      int
		bytes  uint64
		want   int
		events []string
	}{
		{func(l *netlinkx.Limits) { l.HardPackets = 5 }, 8, 800, 5, []string{"hard"}},
		{func(l *netlinkx.Limits) { l.HardBytes = 250 }, 8, 800, 3, []string{"hard"}},
		{func(l *netlinkx.Limits) { l.HardBytes = 300 }, 8, 800, 3, []string{"hard"}},
		{func(l *netlinkx.Limits) { l.HardPackets = 8 }, 8, 800, 8, nil},
		{func(l *netlinkx.Limits) { l.SoftPackets = 8 }, 8, 800, 8, nil},
		{func(l *netlinkx.Limits) { l.SoftPackets = 7 }, 8, 800, 8, []string{"soft"}},
		{func(l *netlinkx.Limits) { l.SoftBytes = 100 }, 8, 800, 8, []string{"soft"}},
		{func(l *netlinkx.Limits) { l.HardPackets = 0 }, 1, 100, 0, []string{"hard"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			db, heard := newDB(t)
			must(t, db.AddSA(Cause{}, testSA(1, func(sa *netlinkx.SA) { tt.limits(&sa.Limits) })))
			heard.take()
			g := theSA(db).Reserve(tt.n, tt.bytes)
			synctest.Wait()
			var events []string
			for _, n := range heard.take() {
				events = append(events, eventName(n.Event))
			}
			if g.N != tt.want || !cmp.Equal(events, tt.events) {
				t.Errorf("%d packets of %d bytes: %+v, events %v, want %d and %v", tt.n, tt.bytes, g, events, tt.want, tt.events)
			}
		})
	}
}

func TestInboundLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, _ := newDB(t)
		must(t, db.AddSA(Cause{}, testSA(1, func(sa *netlinkx.SA) { sa.ReplayWindow, sa.Limits.HardPackets = 32, 2 })))
		sa := theSA(db)
		var got []xfrmstat.Counter
		for i := range 4 {
			_, why := sa.CheckReplay(uint32(i + 1))
			if why == xfrmstat.None {
				why = sa.CommitReplay(uint64(i+1), 100)
			}
			got = append(got, why)
		}
		if d := cmp.Diff([]xfrmstat.Counter{0, 0, xfrmstat.InStateExpired, xfrmstat.InStateExpired}, got); d != "" {
			t.Errorf("packets (-want +got):\n%s", d)
		}
		synctest.Wait()
		if db.SADInfo().Count != 0 {
			t.Error("the SA is still there")
		}
	})
}

// TestUpdateRenewsLimits: new limits count from the SA's addition, and a soft
// event may come again.
func TestUpdateRenewsLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, heard := newDB(t)
		limits := func(soft, hard uint64) func(*netlinkx.SA) {
			return func(sa *netlinkx.SA) { sa.Limits.SoftAdd, sa.Limits.HardAdd = soft, hard }
		}
		must(t, db.AddSA(Cause{}, testSA(1, limits(2, 100))))
		time.Sleep(4 * time.Second)
		must(t, db.UpdateSA(Cause{}, testSA(1, limits(6, 9))))
		if d := cmp.Diff([]string{"0 new", "0 soft", "0 update", "2 soft", "5 hard"}, timeline(heard, 9)); d != "" {
			t.Errorf("events (-want +got):\n%s", d)
		}
	})
}

func TestPolicyLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, heard := newDB(t)
		must(t, db.AddPolicy(Cause{}, testPolicy(netlinkx.PolicyOut, func(p *netlinkx.Policy) { p.Limits.SoftAdd, p.Limits.HardAdd = 3, 40 })))
		if d := cmp.Diff([]string{"0 policy new", "3 policy soft", "33 policy soft", "40 policy hard"}, timeline(heard, 50)); d != "" {
			t.Errorf("events (-want +got):\n%s", d)
		}
		if c := db.SPDInfo().Counts; c.Out != 0 {
			t.Error("the policy is still there")
		}
	})
}

// TestAEvents: with a listener, an event after two packets, and one after a
// second if something has changed since.
func TestAEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, heard := newDB(t)
		must(t, db.AddSA(Cause{}, testSA(1)))
		heard.take()
		sa := theSA(db)
		sa.Reserve(5, 500)
		if n := heard.take(); len(n) != 0 {
			t.Errorf("nobody listens, but: %+v", n)
		}
		heard.mu.Lock()
		heard.deaf = nil
		heard.mu.Unlock()
		sa.Reserve(2, 200) // at once
		time.Sleep(100 * time.Millisecond)
		sa.Reserve(1, 100) // by the timer, after a second
		time.AfterFunc(4900*time.Millisecond, func() { sa.Reserve(1, 100) })
		want := []string{"0 ae 10", "1 ae 20", "5 ae 20"}
		if d := cmp.Diff(want, timeline(heard, 9)); d != "" {
			t.Errorf("events (-want +got):\n%s", d)
		}
	})
}

// TestCloseEndsTimers: afterwards nothing happens by itself.
func TestCloseEndsTimers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, heard := newDB(t)
		must(t, db.AddSA(Cause{}, testSA(1, func(sa *netlinkx.SA) { sa.Limits.HardAdd = 2 })))
		must(t, db.AddPolicy(Cause{}, testPolicy(netlinkx.PolicyOut, func(p *netlinkx.Policy) { p.Limits.HardAdd = 2 })))
		heard.take()
		db.Close()
		if got := timeline(heard, 5); got != nil {
			t.Errorf("events after Close: %v", got)
		}
	})
}
