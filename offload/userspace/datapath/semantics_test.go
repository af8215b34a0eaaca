package datapath

import (
	"net/netip"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/esp"
	"github.com/xfrmctl/xfrmctl/offload/userspace/pmtu"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xaddr"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xfrmstat"
)

// sealed makes an authentic packet for b's inbound SA with anything inside.
func sealed(t *testing.T, b *end, inside []byte, next byte) []byte {
	t.Helper()
	_, ob := tunnel.addresses()
	dst := [16]byte(xaddr.Of(ob))
	sa := b.db.Inbound(&dst, netlinkx.FamilyIPv4, 0x1000, 0)
	c := sa.Cipher()
	pkt := make([]byte, c.SealedLen(len(inside), 0))
	if _, err := c.Seal(pkt, inside, &esp.Seal{SPI: 0x1000, Seq: 1, IV: 1, NextHeader: next}, &esp.Scratch{}); err != nil {
		t.Fatal(err)
	}
	return pkt
}

func TestDummy(t *testing.T) {
	_, b := newPair(t, tunnel)
	pkt := sealed(t, b, make([]byte, 100), esp.NextHeaderDummy)
	if n := b.own(InDummy, func() { b.inject(pkt) }); n != 1 || len(b.queue.writes) != 0 {
		t.Errorf("dummies %d, written %d; want 1, 0", n, len(b.queue.writes))
	}
	if n := b.count(xfrmstat.InStateSeqError, func() { b.inject(pkt) }); n != 1 {
		t.Error("a dummy's sequence number must count as seen")
	}
	check(t, b)
}

// TestNested sends packets through two SAs, one inside the other.
func TestNested(t *testing.T) {
	a, b := newEnd(t, Off{}), newEnd(t, Off{})
	a.peer, b.peer = b, a
	s := setup{mode: netlinkx.ModeTunnel}
	oa, ob := s.addresses()
	ma, mb := netip.MustParseAddr("2001:db8:9::1"), netip.MustParseAddr("2001:db8:9::2")
	src, dst := s.inner()
	for _, e := range []*end{a, b} {
		e.device, e.queue = e.addDevice(t, DeviceConfig{Name: "test0", IfID: testIfID})
		inner := s.sa(ma, mb, src, dst, 0x11)
		inner.ReqID = 1
		around := s.sa(oa, ob, src, dst, 0x22)
		around.ReqID = 2
		around.Flags |= netlinkx.FlagAFUnspec
		around.Selector = netlinkx.Selector{}
		addSA(t, e, inner)
		addSA(t, e, around)
	}
	policy := func(e *end, dir netlinkx.PolicyDir) {
		p := netlinkx.NewPolicy()
		p.Dir, p.IfID = dir, testIfID
		p.Selector = netlinkx.Selector{Family: netlinkx.FamilyIPv4, Src: host(src), Dst: host(dst)}
		for i, x := range [][2]netip.Addr{{ma, mb}, {oa, ob}} {
			tm := netlinkx.NewTemplate()
			tm.Src, tm.Dst, tm.Proto, tm.Mode, tm.ReqID, tm.Family = x[0], x[1], netlinkx.ProtoESP, netlinkx.ModeTunnel, uint32(i+1), familyOf(x[0])
			p.Templates = append(p.Templates, tm)
		}
		if err := e.db.AddPolicy(sadb.Cause{}, p); err != nil {
			t.Fatal(err)
		}
	}
	policy(a, netlinkx.PolicyOut)
	policy(b, netlinkx.PolicyIn)
	whole, parts := super(src, dst, 5, 1000, 10)
	small := udpPacket(src, dst, 4, 20, true)
	a.queue.reads = [][]byte{whole, plain(small)}
	a.work()
	b.work()
	same(t, b.queue.packets(t), append(parts, small))
	check(t, a, b)
}

// TestFragments sends fragments of a datagram: whole through a tunnel, put
// together in transport mode.
func TestFragments(t *testing.T) {
	for _, mode := range []netlinkx.Mode{netlinkx.ModeTunnel, netlinkx.ModeTransport} {
		s := setup{mode: mode}
		a, b := newPair(t, s)
		src, dst := s.inner()
		for _, p := range fragments(udpPacket(src, dst, 9, 3000, false), 1200) {
			a.queue.reads = append(a.queue.reads, plain(p))
		}
		// policies see fragments without ports, as the kernel's do
		a.work()
		b.work()
		want := 3
		if mode == netlinkx.ModeTransport {
			want = 1
		}
		if n := len(b.queue.packets(t)); n != want {
			t.Errorf("%s: %d packets arrived, want %d", mode, n, want)
		}
		check(t, a, b)
	}
}

// TestKeepalive: an SA that is quiet for long enough sends one.
func TestKeepalive(t *testing.T) {
	a, b := newPair(t, tunnel)
	oa, ob := tunnel.addresses()
	ia, ib := tunnel.inner()
	sa := tunnel.sa(oa, ob, ia, ib, 0x3000)
	sa.NATKeepalive, sa.Dir, sa.ReplayWindow = 1, netlinkx.DirOut, 0
	addSA(t, a, sa)
	a.plane.started = a.plane.started.Add(-2e9)
	a.plane.sendKeepalives()
	if n := b.own(InKeepalive, b.work); n != 1 {
		t.Errorf("%d keepalives arrived, want 1", n)
	}
	a.plane.sendKeepalives() // not again at once
	if n := b.own(InKeepalive, b.work); n != 0 {
		t.Errorf("%d keepalives arrived, want 0", n)
	}
}

// TestSockets: they come with SAs and go with the last of them.
func TestSockets(t *testing.T) {
	a, _ := newPair(t, tunnel)
	if len(a.sockets) != 1 {
		t.Fatalf("%d sockets, want 1", len(a.sockets))
	}
	if err := a.db.FlushSAs(sadb.Cause{}, netlinkx.ProtoESP); err != nil {
		t.Fatal(err)
	}
	if len(a.sockets) != 0 {
		t.Errorf("%d sockets after the last SA has gone, want 0", len(a.sockets))
	}
}

// TestDevices: added, renumbered, removed, and their packets with them.
func TestDevices(t *testing.T) {
	a, b := newPair(t, tunnel)
	src, dst := tunnel.inner()
	if _, err := b.plane.AddDevice(DeviceConfig{Name: "test1", IfID: testIfID}); err == nil {
		t.Error("a second device of the same if_id was accepted")
	}
	send := func() uint64 {
		a.queue.reads = [][]byte{plain(udpPacket(src, dst, 1, 10, true))}
		return b.own(InDelivered, func() { a.work(); b.work() })
	}
	if send() != 1 {
		t.Error("not delivered at first")
	}
	if err := b.plane.SetIfID(b.device, 99); err != nil {
		t.Fatal(err)
	}
	if n := b.count(xfrmstat.InNoPols, func() { send() }); n != 1 {
		t.Errorf("XfrmInNoPols grew by %d without a device, want 1", n)
	}
	if err := b.plane.SetIfID(b.device, testIfID); err != nil {
		t.Fatal(err)
	}
	if send() != 1 {
		t.Error("not delivered with the if_id back")
	}
	if err := b.plane.RemoveDevice(b.device); err != nil {
		t.Fatal(err)
	}
	if n := b.count(xfrmstat.InNoPols, func() { send() }); n != 1 {
		t.Errorf("XfrmInNoPols grew by %d without the device, want 1", n)
	}
	if b.plane.RemoveDevice(b.device) == nil {
		t.Error("removed twice")
	}
	check(t, a, b)
}

// TestLearn believes a report about a path's MTU if the packet that it quotes
// can have been ours, and nothing else.
func TestLearn(t *testing.T) {
	a, b := newPair(t, tunnel)
	src, dst := tunnel.inner()
	oa, ob := tunnel.addresses()
	send := func(n int) uint64 {
		a.queue.reads = [][]byte{plain(udpPacket(src, dst, 1, n, true))}
		return a.own(OutTooBig, func() { a.work(); b.work() })
	}
	report := pmtu.Quote{Family: netlinkx.FamilyIPv4, TooBig: true, MTU: 1000, Src: oa, Dst: ob, Encap: true, SrcPort: 4500, DstPort: 4500, SPI: 0x1000}
	a.plane.learn(&report)
	if send(1200) != 0 {
		t.Error("believed before anything was sent")
	}
	for name, change := range map[string]func(*pmtu.Quote){
		"spi":    func(q *pmtu.Quote) { q.SPI = 0x1001 },
		"source": func(q *pmtu.Quote) { q.Src = q.Src.Next() },
		"port":   func(q *pmtu.Quote) { q.DstPort++ },
		"plain":  func(q *pmtu.Quote) { q.Encap = false },
		"kind":   func(q *pmtu.Quote) { q.TooBig = false },
	} {
		forged := report
		change(&forged)
		a.plane.learn(&forged)
		if send(1200) != 0 {
			t.Errorf("a report with a wrong %s was believed", name)
		}
	}
	a.plane.learn(&report)
	if send(1200) != 1 {
		t.Error("a good report was not believed")
	}
	if send(800) != 0 {
		t.Error("a packet that fits was refused")
	}
	check(t, a, b)
}

// TestSmallestMTU: an inner packet of 1280 bytes must pass, also where the outer
// one is too long for the link then: it may be fragmented.
func TestSmallestMTU(t *testing.T) {
	for _, udp := range []bool{false, true} {
		s := setup{mode: netlinkx.ModeTunnel, inner6: true, outer6: true, udp: udp}
		a, b := newPair(t, s)
		a.plane.routeMTU = func(netip.Addr, uint32, uint32) int { return 1280 }
		src, dst := s.inner()
		a.db.FlushSAs(sadb.Cause{}, 0)
		oa, ob := s.addresses()
		addSA(t, a, s.sa(oa, ob, src, dst, 0x1000))
		pkt := udpPacket(src, dst, 1, 1280-48, true)
		a.queue.reads = [][]byte{plain(pkt)}
		a.work()
		b.work()
		same(t, b.queue.packets(t), [][]byte{pkt})
		if len(a.runs) != 1 || a.runs[0].DF {
			t.Errorf("udp %v: %d runs sent, want one that may be fragmented", udp, len(a.runs))
		}
		check(t, a, b)
	}
}
