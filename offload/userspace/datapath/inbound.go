package datapath

import (
	"encoding/binary"
	"net/netip"

	"github.com/xfrmctl/xfrmctl/gsogro/segment"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/datapath/outer"
	"github.com/xfrmctl/xfrmctl/offload/userspace/encap"
	"github.com/xfrmctl/xfrmctl/offload/userspace/esp"
	"github.com/xfrmctl/xfrmctl/offload/userspace/flow"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb"
)

const (
	// received is how many datagrams one call takes: of plain ESP, which come
	// one by one, and of UDP, where one can hold 64 packets.
	received    = 64
	receivedUDP = 4
	// chunk is how many packets of an SA are checked together.
	chunk = 64
)

// inboundState is a worker's memory for one direction. Nothing of it outlives
// a batch, except for what is remembered of the last packet.
type inboundState struct {
	batch   *outer.Batch
	message outer.Message
	merge   *segment.Coalescer
	merging segment.CoalescerConfig
	scratch esp.Scratch
	arrived encap.Arrived
	flows   flow.Flow
	secpath [netlinkx.MaxTemplates]*sadb.SA
	buf     [2][]byte // of packets that are not opened in place
	single  []byte    // of super-packets that are cut again

	pkts     [chunk][]byte
	seqs     [chunk]uint32
	full     [chunk]uint64
	verdicts [chunk]sadb.Counter

	checked checked // the last packet that policies were asked about
}

// checked is what the inbound policies said.
type checked struct {
	key        flowKey
	generation uint64
	device     *Device
	sas        [netlinkx.MaxTemplates]*sadb.SA
	why        sadb.Counter
	valid      bool
}

func (in *inboundState) init(c Config) {
	in.batch = outer.NewBatch(received, 0)
	in.merging = segment.CoalescerConfig{NoTCP: c.Off.TCP, NoUDP: c.Off.UDP}
	in.merge = segment.NewCoalescer(in.merging)
	in.single = make([]byte, segment.HeaderLen+outer.MaxDatagram)
	for i := range in.buf {
		in.buf[i] = make([]byte, encap.Room+outer.MaxDatagram)
	}
}

// service carries what waits in a socket, up to a batch.
func (s *socketSource) service(w *worker) bool {
	in := &w.in
	most := received
	if s.key.Port != 0 {
		most = receivedUDP
	}
	n, err := s.Recv(in.batch, most)
	w.stats.ReceiveCalls++
	if err != nil {
		if fatal(err) {
			w.gone = append(w.gone, s)
		}
		return pending(err)
	}
	for i := range n {
		in.batch.Message(i, &in.message)
		if s.key.Port == 0 {
			w.single = true
			w.arriveRaw(s.key.V6)
		} else {
			w.arriveUDP(s.key.V6)
		}
	}
	w.deliver()
	return true
}

// dropIn counts n packets by the kernel's reason.
func (w *worker) dropIn(n int, why sadb.Counter) {
	w.stats.Kernel[why] += uint64(n)
}

// arriveRaw takes a packet of plain ESP.
func (w *worker) arriveRaw(v6 bool) {
	in := &w.in
	m := &in.message
	w.stats.Own[InPackets]++
	in.arrived = encap.Arrived{TOS: m.TOS, TTL: m.TTL, DF: true} // what IPv6 counts as (xfrm6_extract_header)
	data := m.Data
	if !v6 {
		header := 0
		if len(data) >= 20 {
			header = int(data[0]&15) * 4
		}
		if header < 20 || header > len(data) {
			w.dropIn(1, sadb.InHdrError)
			return
		}
		in.arrived.Header = data[:header]
		in.arrived.TOS, in.arrived.TTL = data[1], data[8]
		in.arrived.ID, in.arrived.DF = binary.BigEndian.Uint16(data[4:]), data[6]&0x40 != 0
		copy(m.Dst[:4], data[16:20])
		copy(m.Src[:4], data[12:16])
		data = data[header:]
	}
	if m.Truncated {
		w.dropIn(1, sadb.InHdrError)
		return
	}
	in.pkts[0] = data
	w.open(1, v6, 0)
}

// arriveUDP takes datagrams of one peer, which the kernel may have merged, and
// gathers those of one SA.
func (w *worker) arriveUDP(v6 bool) {
	in := &w.in
	m := &in.message
	// A UDP socket tells neither identification nor DF, which packets of
	// transport mode inherit: with DF set, any identification is right.
	in.arrived = encap.Arrived{TOS: m.TOS, TTL: m.TTL, DF: true}
	if m.Truncated || len(m.Data) == 0 {
		w.stats.Own[InPackets]++
		w.dropIn(1, sadb.InHdrError)
		return
	}
	n := 0
	for data := m.Data; len(data) > 0; {
		pkt := data[:min(m.Segment, len(data))]
		data = data[len(pkt):]
		w.stats.Own[InPackets]++
		if !w.isESP(pkt) {
			continue
		}
		if n == chunk || n > 0 && [4]byte(pkt) != [4]byte(in.pkts[0]) {
			w.open(n, v6, netlinkx.EncapESPinUDP)
			n = 0
		}
		in.pkts[n] = pkt
		n++
	}
	if n > 0 {
		w.open(n, v6, netlinkx.EncapESPinUDP)
	}
}

// isESP counts what else comes to the port (RFC 3948 section 2).
func (w *worker) isESP(pkt []byte) bool {
	switch {
	case len(pkt) == 1 && pkt[0] == 0xff:
		w.stats.Own[InKeepalive]++
	case len(pkt) < 8:
		w.dropIn(1, sadb.InHdrError)
	case [4]byte(pkt) == [4]byte{}:
		w.stats.Own[InIKE]++
	default:
		return true
	}
	return false
}

// open takes n packets that have one SPI, from in.pkts.
func (w *worker) open(n int, v6 bool, kind netlinkx.EncapType) {
	in := &w.in
	family := netlinkx.FamilyIPv4
	if v6 {
		family = netlinkx.FamilyIPv6
	}
	spi, _, ok := esp.SeqOf(in.pkts[0])
	if !ok {
		w.dropIn(n, sadb.InHdrError)
		return
	}
	sa := w.plane.db.Inbound((*[16]byte)(&in.message.Dst), family, netlinkx.SPI(spi), 0)
	if sa == nil {
		w.dropIn(n, sadb.InNoStates)
		return
	}
	if why := sa.Receivable(kind); why != sadb.CounterNone {
		w.dropIn(n, why)
		return
	}
	t := w.plane.pathOf(sa)
	if t == nil {
		w.dropIn(n, sadb.InStateInvalid)
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
		if why := in.verdicts[i]; why != sadb.CounterNone {
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
	t.sa.NoteSource(netip.AddrPortFrom(m.Src.IP(t.v6), m.Port))
}

// openTunnel opens a packet where the coalescer wants it. ok: it was authentic
// and not seen before, whatever became of it then.
func (w *worker) openTunnel(t *path, d *Device, pkt []byte, seq uint64) (n int, ok bool) {
	in := &w.in
	room := len(pkt) - t.cipher.Headroom() - t.cipher.ICVLen()
	if room < 2 {
		w.dropIn(1, sadb.InStateProtoError)
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
		w.dropIn(1, sadb.InStateModeError)
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
		w.dropIn(1, sadb.InStateProtoError)
		return nil, 0, false
	}
	var why [1]sadb.Counter
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

// admit asks the inbound policies, and counts a packet that may not be
// delivered. It came by the first depth SAs of in.secpath.
func (w *worker) admit(t *path, d *Device, pkt []byte, depth int) bool {
	in := &w.in
	if flow.Dissect(pkt, &in.flows) != nil {
		w.dropIn(1, sadb.InHdrError)
		return false
	}
	if depth < netlinkx.MaxTemplates && w.isNested(&in.flows, pkt) {
		w.openNested(pkt, depth)
		return false
	}
	if d == nil { // the kernel looks for policies of no interface, and finds none
		w.dropIn(1, sadb.InNoPols)
		return false
	}
	if why := w.policy(t, d, depth); why != sadb.CounterNone {
		w.dropIn(1, why)
		return false
	}
	return true
}

// policy asks the inbound policies, or remembers.
func (w *worker) policy(t *path, d *Device, depth int) sadb.Counter {
	in := &w.in
	c := &in.checked
	key := keyOfFlow(&in.flows)
	generation := w.plane.db.Generation()
	same := depth == 1 && c.valid && c.generation == generation && c.device == d && c.sas[0] == in.secpath[0] && c.key == key
	if same {
		return c.why
	}
	in.flows.IfID, in.flows.Mark, in.flows.IfIndex = d.ifID.Load(), 0, 0
	if d.config.External {
		in.flows.IfID = t.conf.IfID
	}
	why := w.plane.db.CheckInbound(&in.flows, in.secpath[:depth])
	*c = checked{key: key, generation: generation, device: d, why: why, valid: depth == 1}
	c.sas[0] = in.secpath[0]
	return why
}
