package netlinkx

// SAFlags is the 8-bit flag field of an SA (XFRM_STATE_*).
type SAFlags uint8

// SA flags.
const (
	FlagNoECN      SAFlags = 1   // do not copy ECN between headers
	FlagDecapDSCP  SAFlags = 2   // copy the outer DSCP inward
	FlagNoPMTUDisc SAFlags = 4   // clear DF on the outer header
	FlagWildRecv   SAFlags = 8   // Mobile IPv6: any source address
	FlagICMP       SAFlags = 16  // check the packet inside an ICMP error
	FlagAFUnspec   SAFlags = 32  // the selector may be of either family
	FlagAlign4     SAFlags = 64  // AH: align to 4 bytes, not 8
	FlagESN        SAFlags = 128 // extended sequence numbers (RFC 4303 section 2.2.1)
)

// SAExtraFlags is the 32-bit field of XFRMA_SA_EXTRA_FLAGS.
type SAExtraFlags uint32

// Extra SA flags.
const (
	ExtraDontEncapDSCP SAExtraFlags = 1
	ExtraOSeqMayWrap   SAExtraFlags = 2
)

// PolicyFlags is the flag field of a policy (XFRM_POLICY_*).
type PolicyFlags uint8

// Policy flags.
const (
	PolicyLocalOK    PolicyFlags = 1
	PolicyICMP       PolicyFlags = 2
	PolicyCPUAcquire PolicyFlags = 4 // ACQUIRE for each CPU without an SA (6.13)
)

// OffloadFlags is the flag byte of XFRMA_OFFLOAD_DEV.
type OffloadFlags uint8

// Offload flags. Without OffloadPacket the NIC does the cryptography only.
const (
	OffloadIPv6    OffloadFlags = 1 // historical, ignored
	OffloadInbound OffloadFlags = 2
	OffloadPacket  OffloadFlags = 4
)

// AEFlags says what an aevent asks for or carries (XFRM_AE_*).
type AEFlags uint32

// Aevent flags.
const (
	AEReplayThresh AEFlags = 1 << iota // reply carries the replay threshold
	AEReplayVal                        // carries the replay state
	AELifetimeVal                      // carries the lifetime counters
	AETimerThresh                      // reply carries the timer threshold
	AECausedByReplay
	AECausedByTimer
	AECausedByUpdate
)

// MigrateStateFlags modify MIGRATE_STATE.
type MigrateStateFlags uint32

// MIGRATE_STATE flags.
const (
	MigrateClearOffload MigrateStateFlags = 1 // do not inherit the offload device
	MigrateUpdateH2HSel MigrateStateFlags = 2 // rewrite a host-to-host selector
)
