// Package lifetime has what the time limits of SAs and of policies have in
// common, as Linux counts them: in whole seconds of the clock that can be set.
package lifetime

import "time"

// Now returns Unix seconds.
func Now() int64 { return time.Now().Unix() }

// Left returns how many seconds are left at now of a limit that began at since,
// both Unix seconds; 0 or less: it is reached. ok is false for no limit. Limits
// beyond a century are none.
func Left(limit uint64, since, now int64) (left int64, ok bool) {
	const century = 100 * 366 * 24 * 3600
	if limit == 0 || limit > century {
		return 0, false
	}
	return int64(limit) + since - now, true
}

// Stop ends a timer that may be nil.
func Stop(t *time.Timer) {
	if t != nil {
		t.Stop()
	}
}
