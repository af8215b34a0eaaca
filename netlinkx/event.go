package netlinkx

// EventOp says what happened to an object.
type EventOp uint8

// Operations of events.
const (
	EventNew EventOp = iota
	EventUpdate
	EventDelete
)

var eventOpNames = map[EventOp]string{EventNew: "new", EventUpdate: "update", EventDelete: "delete"}

// String returns "new", "update" or "delete".
func (o EventOp) String() string { return name(eventOpNames, o) }

// Event is one of the *…Event types. Values are owned by the receiver.
type Event interface{ isEvent() }

// SAEvent tells that an SA was added, updated or deleted. A hard expiry is
// an ExpireEvent alone.
type SAEvent struct {
	Op EventOp
	SA SA
}

// ExpireEvent tells that a limit of an SA was reached; Hard: it is gone.
type ExpireEvent struct {
	SA   SA
	Hard bool
}

// PolicyEvent tells that a policy was added, updated or deleted.
type PolicyEvent struct {
	Op     EventOp
	Policy Policy
	// Deleted names the policy as the deleter did, for EventDelete.
	Deleted PolicyID
}

// PolicyExpireEvent tells that a limit of a policy was reached; Hard: it is gone.
type PolicyExpireEvent struct {
	Policy Policy
	Hard   bool
}

// AcquireEvent tells that traffic wants an SA that does not exist.
type AcquireEvent struct{ Acquire Acquire }

// FlushSAEvent tells that all SAs of a protocol are gone; 0 all.
type FlushSAEvent struct{ Proto Proto }

// FlushPolicyEvent tells that all policies of a type are gone.
type FlushPolicyEvent struct{ Type Opt[PolicyType] }

// AEvent is an asynchronous report of an SA's replay state or counters.
type AEvent struct{ AE AE }

// MappingEvent tells that the peer's NAT mapping changed.
type MappingEvent struct{ Mapping Mapping }

// ReportEvent is a Mobile IPv6 report.
type ReportEvent struct{ Report Report }

// MigrateEvent tells that a policy and its SAs moved.
type MigrateEvent struct{ Migrate Migrate }

// MigrateStateEvent tells that one SA moved.
type MigrateStateEvent struct{ Migrate MigrateState }

// DefaultsEvent tells the new default actions.
type DefaultsEvent struct{ Defaults Defaults }

// UnknownEvent is a message of a type that this package does not know.
type UnknownEvent struct {
	Len   uint32 // of the whole message
	Type  uint16
	Flags uint16
}

// LostEvent tells that the kernel dropped events because the receiver was too
// slow (ENOBUFS). What follows it is a re-sync: see Monitor.
type LostEvent struct{}

// ResyncEvent carries one object that exists after events were lost, or ends
// the re-sync when both are nil.
type ResyncEvent struct {
	SA     *SA
	Policy *Policy
}

func (*SAEvent) isEvent()           {}
func (*ExpireEvent) isEvent()       {}
func (*PolicyEvent) isEvent()       {}
func (*PolicyExpireEvent) isEvent() {}
func (*AcquireEvent) isEvent()      {}
func (*FlushSAEvent) isEvent()      {}
func (*FlushPolicyEvent) isEvent()  {}
func (*AEvent) isEvent()            {}
func (*MappingEvent) isEvent()      {}
func (*ReportEvent) isEvent()       {}
func (*MigrateEvent) isEvent()      {}
func (*MigrateStateEvent) isEvent() {}
func (*DefaultsEvent) isEvent()     {}
func (*UnknownEvent) isEvent()      {}
func (*LostEvent) isEvent()         {}
func (*ResyncEvent) isEvent()       {}
