package datapath

import (
	"github.com/xfrmctl/xfrmctl/gsogro/segment"
	"github.com/xfrmctl/xfrmctl/offload/userspace/datapath/outer"
	"github.com/xfrmctl/xfrmctl/offload/userspace/encap"
	"github.com/xfrmctl/xfrmctl/offload/userspace/esp"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xfrmstat"
)

// nesting is the memory for packets that pass several SAs, one after the other
// between the two buffers.
type nesting struct {
	buf  [2][]byte
	plan encap.Outer
	seal esp.Seal
}

func (n *nesting) init() {
	for i := range n.buf {
		n.buf[i] = make([]byte, outer.MaxDatagram+encap.MaxHeader+segment.TrailerRoom)
	}
}

// sealNested seals the segments of a packet for several SAs.
func (w *worker) sealNested(p *taken, split *segment.Splitter) {
	w.out.send.oversize = p.oversize
	for seg := split.Next(); seg != nil; seg = split.Next() {
		if why := w.sealChain(p.route, seg); why != xfrmstat.None {
			w.stats.Kernel[why]++
		}
	}
}

// sealChain wraps one packet in all SAs of its route, innermost first.
func (w *worker) sealChain(r *route, pkt []byte) xfrmstat.Counter {
	last := r.decision.N - 1
	for i, t := range r.paths[:last] {
		wrapped, why := w.wrap(t, pkt, w.out.nest.buf[i&1])
		if why != xfrmstat.None {
			return why
		}
		pkt = wrapped
	}
	t := r.paths[last]
	g := t.sa.Reserve(1, uint64(len(pkt)+t.header))
	if g.N == 0 {
		return g.Drop
	}
	t.lastSent.Store(int64(w.now))
	return w.sealTo(t, pkt, g.Seq, g.IV)
}

// wrap makes the whole outer packet of an SA in dst.
func (w *worker) wrap(t *path, pkt, dst []byte) ([]byte, xfrmstat.Counter) {
	n := &w.out.nest
	if err := t.transform.Plan(pkt, &n.plan); err != nil {
		return nil, planError(err)
	}
	g := t.sa.Reserve(1, uint64(len(pkt)+t.header))
	if g.N == 0 {
		return nil, g.Drop
	}
	size := t.cipher.SealedLen(len(pkt)-n.plan.Strip, 0)
	if n.plan.HeaderLen+size > len(dst)-segment.TrailerRoom {
		return nil, xfrmstat.OutStateModeError
	}
	h, err := t.transform.Write(dst, pkt, &n.plan, size)
	if err != nil {
		return nil, xfrmstat.OutStateModeError
	}
	n.seal = esp.Seal{SPI: uint32(t.sa.SPI()), Seq: g.Seq, IV: g.IV, NextHeader: n.plan.NextHeader}
	if _, err := t.cipher.Seal(dst[h:], pkt[n.plan.Strip:], &n.seal, &w.out.send.scratch); err != nil {
		return nil, xfrmstat.OutStateProtoError
	}
	whole := dst[:h+size]
	t.transform.Finish(whole, &n.plan)
	return whole, xfrmstat.None
}

// reassemble takes a fragment for an SA that carries whole packets only, and
// seals the packet when it is complete.
func (w *worker) reassemble(t *taken) {
	o := &w.out
	w.stats.Own[OutPackets]++
	t.drop = true
	o.flows.IfIndex = t.route.device.number         // what came by another is another packet
	whole, _ := o.frags.Add(t.pkt, &o.flows, w.now) // refusals are in its counters
	w.countFragments()
	if whole == nil {
		return
	}
	o.send.oversize = true // its sender let it be fragmented
	if why := w.sealChain(t.route, whole); why != xfrmstat.None {
		w.stats.Kernel[why]++
	}
}

// countFragments brings the reassembler's counters into ours: of the fragments
// of a complete packet one is counted as what becomes of the packet.
func (w *worker) countFragments() {
	f := w.out.frags.Stats()
	w.stats.Own[OutHeld] = f.Held
	w.stats.Own[OutFragment] = f.Refused + f.Dropped
	w.stats.Own[OutReassembled] = f.Used - f.Datagrams
}
