package sad

import (
	"math"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/lifetime"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/notice"
)

// softMemory is what the timer remembers between two runs: that the soft
// limit was ahead, and how far. If the hard limit is met first, for instance
// because the clock was set, the SA gets its soft event all the same
// (XFRM_SOFT_EXPIRE in the kernel).
type softMemory struct {
	ahead bool
	left  int64
}

// startTimers begins the SA's time limits anew; the first look at them is a
// second later. The caller holds the lock.
func (sa *SA) startTimers() {
	l := &sa.conf.Load().Limits
	switch {
	case sa.State() == Larval:
		sa.arm(time.Duration(l.HardAdd) * time.Second)
	case l.SoftAdd|l.HardAdd|l.SoftUse|l.HardUse != 0:
		sa.arm(time.Second)
	case sa.timer != nil:
		sa.timer.Stop()
	}
	sa.mu.Lock()
	defer sa.mu.Unlock()
	sa.notify.begin(sa)
}

func (sa *SA) arm(d time.Duration) {
	if sa.table.closed {
		return
	}
	if sa.timer == nil {
		sa.timer = time.AfterFunc(d, sa.onTimer)
		return
	}
	sa.timer.Reset(d)
}

// stopTimers ends all timers. The caller holds the lock.
func (sa *SA) stopTimers() {
	lifetime.Stop(sa.timer)
	sa.mu.Lock()
	defer sa.mu.Unlock()
	lifetime.Stop(sa.notify.timer)
}

// onTimer looks at the time limits (xfrm_timer_handler).
func (sa *SA) onTimer() {
	sa.table.cfg.Lock.Lock()
	defer sa.table.cfg.Lock.Unlock()
	if sa.table.closed || sa.State() == Dead {
		return
	}
	next, soft, hard := sa.due(lifetime.Now())
	if hard {
		sa.expireHard()
		return
	}
	if soft {
		sa.softExpire()
	}
	if next < math.MaxInt64 {
		sa.arm(time.Duration(next) * time.Second)
	}
}

// due returns in how many seconds to look again, and what is reached.
func (sa *SA) due(now int64) (next int64, soft, hard bool) {
	next = math.MaxInt64
	if sa.State() == Expired {
		return next, false, true
	}
	l := &sa.conf.Load().Limits
	added, used := sa.addTime.Load(), sa.useTime.Load()
	if used == 0 {
		used = now
	}
	if left, ok := lifetime.Left(l.HardAdd, added, now); ok {
		if left <= 0 && !sa.soft.ahead {
			return next, false, true
		}
		if left <= 0 {
			sa.addTime.Store(now - sa.soft.left - 1)
			left = int64(l.HardAdd) - sa.soft.left
		}
		next = min(next, left)
	}
	if left, ok := lifetime.Left(l.HardUse, used, now); ok {
		if left <= 0 {
			return next, false, true
		}
		next = min(next, left)
	}
	if sa.dying.Load() {
		return next, false, false
	}
	next, soft = sa.dueSoft(now, used, next)
	return next, soft, false
}

// dueSoft does the same for the soft limits.
func (sa *SA) dueSoft(now, used, next int64) (sooner int64, soft bool) {
	l := &sa.conf.Load().Limits
	if left, ok := lifetime.Left(l.SoftAdd, sa.addTime.Load(), now); ok {
		if left <= 0 {
			soft, sa.soft.ahead = true, false
		} else if left < next {
			next, sa.soft = left, softMemory{ahead: true, left: left}
		}
	}
	if left, ok := lifetime.Left(l.SoftUse, used, now); ok {
		if left <= 0 {
			soft = true
		} else {
			next = min(next, left)
		}
	}
	return next, soft
}

// expireHard ends the SA and tells it. The caller holds the lock.
func (sa *SA) expireHard() {
	if sa.table.Remove(sa) {
		sa.TellExpired(notice.Cause{}, true)
	}
}

// TellExpired tells of an expiry. The event has what the kernel's has: the
// fixed part, mark, if_id, CPU and direction; no keys.
func (sa *SA) TellExpired(cause notice.Cause, hard bool) {
	if !sa.table.bus.Hears(netlinkx.GroupExpire) {
		return
	}
	c := sa.conf.Load()
	e := &netlinkx.ExpireEvent{Hard: hard, SA: netlinkx.SA{
		Selector: c.Selector, Dst: c.Dst, Src: c.Src, SPI: c.SPI, Proto: c.Proto, Family: c.Family, Mode: c.Mode,
		ReqID: c.ReqID, Seq: c.Seq, Limits: c.Limits, Usage: sa.usage(), Stats: sa.stats(), Flags: c.Flags,
		Mark: c.Mark, IfID: c.IfID, Dir: c.Dir, PCPU: c.PCPU,
	}}
	if c.ReplayESN == nil {
		e.SA.ReplayWindow = c.ReplayWindow
	}
	sa.table.bus.Emit(cause, e)
}
