package flow

import (
	"bytes"
	"testing"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// checkFlow is what holds for every packet that Dissect takes.
func checkFlow(t *testing.T, p []byte, f *Flow) {
	t.Helper()
	if int(f.TotalLen) > len(p) || uint32(f.HeaderLen) > f.TotalLen || f.FragHeader > f.HeaderLen {
		t.Fatalf("lengths out of bounds: %+v", f)
	}
	if f.Fragment != (f.MF || f.FragOffset != 0) || f.FragOffset%8 != 0 {
		t.Fatalf("fragment: %+v", f)
	}
	if (f.Fragment || f.Proto == ProtoDCCP) && f.SrcPort|f.DstPort != 0 {
		t.Fatalf("ports of a fragment: %+v", f)
	}
	// what is behind the packet's own end must not matter
	g := Flow{Mark: f.Mark}
	q := append(bytes.Clone(p[:f.TotalLen]), 0x5a, 0x5a, 0x5a, 0x5a)
	if err := Dissect(q, &g); err != nil || g != *f {
		t.Fatalf("%+v, %v; with other bytes behind it %+v", f, err, g)
	}
	if err := Dissect(p[:f.TotalLen-1], &g); err == nil {
		t.Fatal("one byte less is taken")
	}
}

func FuzzIPv4(f *testing.F) {
	f.Add(ip4(ProtoTCP, 0, ports...))
	f.Add(ip4(ProtoGRE, 0x4000, 0xa0, 0, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8))
	f.Add(ip4(ProtoICMP, 0x2001, 3, 4))
	f.Fuzz(func(t *testing.T, p []byte) {
		if len(p) > 0 {
			p[0] = 4<<4 | p[0]&0xf
		}
		fl := Flow{Mark: 7}
		if Dissect(p, &fl) != nil {
			return
		}
		if fl.Family != netlinkx.FamilyIPv4 || fl.FragHeader != 0 || fl.HeaderLen < 20 || fl.HeaderLen > 60 {
			t.Fatalf("%+v", fl)
		}
		checkFlow(t, p, &fl)
	})
}

func FuzzIPv6(f *testing.F) {
	f.Add(ip6(ProtoTCP, ports...))
	f.Add(ip6(ProtoHopByHop, join(ext(ProtoRouting, 1), ext(ProtoDestOpts, 0), ext(ProtoFragment, 0), fragHeader(ProtoUDP, 0, false, 1), ports)...))
	f.Add(ip6(ProtoDestOpts, chain(16)...))
	f.Fuzz(func(t *testing.T, p []byte) {
		if len(p) > 0 {
			p[0] = 6<<4 | p[0]&0xf
		}
		fl := Flow{Mark: 7}
		if Dissect(p, &fl) != nil {
			return
		}
		if fl.Family != netlinkx.FamilyIPv6 || fl.HeaderLen < 40 || fl.DF {
			t.Fatalf("%+v", fl)
		}
		checkFlow(t, p, &fl)
	})
}

// FuzzReassemble lets the fuzzer send fragments of a few datagrams, and checks
// each that comes out against a model that keeps every byte with its origin.
func FuzzReassemble(f *testing.F) {
	f.Add([]byte{0, 0, 2, 1, 0, 2, 1, 0})
	f.Add([]byte{0, 2, 1, 0, 0, 0, 2, 1})
	f.Add([]byte{64, 0, 2, 1, 64, 1, 2, 1, 64, 2, 3, 0, 128, 0, 4, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		b = b[:min(len(b), 4*100)]
		r := NewReassembler(ReassemblerConfig{Datagrams: 3})
		models := map[byte]*model{}
		now := time.Duration(0)
		for ; len(b) >= 4; b = b[4:] {
			now += time.Duration(b[0]&3) * time.Second
			p := fuzzFragment(b)
			fl := mustDissect(t, p)
			m := models[b[0]&0xc0]
			if m == nil {
				m = &model{}
				models[b[0]&0xc0] = m
			}
			m.sent = append(m.sent, p)
			got, err := r.Add(p, fl, now)
			if got != nil && err != nil {
				t.Fatalf("both %x and %v", got, err)
			}
			law(t, r)
			if got != nil {
				m.check(t, got)
			}
		}
		r.Expire(now + time.Hour)
		law(t, r)
		if s := r.Stats(); s.Held != 0 {
			t.Fatalf("held for ever: %+v", s)
		}
	})
}

// fuzzFragment: which datagram and which contents, offset, length, more.
func fuzzFragment(b []byte) []byte {
	at, n, more := int(b[1])*8, int(b[2]), b[3]&1 != 0
	if b[3]&2 != 0 {
		n *= 8
	}
	data := make([]byte, n)
	for i := range data {
		data[i] = byte((at + i) / 8)
		if b[0]&0x20 != 0 {
			data[i]++
		}
	}
	if b[0]&0x80 != 0 {
		return ip6(ProtoFragment, join(fragHeader(ProtoUDP, at, more, uint32(b[0]>>6)), data)...)
	}
	frag := uint16(at / 8)
	if more {
		frag |= fragMF
	}
	p := ip4(ProtoUDP, frag, data...)
	p[5] = b[0] >> 6
	return p
}

type model struct{ sent [][]byte }

// check: every byte of a datagram was sent at its place, and its end is one
// that was sent.
func (m *model) check(t *testing.T, got []byte) {
	var g Flow
	if err := Dissect(got, &g); err != nil || g.Fragment || int(g.TotalLen) != len(got) || g.FragHeader != 0 {
		t.Fatalf("%x: %+v, %v", got, g, err)
	}
	payload := got[g.HeaderLen:]
	covered := make([]bool, len(payload))
	ended := false
	for _, p := range m.sent {
		f := mustDissect(t, p)
		part := p[f.HeaderLen:]
		at := int(f.FragOffset)
		if at+len(part) > len(payload) || !bytes.Equal(payload[at:at+len(part)], part) {
			continue
		}
		for i := range part {
			covered[at+i] = true
		}
		ended = ended || f.Fragment && !f.MF && at+len(part) == len(payload)
	}
	for i := range covered {
		if !covered[i] {
			t.Fatalf("byte %d of %x was never sent there", i, payload)
		}
	}
	if !ended {
		t.Fatalf("nobody sent the end of %x", payload)
	}
}
