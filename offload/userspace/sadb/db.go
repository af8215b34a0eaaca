package sadb

import (
	"sync"
	"sync/atomic"

	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/notice"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/sad"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/spd"
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
	policies *spd.Table

	mu     sync.Mutex // of the control side; guards what follows, and both tables
	closed bool
	acqSeq uint32
}

// New returns an empty DB. Close ends its timers.
func New(cfg Config) *DB {
	db := &DB{
		cfg: cfg.withDefaults(),
		bus: notice.NewBus(cfg.Listener),
	}
	db.sas = sad.New(sad.Config{
		Lock: &db.mu, Bus: db.bus, Generation: &db.gen, Changed: cfg.SAChanged,
		AEventTime: db.cfg.Sysctls.AEventTime, AEventPackets: db.cfg.Sysctls.AEventPackets,
	})
	db.policies = spd.New(spd.Config{Lock: &db.mu, Bus: db.bus, Generation: &db.gen})
	return db
}

// Close stops everything that would happen by itself. The DB must not be used
// by the control side afterwards; packets may still look up.
func (db *DB) Close() {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.closed = true
	db.sas.Close()
	db.policies.Close()
}

// Generation returns a number that changes with every change of SAs, policies
// or defaults: what was found before it changed need not be right any more.
// Read it before looking up.
func (db *DB) Generation() uint64 { return db.gen.Load() }
