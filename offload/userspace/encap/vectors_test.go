package encap

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

type hexBytes []byte

func (h *hexBytes) UnmarshalText(b []byte) (err error) {
	*h, err = hex.DecodeString(string(b))
	return err
}

// wire is a case of the vectors of package esp that has the outer packet.
type wire struct {
	ID         string     `json:"id"`
	Mode       string     `json:"mode"`
	Family     string     `json:"family"`
	Payload    hexBytes   `json:"payload"`
	NextHeader byte       `json:"next_header"`
	Packet     hexBytes   `json:"packet"`
	Outer      hexBytes   `json:"outer_ip_packet"`
	Inner      hexBytes   `json:"inner_ip_packet"`
	SumOK      *bool      `json:"outer_ipv4_checksum_ok"`
	InnerSrc   netip.Addr `json:"inner_src"`
	InnerDst   netip.Addr `json:"inner_dst"`
	Options    hexBytes   `json:"inner_ip_options"`
	UDP        *struct {
		Sport uint16 `json:"sport"`
		Dport uint16 `json:"dport"`
	} `json:"udp_encap"`
}

func readWire(t testing.TB, files ...string) []wire {
	var all []wire
	for _, name := range files {
		b, err := os.ReadFile("../esp/testdata/vectors/" + name)
		if err != nil {
			t.Fatal(err)
		}
		var doc struct{ Cases []wire }
		if err := json.Unmarshal(b, &doc); err != nil {
			t.Fatal(err)
		}
		for _, w := range doc.Cases {
			if w.Outer != nil {
				all = append(all, w)
			}
		}
	}
	return all
}

func (w *wire) params() Params {
	p := Params{InnerSrc: w.InnerSrc, InnerDst: w.InnerDst}
	switch w.Mode {
	case "tunnel":
		p.Mode = netlinkx.ModeTunnel
	case "beet":
		p.Mode = netlinkx.ModeBEET
	}
	h := w.Outer
	if h[0]>>4 == 4 {
		p.Src, p.Dst = netip.AddrFrom4([4]byte(h[12:])), netip.AddrFrom4([4]byte(h[16:]))
	} else {
		p.Src, p.Dst = netip.AddrFrom16([16]byte(h[8:])), netip.AddrFrom16([16]byte(h[24:]))
	}
	if w.UDP != nil {
		p.Encap = &netlinkx.Encap{SrcPort: w.UDP.Sport, DstPort: w.UDP.Dport}
	}
	return p
}

// slowSum is the Internet checksum as RFC 1071 words it.
func slowSum(parts ...[]byte) uint16 {
	var sum uint32
	for _, b := range parts {
		for i := 0; i < len(b); i += 2 {
			v := uint32(b[i]) << 8
			if i+1 < len(b) {
				v |= uint32(b[i+1])
			}
			if sum += v; sum > 0xffff {
				sum -= 0xffff
			}
		}
	}
	return ^uint16(sum)
}

// header4 is an IPv4 header with options, checksum included.
func header4(src, dst netip.Addr, tos, ttl, proto byte, id, frag uint16, options []byte, payload int) []byte {
	h := make([]byte, 20, 60)
	h[0], h[1], h[8], h[9] = 0x45+byte(len(options)/4), tos, ttl, proto
	h = append(h, options...)
	binary.BigEndian.PutUint16(h[2:], uint16(len(h)+payload))
	binary.BigEndian.PutUint16(h[4:], id)
	binary.BigEndian.PutUint16(h[6:], frag)
	copy(h[12:], src.AsSlice())
	copy(h[16:], dst.AsSlice())
	binary.BigEndian.PutUint16(h[10:], slowSum(h))
	return h
}

func header6(src, dst netip.Addr, tos, hops, next byte, label uint32, payload int) []byte {
	h := binary.BigEndian.AppendUint32(nil, 6<<28|uint32(tos)<<20|label)
	h = binary.BigEndian.AppendUint16(h, uint16(payload))
	h = append(h, next, hops)
	return append(append(h, src.AsSlice()...), dst.AsSlice()...)
}

// inner is the packet that was sent inward, rebuilt from the vector alone.
func (w *wire) inner() []byte {
	o, body := w.Outer, []byte(w.Payload)
	switch {
	case w.Mode == "tunnel":
		return bytes.Clone(body)
	case w.Mode == "transport" && w.Family == "4":
		return append(header4(w.InnerSrc, w.InnerDst, o[1], o[8], w.NextHeader, be16(o[4:]), be16(o[6:]), nil, len(body)), body...)
	case w.Mode == "transport":
		return append(header6(w.InnerSrc, w.InnerDst, o[0]<<4|o[1]>>4, o[7], w.NextHeader, flowLabel(o), len(body)), body...)
	}
	next := w.NextHeader
	if w.Options != nil {
		next, body = body[0], body[4+int(body[2]):]
		body = body[len(w.Options):]
	}
	outer4 := o[0]>>4 == 4
	switch {
	case w.InnerDst.Is4() && outer4:
		return append(header4(w.InnerSrc, w.InnerDst, o[1], o[8], next, be16(o[4:]), be16(o[6:]), w.Options, len(body)), body...)
	case w.InnerDst.Is4():
		return append(header4(w.InnerSrc, w.InnerDst, o[0]<<4|o[1]>>4, o[7], next, 0x1234, 0x4000, w.Options, len(body)), body...)
	case outer4:
		return append(header6(w.InnerSrc, w.InnerDst, o[1], o[8], next, 0, len(body)), body...)
	}
	return append(header6(w.InnerSrc, w.InnerDst, o[0]<<4|o[1]>>4, o[7], next, flowLabel(o), len(body)), body...)
}

// arrived reads the outer header, as a socket would report it.
func arrived(h []byte, whole bool) *Arrived {
	a := &Arrived{}
	n := 40
	if h[0]>>4 == 4 {
		n = int(h[0]&15) * 4
		a.TOS, a.TTL, a.ID, a.DF = h[1], h[8], be16(h[4:]), h[6]&0x40 != 0
		a.Src, a.Dst = netip.AddrFrom4([4]byte(h[12:])), netip.AddrFrom4([4]byte(h[16:]))
	} else {
		a.TOS, a.TTL, a.FlowLabel = h[0]<<4|h[1]>>4, h[7], flowLabel(h)
		a.Src, a.Dst = netip.AddrFrom16([16]byte(h[8:])), netip.AddrFrom16([16]byte(h[24:]))
	}
	if whole {
		a.Header = h[:n]
	}
	return a
}

// TestLinuxWire wraps each inner packet as Linux did, byte for byte up to the
// ESP payload, and unwraps it again.
func TestLinuxWire(t *testing.T) {
	ws := readWire(t, "linux-6.1-esp-wire.json")
	if len(ws) != 116 {
		t.Fatalf("%d cases, want 116", len(ws))
	}
	for _, w := range ws {
		tr, err := New(w.params())
		if err != nil {
			t.Fatalf("%s: %v", w.ID, err)
		}
		inner := w.inner()
		var o Outer
		if err := tr.Plan(inner, &o); err != nil {
			t.Errorf("%s: plan: %v", w.ID, err)
			continue
		}
		payload := bytes.Clone(inner[o.Strip:])
		want := bytes.Clone(w.Payload)
		if w.Options != nil {
			want[3] = 0 // reserved: Linux leaves a byte of the old header there
		}
		if o.NextHeader != w.NextHeader || !bytes.Equal(payload, want) {
			t.Errorf("%s: next header %d, payload\n%x, want %d\n%x", w.ID, o.NextHeader, payload, w.NextHeader, want)
		}
		if w.Mode == "tunnel" && !tr.V6() {
			o.ID = be16(w.Outer[4:]) // from Linux's generator
		}
		dst := make([]byte, len(w.Outer))
		n, err := tr.Write(dst, inner, &o, len(w.Packet))
		if err != nil || n != len(w.Outer)-len(w.Packet) {
			t.Errorf("%s: header of %d bytes, %v", w.ID, n, err)
			continue
		}
		copy(dst[n:], w.Packet)
		tr.Finish(dst, &o)
		if !bytes.Equal(dst, w.Outer) {
			t.Errorf("%s: outer packet\n%x, want\n%x", w.ID, dst[:n], w.Outer[:n])
		}
		w.unwrap(t, tr)
	}
}

// unwrap takes the vector's payload inward, once with the outer header at hand
// and once with what a UDP socket reports of it.
func (w *wire) unwrap(t *testing.T, tr *Transform) {
	for _, whole := range []bool{true, false} {
		buf := append(make([]byte, Room), w.Payload...)
		from, n, err := tr.Decap(buf, Room, len(w.Payload), w.NextHeader, arrived(w.Outer, whole))
		want := w.inner()
		if w.Mode == "beet" && w.Family == "4in6" {
			want[4], want[5], want[6] = 0, 0, 0 // ID and DF do not cross an IPv6 header
			want[10], want[11] = 0, 0
			binary.BigEndian.PutUint16(want[10:], slowSum(want[:20]))
		}
		if err != nil || !bytes.Equal(buf[from:from+n], want) {
			t.Errorf("%s: came in as\n%x, want\n%x (%v)", w.ID, buf[from:from+n], want, err)
		}
	}
}

// TestOtherWire takes the outer headers of other implementations, with their
// TTL and ID, and of the RFCs.
func TestOtherWire(t *testing.T) {
	ran := 0
	for _, w := range readWire(t, "dpdk-esp.json", "rfc7634-chacha20-poly1305.json", "rfc3602-aes-cbc.json", "mcgrew-gcm-esp.json") {
		if w.Mode != "tunnel" || w.SumOK != nil && !*w.SumOK || strings.HasPrefix(w.ID, "mcgrew") && w.NextHeader == 1 {
			continue
		}
		ran++
		p := w.params()
		a := arrived(w.Outer, false)
		p.TTL = a.TTL
		tr, err := New(p)
		if err != nil {
			t.Fatalf("%s: %v", w.ID, err)
		}
		var o Outer
		inner := bytes.Clone(w.Inner)
		if err := tr.Plan(inner, &o); err != nil || o.NextHeader != w.NextHeader || o.Strip != 0 {
			t.Errorf("%s: %v, %+v", w.ID, err, o)
		}
		// What these senders chose for themselves.
		o.ID, o.DF, o.TOS, o.FlowLabel = a.ID, a.DF, a.TOS, a.FlowLabel
		dst := make([]byte, len(w.Outer))
		n, err := tr.Write(dst, inner, &o, len(w.Packet))
		if err != nil {
			t.Fatal(err)
		}
		copy(dst[n:], w.Packet)
		if !bytes.Equal(dst, w.Outer) {
			t.Errorf("%s: outer packet\n%x, want\n%x", w.ID, dst[:n], w.Outer[:n])
		}
		buf := bytes.Clone(w.Payload)
		if from, n, err := tr.Decap(buf, 0, len(buf), w.NextHeader, a); err != nil || !bytes.Equal(buf[from:from+n], w.Inner) {
			t.Errorf("%s: came in as %x (%v)", w.ID, buf, err)
		}
	}
	if ran < 15 {
		t.Errorf("only %d cases ran", ran)
	}
}
