package datapath

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/flow"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xaddr"
)

// TestNestedGone opens ESP in ESP while the inner SA comes and goes: whichever
// moment it goes, the packet is dropped and counted.
func TestNestedGone(t *testing.T) {
	s := setup{mode: netlinkx.ModeTunnel}
	_, b := newPair(t, s)
	oa, ob := s.addresses()
	ia, ib := s.inner()
	esp := make([]byte, 60)
	esp[2] = 0x10 // SPI 0x1000
	pkt := ipPacket(oa, ob, flow.ProtoESP, esp, false)
	c := s.sa(oa, ob, ia, ib, 0x1000)
	done := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		defer close(done)
		for stop := time.Now().Add(300 * time.Millisecond); time.Now().Before(stop); {
			if err := b.db.DeleteSA(sadb.Cause{}, &netlinkx.SAID{Dst: ob, SPI: 0x1000, Proto: netlinkx.ProtoESP}); err != nil {
				t.Error(err)
			}
			if err := b.db.AddSA(sadb.Cause{}, &sadb.SARequest{SA: c}); err != nil {
				t.Error(err)
			}
		}
	})
	defer wait.Wait()
	w := b.plane.workers[0]
	dst := [16]byte(xaddr.Of(ob))
	w.in.secpath[0] = b.db.Inbound(&dst, netlinkx.FamilyIPv4, 0x1000, 0)
	path := b.plane.pathOf(w.in.secpath[0])
	var n uint64
	for ; ; n++ {
		select {
		case <-done:
			var sum uint64
			for _, v := range w.stats.Kernel {
				sum += v
			}
			if sum != n {
				t.Errorf("%d packets, %d drops", n, sum)
			}
			return
		default:
		}
		if w.admit(path, b.device, pkt, 1) {
			t.Fatal("let in")
		}
	}
}

// TestFragmentsOfTwoDevices: fragments that came by different devices are never
// put together, whatever their headers say.
func TestFragmentsOfTwoDevices(t *testing.T) {
	s := setup{mode: netlinkx.ModeTransport}
	a, b := newPair(t, s)
	_, other := a.addDevice(t, DeviceConfig{Name: "test1", IfID: testIfID + 1})
	src, dst := s.inner()
	sa := s.sa(src, dst, src, dst, 0x3000)
	sa.IfID = testIfID + 1
	addSA(t, a, sa)
	p := netlinkx.NewPolicy()
	p.Dir, p.IfID = netlinkx.PolicyOut, testIfID+1
	p.Selector = netlinkx.Selector{Family: netlinkx.FamilyIPv4, Src: host(src), Dst: host(dst)}
	tm := netlinkx.NewTemplate()
	tm.Src, tm.Dst, tm.Proto, tm.Mode, tm.ReqID, tm.Family = src, dst, netlinkx.ProtoESP, s.mode, 1, netlinkx.FamilyIPv4
	p.Templates = []netlinkx.Template{tm}
	if err := a.db.AddPolicy(sadb.Cause{}, p); err != nil {
		t.Fatal(err)
	}
	parts := fragments(udpPacket(src, dst, 9, 2000, false), 1200)
	a.queue.reads = [][]byte{plain(parts[0])}
	other.reads = [][]byte{plain(parts[1])}
	a.work()
	if n := a.plane.Stats().Own[OutSent]; n != 0 {
		t.Errorf("%d packets sent, made of what two devices gave", n)
	}
	if n := a.plane.Stats().Own[OutHeld]; n != 2 {
		t.Errorf("%d fragments held, want 2", n)
	}
	check(t, a, b)
}

// TestCloseUnstarted: a Plane whose Start failed, or was never called, can be
// closed.
func TestCloseUnstarted(t *testing.T) {
	p := New(Config{Workers: 1, Off: Off{Direct: true}})
	poll, err := newPoller() // as far as Start came
	if err != nil {
		t.Fatal(err)
	}
	p.workers[0].poll = poll
	ended := make(chan error)
	go func() { ended <- p.Close() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("Close hangs")
	}
}

// TestChangesAfterClose: timers of the DB and clients may change SAs while the
// Plane ends, and afterwards. Nothing is opened any more.
func TestChangesAfterClose(t *testing.T) {
	a, _ := newPair(t, tunnel)
	if err := a.plane.Close(); err != nil {
		t.Fatal(err)
	}
	if n := len(a.sockets); n != 0 {
		t.Errorf("%d sockets left", n)
	}
	oa, ob := tunnel.addresses()
	addSA(t, a, tunnel.sa(oa, ob, oa, ob, 0x3000))
	if n := len(a.sockets); n != 0 {
		t.Errorf("%d sockets opened after Close", n)
	}
	if err := a.db.DeleteSA(sadb.Cause{}, &netlinkx.SAID{Dst: ob, SPI: 0x1000, Proto: netlinkx.ProtoESP}); err != nil {
		t.Error(err)
	}
	if _, err := a.plane.AddDevice(DeviceConfig{Name: "late0", IfID: 99}); !errors.Is(err, errClosed) {
		t.Errorf("AddDevice after Close: %v", err)
	}
}
