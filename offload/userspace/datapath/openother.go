package datapath

import (
	"encoding/binary"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/encap"
	"github.com/xfrmctl/xfrmctl/offload/userspace/esp"
	"github.com/xfrmctl/xfrmctl/offload/userspace/flow"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xfrmstat"
)

// openOther opens a packet of transport or BEET mode, whose inner header has to
// be made. It is opened aside and copied.
func (w *worker) openOther(t *path, d *Device, pkt []byte, seq uint64) (n int, ok bool) {
	in := &w.in
	n, inner, ok := w.unwrap(t, pkt, seq, in.buf[0])
	if inner != nil && w.admit(t, d, inner, 1) {
		w.merge(inner, d)
	}
	return n, ok
}

// unwrap opens a packet into buf and makes the inner one, nil if it was counted
// as dropped. ok: it was authentic and new.
func (w *worker) unwrap(t *path, pkt []byte, seq uint64, buf []byte) (n int, inner []byte, ok bool) {
	in := &w.in
	if len(pkt) < t.cipher.Headroom()+t.cipher.ICVLen()+2 {
		w.dropIn(1, xfrmstat.InStateProtoError)
		return 0, nil, false
	}
	payload, next, ok := w.decrypt(t, buf[encap.Room:], pkt, seq)
	if !ok {
		return 0, nil, false
	}
	in.arrived.Src, in.arrived.Dst = t.conf.Src, t.conf.Dst
	from, length, err := t.transform.Decap(buf, encap.Room, len(payload), next, &in.arrived)
	if err != nil {
		w.dropIn(1, xfrmstat.InStateModeError)
		return len(payload), nil, true
	}
	return len(payload), buf[from : from+length], true
}

// merge hands a packet that lies elsewhere to the coalescer.
func (w *worker) merge(pkt []byte, d *Device) {
	if !w.in.merge.Add(pkt, d.slot) {
		w.deliver()
		w.in.merge.Add(pkt, d.slot)
	}
}

// nested returns the SA of ESP in a packet, nil if it is anything else.
func (w *worker) nested(f *flow.Flow, pkt []byte) *sadb.SA {
	at := int(f.HeaderLen)
	if f.Fragment || f.Proto != flow.ProtoESP && f.Proto != flow.ProtoUDP {
		return nil
	}
	if f.Proto == flow.ProtoUDP {
		at += 8
	}
	if int(f.TotalLen) < at+8 {
		return nil
	}
	spi := netlinkx.SPI(binary.BigEndian.Uint32(pkt[at:]))
	if spi == 0 {
		return nil
	}
	sa := w.plane.db.Inbound(&f.Dst, f.Family, spi, 0)
	if sa == nil {
		return nil
	}
	if e := sa.Conf().Encap; (f.Proto == flow.ProtoUDP) != (e != nil) || e != nil && e.DstPort != f.DstPort {
		return nil
	}
	return sa
}

// openNested opens a packet, of the flow in.flows, that came out of depth SAs
// already and is for sa. It lies where it was opened, perhaps in the coalescer's
// reservation, which it leaves here.
func (w *worker) openNested(sa *sadb.SA, pkt []byte, depth int) {
	in := &w.in
	f := in.flows
	at := int(f.HeaderLen)
	var kind netlinkx.EncapType
	if f.Proto == flow.ProtoUDP {
		kind, at = netlinkx.EncapESPinUDP, at+8
	}
	if why := sa.Receivable(kind); why != xfrmstat.None {
		w.dropIn(1, why)
		return
	}
	t := w.plane.pathOf(sa)
	if t == nil {
		w.dropIn(1, xfrmstat.InStateInvalid)
		return
	}
	around := in.arrived // of packets still to come
	defer func() { in.arrived = around }()
	in.arrived = encap.Arrived{TOS: f.TOS, TTL: f.TTL, FlowLabel: f.FlowLabel, DF: f.DF, Header: pkt[:f.HeaderLen]}
	_, low, _ := esp.SeqOf(pkt[at:])
	seq, why := sa.CheckReplay(low)
	if why != xfrmstat.None {
		w.dropIn(1, why)
		return
	}
	in.secpath[depth] = sa
	n, inner, ok := w.unwrap(t, pkt[at:f.TotalLen], seq, in.buf[depth&1])
	if ok {
		sa.Charge(1, uint64(n))
	}
	if inner == nil {
		return
	}
	if d := w.table.forSA(t.conf.IfID); w.admit(t, d, inner, depth+1) {
		in.merge.Cancel()
		w.merge(inner, d)
	}
}
