package segment

import (
	"bytes"
	"fmt"
	"testing"
)

// feed hands packets to c the way a decrypter does: into what Reserve gives,
// with an ESP trailer behind, now and then failing. It writes out when there is
// no room.
type feeder struct {
	t   testing.TB
	c   *Coalescer
	out []sent
	n   int
}

type sent struct {
	buf     []byte
	packets int
	device  uint32
}

func (f *feeder) add(pkt []byte, device uint32) {
	f.n++
	if f.n%3 == 0 { // copied
		if !f.c.Add(pkt, device) {
			f.flush()
			if !f.c.Add(pkt, device) {
				f.t.Fatalf("no room for %d bytes after Reset", len(pkt))
			}
		}
		return
	}
	const trailer = 2 + 16
	n := len(pkt) + trailer
	buf := f.c.Reserve(n)
	if buf == nil {
		f.flush()
		if buf = f.c.Reserve(n); buf == nil {
			f.t.Fatalf("no room for %d bytes after Reset", n)
		}
	}
	if len(buf) != n {
		f.t.Fatalf("Reserve(%d) returns %d bytes", n, len(buf))
	}
	if f.n%5 == 0 { // verification fails, after some bytes were written
		for i := range buf {
			buf[i] = 0xdd
		}
		if f.n%2 == 0 {
			f.c.Cancel()
		}
		if buf = f.c.Reserve(n); buf == nil {
			f.t.Fatal("no room after Cancel")
		}
	}
	copy(buf, pkt)
	for i := len(pkt); i < n; i++ {
		buf[i] = 0xee
	}
	f.c.Commit(len(pkt), device)
}

func (f *feeder) flush() {
	for _, o := range f.c.Outputs() {
		f.out = append(f.out, sent{bytes.Clone(o.Buf), o.Packets, o.Device})
	}
	f.c.Reset()
}

// split gives the packets of all outputs.
func (f *feeder) split() [][]byte {
	f.t.Helper()
	var all [][]byte
	for _, o := range f.out {
		var h Header
		if err := h.Decode(o.buf); err != nil {
			f.t.Fatal(err)
		}
		var sp Splitter
		if err := sp.Init(&h, o.buf[HeaderLen:]); err != nil {
			f.t.Fatalf("%+v %x: %v", h, o.buf[HeaderLen:min(len(o.buf), 90)], err)
		}
		if sp.Segments() != o.packets {
			f.t.Fatalf("%d packets become %d segments", o.packets, sp.Segments())
		}
		for seg := sp.Next(); seg != nil; seg = sp.Next() {
			all = append(all, bytes.Clone(seg))
		}
	}
	return all
}

// TestInverse: split ∘ coalesce gives the input back, at every boundary size.
func TestInverse(t *testing.T) {
	for name, s := range shapes() {
		for _, mss := range []int{1, 2, 7, 8, 19, 20, 39, 40, 41, 59, 60, 61, 255, 256, 257, 1448} {
			for _, k := range []int{1, 2, 3, 44, 45, 46} {
				for _, d := range []int{-1, 0, 1} {
					n := k*mss + d
					if n < 1 || n > 65000 {
						continue
					}
					t.Run(fmt.Sprintf("%s/mss %d/%d bytes", name, mss, n), func(t *testing.T) {
						s := s
						s.payload = random(n, uint64(n))
						want := s.cut(mss)
						f := feeder{t: t, c: NewCoalescer(CoalescerConfig{Runs: 3})}
						for _, p := range want {
							f.add(p, 7)
						}
						f.flush()
						got := f.split()
						comparePackets(t, got, want)
						if len(want) > 1 && len(f.out) > 1 && (s.udp || mss >= minTCP) && !(s.udp && len(want) > 64) {
							t.Errorf("%d packets become %d outputs", len(want), len(f.out))
						}
						if f.out[0].device != 7 {
							t.Error("device is lost")
						}
					})
				}
			}
		}
	}
}

func comparePackets(t testing.TB, got, want [][]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d packets, want %d", len(got), len(want))
	}
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			t.Fatalf("packet %d of %d:\n%x\nwant\n%x", i, len(want), got[i], want[i])
		}
	}
}

// TestLimits: 64 KiB, and the number of datagrams.
func TestLimits(t *testing.T) {
	for name, s := range shapes() {
		s.flags &^= flagPSH | flagFIN | flagCWR
		s.payload = random(400*1000, 3)
		want := s.cut(1000)
		f := feeder{t: t, c: NewCoalescer(CoalescerConfig{Runs: 4, MaxUDPSegments: 10})}
		for _, p := range want {
			f.add(p, 0)
		}
		f.flush()
		comparePackets(t, f.split(), want)
		limit := 65
		if s.udp {
			limit = 10
		}
		for _, o := range f.out {
			if len(o.buf) > HeaderLen+maxPacket || o.packets > limit {
				t.Errorf("%s: %d packets, %d bytes", name, o.packets, len(o.buf))
			}
		}
		if most := len(want)/(limit-3) + 2; len(f.out) > most {
			t.Errorf("%s: %d outputs, want at most %d", name, len(f.out), most)
		}
	}
}

// TestEndsOfRun: two packets of which the second would continue the first but
// for one thing.
func TestEndsOfRun(t *testing.T) {
	type change struct {
		name   string
		change func(a, b *spec)
		tcp    bool // TCP only
		v4, v6 bool // one family only
	}
	changes := []change{
		{name: "out of order", change: func(a, b *spec) { b.seq++ }, tcp: true},
		{name: "again", change: func(a, b *spec) { b.seq = a.seq }, tcp: true},
		{name: "longer", change: func(a, b *spec) { b.payload = random(101, 1) }},
		{name: "empty", change: func(a, b *spec) { b.payload = nil }},
		{name: "first is empty", change: func(a, b *spec) { a.payload, b.seq = nil, a.seq }},
		{name: "PSH in the first", change: func(a, b *spec) { a.flags |= flagPSH }, tcp: true},
		{name: "FIN in the first", change: func(a, b *spec) { a.flags |= flagFIN }, tcp: true},
		{name: "CWR in the second", change: func(a, b *spec) { b.flags |= flagCWR }, tcp: true},
		{name: "CWR in both", change: func(a, b *spec) { a.flags |= flagCWR; b.flags |= flagCWR }, tcp: true},
		{name: "ECE in the second", change: func(a, b *spec) { b.flags |= flagECE }, tcp: true},
		{name: "ECE in the first", change: func(a, b *spec) { a.flags |= flagECE }, tcp: true},
		{name: "SYN", change: func(a, b *spec) { a.flags |= flagSYN; b.flags |= flagSYN }, tcp: true},
		{name: "RST", change: func(a, b *spec) { b.flags |= flagRST }, tcp: true},
		{name: "URG in both", change: func(a, b *spec) { a.flags |= flagURG; b.flags |= flagURG }, tcp: true},
		{name: "acknowledgement", change: func(a, b *spec) { b.ack++ }, tcp: true},
		{name: "window", change: func(a, b *spec) { b.window++ }, tcp: true},
		{name: "option", change: func(a, b *spec) { b.options = []byte{1, 1, 1, 0} }, tcp: true},
		{name: "option value", change: func(a, b *spec) { a.options = []byte{1, 3, 3, 1}; b.options = []byte{1, 3, 3, 2} }, tcp: true},
		{name: "DSCP", change: func(a, b *spec) { b.tos = 0xb8 }},
		{name: "ECN", change: func(a, b *spec) { b.tos = 3 }},
		{name: "TTL", change: func(a, b *spec) { b.ttl-- }},
		{name: "DF", change: func(a, b *spec) { b.df = !a.df }, v4: true},
		{name: "ID skips", change: func(a, b *spec) { b.id++ }, v4: true},
		{name: "ID goes back", change: func(a, b *spec) { b.id -= 2 }, v4: true},
		{name: "same ID without DF", change: func(a, b *spec) { a.df, b.df = false, false; b.id = a.id }, v4: true},
		{name: "flow label", change: func(a, b *spec) { b.label = 5 }, v6: true},
		{name: "source", change: func(a, b *spec) { b.src = 77 }},
		{name: "destination", change: func(a, b *spec) { b.dst = 77 }},
		{name: "source port", change: func(a, b *spec) { b.sport++ }},
		{name: "destination port", change: func(a, b *spec) { b.dport++ }},
		{name: "protocol", change: func(a, b *spec) { b.udp = !b.udp }},
		{name: "wrong checksum", change: func(a, b *spec) { b.badSum = true }},
		{name: "wrong checksum of the first", change: func(a, b *spec) { a.badSum = true }},
		{name: "wrong IP checksum", change: func(a, b *spec) { b.badIPSum = true }, v4: true},
		{name: "wrong IP checksum of the first", change: func(a, b *spec) { a.badIPSum = true }, v4: true},
	}
	for name, s := range shapes() {
		s.flags &^= flagPSH | flagFIN | flagCWR | flagECE
		for _, c := range changes {
			if c.tcp && s.udp || c.v4 && s.v6 || c.v6 && !s.v6 {
				continue
			}
			t.Run(name+"/"+c.name, func(t *testing.T) {
				a, b := s, s
				a.payload, b.payload = random(100, 1), random(100, 2)
				b.id++
				b.seq += 100
				c.change(&a, &b)
				checkRuns(t, [][]byte{a.build(), b.build()}, 2)
			})
		}
		t.Run(name+"/nothing", func(t *testing.T) {
			a, b := s, s
			a.payload, b.payload = random(100, 1), random(100, 2)
			b.id++
			b.seq += 100
			checkRuns(t, [][]byte{a.build(), b.build()}, 1)
		})
	}
}

// checkRuns feeds packets and expects so many outputs, from which the same
// packets come out in the same order.
func checkRuns(t *testing.T, packets [][]byte, outputs int) {
	t.Helper()
	for first := range 3 { // each way of handing in comes first once
		f := feeder{t: t, c: NewCoalescer(CoalescerConfig{}), n: first}
		for _, p := range packets {
			f.add(p, 0)
		}
		f.flush()
		if len(f.out) != outputs {
			t.Fatalf("%d outputs, want %d", len(f.out), outputs)
		}
		comparePackets(t, f.split(), packets)
	}
}

// TestLastOfRun: what ends a run is still part of it, and what comes after is
// not.
func TestLastOfRun(t *testing.T) {
	for name, change := range map[string]func(b *spec){
		"shorter": func(b *spec) { b.payload = b.payload[:99] },
		"PSH":     func(b *spec) { b.flags |= flagPSH },
		"FIN":     func(b *spec) { b.flags |= flagFIN },
	} {
		t.Run(name, func(t *testing.T) {
			a, b := tcp4(1, random(100, 1)), tcp4(101, random(100, 2))
			b.id = 1
			change(&b)
			c := tcp4(101+uint32(len(b.payload)), random(50, 3))
			c.id, c.flags = 2, b.flags&^flagFIN
			checkRuns(t, [][]byte{a.build(), b.build(), c.build()}, 2)
		})
	}
	a, b := spec{udp: true, payload: random(100, 1)}, spec{udp: true, id: 1, payload: random(99, 2)}
	c := spec{udp: true, id: 2, payload: random(99, 2)}
	checkRuns(t, [][]byte{a.build(), b.build(), c.build()}, 2)
}

// TestFixedID: atomic datagrams that all have the same identification are
// merged; splitting numbers them, which RFC 6864 allows.
func TestFixedID(t *testing.T) {
	f := feeder{t: t, c: NewCoalescer(CoalescerConfig{})}
	var want [][]byte
	for i := range 4 {
		s := tcp4(uint32(i*100), random(100, uint64(i)))
		f.add(s.build(), 0)
		s.id = uint16(i)
		want = append(want, s.build())
	}
	// increasing from now on: not the same kind of run
	s := tcp4(400, random(100, 9))
	s.id = 4
	f.add(s.build(), 0)
	f.flush()
	if len(f.out) != 2 || f.out[0].packets != 4 {
		t.Fatalf("%d outputs", len(f.out))
	}
	comparePackets(t, f.split(), append(want, s.build()))
}

// TestCWRFirst: a run may begin with CWR, and says so in its type.
func TestCWRFirst(t *testing.T) {
	s := tcp4(1, random(300, 1))
	s.flags |= flagCWR
	f := feeder{t: t, c: NewCoalescer(CoalescerConfig{})}
	want := s.cut(100)
	for _, p := range want {
		f.add(p, 0)
	}
	f.flush()
	if len(f.out) != 1 || GSOType(f.out[0].buf[1]) != GSOTCPv4|GSOECN {
		t.Fatalf("%d outputs, type %#x", len(f.out), f.out[0].buf[1])
	}
	comparePackets(t, f.split(), want)
}

// TestInterleaved: packets of several flows and devices in turn, with others in
// between, go to as many outputs; the order within each flow is kept.
func TestInterleaved(t *testing.T) {
	c := NewCoalescer(CoalescerConfig{Runs: 6})
	f := feeder{t: t, c: c}
	var flows [6][][]byte
	for i := range flows {
		s := tcp4(uint32(i)<<20, random(5000, uint64(i)))
		s.sport, s.udp, s.v6 = uint16(i/2), i == 3, i == 5
		flows[i] = s.cut(1000)
	}
	ping := append([]byte{0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2}, random(8, 1)...)
	for j := range 5 {
		for i := range flows {
			f.add(flows[i][j], uint32(i%2)) // flows 0 and 1 differ by nothing else
		}
		f.add(ping, 0)
	}
	f.flush()
	if len(f.out) != 6+5 {
		t.Errorf("%d outputs", len(f.out))
	}
	var got, want [][]byte
	for _, o := range f.out {
		if o.packets > 1 {
			one := feeder{t: t, out: []sent{o}}
			got = append(got, one.split()...)
		} else if !bytes.Equal(o.buf[HeaderLen:], ping) || o.buf[0] != 0 || o.buf[1] != 0 {
			t.Errorf("single %x", o.buf)
		}
	}
	for i := range flows {
		want = append(want, flows[i]...)
	}
	comparePackets(t, got, want)
	if s := c.Stats(); s.Packets != 35 || s.Merged != 24 {
		t.Errorf("%+v", s)
	}
}

// TestMoreFlowsThanRuns: nothing is lost or out of order.
func TestMoreFlowsThanRuns(t *testing.T) {
	f := feeder{t: t, c: NewCoalescer(CoalescerConfig{Runs: 2, Singles: 1})}
	flows := map[uint16][][]byte{}
	for j := range 400 {
		s := tcp4(uint32(j/7)*1000, random(1000, uint64(j)))
		s.sport, s.id = uint16(j%7), uint16(j/7)
		flows[s.sport] = append(flows[s.sport], s.build())
		f.add(flows[s.sport][j/7], 0)
	}
	f.flush()
	got := map[uint16][][]byte{}
	for _, p := range f.split() {
		port := be.Uint16(p[ipv4Len:])
		got[port] = append(got[port], p)
	}
	for port := range flows {
		comparePackets(t, got[port], flows[port])
	}
}

// TestTrim: TFC padding behind the IP packet is not part of it.
func TestTrim(t *testing.T) {
	for name, s := range shapes() {
		s.payload, s.flags = random(100, 1), s.flags&^(flagPSH|flagFIN|flagCWR)
		var want [][]byte
		f := feeder{t: t, c: NewCoalescer(CoalescerConfig{})}
		s.payload = random(500, 1)
		want = s.cut(100)
		for _, p := range want {
			f.add(append(bytes.Clone(p), make([]byte, 33)...), 0)
		}
		f.flush()
		if len(f.out) != 1 {
			t.Errorf("%s: %d outputs", name, len(f.out))
		}
		comparePackets(t, f.split(), want)
	}
}

// TestMalformed: what is not understood goes out as it came.
func TestMalformed(t *testing.T) {
	s := tcp4(1, random(100, 1))
	good := s.build()
	for n := 1; n < len(good); n++ {
		f := feeder{t: t, c: NewCoalescer(CoalescerConfig{})}
		f.add(good[:n], 0)
		f.flush()
		if len(f.out) != 1 || !bytes.Equal(f.out[0].buf[HeaderLen:], good[:n]) {
			t.Fatalf("%d bytes: %x", n, f.out[0].buf)
		}
	}
}

func TestSwitchesOff(t *testing.T) {
	for name, s := range shapes() {
		s.payload, s.flags = random(300, 1), flagACK
		c := NewCoalescer(CoalescerConfig{NoTCP: !s.udp, NoUDP: s.udp})
		f := feeder{t: t, c: c}
		for _, p := range s.cut(100) {
			f.add(p, 0)
		}
		f.flush()
		if len(f.out) != 3 {
			t.Errorf("%s: %d outputs", name, len(f.out))
		}
	}
}

func TestCoalesceAllocatesNothing(t *testing.T) {
	s := tcp4(1, random(60000, 1))
	packets := s.cut(1400)
	c := NewCoalescer(CoalescerConfig{})
	if n := testing.AllocsPerRun(100, func() {
		for _, p := range packets {
			copy(c.Reserve(len(p)+18), p)
			c.Commit(len(p), 0)
		}
		if len(c.Outputs()) != 1 {
			t.Fatal("not merged")
		}
		c.Reset()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
