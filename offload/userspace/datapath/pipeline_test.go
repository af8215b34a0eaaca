package datapath

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/gsogro/segment"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/datapath/outer"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xaddr"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xfrmstat"
)

// nonzero shows the counters that count anything.
func nonzero(s *Stats) map[string]uint64 {
	m := make(map[string]uint64)
	for c, v := range s.Own {
		m[Counter(c).String()] = v
	}
	for c, v := range s.Kernel {
		m[xfrmstat.Counter(c).String()] = v
	}
	maps.DeleteFunc(m, func(_ string, v uint64) bool { return v == 0 })
	return m
}

// check fails unless the counters balance on both ends.
func check(t *testing.T, ends ...*end) {
	t.Helper()
	for i, e := range ends {
		if s := e.plane.Stats(); !s.Balanced() {
			t.Errorf("end %d: counters do not balance: %v", i, nonzero(s))
		}
	}
}

func same(t *testing.T, got, want [][]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d packets arrived, want %d", len(got), len(want))
	}
	for i := range want {
		w := bytes.Clone(want[i])
		g := bytes.Clone(got[i])
		if w[0]>>4 == 4 { // identification, DF, checksum: see TestCarries
			for _, p := range [][]byte{w, g} {
				clear(p[4:8])
				clear(p[10:12])
			}
		}
		if at := firstDifference(g, w); at >= 0 {
			t.Fatalf("packet %d of %d bytes (want %d) differs from byte %d on: %x, want %x", i, len(g), len(w), at, g[at:min(at+16, len(g))], w[at:min(at+16, len(w))])
		}
	}
}

// firstDifference returns where two packets begin to differ, -1 for nowhere.
func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	if len(a) != len(b) {
		return min(len(a), len(b))
	}
	return -1
}

func setups() (all []setup) {
	for _, udp := range []bool{false, true} {
		for _, esn := range []bool{false, true} {
			for _, o6 := range []bool{false, true} {
				for _, i6 := range []bool{false, true} {
					all = append(all,
						setup{mode: netlinkx.ModeTunnel, inner6: i6, outer6: o6, udp: udp, esn: esn, window: 256},
						setup{mode: netlinkx.ModeBEET, inner6: i6, outer6: o6, udp: udp, esn: esn, window: 256})
				}
				all = append(all, setup{mode: netlinkx.ModeTransport, inner6: o6, outer6: o6, udp: udp, esn: esn, window: 256})
			}
		}
	}
	return append(all, setup{mode: netlinkx.ModeTunnel, external: true, window: 32})
}

// TestCarries sends packets of many sizes and TCP super-packets through every
// mode and family. IPv4 identification and DF are not compared: DF packets that
// are merged may get others, and in transport mode a UDP socket does not tell.
func TestCarries(t *testing.T) {
	for _, s := range setups() {
		t.Run(fmt.Sprintf("%s/inner6=%t/outer6=%t/udp=%t/esn=%t/external=%t", s.mode, s.inner6, s.outer6, s.udp, s.esn, s.external), func(t *testing.T) {
			a, b := newPair(t, s)
			src, dst := s.inner()
			var want [][]byte
			for n := 0; n <= 1300; n += 13 {
				p := udpPacket(src, dst, uint16(n%3), n, true)
				want = append(want, p)
				a.queue.reads = append(a.queue.reads, plain(p))
			}
			a.work()
			b.work()
			gotUDP := b.queue.packets(t)
			if len(gotUDP) != len(want) {
				t.Fatalf("%d packets arrived, want %d", len(gotUDP), len(want))
			}
			b.queue.writes = nil
			whole, parts := super(src, dst, 1, 1200, 45)
			a.queue.reads = append(a.queue.reads, whole)
			a.work()
			b.work()
			same(t, b.queue.packets(t), parts)
			if len(b.queue.writes) > 2 {
				t.Errorf("a super-packet of 45 arrived in %d pieces", len(b.queue.writes))
			}
			check(t, a, b)
			if n := b.plane.Stats().Own[InDelivered]; n != uint64(len(want)+len(parts)) {
				t.Errorf("delivered %d, want %d", n, len(want)+len(parts))
			}
		})
	}
}

// TestAlign: super-packets are not spread over two datagrams where one holds
// them, and share one where it holds both.
func TestAlign(t *testing.T) {
	a, _ := newPair(t, tunnel)
	src, dst := tunnel.inner()
	seq := uint32(1)
	for _, n := range []int{3, 4, 30, 30, 5} {
		whole, _ := super(src, dst, seq, 1200, n)
		seq += uint32(n * 1200)
		a.queue.reads = append(a.queue.reads, whole)
	}
	a.work()
	var got []int
	for _, r := range a.runs {
		got = append(got, r.Packets)
	}
	if want := []int{3 + 4 + 30, 30 + 5}; !slices.Equal(got, want) {
		t.Errorf("%v packets in a datagram, want %v", got, want)
	}
	check(t, a)
}

// count runs f and returns by how much a counter of e grew.
func (e *end) count(c xfrmstat.Counter, f func()) uint64 {
	before := e.plane.Stats().Kernel[c]
	f()
	return e.plane.Stats().Kernel[c] - before
}

func (e *end) own(c Counter, f func()) uint64 {
	before := e.plane.Stats().Own[c]
	f()
	return e.plane.Stats().Own[c] - before
}

var tunnel = setup{mode: netlinkx.ModeTunnel, udp: true, window: 64}

func (e *end) inject(data ...[]byte) {
	s := e.sockets[outer.Key{Port: 4500}]
	a, b := tunnel.addresses()
	for _, d := range data {
		s.waits = append(s.waits, outer.Message{Data: d, Segment: len(d), Src: xaddr.Of(a), Dst: xaddr.Of(b), Port: 4500})
	}
	e.work()
}

// TestInboundDrops gives an engine what it must not deliver.
func TestInboundDrops(t *testing.T) {
	a, b := newPair(t, tunnel)
	src, dst := tunnel.inner()
	capture := func(p []byte) []byte {
		a.queue.reads = append(a.queue.reads, plain(p))
		a.work()
		w := b.sockets[outer.Key{Port: 4500}].waits
		b.sockets[outer.Key{Port: 4500}].waits = nil
		return w[0].Data
	}
	good := capture(udpPacket(src, dst, 1, 100, true))
	bad := bytes.Clone(good)
	bad[40] ^= 1
	stranger := bytes.Clone(good)
	stranger[3] = 0x77
	if n := b.own(InDelivered, func() { b.inject(good) }); n != 1 {
		t.Fatalf("delivered %d, want 1", n)
	}
	for _, c := range []struct {
		name string
		data []byte
		why  xfrmstat.Counter
	}{
		{"replayed", good, xfrmstat.InStateSeqError},
		{"unknown spi", stranger, xfrmstat.InNoStates},
		{"short", []byte{1, 2, 3}, xfrmstat.InHdrError},
		{"nothing inside", good[:20], xfrmstat.InStateSeqError},
	} {
		if n := b.count(c.why, func() { b.inject(c.data) }); n != 1 {
			t.Errorf("%s: %s grew by %d, want 1", c.name, c.why, n)
		}
	}
	fresh := capture(udpPacket(src, dst, 1, 100, true))
	fresh[len(fresh)-1] ^= 1
	if n := b.count(xfrmstat.InStateProtoError, func() { b.inject(fresh) }); n != 1 {
		t.Errorf("forged: XfrmInStateProtoError grew by %d, want 1", n)
	}
	if n := b.own(InKeepalive, func() { b.inject([]byte{0xff}) }); n != 1 {
		t.Errorf("keepalives: %d, want 1", n)
	}
	if n := b.own(InIKE, func() { b.inject(make([]byte, 28)) }); n != 1 {
		t.Errorf("ike: %d, want 1", n)
	}
	check(t, a, b)
}

// TestSpoofed sends an inner packet that the peer's policies allow and ours do
// not.
func TestSpoofed(t *testing.T) {
	a, b := newPair(t, tunnel)
	src, dst := tunnel.inner()
	p := netlinkx.NewPolicy()
	p.Dir, p.IfID = netlinkx.PolicyOut, testIfID
	p.Selector = netlinkx.Selector{Family: netlinkx.FamilyIPv4, Src: host(src.Next().Next()), Dst: host(dst)}
	oa, ob := tunnel.addresses()
	tm := netlinkx.NewTemplate()
	tm.Src, tm.Dst, tm.Proto, tm.Mode, tm.ReqID, tm.Family = oa, ob, netlinkx.ProtoESP, netlinkx.ModeTunnel, 1, netlinkx.FamilyIPv4
	p.Templates = []netlinkx.Template{tm}
	if err := a.db.AddPolicy(sadb.Cause{}, p); err != nil {
		t.Fatal(err)
	}
	a.queue.reads = [][]byte{plain(udpPacket(src.Next().Next(), dst, 1, 50, true))}
	n := b.count(xfrmstat.InNoPols, func() { a.work(); b.work() })
	if n != 1 || len(b.queue.writes) != 0 {
		t.Errorf("XfrmInNoPols grew by %d and %d packets were delivered, want 1 and 0", n, len(b.queue.writes))
	}
	check(t, a, b)
}

// TestOutboundDrops reads from a device what must not leave.
func TestOutboundDrops(t *testing.T) {
	a, b := newPair(t, tunnel)
	src, dst := tunnel.inner()
	work := func(p []byte) func() {
		return func() { a.queue.reads = [][]byte{p}; a.work() }
	}
	if n := a.count(xfrmstat.OutError, work(plain([]byte{0x45, 0, 0}))); n != 1 {
		t.Errorf("malformed: %d", n)
	}
	if n := a.own(OutNoPolicy, work(plain(udpPacket(src, dst.Next(), 1, 10, true)))); n != 1 {
		t.Errorf("no policy: %d", n)
	}
	if n := a.own(OutTooBig, work(plain(udpPacket(src, dst, 1, 1450, true)))); n != 1 || len(a.queue.writes) != 1 {
		t.Errorf("too big: %d, answers %d", n, len(a.queue.writes))
	}
	if icmp := a.queue.writes[0][segment.HeaderLen:]; icmp[9] != 1 || icmp[20] != 3 || icmp[21] != 4 {
		t.Errorf("answer is no fragmentation needed: %x", icmp)
	}
	before := len(a.runs)
	work(plain(udpPacket(src, dst, 1, 1450, false)))()
	if len(a.runs) != before+1 || a.runs[before].DF {
		t.Error("a packet without DF must go out, to be fragmented outside")
	}
	a.tooLong = 100
	if n := a.own(OutTooBig, work(plain(udpPacket(src, dst, 1, 500, true)))); n != 1 {
		t.Errorf("EMSGSIZE: %d", n)
	}
	a.tooLong = 0
	oa, ob := tunnel.addresses()
	if err := a.db.DeleteSA(sadb.Cause{}, &netlinkx.SAID{Dst: ob, Src: oa, SPI: 0x1000, Proto: netlinkx.ProtoESP, Family: netlinkx.FamilyIPv4}); err != nil {
		t.Fatal(err)
	}
	if n := a.count(xfrmstat.OutNoStates, work(plain(udpPacket(src, dst, 1, 50, true)))); n != 1 {
		t.Errorf("no sa: %d", n)
	}
	check(t, a, b)
}

// TestGone: a device that was deleted is not read again.
func TestGone(t *testing.T) {
	a, _ := newPair(t, tunnel)
	for _, s := range a.plane.workers[0].sources {
		if d, ok := s.(*deviceSource); ok {
			d.queue = goneQueue{a.queue}
		}
	}
	a.work()
	if n := len(a.plane.workers[0].sources); n != 1 {
		t.Errorf("%d sources are left, want the socket only", n)
	}
}

type goneQueue struct{ *memoryQueue }

func (goneQueue) Read([]byte) (int, error) { return 0, unix.EBADFD }

// TestDeviceRefuses: a device that is down, and one that does not take
// super-packets.
func TestDeviceRefuses(t *testing.T) {
	a, b := newPair(t, tunnel)
	src, dst := tunnel.inner()
	whole, parts := super(src, dst, 1, 1000, 20)
	b.queue.refuse = func(p []byte) error {
		if p[1] != 0 { // gso_type
			return unix.EINVAL
		}
		return nil
	}
	a.queue.reads = [][]byte{bytes.Clone(whole)}
	a.work()
	b.work()
	same(t, b.queue.packets(t), parts)
	refused := 0
	b.queue.refuse = func(p []byte) error {
		if p[1] != 0 {
			refused++
		}
		return nil
	}
	a.queue.reads = [][]byte{bytes.Clone(whole)}
	a.work()
	b.work()
	if refused != 0 {
		t.Error("super-packets are tried again after they were refused")
	}
	b.queue.refuse = func([]byte) error { return unix.EIO }
	a.queue.reads = [][]byte{whole}
	if n := b.count(xfrmstat.InNoPols, func() { a.work(); b.work() }); n != 20 {
		t.Errorf("down: XfrmInNoPols grew by %d, want 20", n)
	}
	check(t, a, b)
}
