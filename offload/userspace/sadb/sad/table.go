package sad

import (
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/dump"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/notice"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/rcu"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xaddr"
)

// Config is what a Table needs from its surroundings. All fields but Changed
// must be set.
type Config struct {
	Lock       sync.Locker    // held by those who change the Table; timers take it
	Bus        *notice.Bus    // told of what happens
	Generation *atomic.Uint64 // changes after every change that lookups could see
	// Changed is called with the lock held whenever an SA that can carry packets
	// appears (added true) or is gone. A change of its encapsulation, output mark
	// or if_id is a removal and an addition. Nil: nobody.
	Changed       func(sa *SA, added bool)
	AEventTime    time.Duration // between timer aevents, where the SA says nothing
	AEventPackets uint32        // between replay aevents, where the SA says nothing
}

// Table holds SAs and finds them: for packets without a lock (Find, Search),
// for requests by those who hold the lock. Make one with New.
type Table struct {
	cfg    Config
	bus    *notice.Bus
	hashes hashes

	bySPI  rcu.Table[SA]
	byWant rcu.Table[SA]
	// exact: the best SA of several may not be the newest, because one is of
	// a CPU or was given another age.
	exact    atomic.Bool
	acquires atomic.Int32 // larval SAs that traffic made

	// Guarded by the lock.
	closed   bool
	all      dump.List[*SA]
	larval   map[larvalKey][]*SA // larval SAs without an SPI
	byAcqSeq map[uint32][]*SA    // larval SAs that an acquire's number names
	spis     map[protoSPI]int32  // how many SAs have it
	buckets  buckets
}

// New returns an empty Table. Close ends its timers.
func New(cfg Config) *Table {
	return &Table{
		cfg: cfg, bus: cfg.Bus, hashes: hashes{rcu.NewSeed()},
		larval: make(map[larvalKey][]*SA), byAcqSeq: make(map[uint32][]*SA), spis: make(map[protoSPI]int32),
	}
}

// Close stops all timers. The caller holds the lock, and changes nothing
// afterwards; packets may still look up.
func (t *Table) Close() {
	t.closed = true
	for sa := range t.all.All() {
		sa.stopTimers()
	}
}

// changed makes lookups that are kept by packet threads stale.
func (t *Table) changed() { t.cfg.Generation.Add(1) }

// All iterates over the SAs, newest first. The caller holds the lock; the body
// may remove SAs.
func (t *Table) All() iter.Seq[*SA] { return t.all.All() }

// Entries returns how many entries all indexes have together: 0 in a Table
// without SAs. The caller holds the lock.
func (t *Table) Entries() int {
	return t.all.Len() + t.bySPI.Len() + t.byWant.Len() + len(t.larval) + len(t.byAcqSeq) + len(t.spis)
}

// Insert puts a new SA into all indexes and starts its time limits. The caller
// holds the lock.
func (t *Table) Insert(sa *SA) {
	c := sa.conf.Load()
	sa.place = t.all.Push(sa)
	if sa.SPI() != 0 {
		t.insertSPI(sa, c)
	}
	if sa.State() == Larval {
		if sa.SPI() == 0 {
			k := larvalKeyOf(c)
			t.larval[k] = append(t.larval[k], sa)
		}
		if c.Seq != 0 {
			t.byAcqSeq[c.Seq] = append(t.byAcqSeq[c.Seq], sa)
		}
	}
	if c.PCPU.Valid || sa.aged {
		t.exact.Store(true)
	}
	t.byWant.Insert(t.hashes.want(&sa.want), sa)
	t.countSA(sa)
	sa.startTimers()
	if sa.State() == Valid && t.cfg.Changed != nil {
		t.cfg.Changed(sa, true)
	}
	t.changed()
}

func (t *Table) insertSPI(sa *SA, c *netlinkx.SA) {
	t.spis[protoSPI{c.Proto, sa.SPI()}]++
	t.bySPI.Insert(t.hashes.spi(&sa.dst, sa.SPI(), c.Proto), sa)
}

// Remove takes an SA out of all indexes and ends it; false if it was dead
// already. The caller holds the lock.
func (t *Table) Remove(sa *SA) bool {
	old := State(sa.state.Swap(uint32(Dead)))
	if old == Dead {
		return false
	}
	c := sa.conf.Load()
	t.all.Remove(sa.place)
	t.byWant.Remove(t.hashes.want(&sa.want), sa)
	if sa.SPI() != 0 {
		t.bySPI.Remove(t.hashes.spi(&sa.dst, sa.SPI(), c.Proto), sa)
		k := protoSPI{c.Proto, sa.SPI()}
		if t.spis[k]--; t.spis[k] == 0 {
			delete(t.spis, k)
		}
	}
	drop(t.larval, larvalKeyOf(c), sa)
	drop(t.byAcqSeq, c.Seq, sa)
	if sa.acquired {
		t.acquires.Add(-1)
	}
	t.uncountSA(sa)
	sa.stopTimers()
	sa.dropCounter()
	if old != Larval && t.cfg.Changed != nil {
		t.cfg.Changed(sa, false)
	}
	t.changed()
	return true
}

// Find returns the newest SA of that identity whose mark fits, or nil
// (__xfrm_state_lookup). It takes no lock and allocates nothing.
func (t *Table) Find(dst *xaddr.Addr, spi netlinkx.SPI, proto netlinkx.Proto, family netlinkx.Family, mark uint32) *SA {
	for n := t.bySPI.First(t.hashes.spi(dst, spi, proto)); n != nil; n = n.Next() {
		sa := n.Item
		if sa.SPI() == spi && sa.dst == *dst && sa.matchesMark(mark) && sa.proto == proto && sa.family == family {
			return sa
		}
	}
	return nil
}

// Locate finds the SA of the identity that c has, or nil. It takes no lock.
func (t *Table) Locate(c *netlinkx.SA) *SA {
	dst := xaddr.Of(c.Dst)
	return t.Find(&dst, c.SPI, c.Proto, c.Family, c.Mark.Value&c.Mark.Mask)
}

// ByAddress finds an SA of a protocol without SPIs, by its addresses; nil if
// there is none. The caller holds the lock.
func (t *Table) ByAddress(id *netlinkx.SAID) *SA {
	dst, src, mark := xaddr.Of(id.Dst), xaddr.Of(id.Src), id.Mark.Value&id.Mark.Mask
	for sa := range t.all.All() {
		c := sa.conf.Load()
		if c.Proto == id.Proto && c.Family == id.Family && sa.Between(dst, src) && sa.matchesMark(mark) {
			return sa
		}
	}
	return nil
}
