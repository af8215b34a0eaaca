package encap

import (
	"bytes"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// fuzzTransforms are one of each mode, mix of families and encapsulation.
func fuzzTransforms(t testing.TB) []*Transform {
	var trs []*Transform
	for _, p := range []Params{tunnel4(), tunnel6(), trans4(), trans6(), beet(false, false), beet(false, true), beet(true, false), beet(true, true)} {
		trs = append(trs, mustNew(t, p), mustNew(t, with(p, func(p *Params) { p.Encap = udp })))
	}
	return append(trs, mustNew(t, with(tunnel4(), func(p *Params) {
		p.Flags = netlinkx.FlagNoECN | netlinkx.FlagDecapDSCP | netlinkx.FlagNoPMTUDisc
	})))
}

// FuzzOut plans and wraps the fuzzer's inner packet. What Plan accepts gets a
// well-formed outer packet, and comes in again: whole in tunnel mode, with its
// payload and protocol in the others.
func FuzzOut(f *testing.F) {
	for _, w := range readWire(f, "linux-6.1-esp-wire.json")[:13] {
		for i := uint8(0); i < 17; i += 4 {
			f.Add(w.inner(), i)
		}
	}
	f.Add(chain([2]byte{0, 1}, [2]byte{43, 2}, [2]byte{60, 1}), uint8(6))
	f.Add(header4(c4, d4, 3, 1, 17, 1, 0, bytes.Repeat([]byte{1}, 40), 0), uint8(8))
	trs := fuzzTransforms(f)
	f.Fuzz(func(t *testing.T, packet []byte, which uint8) {
		tr := trs[int(which)%len(trs)]
		inner := bytes.Clone(packet)
		var o Outer
		if tr.Plan(inner, &o) != nil {
			return
		}
		if o.Strip < 0 || o.Strip > o.Len || o.Len > len(inner) {
			t.Fatalf("takes bytes %d to %d of %d", o.Strip, o.Len, len(inner))
		}
		payload := inner[o.Strip:o.Len]
		outer := make([]byte, o.HeaderLen+len(payload))
		n, err := tr.Write(outer, inner, &o, len(payload))
		if err == ErrTooLong && len(packet) > 65000 {
			return
		}
		if err != nil || n != o.HeaderLen {
			t.Fatalf("header of %d bytes, planned %d: %v", n, o.HeaderLen, err)
		}
		copy(outer[n:], payload)
		tr.Finish(outer, &o)
		checkOuter(t, tr, outer)
		buf := append(make([]byte, Room), payload...)
		from, length, err := tr.Decap(buf, Room, len(payload), o.NextHeader, arrived(outer, false))
		if err != nil {
			t.Fatalf("%x goes out as %x but does not come in: %v", packet, outer, err)
		}
		if tr.mode == netlinkx.ModeTunnel && tr.flags&netlinkx.FlagDecapDSCP == 0 && !bytes.Equal(buf[from:from+length], packet[:length]) {
			t.Fatalf("came in as %x, want %x", buf[from:from+length], packet)
		}
		if got, want := buf[from:from+length], afterHeaders(packet); !bytes.HasSuffix(got, want) {
			t.Fatalf("came in as %x, without the payload %x", got, want)
		}
	})
}

// afterHeaders is what follows the IPv4 header with its options, or the IPv6
// header, within the packet's own length. It always gets across.
func afterHeaders(p []byte) []byte {
	if p[0]>>4 == 4 {
		return p[int(p[0]&15)*4 : be16(p[2:])]
	}
	return nil // extension headers may stay behind, see TestTransport6
}

// FuzzDecap brings the fuzzer's opened payload and outer header in. What is
// accepted is a well-formed IP packet, within the buffer.
func FuzzDecap(f *testing.F) {
	for _, w := range readWire(f, "linux-6.1-esp-wire.json")[:13] {
		f.Add([]byte(w.Payload), w.NextHeader, []byte(w.Outer[:20]), uint8(3), uint8(0))
		f.Add([]byte(w.Payload), w.NextHeader, []byte{}, uint8(0), uint8(8))
	}
	f.Add([]byte{17, 0, 0, 0, 1, 1, 1, 1, 9, 9}, byte(94), []byte{}, uint8(3), uint8(8))
	f.Add([]byte("payload"), byte(17), chain([2]byte{0, 1})[:48], uint8(3), uint8(6))
	trs := fuzzTransforms(f)
	f.Fuzz(func(t *testing.T, payload []byte, next byte, header []byte, tos, which uint8) {
		tr := trs[int(which)%len(trs)]
		a := &Arrived{TOS: tos, Header: header, Src: a4, Dst: b4}
		if tr.V6() {
			a.Src, a.Dst = a6, b6
		}
		room := max(Room, len(header))
		const guard = 16
		buf := bytes.Repeat([]byte{0xcc}, guard+room+len(payload)+guard)
		inside := buf[guard : guard+room+len(payload)]
		copy(inside[room:], payload)
		from, n, err := tr.Decap(inside, room, len(payload), next, a)
		if !bytes.Equal(buf[:guard], bytes.Repeat([]byte{0xcc}, guard)) || !bytes.Equal(buf[len(buf)-guard:], bytes.Repeat([]byte{0xcc}, guard)) {
			t.Fatal("wrote outside the buffer")
		}
		if err != nil {
			return
		}
		p := inside[from : from+n]
		switch {
		case len(p) >= 20 && p[0]>>4 == 4:
			if ihl := int(p[0]&15) * 4; ihl < 20 || int(be16(p[2:])) != len(p) || ihl > len(p) {
				t.Fatalf("inner packet %x", p)
			} else if tr.mode != netlinkx.ModeTunnel && slowSum(p[:ihl]) != 0 {
				t.Fatalf("checksum of %x", p[:ihl])
			}
		case len(p) >= 40 && p[0]>>4 == 6:
			if int(be16(p[4:]))+40 != len(p) {
				t.Fatalf("inner packet %x", p)
			}
		default:
			t.Fatalf("inner packet %x", p)
		}
	})
}
