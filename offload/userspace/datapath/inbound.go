package datapath

import (
	"encoding/binary"

	"github.com/xfrmctl/xfrmctl/gsogro/segment"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/datapath/outer"
	"github.com/xfrmctl/xfrmctl/offload/userspace/encap"
	"github.com/xfrmctl/xfrmctl/offload/userspace/esp"
	"github.com/xfrmctl/xfrmctl/offload/userspace/flow"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xfrmstat"
)

const (
	// received is how many datagrams one call takes: of plain ESP, which come
	// one by one, and of UDP, where one can hold 64 packets.
	received    = 64
	receivedUDP = 8
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
	verdicts [chunk]xfrmstat.Counter

	checked checked // the last packet that policies were asked about
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
func (w *worker) dropIn(n int, why xfrmstat.Counter) {
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
			w.dropIn(1, xfrmstat.InHdrError)
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
		w.dropIn(1, xfrmstat.InHdrError)
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
		w.dropIn(1, xfrmstat.InHdrError)
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
		w.dropIn(1, xfrmstat.InHdrError)
	case [4]byte(pkt) == [4]byte{}:
		w.stats.Own[InIKE]++
	default:
		return true
	}
	return false
}
