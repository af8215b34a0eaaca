package notice

import (
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// oneGroup listens to a group and keeps what it is told.
type oneGroup struct {
	group    netlinkx.Group
	notices  []Notice
	headroom []Headroom
}

func (o *oneGroup) Listening(g netlinkx.Group) bool { return g == o.group }
func (o *oneGroup) Notify(g netlinkx.Group, n Notice) {
	if g == o.group {
		o.notices = append(o.notices, n)
	}
}
func (o *oneGroup) Headroom(h Headroom) { o.headroom = append(o.headroom, h) }

// TestGroups: each event goes to the group whose members the kernel tells of it.
func TestGroups(t *testing.T) {
	for _, c := range []struct {
		group  netlinkx.Group
		events []netlinkx.Event
	}{
		{netlinkx.GroupAcquire, []netlinkx.Event{&netlinkx.AcquireEvent{}}},
		{netlinkx.GroupExpire, []netlinkx.Event{&netlinkx.ExpireEvent{}, &netlinkx.PolicyExpireEvent{}}},
		{netlinkx.GroupSA, []netlinkx.Event{&netlinkx.SAEvent{}, &netlinkx.FlushSAEvent{}}},
		{netlinkx.GroupAEvents, []netlinkx.Event{&netlinkx.AEvent{}}},
		{netlinkx.GroupMigrate, []netlinkx.Event{&netlinkx.MigrateEvent{}, &netlinkx.MigrateStateEvent{}}},
		{netlinkx.GroupMapping, []netlinkx.Event{&netlinkx.MappingEvent{}}},
		{netlinkx.GroupPolicy, []netlinkx.Event{&netlinkx.PolicyEvent{}, &netlinkx.FlushPolicyEvent{}, &netlinkx.DefaultsEvent{}}},
	} {
		listener := &oneGroup{group: c.group}
		bus := NewBus(listener)
		for i, e := range c.events {
			cause := Cause{PortID: 7, Seq: uint32(i)}
			bus.Emit(cause, e)
			if n := len(listener.notices); n != i+1 || listener.notices[i] != (Notice{Event: e, Cause: cause}) {
				t.Errorf("%T: %d notices %+v", e, n, listener.notices)
			}
		}
	}
}

// TestDeaf: what nobody hears is not passed on; headroom always is.
func TestDeaf(t *testing.T) {
	listener := &oneGroup{group: netlinkx.GroupSA}
	bus := NewBus(listener)
	bus.Emit(Cause{}, &netlinkx.AcquireEvent{})
	bus.Headroom(Headroom{Used: 3, Limit: 4})
	if bus.Hears(netlinkx.GroupAcquire) || len(listener.notices) != 0 || len(listener.headroom) != 1 {
		t.Errorf("heard %+v, %+v", listener.notices, listener.headroom)
	}
	nobody := NewBus(nil)
	nobody.Emit(Cause{}, &netlinkx.SAEvent{})
	nobody.Headroom(Headroom{})
	if nobody.Hears(netlinkx.GroupSA) {
		t.Error("nobody listens")
	}
}
