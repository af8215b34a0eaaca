package pmtu

import "time"

// Limiter is a token bucket. The zero value allows nothing; set both fields.
// Not safe for concurrent use.
type Limiter struct {
	Every time.Duration // one event each, in the long run
	Burst int           // this many at once

	tokens int
	last   time.Duration
	begun  bool
}

// Allow says whether an event may happen now, and counts it if so. now is the
// time since any fixed instant; if it runs backwards, nothing is refilled.
func (l *Limiter) Allow(now time.Duration) bool {
	switch {
	case !l.begun:
		l.begun, l.tokens, l.last = true, l.Burst, now
	case l.Every > 0 && now > l.last:
		if n := (now - l.last) / l.Every; n >= time.Duration(l.Burst-l.tokens) {
			l.tokens, l.last = l.Burst, now
		} else {
			l.tokens += int(n)
			l.last += n * l.Every
		}
	}
	if l.tokens <= 0 {
		return false
	}
	l.tokens--
	return true
}
