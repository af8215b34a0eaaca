package sad

import (
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/replay"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/lifetime"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/notice"
)

// hz is how many ticks of the kernel's clock make a second, as Debian's
// kernels are built: XFRMA_ETIMER_THRESH comes in ticks and is reported in
// units of 100 ms.
const hz = 250

// numbers are the sequence numbers of an SA, sent and received.
type numbers struct{ out, in uint64 }

// notifyState decides when the replay state is reported (xfrm_replay_notify).
// Guarded by the SA's mu.
type notifyState struct {
	maxDiff  uint32 // packets between events, 0 never for that reason
	maxAge   uint32 // ticks after which a change is reported, 0 never
	reported numbers
	// A timer that has run without a change leaves the next packet to be
	// reported. It is really started only when there is a change to report;
	// until then armedAt stands for it.
	armedAt time.Time
	timer   *time.Timer
}

// configure takes thresholds from a request, others from c.
func (n *notifyState) configure(r *netlinkx.SA, c *Config) {
	n.maxDiff, n.maxAge = c.AEventPackets, uint32(c.AEventTime*hz/time.Second)
	if r.ETimerThresh.Valid {
		n.maxAge = r.ETimerThresh.V
	}
	if r.ReplayThresh.Valid {
		n.maxDiff = r.ReplayThresh.V
	}
}

func (n *notifyState) age() time.Duration { return time.Duration(n.maxAge) * time.Second / hz }

// begin starts to watch the SA from how it is now.
func (n *notifyState) begin(sa *SA) {
	n.reported = sa.numbers()
	n.armedAt = time.Now()
}

// numbers returns the SA's sequence numbers. The caller holds sa.mu.
func (sa *SA) numbers() numbers {
	n := numbers{out: sa.oseq.Load()}
	if sa.window != nil {
		n.in = sa.window.Top()
	}
	return n
}

// noteReplay is called after packets have moved the sequence numbers. Unless
// somebody listens it does nothing.
func (sa *SA) noteReplay() {
	if !sa.table.bus.Hears(netlinkx.GroupAEvents) {
		return
	}
	sa.mu.Lock()
	defer sa.mu.Unlock()
	n, is := &sa.notify, sa.numbers()
	switch {
	case n.maxDiff != 0 && (is.in-n.reported.in >= uint64(n.maxDiff) || is.out-n.reported.out >= uint64(n.maxDiff)):
		sa.report(netlinkx.AECausedByReplay, is)
	case n.maxAge != 0 && time.Since(n.armedAt) >= n.age():
		sa.report(netlinkx.AECausedByTimer, is)
	case n.maxAge != 0:
		sa.armReport(n.age() - time.Since(n.armedAt))
	}
}

// report sends an aevent and begins anew. The caller holds sa.mu.
func (sa *SA) report(why netlinkx.AEFlags, is numbers) {
	sa.notify.reported, sa.notify.armedAt = is, time.Now()
	lifetime.Stop(sa.notify.timer)
	sa.table.bus.Emit(notice.Cause{}, &netlinkx.AEvent{AE: *sa.aeLocked(why)})
}

func (sa *SA) armReport(d time.Duration) {
	if n := &sa.notify; n.timer == nil {
		n.timer = time.AfterFunc(d, sa.onReportTimer)
	} else {
		n.timer.Reset(d)
	}
}

// onReportTimer reports a change that the threshold has not.
func (sa *SA) onReportTimer() {
	sa.mu.Lock()
	defer sa.mu.Unlock()
	if is := sa.numbers(); sa.State() == Valid && is != sa.notify.reported && sa.table.bus.Hears(netlinkx.GroupAEvents) {
		sa.report(netlinkx.AECausedByTimer, is)
	}
}

// aeLocked is an aevent of the SA as it is. The caller holds sa.mu.
func (sa *SA) aeLocked(flags netlinkx.AEFlags) *netlinkx.AE {
	c, u := sa.conf.Load(), sa.usage()
	ae := &netlinkx.AE{
		ID:    netlinkx.AEID{SA: c.ID(), Src: c.Src, ReqID: c.ReqID, Flags: flags},
		Usage: &u, IfID: c.IfID, Dir: c.Dir, PCPU: c.PCPU,
	}
	if c.ReplayESN != nil {
		var e netlinkx.ReplayESN
		sa.extendedLocked(c.ReplayESN, &e)
		ae.ReplayESN, ae.ReplayWindow = &e, c.ReplayWindow
	} else {
		r := sa.legacyLocked()
		ae.Replay = &r
	}
	if flags&netlinkx.AEReplayThresh != 0 {
		ae.ReplayThresh = netlinkx.Some(sa.notify.maxDiff)
	}
	if flags&netlinkx.AETimerThresh != 0 {
		ae.ETimerThresh = netlinkx.Some(uint32(uint64(sa.notify.maxAge) * 10 / hz))
	}
	return ae
}

// AE returns the replay state, the counters and, as flags ask, the thresholds
// of the SA as it is. The caller owns the value.
func (sa *SA) AE(flags netlinkx.AEFlags) *netlinkx.AE {
	sa.mu.Lock()
	defer sa.mu.Unlock()
	return sa.aeLocked(flags)
}

// SetAE sets what ae has of replay state, counters and thresholds, and tells of
// it. It fails if the replay state is not of the SA's form, which
// rules.CheckReplayUpdate finds out beforehand. The caller holds the lock.
func (sa *SA) SetAE(cause notice.Cause, ae *netlinkx.AE) error {
	sa.mu.Lock()
	defer sa.mu.Unlock()
	if err := sa.applyAE(ae); err != nil {
		return err
	}
	sa.table.exact.Store(true)
	sa.table.changed()
	sa.table.bus.Emit(cause, &netlinkx.AEvent{AE: *sa.aeLocked(netlinkx.AECausedByUpdate)})
	return nil
}

// setLarge sets a large replay state, and with it the window. The caller holds
// sa.mu.
func (sa *SA) setLarge(ae *netlinkx.AE) error {
	if ae.ReplayWindow != sa.window.Size() {
		sa.window = replay.New(ae.ReplayWindow, sa.esn())
	}
	if err := sa.setExtended(ae.ReplayESN); err != nil {
		return err
	}
	next := *sa.conf.Load()
	next.ReplayWindow = ae.ReplayWindow
	next.ReplayESN = &netlinkx.ReplayESN{BitmapLen: ae.ReplayESN.BitmapLen}
	if !sa.esn() {
		next.ReplayESN.SeqHi, next.ReplayESN.OSeqHi = ae.ReplayESN.SeqHi, ae.ReplayESN.OSeqHi
	}
	sa.conf.Store(&next)
	return nil
}

// applyAE sets what ae has. The caller holds sa.mu.
func (sa *SA) applyAE(ae *netlinkx.AE) error {
	c := sa.conf.Load()
	switch {
	case ae.ReplayESN != nil && c.ReplayESN != nil:
		if err := sa.setLarge(ae); err != nil {
			return err
		}
	case ae.Replay != nil && c.ReplayESN == nil:
		sa.setLegacy(ae.Replay)
	}
	sa.notify.reported = sa.numbers()
	if ae.Usage != nil {
		sa.setUsage(ae.Usage)
	}
	if ae.ETimerThresh.Valid {
		sa.notify.maxAge = ae.ETimerThresh.V
	}
	if ae.ReplayThresh.Valid {
		sa.notify.maxDiff = ae.ReplayThresh.V
	}
	if sa.counter != nil {
		sa.counter.Raise(sa.oseq.Load())
	}
	return nil
}
