package sadb

import (
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xfrmstat"
)

func TestGetAndSetAE(t *testing.T) {
	db, heard := newDB(t)
	heard.deaf = nil
	must(t, db.AddSA(Cause{}, testSA(1, func(s *netlinkx.SA) {
		s.ReqID, s.ReplayWindow, s.ReplayESN = 3, 64, &netlinkx.ReplayESN{BitmapLen: 2}
		s.ETimerThresh, s.ReplayThresh = netlinkx.Some[uint32](500), netlinkx.Some[uint32](9)
	})))
	id := testSA(1).SA.ID()
	ae, err := db.GetAE(&netlinkx.AEID{SA: id, Flags: netlinkx.AEReplayThresh | netlinkx.AETimerThresh})
	must(t, err)
	if ae.ReplayThresh.V != 9 || ae.ETimerThresh.V != 20 || ae.ID.ReqID != 3 || ae.ReplayESN == nil || ae.ReplayWindow != 64 {
		t.Errorf("got %+v", ae)
	}
	heard.take()
	set := &netlinkx.AE{
		ID: netlinkx.AEID{SA: id}, ReplayWindow: 64,
		ReplayESN: &netlinkx.ReplayESN{OSeq: 7, Seq: 40, BitmapLen: 2, Bitmap: []uint32{1 << 31, 0}},
		Usage:     &netlinkx.Usage{Bytes: 5, Packets: 6, AddTime: 7, UseTime: 8},
	}
	must(t, db.SetAE(Cause{PortID: 1, Seq: 2}, set, true))
	n := heard.take()
	if len(n) != 1 || n[0].Cause != (Cause{PortID: 1, Seq: 2}) || n[0].Event.(*netlinkx.AEvent).AE.ID.Flags != netlinkx.AECausedByUpdate {
		t.Errorf("events %+v", n)
	}
	r := theSA(db).Report()
	if d := cmp.Diff(set.ReplayESN, r.ReplayESN); d != "" || r.Usage != *set.Usage {
		t.Errorf("reported %+v, replay state (-want +got):\n%s", r.Usage, d)
	}
	if _, why := theSA(db).CheckReplay(32); why != xfrmstat.InStateSeqError {
		t.Errorf("a number that was set as seen: %v", why)
	}
	if g := theSA(db).Reserve(1, 1); g.Seq != 8 {
		t.Errorf("next number: %+v", g)
	}
}

func TestAERefusals(t *testing.T) {
	db, _ := newDB(t)
	must(t, db.AddSA(Cause{}, testSA(1, func(s *netlinkx.SA) { s.ReplayWindow, s.ReplayESN = 64, &netlinkx.ReplayESN{BitmapLen: 2} })))
	id := netlinkx.AEID{SA: testSA(1).SA.ID()}
	with := func(r *netlinkx.ReplayESN, window uint32) *netlinkx.AE {
		return &netlinkx.AE{ID: id, ReplayESN: r, ReplayWindow: window}
	}
	words := func(n int) *netlinkx.ReplayESN {
		return &netlinkx.ReplayESN{BitmapLen: uint32(n), Bitmap: make([]uint32, n)}
	}
	refuses(t, db.SetAE(Cause{}, &netlinkx.AE{ID: id}, true), syscall.EINVAL, "Missing required attribute for AE")
	refuses(t, db.SetAE(Cause{}, with(words(2), 64), false), syscall.EINVAL, "NLM_F_REPLACE flag is required")
	refuses(t, db.SetAE(Cause{}, with(words(3), 64), true), syscall.EINVAL, "New ESN size doesn't match the existing SA's ESN size")
	refuses(t, db.SetAE(Cause{}, with(&netlinkx.ReplayESN{BitmapLen: 2}, 64), true), syscall.EINVAL, "ESN attribute is too short")
	refuses(t, db.SetAE(Cause{}, with(words(2), 65), true), syscall.EINVAL, "ESN replay window is longer than the bitmap")
	must(t, db.SetAE(Cause{}, with(words(2), 32), true))
	if r := theSA(db).Report(); r.ReplayWindow != 32 {
		t.Errorf("a window of 32 was set, reported %d", r.ReplayWindow)
	}
	other := with(words(2), 64)
	other.ID.SA.SPI = 2
	refuses(t, db.SetAE(Cause{}, other, true), syscall.ESRCH, "")
	_, err := db.AllocSPI(Cause{}, &netlinkx.SPIRange{SA: *testSA(0).SA, Min: 2, Max: 2})
	must(t, err)
	refuses(t, db.SetAE(Cause{}, other, true), syscall.EINVAL, "SA must be in VALID state")
	if ae, err := db.GetAE(&other.ID); err != nil || ae.Replay == nil {
		t.Errorf("of a larval SA: %+v, %v", ae, err)
	}
}
