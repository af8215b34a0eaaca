package sadb

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"

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

// maxReserve is the most that is reserved at once.
const maxReserve = 1 << 14

// forgetful hands out counters that are forgotten with the DB.
type forgetful struct {
	mu   sync.Mutex
	keys map[string]*memCounter
}

func forgetfulKeys() *forgetful { return &forgetful{keys: make(map[string]*memCounter)} }

func (f *forgetful) key(_ string, key netlinkx.Key) (IVCounter, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.keys[string(key.Reveal())]
	if c == nil {
		c = &memCounter{}
		c.next.Store(rand.Uint64())
		f.keys[string(key.Reveal())] = c
	}
	return c, nil
}

// memCounter is a counter without a journal.
type memCounter struct {
	next atomic.Uint64
	seq  atomic.Uint64
}

func (c *memCounter) Reserve(n int) (uint64, error) {
	c.seq.Add(uint64(n))
	return c.next.Add(uint64(n)) - uint64(n), nil
}

func (c *memCounter) Prepare()    {}
func (c *memCounter) Seq() uint64 { return c.seq.Load() }
func (c *memCounter) Release()    {}

func (c *memCounter) Raise(seq uint64) {
	for {
		old := c.seq.Load()
		if old >= seq || c.seq.CompareAndSwap(old, seq) {
			return
		}
	}
}
