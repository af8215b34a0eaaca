package datapath

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/gsogro/segment"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/datapath/tun"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb"
)

// pairDevice is a device whose queues are socket pairs: the test holds the
// other ends.
type pairDevice struct{ mine, theirs []int }

type pairQueue struct{ number int }

func (q pairQueue) FD() int                     { return q.number }
func (q pairQueue) Read(b []byte) (int, error)  { return unix.Read(q.number, b) }
func (q pairQueue) Write(b []byte) (int, error) { return unix.Write(q.number, b) }

func (d *pairDevice) queues() (qs []queue) {
	for _, fd := range d.mine {
		qs = append(qs, pairQueue{fd})
	}
	return qs
}
func (d *pairDevice) set(tun.Change) error { return nil }
func (d *pairDevice) close() error {
	for _, fd := range append(d.mine, d.theirs...) {
		unix.Close(fd)
	}
	return nil
}

func newPairDevice(queues int) (*pairDevice, error) {
	d := &pairDevice{}
	for range queues {
		p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return nil, err
		}
		d.mine, d.theirs = append(d.mine, p[0]), append(d.theirs, p[1])
	}
	return d, nil
}

// startEnd starts a Plane with threads, UDP sockets on the loopback device and
// socket pairs as device.
func startEnd(t *testing.T, workers int) (*Plane, *sadb.DB, *Device) {
	t.Helper()
	p := New(Config{Workers: workers, Failed: func(err error) { t.Log(err) }})
	p.config.create = func(d *Device, queues int) error {
		io, err := newPairDevice(queues)
		d.io = io
		return err
	}
	db := sadb.New(sadb.Config{SAChanged: p.SAChanged})
	if err := p.Start(db); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		db.Close()
	})
	d, err := p.AddDevice(DeviceConfig{Name: "pair0", IfID: testIfID})
	if err != nil {
		t.Fatal(err)
	}
	return p, db, d
}

// freePorts returns ports that were free a moment ago, all different.
func freePorts(t *testing.T, n int) (ports []uint16) {
	t.Helper()
	for range n {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd) // when all are chosen
		if err := unix.Bind(fd, &unix.SockaddrInet4{}); err != nil {
			t.Fatal(err)
		}
		name, err := unix.Getsockname(fd)
		if err != nil {
			t.Fatal(err)
		}
		ports = append(ports, uint16(name.(*unix.SockaddrInet4).Port))
	}
	return ports
}

// TestThreads runs two engines with two threads each while SAs, policies and
// devices come and go: packets pass, counters balance, the race detector is
// content.
func TestThreads(t *testing.T) {
	pa, dba, da := startEnd(t, 2)
	pb, dbb, dbDevice := startEnd(t, 2)
	s := setup{mode: netlinkx.ModeTunnel, udp: true, window: 4096}
	oa, ob := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")
	ia, ib := s.inner()
	ports := freePorts(t, 4)
	portA, portB := ports[0], ports[1]
	out := s.sa(oa, ob, ia, ib, 0x1000)
	out.Encap = &netlinkx.Encap{Type: netlinkx.EncapESPinUDP, SrcPort: portA, DstPort: portB}
	in := *out
	out.Dir, out.ReplayWindow = netlinkx.DirOut, 0 // or a would listen at b's port as well
	in.Dir = netlinkx.DirIn
	addSA(t, &end{db: dba}, out)
	addSA(t, &end{db: dbb}, &in)
	addPolicies(t, &end{db: dba}, s, ia, ib, oa, ob)
	addPolicies(t, &end{db: dbb}, s, ib, ia, ob, oa)

	var stop atomic.Bool
	var received atomic.Uint64
	var wait sync.WaitGroup
	from := da.io.(*pairDevice).theirs
	to := dbDevice.io.(*pairDevice).theirs
	for _, fd := range from {
		wait.Go(func() { feed(fd, ia, ib, &stop) })
	}
	for _, fd := range to {
		wait.Go(func() { drain(fd, &received, &stop) })
	}
	wait.Go(func() { churn(t, pa, dba, s, ports[2], &stop) })
	wait.Go(func() { churn(t, pb, dbb, s, ports[3], &stop) })
	deadline := time.Now().Add(2 * time.Minute)
	for received.Load() < 5000 && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
		for _, p := range []*Plane{pa, pb} {
			if s := p.Stats(); !s.Balanced() {
				t.Fatalf("counters do not balance under way: %v", nonzero(s))
			}
		}
	}
	stop.Store(true)
	wait.Wait()
	if received.Load() < 5000 {
		t.Errorf("only %d packets arrived: %v, %v", received.Load(), nonzero(pa.Stats()), nonzero(pb.Stats()))
	}
}

// feed writes good packets to a queue.
func feed(fd int, src, dst netip.Addr, stop *atomic.Bool) {
	for i := 0; !stop.Load(); i++ {
		p := plain(udpPacket(src, dst, uint16(i), 200+i%700, true))
		if i%5 == 0 {
			p, _ = super(src, dst, uint32(i), 700, 8)
		}
		if _, err := unix.Write(fd, p); err != nil {
			time.Sleep(time.Millisecond)
		}
	}
}

// drain counts the packets that a queue is given.
func drain(fd int, received *atomic.Uint64, stop *atomic.Bool) {
	buf := make([]byte, tun.MaxPacket)
	for !stop.Load() {
		n, err := unix.Read(fd, buf)
		if err != nil {
			time.Sleep(time.Millisecond)
			continue
		}
		packets := uint64(1)
		if size := binary.NativeEndian.Uint16(buf[4:]); buf[1] != 0 && size > 0 {
			packets = uint64((n - segment.HeaderLen + int(size) - 1) / int(size))
		}
		received.Add(packets)
	}
}

// churn adds and removes what the packets do not need.
func churn(t *testing.T, p *Plane, db *sadb.DB, s setup, port uint16, stop *atomic.Bool) {
	e := &end{db: db}
	oa, ob := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.3")
	ia, ib := s.inner()
	for i := 0; !stop.Load(); i++ {
		sa := s.sa(oa, ob, ia, ib, netlinkx.SPI(0x5000+i))
		sa.Encap = &netlinkx.Encap{Type: netlinkx.EncapESPinUDP, SrcPort: port, DstPort: port}
		addSA(t, e, sa)
		d, err := p.AddDevice(DeviceConfig{Name: fmt.Sprintf("churn%d", i%4), IfID: 1000})
		if err != nil {
			t.Error(err)
			return
		}
		if err := p.RemoveDevice(d); err != nil {
			t.Error(err)
		}
		id := sa.ID()
		if err := db.DeleteSA(sadb.Cause{}, &id); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Millisecond)
	}
}
