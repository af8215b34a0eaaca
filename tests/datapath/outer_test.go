package datapath

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/datapath/outer"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xaddr"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

func open(t *testing.T, ns *sandbox.NS, c outer.Config) *outer.Socket {
	t.Helper()
	var s *outer.Socket
	err := ns.Do(func() (err error) {
		s, err = outer.Open(c)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// datagrams receives n packets, merged ones cut.
func datagrams(t *testing.T, s *outer.Socket, n int) (packets [][]byte, last outer.Message, calls int) {
	t.Helper()
	b := outer.NewBatch(8, 0)
	sandbox.Await(func() bool {
		got, err := s.Recv(b, 0)
		if err != nil {
			return false
		}
		calls += got
		for i := range got {
			b.Message(i, &last)
			for d := last.Data; len(d) > 0; {
				size := min(last.Segment, len(d))
				packets = append(packets, bytes.Clone(d[:size]))
				d = d[size:]
			}
		}
		return len(packets) >= n
	})
	return packets, last, calls
}

func family(v6 bool) netlinkx.Family {
	if v6 {
		return netlinkx.FamilyIPv6
	}
	return netlinkx.FamilyIPv4
}

func addresses(v6 bool) (a, b xaddr.Addr) {
	if v6 {
		return xaddr.Of(netip.MustParseAddr(sandbox.A6)), xaddr.Of(netip.MustParseAddr(sandbox.B6))
	}
	return xaddr.Of(netip.MustParseAddr(sandbox.A4)), xaddr.Of(netip.MustParseAddr(sandbox.B4))
}

// TestUDP sends runs of equal packets with one call each, and packets above the
// MTU with and without DF.
func TestUDP(t *testing.T) {
	p := sandbox.NewPair(t)
	for _, v6 := range []bool{false, true} {
		from, to := addresses(v6)
		a := open(t, p.A, outer.Config{Key: outer.Key{V6: v6, Port: 4500}})
		b := open(t, p.B, outer.Config{Key: outer.Key{V6: v6, Port: 4500}})
		buf := make([]byte, 40*1400+300)
		for i := range buf {
			buf[i] = byte(i * 3)
		}
		var sent outer.Sent
		r := outer.Run{Buf: buf, Segment: 1400, Packets: 41, Src: from, Dst: to, Port: 4500, TOS: 0xb8, TTL: 33, DF: true}
		a.Send(&r, &sent)
		a.Flush(&sent)
		if sent.Packets != 41 || sent.Dropped != 0 || a.Features().Segment && sent.Calls != 1 {
			t.Errorf("v6 %t: sent %+v, want 41 packets with one call", v6, sent)
		}
		got, m, _ := datagrams(t, b, 41)
		if len(got) != 41 || !bytes.Equal(bytes.Join(got, nil), buf) {
			t.Errorf("v6 %t: %d packets arrived, or not as sent", v6, len(got))
		}
		if m.Src != from || m.Dst != to || m.Port != 4500 || m.TOS != 0xb8 || m.TTL != 33 {
			t.Errorf("v6 %t: arrived from %v to %v port %d tos %#x ttl %d", v6, m.Src, m.Dst, m.Port, m.TOS, m.TTL)
		}
		long := outer.Run{Buf: buf[:3000], Segment: 3000, Packets: 1, Src: from, Dst: to, Port: 4500, DF: true}
		sent = outer.Sent{}
		a.Send(&long, &sent)
		a.Flush(&sent)
		if sent.TooLong != 1 || sent.Packets != 0 {
			t.Errorf("v6 %t: too long with DF: %+v", v6, sent)
		}
		long.DF = false
		a.Send(&long, &sent)
		a.Flush(&sent)
		if got, _, _ := datagrams(t, b, 1); len(got) != 1 || len(got[0]) != 3000 {
			t.Errorf("v6 %t: a packet without DF did not arrive whole", v6)
		}
	}
}

// espPacket is plain ESP with its IP header.
func espPacket(v6 bool, from, to xaddr.Addr, spi uint32, n int) []byte {
	head := 20
	if v6 {
		head = 40
	}
	p := make([]byte, head+n)
	if v6 {
		p[0], p[6], p[7] = 0x60, 50, 64
		binary.BigEndian.PutUint16(p[4:], uint16(n))
		copy(p[8:], from[:])
		copy(p[24:], to[:])
	} else {
		p[0], p[6], p[8], p[9] = 0x45, 0x40, 64, 50
		binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
		copy(p[12:], from[:4])
		copy(p[16:], to[:4])
	}
	binary.BigEndian.PutUint32(p[head:], spi)
	return p
}

// TestRaw: packets of plain ESP arrive once, at the socket whose share their
// SPI is, and at none that only sends.
func TestRaw(t *testing.T) {
	p := sandbox.NewPair(t)
	for _, v6 := range []bool{false, true} {
		from, to := addresses(v6)
		a := open(t, p.A, outer.Config{Key: outer.Key{V6: v6}})
		even := open(t, p.B, outer.Config{Key: outer.Key{V6: v6}, Share: 2, Member: 0})
		odd := open(t, p.B, outer.Config{Key: outer.Key{V6: v6}, Share: 2, Member: 1})
		quiet := open(t, p.B, outer.Config{Key: outer.Key{V6: v6, Device: sandbox.Wire}, SendOnly: true})
		var sent outer.Sent
		for i := range 100 {
			pkt := espPacket(v6, from, to, uint32(0x1000+i), 200)
			a.Send(&outer.Run{Buf: pkt, Segment: len(pkt), Packets: 1, Src: from, Dst: to, DF: true}, &sent)
		}
		a.Flush(&sent)
		if sent.Packets != 100 || sent.Calls > 2 {
			t.Errorf("v6 %t: sent %+v, want 100 packets with two calls", v6, sent)
		}
		for which, s := range []*outer.Socket{even, odd} {
			got, _, _ := datagrams(t, s, 50)
			if len(got) != 50 {
				t.Errorf("v6 %t: %d packets at socket %d, want 50", v6, len(got), which)
			}
			for _, pkt := range got {
				if !v6 {
					pkt = pkt[20:]
				}
				if spi := binary.BigEndian.Uint32(pkt); int(spi%2) != which {
					t.Errorf("v6 %t: spi %#x at socket %d", v6, spi, which)
				}
			}
		}
		if n, err := quiet.Recv(outer.NewBatch(1, 0), 1); err == nil {
			t.Errorf("v6 %t: a socket that only sends received %d packets", v6, n)
		}
	}
}

// TestRoutes: the MTU of a route counts before that of its device.
func TestRoutes(t *testing.T) {
	p := sandbox.NewPair(t)
	p.A.MustRun(t, sandbox.IP(), "route", "add", "203.0.113.0/24", "via", sandbox.B4, "mtu", "1333")
	err := p.A.Do(func() error {
		r, err := outer.OpenRoutes()
		if err != nil {
			return err
		}
		defer r.Close()
		for dst, want := range map[string]int{sandbox.B4: 1500, sandbox.B6: 1500, "203.0.113.9": 1333} {
			if mtu, err := r.MTU(netip.MustParseAddr(dst), 0, 0); err != nil || mtu != want {
				t.Errorf("mtu to %s is %d (%v), want %d", dst, mtu, err, want)
			}
		}
		if src, err := outer.Source(netip.MustParseAddr("203.0.113.9"), 0); err != nil || src.String() != sandbox.A4 {
			t.Errorf("source is %s (%v), want %s", src, err, sandbox.A4)
		}
		if !outer.IsLocal(netip.MustParseAddr(sandbox.A4)) || outer.IsLocal(netip.MustParseAddr(sandbox.B4)) {
			t.Error("what is local is not known")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
