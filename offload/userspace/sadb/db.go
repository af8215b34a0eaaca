package sadb

import (
	"sync"
	"sync/atomic"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/classify"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/lifetime"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/notice"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/sad"
)

// DB holds the SAs and policies of one engine. All methods are safe for
// concurrent use; operations of the control side run one after the other, as
// the kernel's do under its mutex.
type DB struct {
	cfg Config
	bus *notice.Bus

	// gen changes after every change that could change what a lookup finds.
	gen atomic.Uint64

	sas      *sad.Table
	rules    *classify.Table[Policy]
	defaults [3]atomic.Uint32 // netlinkx.DefaultAction by direction

	mu     sync.Mutex // of the control side; guards what follows, and sas
	closed bool
	acqSeq uint32

	policies spd
}

// New returns an empty DB. Close ends its timers.
func New(cfg Config) *DB {
	db := &DB{
		cfg:   cfg.withDefaults(),
		bus:   notice.NewBus(cfg.Listener),
		rules: classify.New[Policy](),
	}
	db.sas = sad.New(sad.Config{
		Lock: &db.mu, Bus: db.bus, Generation: &db.gen, Changed: cfg.SAChanged,
		AEventTime: db.cfg.Sysctls.AEventTime, AEventPackets: db.cfg.Sysctls.AEventPackets,
	})
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
	db.sas.Close()
	for p := range db.policies.list.All() {
		lifetime.Stop(p.timer)
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
