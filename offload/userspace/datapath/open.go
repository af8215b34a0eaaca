package datapath

import (
	"net/netip"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/esp"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xfrmstat"
)

// open takes n packets that have one SPI, from in.pkts.
func (w *worker) open(n int, v6 bool, kind netlinkx.EncapType) {
	in := &w.in
	family := netlinkx.FamilyIPv4
	if v6 {
		family = netlinkx.FamilyIPv6
	}
	spi, _, ok := esp.SeqOf(in.pkts[0])
	if !ok {
		w.dropIn(n, xfrmstat.InHdrError)
		return
	}
	sa := w.plane.db.Inbound((*[16]byte)(&in.message.Dst), family, netlinkx.SPI(spi), 0)
	if sa == nil {
		w.dropIn(n, xfrmstat.InNoStates)
		return
	}
	if why := sa.Receivable(kind); why != xfrmstat.None {
		w.dropIn(n, why)
		return
	}
	t := w.plane.pathOf(sa)
	if t == nil {
		w.dropIn(n, xfrmstat.InStateInvalid)
		return
	}
	for i, pkt := range in.pkts[:n] {
		_, in.seqs[i], _ = esp.SeqOf(pkt)
	}
	sa.CheckBatch(in.seqs[:n], in.full[:n], in.verdicts[:n])
	packets, bytes := w.openAll(t, n)
	if packets == 0 {
		return
	}
	sa.Charge(packets, bytes)
	if kind != 0 {
		w.noteSource(t)
	}
}

// openAll opens what the replay window may let in, and returns what passed.
func (w *worker) openAll(t *path, n int) (packets int, bytes uint64) {
	in := &w.in
	device := w.table.forSA(t.conf.IfID)
	in.secpath[0] = t.sa
	for i, pkt := range in.pkts[:n] {
		if why := in.verdicts[i]; why != xfrmstat.None {
			w.dropIn(1, why)
			continue
		}
		length, ok := 0, false
		if t.tunnel {
			length, ok = w.openTunnel(t, device, pkt, in.full[i])
		} else {
			length, ok = w.openOther(t, device, pkt, in.full[i])
		}
		if ok {
			packets++
			bytes += uint64(length)
		}
	}
	return packets, bytes
}

// noteSource tells of a peer behind a NAT that got another address.
func (w *worker) noteSource(t *path) {
	m := &w.in.message
	if m.Src == t.src && m.Port == t.conf.Encap.SrcPort {
		return
	}
	t.sa.NoteSource(netip.AddrPortFrom(m.Src.In(t.conf.Family), m.Port))
}

// openTunnel opens a packet where the coalescer wants it. ok: it was authentic
// and not seen before, whatever became of it then.
func (w *worker) openTunnel(t *path, d *Device, pkt []byte, seq uint64) (n int, ok bool) {
	in := &w.in
	room := len(pkt) - t.cipher.Headroom() - t.cipher.ICVLen()
	if room < 2 {
		w.dropIn(1, xfrmstat.InStateProtoError)
		return 0, false
	}
	dst := in.merge.Reserve(room)
	if dst == nil {
		w.deliver()
		dst = in.merge.Reserve(room)
	}
	payload, next, ok := w.decrypt(t, dst, pkt, seq)
	if !ok {
		in.merge.Cancel()
		return 0, false
	}
	_, length, err := t.transform.Decap(dst, 0, len(payload), next, &in.arrived)
	if err != nil {
		in.merge.Cancel()
		w.dropIn(1, xfrmstat.InStateModeError)
		return len(payload), true
	}
	if w.admit(t, d, dst[:length], 1) {
		in.merge.Commit(length, d.slot)
	} else {
		in.merge.Cancel()
	}
	return len(payload), true
}

// decrypt opens and commits a packet, and counts it if it goes no further.
func (w *worker) decrypt(t *path, dst, pkt []byte, seq uint64) (payload []byte, next byte, ok bool) {
	in := &w.in
	payload, next, err := t.cipher.Open(dst, pkt, uint32(seq>>32), &in.scratch)
	if err != nil {
		if err == esp.ErrAuth {
			t.sa.NoteIntegrity(1)
		}
		w.dropIn(1, xfrmstat.InStateProtoError)
		return nil, 0, false
	}
	var why [1]xfrmstat.Counter
	if t.sa.CommitBatch([]uint64{seq}, why[:]) == 0 {
		w.dropIn(1, why[0])
		return nil, 0, false
	}
	if next == esp.NextHeaderDummy {
		w.stats.Own[InDummy]++
		return nil, 0, false
	}
	return payload, next, true
}
