package datapath

import (
	"time"

	"github.com/xfrmctl/xfrmctl/gsogro/segment"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/datapath/tun"
	"github.com/xfrmctl/xfrmctl/offload/userspace/flow"
	"github.com/xfrmctl/xfrmctl/offload/userspace/pmtu"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/sad"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xfrmstat"
)

const (
	// burst is how many packets are read from a device before they are sent.
	burst = 64
	// burstBytes is the memory they are read to: a packet is read while one of
	// any size has room.
	burstBytes = 5*tun.MaxPacket + burst*2*segment.TrailerRoom
)

// outbound is a worker's memory for one direction. Nothing of it outlives a
// batch, except that the last decision is kept.
type outbound struct {
	buf    []byte
	taken  [burst]taken
	split  [burst]segment.Splitter
	flows  flow.Flow        // of the packet looked at
	routes [burst + 1]route // the last one outlives the batch
	send   sending
	nest   nesting
	frags  *flow.Reassembler
	header segment.Header
	tooBig []byte
}

// taken is a packet that was read, and what is to become of it.
type taken struct {
	pkt      []byte
	segments int
	bytes    uint64 // of all segments, headers included
	route    *route
	oversize bool // longer than the path's MTU, and may be fragmented outside
	drop     bool // counted already
}

// route is what was decided for a flow: the SAs that its packets pass.
type route struct {
	device   *Device
	key      flowKey
	epoch    uint64
	decision sadb.Decision
	paths    [netlinkx.MaxTemplates]*path
	mtu      int
}

// flowKey is what of a flow policies look at.
type flowKey struct {
	src, dst         [16]byte
	greKey           uint32
	srcPort, dstPort uint16
	family           netlinkx.Family
	proto            uint8
}

func keyOfFlow(f *flow.Flow) flowKey {
	return flowKey{f.Src, f.Dst, f.GREKey, f.SrcPort, f.DstPort, f.Family, f.Proto}
}

func (o *outbound) init() {
	o.buf = make([]byte, burstBytes)
	o.tooBig = make([]byte, segment.HeaderLen, segment.HeaderLen+2048)
	o.frags = flow.NewReassembler(flow.ReassemblerConfig{})
	o.send.init()
	o.nest.init()
}

// service carries what waits in a device's queue, up to a batch.
func (s *deviceSource) service(w *worker) bool {
	n, more := w.fetch(s)
	if n == 0 {
		return more
	}
	for i := range n {
		w.classify(s, i)
	}
	for i := 0; i < n; {
		i = w.sealGroup(i, n)
	}
	w.flush()
	if r := w.out.taken[n-1].route; r != nil && r != &w.out.routes[burst] {
		w.out.routes[burst] = *r
	}
	return more
}

// fetch reads packets and reports whether there may be more.
func (w *worker) fetch(s *deviceSource) (n int, more bool) {
	o := &w.out
	for off := 0; n < burst && len(o.buf)-off >= tun.MaxPacket+segment.TrailerRoom; n++ {
		got, err := s.Read(o.buf[off : off+tun.MaxPacket])
		w.stats.DeviceReads++
		if err != nil {
			if fatal(err) {
				w.gone = append(w.gone, s)
			}
			return n, false
		}
		o.taken[n] = taken{pkt: o.buf[off : off+got : off+got+segment.TrailerRoom]}
		off += (got + 2*segment.TrailerRoom) &^ (segment.TrailerRoom - 1)
	}
	return n, true
}

// classify finds out what a packet is and where it goes. What cannot go
// anywhere is counted here.
func (w *worker) classify(s *deviceSource, i int) {
	o := &w.out
	t, f := &o.taken[i], &o.flows
	split := &o.split[i]
	t.segments = 1
	if len(t.pkt) < segment.HeaderLen || o.header.Decode(t.pkt) != nil {
		w.dropOut(t, 1, xfrmstat.OutError)
		return
	}
	t.pkt = t.pkt[segment.HeaderLen:]
	if split.Init(&o.header, t.pkt) != nil || flow.Dissect(t.pkt, f) != nil {
		w.dropOut(t, 1, xfrmstat.OutError)
		return
	}
	t.segments = split.Segments()
	t.bytes = uint64(len(t.pkt))
	if t.segments > 1 {
		t.bytes += uint64((t.segments - 1) * (split.MaxLen() - int(o.header.GSOSize)))
	}
	t.route = w.routeFor(s.device, f, i)
	switch d := &t.route.decision; d.Verdict {
	case sadb.Protect:
		if f.Fragment && !t.route.paths[0].tunnel {
			w.reassemble(t)
			return
		}
		w.fit(s, t, split.MaxLen())
	case sadb.Drop:
		w.dropOut(t, t.segments, d.Counter)
	default: // in clear is not what a device of a tunnel is for
		w.countOut(t, OutNoPolicy)
	}
}

// dropOut counts n packets by the kernel's reason; t is done with.
func (w *worker) dropOut(t *taken, n int, why xfrmstat.Counter) {
	w.stats.Own[OutPackets] += uint64(n)
	w.stats.Kernel[why] += uint64(n)
	t.drop = true
}

// countOut drops all segments of t by a reason of our own.
func (w *worker) countOut(t *taken, why Counter) {
	w.stats.Own[OutPackets] += uint64(t.segments)
	w.stats.Own[why] += uint64(t.segments)
	t.drop = true
}

// routeFor decides about a flow, or remembers: packets of one flow follow each
// other mostly.
func (w *worker) routeFor(d *Device, f *flow.Flow, i int) *route {
	o := &w.out
	// Before anything that a change of them would change: what is decided in the
	// middle of one must not pass for what comes of it.
	generation, epoch := w.plane.db.Generation(), w.plane.epoch.Load()
	f.IfID, f.IfIndex = d.ifID.Load(), d.config.UnderlayIndex
	key := keyOfFlow(f)
	last := &o.routes[burst] // of the batch before
	if i > 0 && o.taken[i-1].route != nil {
		last = o.taken[i-1].route
	}
	if last.device == d && last.key == key && last.decision.Generation == generation && last.epoch == epoch {
		return last
	}
	r := &o.routes[i]
	r.device, r.key, r.epoch = d, key, epoch
	w.plane.db.Outbound(f, uint32(w.id), &r.decision)
	if r.decision.Verdict == sadb.Protect {
		w.findPaths(r)
	}
	return r
}

// findPaths turns SAs into paths.
func (w *worker) findPaths(r *route) {
	n := r.decision.N
	for i, sa := range r.decision.SAs[:n] {
		t := w.plane.pathOf(sa)
		if t == nil || i == n-1 && t.set == nil {
			r.decision.Verdict, r.decision.Counter = sadb.Drop, xfrmstat.OutBundleGenError
			return
		}
		r.paths[i] = t
	}
	r.mtu = innerMTUOf(r.paths[:n])
}

// fit compares a packet with the MTU. What is longer and must not be
// fragmented is answered and dropped (xfrmi_xmit2).
func (w *worker) fit(s *deviceSource, t *taken, longest int) {
	r := t.route
	last := r.paths[r.decision.N-1]
	if int64(w.now) > last.mtuUntil.Load() {
		last.mtuUntil.Store(int64(w.now + time.Second)) // ask once
		w.plane.wantMTU(last)
	}
	if r.decision.N == 1 {
		r.mtu = int(last.innerMTU.Load())
	}
	if longest <= r.mtu {
		// what IPv6 guarantees passes, if need be in fragments
		t.oversize = last.v6 && last.innerMTU.Load() <= pmtu.MinIPv6
		return
	}
	if w.out.flows.Family == netlinkx.FamilyIPv4 && !w.out.flows.DF {
		t.oversize = true
		return
	}
	w.tellTooBig(s, t)
	w.countOut(t, OutTooBig)
}

// sealGroup seals the packets from i on that go the same way, and returns the
// first that does not.
func (w *worker) sealGroup(i, n int) int {
	o := &w.out
	first := &o.taken[i]
	if first.drop {
		return i + 1
	}
	end, packets, bytes := i, 0, uint64(0)
	for ; end < n && !o.taken[end].drop && o.taken[end].route == first.route; end++ {
		packets += o.taken[end].segments
		bytes += o.taken[end].bytes
	}
	w.stats.Own[OutPackets] += uint64(packets)
	if first.route.decision.N > 1 {
		for ; i < end; i++ {
			w.sealNested(&o.taken[i], &o.split[i])
		}
		return end
	}
	t := first.route.paths[0]
	numbers := supply{sa: t.sa, packets: packets, each: bytes/uint64(packets) + uint64(t.header)}
	for ; i < end; i++ {
		w.sealTaken(t, &o.taken[i], &o.split[i], &numbers)
	}
	t.lastSent.Store(int64(w.now))
	return end
}

// supply hands out the numbers of a batch.
type supply struct {
	sa      *sadb.SA
	packets int    // still to come
	each    uint64 // their length, on average
	grant   sad.Grant
}

// take returns the numbers of the next packet, or why there are none.
func (s *supply) take() (seq, iv uint64, why xfrmstat.Counter) {
	if s.grant.N == 0 {
		if s.grant.Drop == xfrmstat.None {
			s.grant = s.sa.Reserve(s.packets, s.each*uint64(s.packets))
		}
		if s.grant.N == 0 {
			return 0, 0, s.grant.Drop
		}
	}
	seq, iv = s.grant.Seq, s.grant.IV
	s.grant.N--
	s.grant.Seq++
	s.grant.IV++
	s.packets--
	return seq, iv, xfrmstat.None
}

// tellTooBig answers a packet that is too long (RFC 4301 section 8.2).
func (w *worker) tellTooBig(s *deviceSource, t *taken) {
	o := &w.out
	reply, err := pmtu.AppendTooBig(o.tooBig[:segment.HeaderLen], t.pkt, &o.flows, uint32(t.route.mtu))
	if err != nil {
		return
	}
	clear(reply[:segment.HeaderLen])
	w.stats.DeviceWrites++
	_, _ = s.device.source(w.id).Write(reply) // lost like any ICMP message
}
