package rotate

import "time"

// Clock lets both ends change keys at the same times without a word between
// them. Epoch 1 begins at Start, and each Every another one. The clocks of both
// ends are never further apart than Slack. Every is at least
// document.MinPeriods times Slack, because a rotation takes from two Slack
// before its time to three after it.
type Clock struct {
	Start time.Time
	Every time.Duration
	Slack time.Duration
}

// Epoch returns the epoch of a time; before Start it is 1.
func (c *Clock) Epoch(now time.Time) uint64 {
	if now.Before(c.Start) {
		return 1
	}
	return 1 + uint64(now.Sub(c.Start)/c.Every)
}

// Begins returns when an epoch begins.
func (c *Clock) Begins(epoch uint64) time.Time {
	return c.Start.Add(time.Duration(epoch-1) * c.Every)
}

// due returns the rotation of a settled tunnel whose step inbound is due: two
// Slack before its time, one for the difference of the clocks and one to take
// the step. A tunnel that was left behind goes to the epoch of now.
func (c *Clock) due(t *Tunnel, now time.Time) (target uint64, ok bool) {
	target = c.Epoch(now.Add(2 * c.Slack))
	return target, target > max(t.Epoch, t.Skip)
}

// Adopt returns the tunnel as the document's clock has it. A new one has the
// epoch of now. A clock that went back over the beginning of an epoch changes
// nothing: the keys before it are gone. One that was further ahead was wrong,
// and the right one counts.
func (c *Clock) Adopt(t Tunnel, now time.Time) Tunnel {
	epoch := c.Epoch(now)
	if t.Clock && t.Epoch != 0 && max(t.Epoch, t.Next) <= epoch+2 {
		return t
	}
	return Tunnel{Epoch: epoch, Clock: true, SPIs: t.SPIs}
}

// Due returns the step that the time asks for, and for a rotation that is to
// begin its epoch and time. ok is false when there is none. clock is the
// document's, nil when it has none.
func (t *Tunnel) Due(clock *Clock, now time.Time) (s Step, f Facts, ok bool) {
	f.Now = now
	s = t.NextStep()
	if t.Settled() {
		if clock == nil {
			return s, f, false
		}
		f.Target, ok = clock.due(t, now)
		f.At, f.Slack = clock.Begins(f.Target), clock.Slack
		return s, f, ok
	}
	if !t.scheduled() {
		return s, f, false
	}
	switch s {
	case StepConfirm:
		return s, f, !now.Before(t.At)
	case StepDrain:
		f.Quiet = t.Slack / 4
		return s, f, !now.Before(t.At.Add(2 * t.Slack))
	}
	return s, f, true
}

// wake returns when the next step may be due; ok is false when none will be.
func (t *Tunnel) wake(clock *Clock, now time.Time) (at time.Time, ok bool) {
	switch {
	case t.Settled() && clock != nil:
		return clock.Begins(max(t.Epoch, clock.Epoch(now)) + 1).Add(-2 * clock.Slack), true
	case !t.scheduled() || t.Settled():
		return time.Time{}, false
	case t.NextStep() == StepConfirm:
		return t.At, true
	}
	if at = t.At.Add(2 * t.Slack); at.Before(now) { // waiting for silence
		at = now.Add(t.Slack / 8)
	}
	return at, true
}
