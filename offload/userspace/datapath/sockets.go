package datapath

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/datapath/outer"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb"
)

// socket is an outer.Socket, or a test's.
type socket interface {
	Send(*outer.Run, *outer.Sent)
	Flush(*outer.Sent)
	Recv(*outer.Batch, int) (int, error)
	Keepalive(*outer.Run) error
	FD() int
	Close() error
}

// socketSet is the sockets of one key, one for each worker.
type socketSet struct {
	key   outer.Key
	users int // SAs; guarded by the registry's lock
	each  []*socketSource
}

// socketSource is a worker's socket.
type socketSource struct {
	sourceState
	socket
	key     outer.Key
	waiting bool // something was sent and not flushed
}

func (s *socketSource) fd() int             { return s.FD() }
func (s *socketSource) state() *sourceState { return &s.sourceState }

// registry knows the open sockets. Packet threads read the map, which is
// replaced as a whole.
type registry struct {
	mu     sync.Mutex
	closed bool // no more sockets; guarded by mu
	sets   atomic.Pointer[map[outer.Key]*socketSet]
}

func (r *registry) find(k outer.Key) *socketSet { return (*r.sets.Load())[k] }

// keysOf are the sockets that an SA needs: to send by, to receive by, or both
// if its direction is not known.
func (p *Plane) keysOf(c *netlinkx.SA) []outer.Key {
	v6 := c.Dst.Is6()
	keys := make([]outer.Key, 0, 3)
	out := c.Dir != netlinkx.DirIn
	in := c.Dir != netlinkx.DirOut
	if c.Dir == 0 && c.Encap != nil && c.Encap.SrcPort != c.Encap.DstPort {
		in = p.isLocal(c.Dst)
		out = !in || p.isLocal(c.Src)
	}
	if out {
		keys = append(keys, p.keyOf(c))
		if c.Encap != nil {
			keys = append(keys, outer.Key{V6: v6, Port: c.Encap.SrcPort})
		}
	}
	if in {
		k := outer.Key{V6: v6}
		if c.Encap != nil {
			k.Port = c.Encap.DstPort
		}
		keys = append(keys, k)
	}
	return keys
}

// SAChanged opens the sockets that a new SA needs, and closes those that
// nobody needs any more: the hook of sadb.Config. What goes wrong is told to
// Config.Failed; the SA is installed all the same.
func (p *Plane) SAChanged(sa *sadb.SA, added bool) {
	p.sockets.mu.Lock()
	defer p.sockets.mu.Unlock()
	if !added {
		for _, k := range p.uses[sa] {
			p.release(k)
		}
		delete(p.uses, sa)
		delete(p.keepalives, sa)
		return
	}
	conf := sa.Conf()
	if conf.Proto != netlinkx.ProtoESP || p.sockets.closed {
		return
	}
	if conf.NATKeepalive != 0 {
		p.keepalives[sa] = struct{}{}
	}
	for _, k := range p.keysOf(conf) {
		if err := p.acquire(k); err != nil {
			p.config.Failed(fmt.Errorf("sockets for %s: %w", conf, err))
			continue
		}
		p.uses[sa] = append(p.uses[sa], k)
	}
}

// moveSockets gives SAs the sockets that they need now that the devices have
// changed: an SA may be older than the device whose underlay it sends by.
func (p *Plane) moveSockets() {
	p.sockets.mu.Lock()
	defer p.sockets.mu.Unlock()
	for sa, old := range p.uses {
		keys := p.keysOf(sa.Conf())
		if slices.Equal(keys, old) {
			continue
		}
		var have []outer.Key
		for _, k := range keys {
			if err := p.acquire(k); err != nil {
				p.config.Failed(fmt.Errorf("sockets for %s: %w", sa.Conf(), err))
				continue
			}
			have = append(have, k)
		}
		for _, k := range old {
			p.release(k)
		}
		p.uses[sa] = have
	}
}

// acquire opens the sockets of a key unless they are.
func (p *Plane) acquire(k outer.Key) error {
	if set := p.sockets.find(k); set != nil {
		set.users++
		return nil
	}
	set := &socketSet{key: k, users: 1}
	for _, w := range p.workers {
		s, err := p.openSocket(k, w.id)
		if err != nil {
			p.closeSet(set)
			return err
		}
		source := &socketSource{socket: s, key: k}
		set.each = append(set.each, source)
		w.post(func() {
			if err := w.add(source); err != nil {
				p.config.Failed(err)
			}
		})
	}
	p.publishSets(func(m map[outer.Key]*socketSet) { m[k] = set })
	return nil
}

func (p *Plane) openSocket(k outer.Key, worker int) (socket, error) {
	return p.config.open(outer.Config{
		Key: k, Share: len(p.workers), Member: worker,
		// Every raw socket gets a copy of every packet: one set receives.
		SendOnly:  k.Port == 0 && (k.Mark != 0 || k.Device != ""),
		NoSegment: p.config.Off.Segment, NoGRO: p.config.Off.GRO, Direct: p.workers[worker].direct,
	})
}

func (p *Plane) release(k outer.Key) {
	set := p.sockets.find(k)
	if set == nil {
		return
	}
	if set.users--; set.users > 0 {
		return
	}
	p.publishSets(func(m map[outer.Key]*socketSet) { delete(m, k) })
	p.closeSet(set)
}

// publishSets replaces the map, so that paths look for their socket anew.
func (p *Plane) publishSets(change func(map[outer.Key]*socketSet)) {
	m := make(map[outer.Key]*socketSet)
	for k, v := range *p.sockets.sets.Load() {
		m[k] = v
	}
	change(m)
	p.sockets.sets.Store(&m)
	p.epoch.Add(1)
}

// closeSet takes the sockets away from the workers and closes them. It does
// not wait: the DB's lock may be held, and packet threads want that as well.
func (p *Plane) closeSet(set *socketSet) {
	for i, s := range set.each {
		w := p.workers[i]
		w.post(func() {
			w.remove(s)
			_ = s.Close() // nothing was written that could be lost
		})
	}
}

// closeSets closes all sockets for good.
func (p *Plane) closeSets() {
	p.sockets.mu.Lock()
	defer p.sockets.mu.Unlock()
	for _, set := range *p.sockets.sets.Load() {
		p.closeSet(set)
	}
	p.sockets.sets.Store(&map[outer.Key]*socketSet{})
	p.sockets.closed = true
}
