package sadb

import "github.com/xfrmctl/xfrmctl/netlinkx"

// Cause is the request that an event comes from: the port and the sequence
// number of its netlink header. The zero Cause is the engine itself.
type Cause struct{ PortID, Seq uint32 }

// Notice is an event and its cause.
type Notice struct {
	Event netlinkx.Event
	Cause Cause
}

// Listener is told what happens. Both methods are called with locks of the DB
// held, from any goroutine, packet threads included: they must be quick, must
// not block, and must not call the DB. Notices come in the order in which
// things happened. Events are shared: their contents are immutable.
type Listener interface {
	// Listening reports whether anybody hears the group. What nobody hears is
	// not sent, and without a listener on GroupAcquire no larval SA is made
	// for traffic. It is asked for each batch of packets: no more than a load.
	Listening(netlinkx.Group) bool
	// Notify passes an event on; it may keep it.
	Notify(netlinkx.Group, Notice)
	// Headroom tells that an SA has used three quarters of its sequence
	// numbers: the time to rekey, told once. The kernel has no such event.
	Headroom(Headroom)
}

// Headroom is how much of an SA's sequence numbers is used.
type Headroom struct {
	SA          netlinkx.SAID
	Used, Limit uint64 // the last number handed out, and the last there is
}

// groupOf is the multicast group of an event (xfrm_user.c, the callers of xfrm_nlmsg_multicast).
func groupOf(e netlinkx.Event) netlinkx.Group {
	switch e.(type) {
	case *netlinkx.AcquireEvent:
		return netlinkx.GroupAcquire
	case *netlinkx.ExpireEvent, *netlinkx.PolicyExpireEvent:
		return netlinkx.GroupExpire
	case *netlinkx.SAEvent, *netlinkx.FlushSAEvent:
		return netlinkx.GroupSA
	case *netlinkx.AEvent:
		return netlinkx.GroupAEvents
	case *netlinkx.MigrateEvent, *netlinkx.MigrateStateEvent:
		return netlinkx.GroupMigrate
	case *netlinkx.MappingEvent:
		return netlinkx.GroupMapping
	}
	return netlinkx.GroupPolicy
}
