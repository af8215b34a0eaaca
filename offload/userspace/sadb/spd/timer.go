package spd

import (
	"math"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/lifetime"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/notice"
)

// kmTimeout is after how many seconds a policy whose soft limit has passed
// tells it again (XFRM_KM_TIMEOUT).
const kmTimeout = 30

// startTimer begins the policy's time limits. The caller holds the lock.
func (p *Policy) startTimer() {
	l := &p.conf.Limits
	if l.SoftAdd|l.HardAdd|l.SoftUse|l.HardUse != 0 && !p.table.closed {
		p.timer = time.AfterFunc(time.Second, p.onTimer)
	}
}

// onTimer looks at the time limits (xfrm_policy_timer).
func (p *Policy) onTimer() {
	p.table.cfg.Lock.Lock()
	defer p.table.cfg.Lock.Unlock()
	if p.table.closed || p.dead {
		return
	}
	next, soft, hard := p.due(lifetime.Now())
	if hard {
		p.table.Remove(p)
		p.TellExpired(notice.Cause{}, true)
		return
	}
	if soft {
		p.TellExpired(notice.Cause{}, false)
	}
	if next < math.MaxInt64 {
		p.timer.Reset(time.Duration(next) * time.Second)
	}
}

// due returns in how many seconds to look again, and what is reached.
func (p *Policy) due(now int64) (next int64, soft, hard bool) {
	next = math.MaxInt64
	l, added := &p.conf.Limits, int64(p.conf.Usage.AddTime)
	used := p.useTime.Load()
	if used == 0 {
		used = added
	}
	for _, h := range [...]struct {
		limit uint64
		since int64
	}{{l.HardAdd, added}, {l.HardUse, used}} {
		if left, ok := lifetime.Left(h.limit, h.since, now); ok {
			hard = hard || left <= 0
			next = min(next, left)
		}
	}
	for _, s := range [...]struct {
		limit uint64
		since int64
	}{{l.SoftAdd, added}, {l.SoftUse, used}} {
		if left, ok := lifetime.Left(s.limit, s.since, now); ok {
			if left <= 0 {
				soft, left = true, kmTimeout
			}
			next = min(next, left)
		}
	}
	return next, soft, hard
}

// TellExpired tells of an expiry. The caller holds the lock.
func (p *Policy) TellExpired(cause notice.Cause, hard bool) {
	if p.table.cfg.Bus.Hears(netlinkx.GroupExpire) {
		p.table.cfg.Bus.Emit(cause, &netlinkx.PolicyExpireEvent{Policy: *p.Report(), Hard: hard})
	}
}
