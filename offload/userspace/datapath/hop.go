package datapath

import (
	"sync/atomic"
	"time"

	"github.com/xfrmctl/xfrmctl/offload/userspace/datapath/outer"
)

// hopFresh is for how long a neighbour is believed without being asked for
// again. Then a few packets go the ordinary way, which keeps the kernel's own
// watch on the neighbour awake.
const hopFresh = time.Second

// hop is what a path knows of the neighbour that plain ESP goes to.
type hop struct {
	to    atomic.Pointer[outer.Hop] // nil: none, or not to be used
	until atomic.Int64              // nanoseconds of Plane.now
	asked atomic.Bool
}

// hopOf returns the neighbour that a path's packets can be sent to directly,
// nil if the kernel is to find the way.
func (w *worker) hopOf(t *path) *outer.Hop {
	if t.key.Port != 0 || w.direct == nil || w.plane.routes == nil {
		return nil
	}
	if int64(w.now) < t.hop.until.Load() {
		return t.hop.to.Load()
	}
	if t.hop.asked.CompareAndSwap(false, true) && !w.plane.ask(t) {
		t.hop.asked.Store(false)
	}
	return nil
}

// openDirect opens the packet sockets, before the engine gives up the right to.
func (p *Plane) openDirect() {
	for _, w := range p.workers {
		d, err := outer.OpenDirect()
		if err != nil {
			p.config.Failed(err)
			return
		}
		w.direct = d
	}
}

// refreshHop finds the neighbour, unless a firewall wants to see what is sent:
// packet sockets go past it.
func (p *Plane) refreshHop(t *path) {
	if t.key.Port != 0 || p.routes == nil {
		return
	}
	var found *outer.Hop
	_, device := p.underlay(t.conf)
	if !p.firewall() {
		if h, err := p.routes.Hop(t.conf.Src, t.conf.Dst, t.key.Mark, device); err == nil {
			found = &h
		}
	}
	t.hop.to.Store(found)
	t.hop.until.Store(int64(p.now() + hopFresh))
	t.hop.asked.Store(false)
}

// firewall reports whether one may be there, as of the last second. Only tend's
// goroutine calls it.
func (p *Plane) firewall() bool {
	if now := p.now(); now >= p.filteredUntil {
		filtered, err := outer.Filtered()
		p.filtered, p.filteredUntil = filtered || err != nil, now+hopFresh
	}
	return p.filtered
}
