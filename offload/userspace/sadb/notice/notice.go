// Package notice carries what happens to SAs and policies by itself, or on
// request, to whoever listens: netlinkx events with their causes. It decides
// nothing about them. Start at Bus.
package notice

import (
	"sync"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Cause is the request that an event comes from: the port and the sequence
// number of its netlink header. The zero Cause is the engine itself.
type Cause struct{ PortID, Seq uint32 }

// Notice is an event and its cause.
type Notice struct {
	Event netlinkx.Event
	Cause Cause
}

// Listener is told what happens. Its methods are called with locks of the
// databases held, from any goroutine, packet threads included: they must be
// quick, must not block, and must not call the databases. Notices come in the
// order in which things happened. Events are shared: their contents are
// immutable.
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

// Bus passes events on to a Listener. Safe for concurrent use, with or without
// locks of the databases held: its own is taken last.
type Bus struct {
	listener Listener
	mu       sync.Mutex // orders events
}

// NewBus returns a Bus to a Listener; nil: nobody listens.
func NewBus(l Listener) *Bus {
	if l == nil {
		l = silence{}
	}
	return &Bus{listener: l}
}

// Hears reports whether an event of the group is worth making.
func (b *Bus) Hears(g netlinkx.Group) bool { return b.listener.Listening(g) }

// Emit passes an event on if anybody listens to its group.
func (b *Bus) Emit(c Cause, e netlinkx.Event) {
	g := groupOf(e)
	if !b.Hears(g) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.listener.Notify(g, Notice{Event: e, Cause: c})
}

// Headroom passes on that an SA's sequence numbers come to an end.
func (b *Bus) Headroom(h Headroom) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.listener.Headroom(h)
}

// silence is the Listener of a Bus without one.
type silence struct{}

func (silence) Listening(netlinkx.Group) bool { return false }
func (silence) Notify(netlinkx.Group, Notice) {}
func (silence) Headroom(Headroom)             {}

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
