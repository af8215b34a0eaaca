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
	s := &db.policies
	return netlinkx.SPDInfo{
		Counts:    netlinkx.SPDCounts{In: s.counts[netlinkx.PolicyIn], Out: s.counts[netlinkx.PolicyOut], Fwd: s.counts[netlinkx.PolicyFwd]},
		HashCount: s.indexMask, HashMaximum: maxHash,
		IPv4: netlinkx.Some(s.threshold4), IPv6: netlinkx.Some(s.threshold6),
	}
}

// SetSPDInfo sets the hash thresholds that are present. They change nothing
// but what SPDInfo returns: lookups here need none.
func (db *DB) SetSPDInfo(i *netlinkx.SPDInfo) error {
	if err := rules.CheckHashThresholds(i); err != nil {
		return err
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if i.IPv4.Valid {
		db.policies.threshold4 = i.IPv4.V
	}
	if i.IPv6.Valid {
		db.policies.threshold6 = i.IPv6.V
	}
	return nil
}

// Defaults returns what happens to packets that no policy matches.
func (db *DB) Defaults() netlinkx.Defaults {
	get := func(d netlinkx.PolicyDir) netlinkx.DefaultAction {
		return netlinkx.DefaultAction(db.defaults[d].Load())
	}
	return netlinkx.Defaults{In: get(netlinkx.PolicyIn), Fwd: get(netlinkx.PolicyFwd), Out: get(netlinkx.PolicyOut)}
}

// SetDefaults sets the actions that are block or accept; others leave a
// direction as it is, without a word. The event is sent in any case, from
// nobody, as the kernel does.
func (db *DB) SetDefaults(d *netlinkx.Defaults) {
	db.mu.Lock()
	defer db.mu.Unlock()
	for dir, a := range map[netlinkx.PolicyDir]netlinkx.DefaultAction{netlinkx.PolicyIn: d.In, netlinkx.PolicyFwd: d.Fwd, netlinkx.PolicyOut: d.Out} {
		if a == netlinkx.DefaultBlock || a == netlinkx.DefaultAccept {
			db.defaults[dir].Store(uint32(a))
		}
	}
	db.changed()
	db.bus.Emit(Cause{}, &netlinkx.DefaultsEvent{Defaults: db.Defaults()})
}
