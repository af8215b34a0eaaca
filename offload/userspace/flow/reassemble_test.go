package flow

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// fragments4 cuts a datagram with n bytes of payload at multiples of size.
func fragments4(n, size int, id uint16) [][]byte {
	data := random(n)
	var out [][]byte
	for at := 0; at < n; at += size {
		end := min(at+size, n)
		frag := uint16(at / 8)
		if end < n {
			frag |= fragMF
		}
		p := ip4(ProtoUDP, frag, data[at:end]...)
		be.PutUint16(p[4:], id)
		out = append(out, p)
	}
	return out
}

// whole4 is what reassembling fragments4 gives.
func whole4(n int, id uint16) []byte {
	p := ip4(ProtoUDP, 0, random(n)...)
	be.PutUint16(p[4:], id)
	be.PutUint16(p[10:], 0)
	be.PutUint16(p[10:], ^slowSum(p[:20]))
	return p
}

// fragments6 has a hop-by-hop header before the fragment header, if asked for.
func fragments6(n, size int, id uint32, hop bool) [][]byte {
	data := random(n)
	var out [][]byte
	for at := 0; at < n; at += size {
		end := min(at+size, n)
		part := join(fragHeader(ProtoUDP, at, end < n, id), data[at:end])
		if hop {
			out = append(out, ip6(ProtoHopByHop, join(ext(ProtoFragment, 1), part)...))
		} else {
			out = append(out, ip6(ProtoFragment, part...))
		}
	}
	return out
}

func whole6(n int, hop bool) []byte {
	if hop {
		return ip6(ProtoHopByHop, join(ext(ProtoUDP, 1), random(n))...)
	}
	return ip6(ProtoUDP, random(n)...)
}

func mustDissect(t testing.TB, p []byte) *Flow {
	t.Helper()
	f := new(Flow)
	if err := Dissect(p, f); err != nil {
		t.Fatal(err)
	}
	return f
}

// law: every fragment is in one of the counters.
func law(t testing.TB, r *Reassembler) {
	t.Helper()
	if s := r.Stats(); s.Fragments != s.Refused+s.Used+s.Dropped+s.Held {
		t.Errorf("%+v does not add up", s)
	}
}

// TestReassemble: every boundary size, in every kind of order, each fragment
// twice in some.
func TestReassemble(t *testing.T) {
	for _, size := range []int{8, 16, 512, 520, 1480, 8192} {
		for _, n := range []int{9, 15, 16, 17, 511, 512, 513, 520, 521, 1481, 2960, 8191, 8192, 8193, 40000, 65515} {
			if n <= size || n/size > 600 {
				continue
			}
			n6 := min(n, 65000) // the options count as payload
			for kind, c := range map[string]struct {
				frags [][]byte
				want  []byte
			}{
				"IPv4":         {fragments4(n, size, 77), whole4(n, 77)},
				"IPv6":         {fragments6(n, size, 77, false), whole6(n, false)},
				"IPv6 options": {fragments6(n6, size, 77, true), whole6(n6, true)},
			} {
				frags, want := c.frags, c.want
				for order, at := range orders(len(frags)) {
					t.Run(fmt.Sprintf("%s/%d of %d/%s", kind, size, n, order), func(t *testing.T) {
						r := NewReassembler(ReassemblerConfig{})
						for i, k := range at {
							got, err := r.Add(append(bytes.Clone(frags[k]), 0xcc), mustDissect(t, frags[k]), 0)
							if err != nil {
								t.Fatalf("fragment %d: %v", k, err)
							}
							if i < len(at)-1 && got != nil {
								t.Fatalf("complete after %d of %d", i+1, len(at))
							}
							if i == len(at)-1 && !bytes.Equal(got, want) {
								t.Fatalf("%d bytes %x…\nwant %d bytes %x…", len(got), got[:min(len(got), 60)], len(want), want[:60])
							}
						}
						law(t, r)
						if s := r.Stats(); s.Datagrams != 1 || s.Held != 0 || s.Used != uint64(len(at)) {
							t.Errorf("%+v", s)
						}
					})
				}
			}
		}
	}
}

func orders(n int) map[string][]int {
	up, down, mixed := make([]int, n), make([]int, n), rand.New(rand.NewPCG(1, uint64(n))).Perm(n)
	for i := range n {
		up[i], down[i] = i, n-1-i
	}
	twice := append(append([]int{}, up[:n-1]...), up...)
	return map[string][]int{"forward": up, "backward": down, "mixed": mixed, "twice": twice}
}

// TestOverlap: any overlap condemns the datagram for good, also when the rest
// of it comes (RFC 5722).
func TestOverlap(t *testing.T) {
	part := func(at, n int, more bool, fill byte) []byte {
		frag := uint16(at / 8)
		if more {
			frag |= fragMF
		}
		return ip4(ProtoUDP, frag, bytes.Repeat([]byte{fill}, n)...)
	}
	for name, c := range map[string]struct {
		a, b []byte
	}{
		"other content":       {part(0, 16, true, 1), part(0, 16, true, 2)},
		"tail":                {part(0, 16, true, 1), part(8, 16, true, 1)},
		"head":                {part(8, 16, true, 1), part(0, 16, true, 1)},
		"around":              {part(8, 8, true, 1), part(0, 24, true, 1)},
		"inside, other":       {part(0, 24, true, 1), part(8, 8, true, 2)},
		"another end":         {part(16, 8, false, 1), part(24, 8, false, 1)},
		"an earlier end":      {part(16, 8, false, 1), part(8, 8, false, 1)},
		"behind the end":      {part(16, 8, false, 1), part(24, 8, true, 1)},
		"end before others":   {part(24, 8, true, 1), part(8, 8, false, 1)},
		"last not at the end": {part(8, 16, true, 1), part(8, 8, false, 1)},
		"same with end":       {part(8, 16, true, 1), part(8, 16, false, 1)},
		"end, then not":       {part(8, 12, false, 1), part(8, 16, true, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			r := NewReassembler(ReassemblerConfig{})
			if _, err := r.Add(c.a, mustDissect(t, c.a), 0); err != nil {
				t.Fatal(err)
			}
			if got, err := r.Add(c.b, mustDissect(t, c.b), 0); !errors.Is(err, ErrOverlap) || got != nil {
				t.Fatalf("%x, %v", got, err)
			}
			for _, p := range [][]byte{c.a, part(0, 32, true, 1), part(32, 8, false, 1)} {
				if got, err := r.Add(p, mustDissect(t, p), time.Second); !errors.Is(err, ErrOverlap) || got != nil {
					t.Fatalf("afterwards: %x, %v", got, err)
				}
			}
			law(t, r)
			if s := r.Stats(); s.Dropped != 1 || s.Refused != 4 {
				t.Errorf("%+v", s)
			}
			// once it has timed out the number may be used again
			for i, p := range fragments4(100, 56, 0x1234) {
				if got, err := r.Add(p, mustDissect(t, p), time.Hour); err != nil || (got != nil) != (i == 1) {
					t.Fatal(got, err)
				}
			}
		})
	}
}

func TestFragmentRefused(t *testing.T) {
	odd := ip4(ProtoUDP, fragMF, 1, 2, 3)
	long := ip4(ProtoUDP, 8191, random(16)...)
	far := ip6(ProtoDestOpts, join(ext(ProtoFragment, 130), fragHeader(ProtoUDP, 0, true, 1), ports)...)
	for name, c := range map[string]struct {
		pkt  []byte
		want error
	}{
		"no fragment":                {ip4(ProtoUDP, 0, ports...), ErrNotFragment},
		"atomic":                     {ip6(ProtoFragment, join(fragHeader(ProtoUDP, 0, false, 1), ports)...), ErrNotFragment},
		"length no multiple of 8":    {odd, ErrFragment},
		"nothing in it":              {ip4(ProtoUDP, fragMF), ErrFragment},
		"beyond 65,535":              {long, ErrTooLong},
		"too much before the header": {far, ErrHeaders},
	} {
		r := NewReassembler(ReassemblerConfig{})
		if _, err := r.Add(c.pkt, mustDissect(t, c.pkt), 0); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		law(t, r)
	}
	r := NewReassembler(ReassemblerConfig{})
	p := ip4(ProtoUDP, fragMF, ports...)
	if _, err := r.Add(p[:24], mustDissect(t, p), 0); !errors.Is(err, ErrFragment) {
		t.Errorf("shorter than its Flow says: %v", err)
	}
}

// TestTooLongTogether: each fragment is in bounds, header and payload together
// are not.
func TestTooLongTogether(t *testing.T) {
	r := NewReassembler(ReassemblerConfig{})
	a, b := ip4(ProtoUDP, fragMF, random(65512)...), ip4(ProtoUDP, 65512/8, random(16)...)
	if _, err := r.Add(a, mustDissect(t, a), 0); err != nil {
		t.Fatal(err)
	}
	if got, err := r.Add(b, mustDissect(t, b), 0); !errors.Is(err, ErrTooLong) || got != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	law(t, r)
}

// TestECN: RFC 3168 section 5.3, as Linux does it.
func TestECN(t *testing.T) {
	for _, c := range []struct {
		a, b, want uint8
		err        error
	}{
		{0, 0, 0, nil}, {1, 1, 1, nil}, {2, 2, 2, nil}, {3, 3, 3, nil}, {1, 3, 3, nil}, {3, 1, 1 | 2, nil}, {2, 3, 3, nil},
		{0, 3, 0, ErrECN}, {3, 0, 0, ErrECN}, {0, 2, 0, nil}, {1, 2, 1, nil},
	} {
		for _, v6 := range []bool{false, true} {
			frags := fragments4(24, 16, 1)
			if v6 {
				frags = fragments6(24, 16, 1, false)
			}
			for i, e := range []uint8{c.a, c.b} {
				if v6 {
					frags[i][1] = frags[i][1]&^0x30 | e<<4
				} else {
					frags[i][1] = frags[i][1]&^3 | e
				}
			}
			r := NewReassembler(ReassemblerConfig{})
			if _, err := r.Add(frags[0], mustDissect(t, frags[0]), 0); err != nil {
				t.Fatal(err)
			}
			got, err := r.Add(frags[1], mustDissect(t, frags[1]), 0)
			if !errors.Is(err, c.err) {
				t.Errorf("%d and %d: %v", c.a, c.b, err)
			}
			if err == nil && mustDissect(t, got).TOS&3 != c.want {
				t.Errorf("%d and %d give %d, want %d", c.a, c.b, mustDissect(t, got).TOS&3, c.want)
			}
			law(t, r)
		}
	}
}

// TestDF is that of the longest fragment: what could pass may pass again.
func TestDF(t *testing.T) {
	for _, df := range []bool{false, true} {
		frags := fragments4(40, 16, 1)
		if df {
			frags[0][6] |= 0x40
		} else {
			frags[2][6] |= 0x40
		}
		r := NewReassembler(ReassemblerConfig{})
		var got []byte
		for _, p := range frags {
			var err error
			if got, err = r.Add(p, mustDissect(t, p), 0); err != nil {
				t.Fatal(err)
			}
		}
		if f := mustDissect(t, got); f.DF != df || f.Fragment {
			t.Errorf("%+v", f)
		}
	}
}

// TestBounded: the oldest gives way, the memory stays, and time passes.
func TestBounded(t *testing.T) {
	r := NewReassembler(ReassemblerConfig{Datagrams: 4})
	now := time.Duration(0)
	for id := range uint16(100) {
		now += time.Millisecond
		p := fragments4(100, 56, id)[0]
		if _, err := r.Add(p, mustDissect(t, p), now); err != nil {
			t.Fatal(err)
		}
	}
	if s := r.Stats(); s.Held != 4 || s.Dropped != 96 || len(r.slots) != 4 {
		t.Errorf("%+v, %d slots", s, len(r.slots))
	}
	for id := uint16(96); id < 100; id++ {
		p := fragments4(100, 56, id)[1]
		if got, err := r.Add(p, mustDissect(t, p), now); err != nil || !bytes.Equal(got, whole4(100, id)) {
			t.Errorf("%d: %x, %v", id, got, err)
		}
	}
	law(t, r)
	for family, c := range map[string]struct {
		frags [][]byte
		after time.Duration
	}{"IPv4": {fragments4(100, 56, 1), 30 * time.Second}, "IPv6": {fragments6(100, 56, 1, false), 60 * time.Second}} {
		for _, late := range []bool{false, true} {
			r := NewReassembler(ReassemblerConfig{})
			if _, err := r.Add(c.frags[0], mustDissect(t, c.frags[0]), now); err != nil {
				t.Fatal(err)
			}
			at := now + c.after - 1
			if late {
				at++
			}
			got, err := r.Add(c.frags[1], mustDissect(t, c.frags[1]), at)
			if err != nil || (got == nil) != late {
				t.Errorf("%s, late %v: %d bytes, %v", family, late, len(got), err)
			}
			law(t, r)
			r.Expire(at + c.after)
			if s := r.Stats(); s.Held != 0 {
				t.Errorf("%+v", s)
			}
		}
	}
}

// TestKeptApart: what differs in one thing is another datagram.
func TestKeptApart(t *testing.T) {
	for name, change := range map[string]func(f *Flow){
		"source":      func(f *Flow) { f.Src[3]++ },
		"destination": func(f *Flow) { f.Dst[3]++ },
		"protocol":    func(f *Flow) { f.Proto++ },
		"number":      func(f *Flow) { f.FragID++ },
		"interface":   func(f *Flow) { f.IfIndex++ },
	} {
		frags := fragments4(100, 56, 1)
		r := NewReassembler(ReassemblerConfig{})
		f := mustDissect(t, frags[0])
		if _, err := r.Add(frags[0], f, 0); err != nil {
			t.Fatal(err)
		}
		f = mustDissect(t, frags[1])
		change(f)
		if got, err := r.Add(frags[1], f, 0); err != nil || got != nil {
			t.Errorf("%s: %x, %v", name, got, err)
		}
		if r.Stats().Held != 2 {
			t.Error(name)
		}
	}
}

// BenchmarkReassemble is a datagram of 64 KiB in fragments for an MTU of 1500.
func BenchmarkReassemble(b *testing.B) {
	frags := fragments4(65000, 1480, 1)
	flows := make([]Flow, len(frags))
	for i, p := range frags {
		if err := Dissect(p, &flows[i]); err != nil {
			b.Fatal(err)
		}
	}
	r := NewReassembler(ReassemblerConfig{})
	b.ReportAllocs()
	b.SetBytes(65000)
	for b.Loop() {
		for i, p := range frags {
			if _, err := r.Add(p, &flows[i], 0); err != nil {
				b.Fatal(err)
			}
		}
	}
}
