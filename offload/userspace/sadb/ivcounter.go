package sadb

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

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
