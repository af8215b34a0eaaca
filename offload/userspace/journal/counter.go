package journal

import (
	"crypto/rand"
	"encoding/binary"
	"math"
	"sync"
	"time"
)

// Sizes of leases, in IVs. The first one is small, because what is left of a
// lease after a crash is lost, of 32-bit sequence numbers too. A key that uses
// one up quickly gets four times as much the next time, so that at ten million
// packets a second there are still two or three waits for the disk in a second.
const (
	firstLease = 1 << 14
	maxLease   = 1 << 22
	quickly    = 5 * time.Second
	slowly     = time.Minute
	retryAfter = 100 * time.Millisecond
)

// Counter hands out the IVs of one key. It is safe for concurrent use.
type Counter struct {
	j   *Journal
	key fingerprint

	mu    sync.Mutex
	base  uint64 // IV of position 0
	next  uint64 // first position that was not handed out
	end   uint64 // of the lease
	spare span   // a second lease, when another process has what follows the first
	until uint64 // of the newest lease on the key that is known, anyone's
	seq   uint64 // see record
	raise uint64 // an SA has used sequence numbers up to this one, on disk or not
	held  bool   // nothing is handed out before raise is on disk

	size    uint64 // of the next lease
	granted time.Time
	waiting chan struct{} // closed when the lease that was asked for has come, or not
	err     error         // why it has not
	retry   time.Time     // not asked for before

	users   int  // guarded by j.mu
	queued  bool // guarded by j.mu
	settled bool // no more leases: the last word is written. Guarded by mu
}

// span is a lease or what is left of it: positions from next up to end.
type span struct{ base, next, end uint64 }

// Reserve returns the first of n consecutive IVs (modulo 2^64) that nobody had
// before with this key, and nobody will. New leases are asked for early,
// so it waits for the disk only after a burst that is faster than ever. It
// fails with ErrExhausted, ErrClosed, *LostError or what the disk said; n IVs
// are at most 2^14.
func (c *Counter) Reserve(n int) (first uint64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.held || c.end-c.next < uint64(n) {
		if !c.held && c.spare.end-c.spare.next >= uint64(n) {
			c.base, c.next, c.end, c.spare = c.spare.base, c.spare.next, c.spare.end, span{}
			continue
		}
		if err := c.await(); err != nil {
			return 0, err
		}
	}
	first = c.base + c.next
	c.next += uint64(n)
	if c.end-c.next < c.size/2 && c.spare == (span{}) {
		c.ask()
	}
	return first, nil
}

// Prepare asks for a first lease without waiting for it: for an SA that is
// likely to send.
func (c *Counter) Prepare() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end == c.next && c.spare == (span{}) {
		c.ask()
	}
}

// Seq returns a sequence number that no SA with this key has gone beyond, and
// behind which the caller's SA begins, so that the peer's replay window accepts
// it. It is 0 for a key that was never used.
func (c *Counter) Seq() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	used := c.until
	if c.until == c.end && c.spare == (span{}) && c.end > 0 {
		used = c.next // what follows is ours, and not used
	}
	seq := max(c.raise, addCapped(c.seq, used))
	c.begin(seq)
	return seq
}

// Raise says that an SA with this key begins behind sequence number seq instead
// of Seq. Seq will not return less afterwards.
func (c *Counter) Raise(seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begin(seq)
}

// begin sees to it that what the disk says covers an SA that begins behind seq
// and uses a sequence number with each IV. The caller holds c.mu.
func (c *Counter) begin(seq uint64) {
	c.raise = max(c.raise, seq)
	if c.end > c.next && addCapped(c.seq, c.next) < c.raise {
		c.held = true // the lease that we have was written without it
		c.ask()
	}
}

// Release ends the use of the counter by one caller of Key.
func (c *Counter) Release() {
	c.j.mu.Lock()
	c.users--
	last := c.users == 0
	c.j.mu.Unlock()
	if last {
		c.j.request(c)
	}
}

// await asks for a lease and waits for it. The caller holds c.mu.
func (c *Counter) await() error {
	if c.settled {
		return ErrClosed
	}
	if !c.ask() {
		return c.err
	}
	ready := c.waiting
	c.mu.Unlock()
	<-ready
	c.mu.Lock()
	return c.err
}

// ask asks for a lease, unless that was done already. It reports whether one is
// under way: not when the last attempt failed just now. The caller holds c.mu.
func (c *Counter) ask() bool {
	if c.waiting != nil {
		return true
	}
	now := c.j.now()
	if c.err != nil && now.Before(c.retry) || c.settled {
		return false
	}
	switch used := now.Sub(c.granted); {
	case c.granted.IsZero():
	case used < quickly:
		c.size = min(c.size*4, maxLease)
	case used > slowly:
		c.size = max(c.size/4, firstLease)
	}
	c.waiting = make(chan struct{})
	c.j.request(c)
	return true
}

// grant hands over a lease that is on disk, or says why there is none.
func (c *Counter) grant(r record, lease span, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.err, c.retry = err, c.j.now().Add(retryAfter)
		if c.waiting == nil {
			return
		}
	} else {
		c.err, c.granted = nil, c.j.now()
		c.until, c.seq = r.until, r.seq
		switch {
		case c.end == c.next:
			c.base, c.next, c.end = lease.base, lease.next, lease.end
		case c.end == lease.next && c.base == lease.base:
			c.end = lease.end
		default:
			c.spare = lease
		}
	}
	if c.waiting != nil {
		close(c.waiting)
		c.waiting = nil
	}
	if c.held = addCapped(c.seq, c.next) < c.raise; c.held && err == nil {
		c.ask() // it was raised while the frame was being written
	}
}

// learn takes over what the journal knows of the key.
func (c *Counter) learn(r record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until, c.seq = max(c.until, r.until), max(c.seq, r.seq)
}

// addCapped adds without wrapping.
func addCapped(a, b uint64) uint64 {
	if a > math.MaxUint64-b {
		return math.MaxUint64
	}
	return a + b
}

func randomBase() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return binary.NativeEndian.Uint64(b[:])
}

func randomSecret(s *secret) { rand.Read(s[:]) }
