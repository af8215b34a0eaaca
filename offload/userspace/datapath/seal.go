package datapath

import (
	"github.com/xfrmctl/xfrmctl/gsogro/segment"
	"github.com/xfrmctl/xfrmctl/offload/userspace/datapath/outer"
	"github.com/xfrmctl/xfrmctl/offload/userspace/encap"
	"github.com/xfrmctl/xfrmctl/offload/userspace/esp"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xfrmstat"
)

// sendBytes is the memory for sealed packets that wait to be sent.
const sendBytes = 8 * outer.MaxRun

// sending collects sealed packets into runs.
type sending struct {
	buf  []byte
	fill int

	run      outer.Run // under construction; Packets 0: none
	start    int       // where it begins
	full     bool      // a shorter packet was its last
	path     *path     // where it goes
	source   *socketSource
	touched  []*socketSource // have something to flush
	result   outer.Sent
	plan     encap.Outer
	seal     esp.Seal
	scratch  esp.Scratch
	oversize bool
}

func (s *sending) init() {
	s.buf = make([]byte, sendBytes)
	s.touched = make([]*socketSource, 0, 16)
}

// sealTaken seals the segments of a packet.
func (w *worker) sealTaken(t *path, p *taken, split *segment.Splitter, numbers *supply) {
	w.out.send.oversize = p.oversize
	w.alignRun(split.Segments())
	for done := 0; ; done++ {
		seg := split.Next()
		if seg == nil {
			return
		}
		seq, iv, why := numbers.take()
		if why == xfrmstat.None {
			why = w.sealTo(t, seg, seq, iv)
		}
		if why != xfrmstat.None {
			w.stats.Kernel[why]++
		}
	}
}

// alignRun ends the run if the n segments of a super-packet do not fit in it:
// what travels in one datagram is joined again at the other end, what is spread
// over two may be met by two batches there.
func (w *worker) alignRun(n int) {
	s := &w.out.send
	if r := &s.run; n > 1 && (r.Packets+n > outer.MaxSegments || (r.Packets+n)*r.Segment > outer.MaxRun) {
		w.endRun()
	}
}

// sealTo seals one packet, to where it will be sent from.
func (w *worker) sealTo(t *path, pkt []byte, seq, iv uint64) xfrmstat.Counter {
	s := &w.out.send
	if err := t.transform.Plan(pkt, &s.plan); err != nil {
		return planError(err)
	}
	header := 0
	if t.key.Port == 0 {
		header = s.plan.HeaderLen
	}
	pad := t.padTo()
	size := t.cipher.SealedLen(len(pkt)-s.plan.Strip, pad)
	dst := w.room(t, header+size)
	if header > 0 {
		if _, err := t.transform.Write(dst, pkt, &s.plan, size); err != nil {
			return xfrmstat.OutStateModeError
		}
	}
	s.seal = esp.Seal{SPI: uint32(t.sa.SPI()), Seq: seq, IV: iv, NextHeader: s.plan.NextHeader, PadTo: pad}
	if _, err := t.cipher.Seal(dst[header:], pkt[s.plan.Strip:], &s.seal, &s.scratch); err != nil {
		return xfrmstat.OutStateProtoError
	}
	w.keep(header + size)
	return xfrmstat.None
}

// planError is the kernel's reason for a packet that a mode does not carry.
func planError(err error) xfrmstat.Counter {
	if err == encap.ErrHeader {
		return xfrmstat.OutError
	}
	return xfrmstat.OutStateModeError
}

// room returns where the next packet, of n bytes, goes: behind the run if it
// continues that, else it begins another.
func (w *worker) room(t *path, n int) []byte {
	s := &w.out.send
	if s.run.Packets > 0 && !s.continues(t, n) {
		w.endRun()
	}
	if len(s.buf)-s.fill < n {
		w.flush()
	}
	if s.run.Packets == 0 {
		s.begin(t, w.id, n)
		s.run.Hop = w.hopOf(t)
	}
	return s.buf[s.fill : s.fill+n]
}

// continues reports whether a packet may follow in the run.
func (s *sending) continues(t *path, n int) bool {
	return s.path == t && !s.full && n <= s.run.Segment && s.run.Packets < outer.MaxSegments &&
		s.fill-s.start+n <= outer.MaxRun && len(s.buf)-s.fill >= n &&
		s.run.TOS == s.plan.TOS && s.run.DF == s.df(t) && s.run.FlowLabel == s.plan.FlowLabel && s.run.TTL == s.ttl(t)
}

// df reports whether the packet may not be fragmented. IPv6 packets are only
// where an inner IPv4 packet that may be is longer than the MTU.
func (s *sending) df(t *path) bool {
	if t.v6 {
		return !s.oversize
	}
	return s.plan.DF
}

// ttl is what the socket is asked for: transport and BEET mode keep the inner
// packet's, a tunnel begins with the system's.
func (s *sending) ttl(t *path) uint8 {
	if t.tunnel {
		return 0
	}
	return s.plan.TTL
}

func (s *sending) begin(t *path, worker, n int) {
	s.path, s.source = t, t.set.each[worker]
	s.start, s.full = s.fill, false
	s.run = outer.Run{
		Segment: n, Src: t.src, Dst: t.dst, Port: t.port,
		TOS: s.plan.TOS, TTL: s.ttl(t), FlowLabel: s.plan.FlowLabel, DF: s.df(t),
		MTU: int(t.linkMTU.Load()),
	}
}

// keep makes the packet that was sealed to room part of the run.
func (w *worker) keep(n int) {
	s := &w.out.send
	s.fill += n
	s.run.Packets++
	s.full = n < s.run.Segment
}

// endRun hands the run to its socket.
func (w *worker) endRun() {
	s := &w.out.send
	if s.run.Packets == 0 {
		return
	}
	s.run.Buf = s.buf[s.start:s.fill]
	if !s.source.waiting {
		s.source.waiting = true
		s.touched = append(s.touched, s.source)
	}
	s.source.Send(&s.run, &s.result)
	s.run.Packets = 0
}

// flush sends all that was sealed, and counts what became of it.
func (w *worker) flush() {
	s := &w.out.send
	w.endRun()
	for i, source := range s.touched {
		source.Flush(&s.result)
		source.waiting = false
		s.touched[i] = nil
	}
	s.touched = s.touched[:0]
	s.fill = 0
	r := &s.result
	w.stats.Own[OutSent] += uint64(r.Packets)
	w.stats.Own[OutTooBig] += uint64(r.TooLong)
	w.stats.Own[OutSendError] += uint64(r.Dropped - r.TooLong)
	w.stats.SendCalls += uint64(r.Calls)
	if r.TooLong > 0 && s.path != nil {
		w.plane.wantMTU(s.path) // the route has another MTU by now
	}
	*r = outer.Sent{}
}
