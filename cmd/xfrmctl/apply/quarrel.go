package apply

import (
	"time"

	"github.com/xfrmctl/xfrmctl/provision"
)

// Limits of a quarrel: after how many times that an object had to be put right
// in a row we hold back, and for how long at most. In a row are times that lie
// closer together than inRow and twice what was held back.
const (
	patience = 3
	inRow    = 10 * time.Second
	maxHold  = time.Minute
)

// quarrel finds out whether another process changes what we put right. The zero
// value is ready.
type quarrel struct {
	last  map[provision.ID]time.Time
	times map[provision.ID]int
	hold  time.Duration
	said  bool
}

// wrote takes in what a round that no document's change caused has written. It
// returns how long to hold back, and once for a quarrel what it is about.
func (q *quarrel) wrote(ids []provision.ID, now time.Time) (hold time.Duration, about provision.ID) {
	if len(ids) == 0 {
		return q.hold, "" // time alone ends it
	}
	last, times := make(map[provision.ID]time.Time, len(ids)), make(map[provision.ID]int, len(ids))
	worst := ids[0]
	for _, id := range ids {
		if _, seen := last[id]; seen {
			continue // two steps of one round
		}
		if t, again := q.last[id]; again && now.Sub(t) < inRow+2*q.hold {
			times[id] = q.times[id]
		}
		times[id]++
		last[id] = now
		if times[id] > times[worst] {
			worst = id
		}
	}
	q.last, q.times = last, times
	if times[worst] < patience {
		q.hold, q.said = 0, false
		return 0, ""
	}
	q.hold = min(time.Second<<min(times[worst]-patience, 10), maxHold)
	if q.said {
		return q.hold, ""
	}
	q.said = true
	return q.hold, worst
}
