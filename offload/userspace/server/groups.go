package server

import (
	"sync"
	"sync/atomic"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// maxGroup is above the highest multicast group (XFRMNLGRP_MAX).
const maxGroup = 9

// listener is a client that has joined groups.
type listener interface {
	// Notify sends an event: one datagram that nobody changes any more. It
	// must not wait.
	Notify(b []byte)
}

// groups are the multicast groups with their listeners. Safe for concurrent
// use; deliveries are in the order of the calls.
type groups struct {
	count [maxGroup]atomic.Int32 // listeners by group

	mu      sync.Mutex
	members map[listener]uint32 // bit n-1 for group n
}

func (g *groups) join(l listener, mask uint32) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.members == nil {
		g.members = make(map[listener]uint32)
	}
	g.members[l] = mask
	g.add(mask, 1)
}

func (g *groups) leave(l listener) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.add(g.members[l], -1)
	delete(g.members, l)
}

func (g *groups) add(mask uint32, n int32) {
	for i := 1; i < maxGroup; i++ {
		if mask>>(i-1)&1 != 0 {
			g.count[i].Add(n)
		}
	}
}

// listening reports whether a group has listeners. It takes no lock.
func (g *groups) listening(group netlinkx.Group) bool {
	return group > 0 && group < maxGroup && g.count[group].Load() > 0
}

// deliver gives a datagram to the listeners of a group.
func (g *groups) deliver(group netlinkx.Group, b []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for l, mask := range g.members {
		if mask>>(group-1)&1 != 0 {
			l.Notify(b)
		}
	}
}

// eventHeader is the header of an event: of some the kernel names the request
// that they come from, of some its sender alone, of others neither.
func eventHeader(e netlinkx.Event, portID, seq uint32) netlinkx.Header {
	switch e.(type) {
	case *netlinkx.SAEvent, *netlinkx.PolicyEvent, *netlinkx.FlushSAEvent, *netlinkx.FlushPolicyEvent,
		*netlinkx.AEvent, *netlinkx.MigrateStateEvent:
		return netlinkx.Header{Seq: seq, PortID: portID}
	case *netlinkx.ExpireEvent, *netlinkx.PolicyExpireEvent:
		return netlinkx.Header{PortID: portID}
	}
	return netlinkx.Header{}
}
