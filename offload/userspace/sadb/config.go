package sadb

import (
	"net/netip"
	"runtime"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/notice"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/rules"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/sad"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/spd"
)

// Refusal is what a refused operation returns; see package rules.
type Refusal = rules.Refusal

// SARequest asks to add or update an SA; see package rules.
type SARequest = rules.SARequest

// Cause, Notice, Listener and Headroom are what happens and who is told; see
// package notice.
type (
	Cause    = notice.Cause
	Notice   = notice.Notice
	Listener = notice.Listener
	Headroom = notice.Headroom
)

// SA and IVCounter are what packets use; see package sad.
type (
	SA        = sad.SA
	IVCounter = sad.IVCounter
)

// Policy is what a Decision names; see package spd.
type Policy = spd.Policy

// Config is what a DB needs from its surroundings. Nil fields have the stated
// default.
type Config struct {
	// Listener is told of events; nil: nobody listens.
	Listener Listener
	// Key returns the counter of a counter-mode key (keys of two SAs may be
	// the same); its error refuses the SA. Nil: counters that start at a
	// random number and are forgotten with the DB, for tests.
	Key func(algorithm string, key netlinkx.Key) (IVCounter, error)
	// SAChanged is called under the DB's lock whenever an SA that can carry
	// packets appears (added true) or is gone, for those who open sockets for
	// encapsulations. An update of what they depend on (encapsulation, output
	// mark, if_id) is a removal and an addition. Nil: nobody.
	SAChanged func(sa *SA, added bool)
	// SourceAddr chooses the local address for a template that has none; ok
	// is false without a route. Nil: never ok.
	SourceAddr func(dst netip.Addr, mark uint32) (src netip.Addr, ok bool)
	// CPUs is the number of CPUs that per-CPU SAs may name; 0 this machine's.
	CPUs uint32
	// Sysctls are net.core.xfrm_*; nil the kernel's defaults.
	Sysctls *Sysctls
	// MaxAcquires bounds the larval SAs that traffic makes; 0: 4096. Beyond
	// it traffic without an SA is dropped without an acquire.
	MaxAcquires int
	// NoPMTUDisc is net.ipv4.ip_no_pmtu_disc: new IPv4 SAs that are not of
	// direction in get FlagNoPMTUDisc.
	NoPMTUDisc bool
}

// Sysctls are the kernel's knobs that matter here.
type Sysctls struct {
	AcquireExpires time.Duration // xfrm_acq_expires: life of larval SAs; whole seconds
	AEventTime     time.Duration // xfrm_aevent_etime: between timer aevents
	AEventPackets  uint32        // xfrm_aevent_rseqth: between replay aevents
}

// DefaultSysctls returns the kernel's defaults.
func DefaultSysctls() Sysctls {
	return Sysctls{AcquireExpires: 30 * time.Second, AEventTime: time.Second, AEventPackets: 2}
}

// withDefaults fills in what is nil or zero.
func (c Config) withDefaults() Config {
	if c.Key == nil {
		c.Key = forgetfulKeys().key
	}
	if c.SourceAddr == nil {
		c.SourceAddr = func(netip.Addr, uint32) (netip.Addr, bool) { return netip.Addr{}, false }
	}
	if c.CPUs == 0 {
		c.CPUs = uint32(runtime.NumCPU())
	}
	if c.Sysctls == nil {
		s := DefaultSysctls()
		c.Sysctls = &s
	}
	if c.MaxAcquires == 0 {
		c.MaxAcquires = 4096
	}
	return c
}
