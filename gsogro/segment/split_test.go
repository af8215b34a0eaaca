package segment

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
)

// shapes are the four kinds of super-packets, with what makes them special.
func shapes() map[string]spec {
	tcp := tcp4(0xfffffff0, nil) // wraps within the first segments
	tcp.id, tcp.flags = 0xfffe, flagACK|flagPSH|flagFIN|flagCWR|flagECE
	opt := tcp4(5, nil)
	opt.options, opt.tos, opt.df = []byte{1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2}, 0xb9, false
	t6 := tcp4(1, nil)
	t6.v6, t6.label, t6.tos = true, 0xabcde, 0x2e
	u4 := spec{udp: true, src: 3, dst: 4, sport: 4500, dport: 53, ttl: 1, id: 77}
	u6 := u4
	u6.v6 = true
	return map[string]spec{"TCP4": tcp, "TCP4 options": opt, "TCP6": t6, "UDP4": u4, "UDP6": u6}
}

// TestSplit compares with packets built one by one, at every boundary of
// payload and segment size, while what lies behind each segment is destroyed.
func TestSplit(t *testing.T) {
	for name, s := range shapes() {
		for _, mss := range []int{1, 7, 8, 39, 40, 41, 100, 536, 1448, 9000} {
			sizes := map[int]bool{}
			for _, k := range []int{1, 2, 3, 17, 45} {
				for _, d := range []int{-1, 0, 1} {
					sizes[k*mss+d] = true
				}
			}
			for n := range sizes {
				if n < 1 || n > 60000 {
					continue
				}
				t.Run(fmt.Sprintf("%s/mss %d/%d bytes", name, mss, n), func(t *testing.T) {
					s := s
					s.payload = random(n, uint64(n))
					checkSplit(t, &s, mss)
				})
			}
		}
	}
}

func checkSplit(t *testing.T, s *spec, mss int) {
	t.Helper()
	h, pkt := s.super(mss)
	want := s.cut(mss)
	var sp Splitter
	if err := sp.Init(&h, pkt); err != nil {
		t.Fatal(err)
	}
	if sp.Segments() != len(want) || sp.MaxLen() != len(want[0]) {
		t.Fatalf("%d segments of up to %d bytes, want %d of %d", sp.Segments(), sp.MaxLen(), len(want), len(want[0]))
	}
	for i, w := range want {
		got := sp.Next()
		if !bytes.Equal(got, w) {
			t.Fatalf("segment %d of %d:\n%x\nwant\n%x", i, len(want), got, w)
		}
		behind := got[len(got):cap(got)]
		for j := range behind[:min(len(behind), TrailerRoom)] {
			behind[j] = 0xee
		}
		for j := range got {
			got[j] = 0xee
		}
	}
	if got := sp.Next(); got != nil {
		t.Fatalf("one more segment: %x", got)
	}
}

// TestSplitSingle: packets without segmentation, with and without a partial
// checksum.
func TestSplitSingle(t *testing.T) {
	for name, s := range shapes() {
		for _, n := range []int{0, 1, 2, 1399, 1400} {
			s.payload = random(n, 9)
			want := s.build()
			h, pkt := s.super(1)
			h.GSOType, h.GSOSize = GSONone, 0
			var sp Splitter
			if err := sp.Init(&h, pkt); err != nil {
				t.Fatal(name, err)
			}
			if got := sp.Next(); !bytes.Equal(got, want) || sp.Segments() != 1 || sp.MaxLen() != len(want) {
				t.Errorf("%s, %d bytes:\n%x\nwant\n%x", name, n, got, want)
			}
			if sp.Next() != nil {
				t.Error(name, "more than one")
			}
			if err := sp.Init(&Header{}, pkt); err != nil || !bytes.Equal(sp.Next(), want) {
				t.Errorf("%s: a complete packet is changed", name)
			}
		}
	}
}

// TestChecksumZero: a sum that comes out as none is sent as its other form, in
// UDP.
func TestChecksumZero(t *testing.T) {
	s := spec{udp: true, src: 1, dst: 2, payload: make([]byte, 2)}
	zero := s.build()
	be.PutUint16(zero[ipv4Len+udpLen:], be.Uint16(zero[ipv4Len+udpCsum:]))
	s.payload = append(zero[ipv4Len+udpLen:], zero[ipv4Len+udpLen:]...)
	for _, gso := range []bool{false, true} {
		h, pkt := s.super(2)
		if !gso {
			s := s
			s.payload = s.payload[:2]
			h, pkt = s.super(2)
			h.GSOType = GSONone
		}
		var sp Splitter
		if err := sp.Init(&h, pkt); err != nil {
			t.Fatal(err)
		}
		if got := be.Uint16(sp.Next()[ipv4Len+udpCsum:]); got != 0xffff {
			t.Errorf("segmented %v: checksum %#04x", gso, got)
		}
	}
}

// TestUDPWithoutChecksum: a super-packet whose datagrams have none.
func TestUDPWithoutChecksum(t *testing.T) {
	s := spec{udp: true, src: 1, dst: 2, payload: random(30, 1)}
	h, pkt := s.super(10)
	h.Flags, h.CsumStart, h.CsumOffset = 0, 0, 0
	be.PutUint16(pkt[ipv4Len+udpCsum:], 0)
	var sp Splitter
	if err := sp.Init(&h, pkt); err != nil {
		t.Fatal(err)
	}
	for seg := sp.Next(); seg != nil; seg = sp.Next() {
		if be.Uint16(seg[ipv4Len+udpCsum:]) != 0 {
			t.Errorf("%x has a checksum", seg)
		}
	}
}

// TestSplitRoutingHeader: the checksum covers the last destination, which only
// the kernel's partial sum knows.
func TestSplitRoutingHeader(t *testing.T) {
	s := tcp4(1, random(100, 2))
	s.v6 = true
	last := s
	last.dst = 99
	h, pkt := last.super(40)
	want := last.cut(40)
	insert := func(p []byte) []byte {
		rh := []byte{protoTCP, 2, 0, 1, 0, 0, 0, 0}
		_, dst := last.addresses()
		q := append(append(append([]byte{}, p[:ipv6Len]...), append(rh, dst...)...), p[ipv6Len:]...)
		q[6], q[39] = protoRouting, s.dst
		be.PutUint16(q[4:], uint16(len(q)-ipv6Len))
		return q
	}
	pkt = insert(pkt)
	h.CsumStart += 24
	var sp Splitter
	if err := sp.Init(&h, pkt); err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if got, w := sp.Next(), insert(want[i]); !bytes.Equal(got, w) {
			t.Fatalf("segment %d:\n%x\nwant\n%x", i, got, w)
		}
	}
	h.Flags = 0
	if err := sp.Init(&h, insert(want[0])); !errors.Is(err, ErrGSO) {
		t.Errorf("without a partial checksum: %v", err)
	}
}

// TestSplitRefuses what a virtio header must not ask for.
func TestSplitRefuses(t *testing.T) {
	good := func() (Header, []byte) { s := tcp4(1, random(3000, 1)); return s.super(1000) }
	for name, c := range map[string]struct {
		change func(h *Header, p *[]byte)
		want   error
	}{
		"empty packet":               {func(h *Header, p *[]byte) { *p, h.GSOType, h.Flags = nil, 0, 0 }, ErrPacket},
		"checksum behind the end":    {func(h *Header, p *[]byte) { h.GSOType, h.CsumStart, h.CsumOffset = 0, 3039, 0 }, ErrChecksum},
		"checksum offset overflows":  {func(h *Header, p *[]byte) { h.GSOType, h.CsumStart, h.CsumOffset = 0, 0xffff, 0xffff }, ErrChecksum},
		"segment size 0":             {func(h *Header, p *[]byte) { h.GSOSize = 0 }, ErrGSO},
		"fragmentation of UDP":       {func(h *Header, p *[]byte) { h.GSOType = GSOUDP }, ErrGSO},
		"unknown type":               {func(h *Header, p *[]byte) { h.GSOType = 2 }, ErrGSO},
		"IPv6 type":                  {func(h *Header, p *[]byte) { h.GSOType = GSOTCPv6 }, ErrGSO},
		"UDP type":                   {func(h *Header, p *[]byte) { h.GSOType = GSOUDPL4 }, ErrGSO},
		"checksum of something else": {func(h *Header, p *[]byte) { h.CsumStart = 12 }, ErrGSO},
		"checksum elsewhere":         {func(h *Header, p *[]byte) { h.CsumOffset = 6 }, ErrGSO},
		"no payload":                 {func(h *Header, p *[]byte) { *p = (*p)[:40]; be.PutUint16((*p)[2:], 40) }, ErrGSO},
		"longer than it says":        {func(h *Header, p *[]byte) { *p = append(*p, 0) }, ErrGSO},
		"shorter than it says":       {func(h *Header, p *[]byte) { *p = (*p)[:2000] }, ErrPacket},
		"fragment":                   {func(h *Header, p *[]byte) { (*p)[6] = 0x20 }, ErrPacket},
		"TCP header too short":       {func(h *Header, p *[]byte) { (*p)[32] = 4 << 4 }, ErrPacket},
		"other protocol":             {func(h *Header, p *[]byte) { (*p)[9] = 47 }, ErrPacket},
		"other version":              {func(h *Header, p *[]byte) { (*p)[0] = 0x55 }, ErrPacket},
		"IP header too short":        {func(h *Header, p *[]byte) { (*p)[0] = 0x44 }, ErrPacket},
	} {
		h, p := good()
		c.change(&h, &p)
		var sp Splitter
		if err := sp.Init(&h, p); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if sp.Next() != nil {
			t.Errorf("%s: hands out a segment", name)
		}
	}
}

func TestHeaderRoundTrip(t *testing.T) {
	want := Header{Flags: 1, GSOType: GSOTCPv6 | GSOECN, HdrLen: 0x102, GSOSize: 0x304, CsumStart: 0x506, CsumOffset: 0x708}
	b := make([]byte, HeaderLen)
	want.Encode(b)
	var got Header
	if err := got.Decode(b); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	if err := got.Decode(b[:9]); !errors.Is(err, ErrHeader) {
		t.Errorf("short: %v", err)
	}
}

func TestSplitAllocatesNothing(t *testing.T) {
	s := tcp4(1, random(60000, 1))
	h, fresh := s.super(1400)
	pkt := make([]byte, len(fresh))
	var sp Splitter
	if n := testing.AllocsPerRun(100, func() {
		copy(pkt, fresh)
		if err := sp.Init(&h, pkt); err != nil {
			t.Fatal(err)
		}
		for sp.Next() != nil {
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
