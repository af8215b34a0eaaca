package segment

import (
	"bytes"
	"testing"
)

// FuzzSplit: whatever the virtio header and the packet say, segments are
// packets of their own whose payloads make up that of the super-packet, and
// what the caller does to them and behind them changes nothing.
func FuzzSplit(f *testing.F) {
	for _, s := range shapes() {
		s.payload = random(300, 1)
		h, pkt := s.super(100)
		b := make([]byte, HeaderLen)
		h.Encode(b)
		f.Add(append(b, pkt...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var h Header
		if h.Decode(b) != nil {
			return
		}
		pkt := bytes.Clone(b[HeaderLen:])
		var sp Splitter
		if sp.Init(&h, pkt) != nil {
			if sp.Next() != nil {
				t.Fatal("a refused packet has segments")
			}
			return
		}
		if h.GSOType == GSONone {
			if got := sp.Next(); len(got) != len(pkt) {
				t.Fatalf("%d bytes become %d", len(pkt), len(got))
			}
			return
		}
		var payload []byte
		for i := range sp.Segments() {
			seg := sp.Next()
			var l layout
			if err := l.parse(seg); err != nil || l.total != len(seg) || len(seg) > sp.MaxLen() {
				t.Fatalf("segment %d: %x: %v", i, seg, err)
			}
			if !sp.routed && !sp.noChecksum && !l.checksumOK(seg) {
				t.Fatalf("segment %d: %x: wrong checksum", i, seg)
			}
			payload = append(payload, seg[l.header:]...)
			clear(seg[:min(cap(seg), len(seg)+TrailerRoom)])
		}
		if sp.Next() != nil {
			t.Fatal("too many segments")
		}
		if want := b[HeaderLen+sp.header:]; !bytes.Equal(payload, want) {
			t.Fatalf("payload\n%x\nwant\n%x", payload, want)
		}
	})
}

// FuzzInverse lets the fuzzer write a stream of packets: each is the next of one
// of four flows, or that with something changed. Splitting what comes out must
// give them back: all of them, those of each flow and device in their order.
func FuzzInverse(f *testing.F) {
	f.Add([]byte{0, 0, 50, 0, 0, 50, 0, 0, 50, 0, 0, 20})
	f.Add([]byte{0, 0, 50, 1, 0, 50, 2, 0, 50, 3, 0, 50, 0, 0, 50, 1, 0, 50, 2, 0, 50, 3, 0, 50})
	f.Add([]byte{0, 1, 50, 0, 2, 50, 0, 3, 50, 0, 4, 50, 0, 5, 50, 0, 6, 50, 0, 7, 50, 0, 8, 50})
	f.Add([]byte{4, 0, 255, 4, 0, 255, 8, 0, 255, 12, 0, 255, 128, 9, 40, 128, 10, 40, 128, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) { inverse(t, b) })
}

// payloads are taken from the front of this.
var payloads = random(400, 1)

func inverse(t testing.TB, b []byte) {
	b = b[:min(len(b), 3*100)] // enough for several writes
	var flows [4]spec
	for i := range flows {
		flows[i] = tcp4(0xffffff00, nil)
		flows[i].src, flows[i].udp, flows[i].v6 = byte(10+i), i&1 != 0, i&2 != 0
		flows[i].id = 0xfff0
	}
	fd := feeder{t: t, c: NewCoalescer(CoalescerConfig{Runs: 3, Singles: 1, MaxUDPSegments: 9})}
	type key struct {
		flow   byte
		device uint32
	}
	want, got := map[key][][]byte{}, map[key][][]byte{}
	for ; len(b) >= 3; b = b[3:] {
		k := key{b[0] & 3, uint32(b[0] >> 7)}
		pkt := flows[k.flow].next(b[0]>>2, b[1], int(b[2]))
		want[k] = append(want[k], pkt)
		fd.add(pkt, k.device)
	}
	fd.flush()
	for _, o := range fd.out {
		one := feeder{t: t, out: []sent{o}}
		for _, p := range one.split() {
			at := 15
			if p[0]>>4 == 6 {
				at = 23
			}
			k := key{p[at] - 10, o.device}
			got[k] = append(got[k], p)
		}
	}
	for k := range want {
		forgetFixedIDs(got[k], want[k])
		comparePackets(t, got[k], want[k])
	}
}

// forgetFixedIDs takes over the identification of DF packets that had that of
// the packet before: the one thing that merging changes.
func forgetFixedIDs(got, want [][]byte) {
	for i := 1; i < min(len(got), len(want)); i++ {
		g, w := got[i], want[i]
		if w[0]>>4 == 4 && w[6]&0x40 != 0 && be.Uint16(w[4:]) == be.Uint16(want[i-1][4:]) && headerOK(g) {
			copy(g[4:6], w[4:6])
			copy(g[10:12], w[10:12])
		}
	}
}

// next makes the flow's next packet, with a change that stays in the flow for
// even kinds of change and is of this packet only for odd ones.
func (s *spec) next(size, change byte, n int) []byte {
	n = min(n<<(size&7), 400)
	s.payload = payloads[:n]
	p := *s
	at := &p
	if change&1 == 0 {
		at = s
	}
	switch change >> 1 & 15 {
	case 1:
		at.flags ^= flagPSH
	case 2:
		at.flags ^= flagCWR
	case 3:
		at.flags ^= flagECE
	case 4:
		at.tos++
	case 5:
		at.ttl++
	case 6:
		at.window++
	case 7:
		at.ack++
	case 8:
		at.options = append([]byte{1, 1, 1}, byte(n)&1)
	case 9:
		at.id += 3
	case 10:
		at.seq++
	case 11:
		at.badSum = change&0xe0 == 0
	case 12:
		at.df = !at.df
	case 13:
		at.label++
		at.label &= 0xfffff
	case 14:
		at.flags ^= flagSYN
	case 15:
		at.badIPSum = change&0xe0 == 0
	}
	if change&1 == 0 {
		p = *s
	}
	s.seq += uint32(len(s.payload))
	s.id++
	return p.build()
}

// FuzzCoalesce: bytes that need not be packets come out as they went in, if
// they are not merged, and never more than went in.
func FuzzCoalesce(f *testing.F) {
	for _, s := range shapes() {
		s.payload = random(30, 1)
		f.Add(s.build(), uint16(20), uint16(1))
	}
	f.Fuzz(func(t *testing.T, b []byte, at, times uint16) {
		c := NewCoalescer(CoalescerConfig{Runs: 2, Singles: 1})
		in, out := 0, 0
		flush := func() {
			for _, o := range c.Outputs() {
				out += o.Packets
				var h Header
				if err := h.Decode(o.Buf); err != nil {
					t.Fatal(err)
				}
				var sp Splitter
				if len(o.Buf) > HeaderLen && sp.Init(&h, o.Buf[HeaderLen:]) != nil {
					t.Fatalf("%x cannot be split", o.Buf)
				}
			}
			c.Reset()
		}
		for range times%8 + 1 {
			buf := c.Reserve(len(b))
			if buf == nil {
				flush()
				buf = c.Reserve(len(b))
			}
			copy(buf, b)
			if i := int(at) + in; i < len(b) {
				buf[i] += byte(in)
			}
			c.Commit(len(b), 0)
			in++
		}
		flush()
		if in != out {
			t.Fatalf("%d packets in, %d out", in, out)
		}
	})
}
