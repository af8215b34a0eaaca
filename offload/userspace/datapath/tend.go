package datapath

import (
	"net/netip"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/datapath/outer"
	"github.com/xfrmctl/xfrmctl/offload/userspace/pmtu"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/sad"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xaddr"
)

// tend does what is not for packet threads, until Close: path MTUs that have
// to be asked for again, and NAT keepalives.
func (p *Plane) tend() {
	defer p.wait.Done()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-p.ended:
			return
		case t := <-p.stale:
			if t.mtuAsked.Swap(false) {
				p.refreshMTU(t)
			}
			if t.hop.asked.Load() {
				p.refreshHop(t)
			}
		case <-tick.C:
			p.sendKeepalives()
		}
	}
}

// wantMTU has a path's MTU refreshed, soon.
func (p *Plane) wantMTU(t *path) {
	t.mtuAsked.Store(true)
	p.ask(t)
}

// ask has tend look at what a path wants. It reports whether it will; if not,
// it is to be asked again.
func (p *Plane) ask(t *path) bool {
	select {
	case p.stale <- t:
		return true
	default:
		return false
	}
}

// startRoutes opens the socket that routes are asked by.
func (p *Plane) startRoutes() error {
	r, err := outer.OpenRoutes()
	if err != nil {
		return err
	}
	p.routes = r
	p.routeMTU = func(dst netip.Addr, mark, device uint32) int {
		mtu, err := r.MTU(dst, mark, device)
		if err != nil || mtu < pmtu.MinIPv4 {
			return 1500 // no route: nothing will be sent either
		}
		return min(mtu, 65535)
	}
	return nil
}

func (p *Plane) isLocal(a netip.Addr) bool { return outer.IsLocal(a) }

// startICMP listens for what routers say about path MTUs. Without the
// privilege for raw sockets there is the MTU of routes only.
func (p *Plane) startICMP() {
	for _, v6 := range []bool{false, true} {
		f, err := outer.OpenICMP(v6)
		if err != nil {
			p.config.Failed(err)
			continue
		}
		p.icmp = append(p.icmp, f)
		p.wait.Add(1)
		go p.hear(f, v6)
	}
}

// hear reads ICMP errors until the socket is closed.
func (p *Plane) hear(f interface{ Read([]byte) (int, error) }, v6 bool) {
	defer p.wait.Done()
	buf := make([]byte, 2048)
	var q pmtu.Quote
	for {
		n, err := f.Read(buf)
		if err != nil {
			return
		}
		parse := q.Parse4
		if v6 {
			parse = q.Parse6
		}
		if parse(buf[:n]) == nil {
			p.learn(&q)
		}
	}
}

// learn believes a report about an SA of ours that sends to there.
func (p *Plane) learn(q *pmtu.Quote) {
	dst := [16]byte(xaddr.Of(q.Dst))
	sa := p.db.Inbound(&dst, q.Family, q.SPI, 0)
	if !q.TooBig || sa == nil {
		return
	}
	t, _ := sa.Plane.Load().(*path)
	if t == nil || t.conf.Dst != q.Dst || t.conf.Src != q.Src || t.lastSent.Load() == 0 {
		return
	}
	if q.Encap != (t.conf.Encap != nil) || q.Encap && (q.SrcPort != t.conf.Encap.SrcPort || q.DstPort != t.port) {
		return
	}
	if p.mtus.Learn(t.mtuKey(), q.MTU, p.now()) {
		p.refreshMTU(t)
	}
}

// sendKeepalives sends one for each SA that asks for them and was quiet
// (net/xfrm/xfrm_nat_keepalive.c).
func (p *Plane) sendKeepalives() {
	p.sockets.mu.Lock()
	defer p.sockets.mu.Unlock()
	now := p.now()
	for sa := range p.keepalives {
		t := p.pathOf(sa)
		if t == nil || t.set == nil || t.conf.Encap == nil || t.conf.Dir == netlinkx.DirIn || sa.State() != sad.Valid {
			continue
		}
		every := time.Duration(t.conf.NATKeepalive) * time.Second
		if last := time.Duration(t.lastSent.Load()); now-last < every {
			continue
		}
		t.lastSent.Store(int64(now))
		r := outer.Run{Src: t.src, Dst: t.dst, Port: t.port}
		_ = t.set.each[0].Keepalive(&r) // the next one may fare better
	}
}
