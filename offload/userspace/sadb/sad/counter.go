package sad

import (
	"math"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// IVCounter hands out the initialisation vectors of one counter-mode key, each
// number once. Safe for concurrent use.
type IVCounter interface {
	// Reserve returns the first of n consecutive numbers that were never
	// handed out for this key before. It may block when a lease has run out.
	// An error means that no packet may be sealed with the key.
	Reserve(n int) (first uint64, err error)
	// Prepare says that the first Reserve is near.
	Prepare()
	// Seq returns a sequence number that no SA with this key has gone beyond:
	// an SA that is added goes on above it. 0 for a new key.
	Seq() uint64
	// Raise says that an SA with this key begins behind seq.
	Raise(seq uint64)
	// Release ends the use of the counter by one SA.
	Release()
}

// UseCounter makes the SA, which nobody can find yet, send with the counter of
// its key, above what the key has used already. The SA owns this use of the
// counter from then on. False: the key has used up its sequence numbers; the
// counter is released.
func (sa *SA) UseCounter(counter IVCounter) bool {
	seq, asked := counter.Seq(), sa.oseq.Load()
	switch {
	case asked > seq:
		counter.Raise(asked)
	case seq > sa.lastUsable():
		counter.Release()
		return false
	default:
		sa.oseq.Store(seq)
	}
	sa.counter = counter
	if sa.Conf().Dir == netlinkx.DirOut {
		counter.Prepare()
	}
	return true
}

// lastUsable is the highest number after which there is another one.
func (sa *SA) lastUsable() uint64 {
	if m := sa.maxSeq(); m < math.MaxUint64 {
		return m - 1
	}
	return math.MaxUint64 - 1
}

// dropCounter ends the SA's use of its counter.
func (sa *SA) dropCounter() {
	if sa.counter != nil && !sa.gaveAway {
		sa.counter.Release()
	}
}
