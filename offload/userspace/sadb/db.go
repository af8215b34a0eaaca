package sadb

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/classify"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/dump"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/notice"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/rcu"
)

// DB holds the SAs and policies of one engine. All methods are safe for
// concurrent use; operations of the control side run one after the other, as
// the kernel's do under its mutex.
type DB struct {
	cfg    Config
	bus    *notice.Bus
	hashes hashes

	// gen changes after every change that could change what a lookup finds.
	gen atomic.Uint64

	bySPI  rcu.Table[SA]
	byWant rcu.Table[SA]
	rules  *classify.Table[Policy]
	// exact: the best SA of several may not be the newest, because one is of
	// a CPU or was given another age.
	exact    atomic.Bool
	defaults [3]atomic.Uint32 // netlinkx.DefaultAction by direction
	acquires atomic.Int32     // larval SAs that traffic made

	mu     sync.Mutex // of the control side; guards what follows
	closed bool

	sas       dump.List[*SA]
	larval    map[acqKey][]*SA   // larval SAs without an SPI
	byAcqSeq  map[uint32][]*SA   // larval SAs that an acquire's number names
	spis      map[protoSPI]int32 // how many SAs have it
	acqSeq    uint32
	saBuckets buckets

	policies spd
}

// New returns an empty DB. Close ends its timers.
func New(cfg Config) *DB {
	db := &DB{
		cfg:      cfg.withDefaults(),
		bus:      notice.NewBus(cfg.Listener),
		hashes:   hashes{rcu.NewSeed()},
		rules:    classify.New[Policy](),
		larval:   make(map[acqKey][]*SA),
		byAcqSeq: make(map[uint32][]*SA),
		spis:     make(map[protoSPI]int32),
	}
	db.policies.init()
	for d := range db.defaults {
		db.defaults[d].Store(uint32(netlinkx.DefaultAccept))
	}
	return db
}

// Close stops everything that would happen by itself. The DB must not be used
// by the control side afterwards; packets may still look up.
func (db *DB) Close() {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.closed = true
	for sa := range db.sas.All() {
		sa.stopTimers()
	}
	for p := range db.policies.list.All() {
		stop(p.timer)
	}
}

// Generation returns a number that changes with every change of SAs, policies
// or defaults: what was found before it changed need not be right any more.
// Read it before looking up.
func (db *DB) Generation() uint64 { return db.gen.Load() }

// changed makes lookups that are kept by packet threads stale.
func (db *DB) changed() { db.gen.Add(1) }

// Sizes of the kernel's hash tables, which it reports.
const (
	minHash = 8
	maxHash = 1 << 20
)

// now returns Unix seconds.
func now() int64 { return time.Now().Unix() }

// stop ends a timer that may be nil.
func stop(t *time.Timer) {
	if t != nil {
		t.Stop()
	}
}
