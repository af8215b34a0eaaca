package sadb

import (
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/rules"
)

// SADInfo returns how many SAs there are, and the sizes that the kernel's hash
// table would have.
func (db *DB) SADInfo() netlinkx.SADInfo {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.sas.Info()
}

// SPDInfo returns how many policies there are, the size of the kernel's hash
// table (which it reports one too low) and the thresholds.
func (db *DB) SPDInfo() netlinkx.SPDInfo {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.policies.Info()
}

// SetSPDInfo sets the hash thresholds that are present. They change nothing
// but what SPDInfo returns: lookups here need none.
func (db *DB) SetSPDInfo(i *netlinkx.SPDInfo) error {
	if err := rules.CheckHashThresholds(i); err != nil {
		return err
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	db.policies.SetThresholds(i)
	return nil
}

// Defaults returns what happens to packets that no policy matches.
func (db *DB) Defaults() netlinkx.Defaults {
	p := db.policies
	return netlinkx.Defaults{In: p.Default(netlinkx.PolicyIn), Fwd: p.Default(netlinkx.PolicyFwd), Out: p.Default(netlinkx.PolicyOut)}
}

// SetDefaults sets the actions that are block or accept; others leave a
// direction as it is, without a word. The event is sent in any case, from
// nobody, as the kernel does.
func (db *DB) SetDefaults(d *netlinkx.Defaults) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.policies.SetDefaults(d)
	db.bus.Emit(Cause{}, &netlinkx.DefaultsEvent{Defaults: db.Defaults()})
}
