package encap

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

var (
	a4, b4 = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	c4, d4 = netip.MustParseAddr("10.1.0.1"), netip.MustParseAddr("10.2.0.2")
	a6, b6 = netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
	c6, d6 = netip.MustParseAddr("fd00:1::1"), netip.MustParseAddr("fd00:2::2")
	udp    = &netlinkx.Encap{SrcPort: 4500, DstPort: 40000}
)

func mustNew(t testing.TB, p Params) *Transform {
	t.Helper()
	tr, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func tunnel4() Params { return Params{Mode: netlinkx.ModeTunnel, Src: a4, Dst: b4} }
func tunnel6() Params { return Params{Mode: netlinkx.ModeTunnel, Src: a6, Dst: b6} }
func trans4() Params  { return Params{Mode: netlinkx.ModeTransport, Src: a4, Dst: b4} }
func trans6() Params  { return Params{Mode: netlinkx.ModeTransport, Src: a6, Dst: b6} }
func beet(outer6, inner6 bool) Params {
	p := Params{Mode: netlinkx.ModeBEET, Src: a4, Dst: b4, InnerSrc: c4, InnerDst: d4}
	if outer6 {
		p.Src, p.Dst = a6, b6
	}
	if inner6 {
		p.InnerSrc, p.InnerDst = c6, d6
	}
	return p
}

func with(p Params, change func(*Params)) Params {
	change(&p)
	return p
}

func TestNewRefuses(t *testing.T) {
	for name, p := range map[string]Params{
		"no address":         {Mode: netlinkx.ModeTunnel},
		"mixed families":     {Mode: netlinkx.ModeTunnel, Src: a4, Dst: b6},
		"4in6 address":       {Mode: netlinkx.ModeTunnel, Src: netip.MustParseAddr("::ffff:1.2.3.4"), Dst: b6},
		"IPTFS":              {Mode: netlinkx.ModeIPTFS, Src: a4, Dst: b4},
		"BEET without inner": {Mode: netlinkx.ModeBEET, Src: a4, Dst: b4},
		"BEET mixed inner":   {Mode: netlinkx.ModeBEET, Src: a4, Dst: b4, InnerSrc: c4, InnerDst: d6},
	} {
		if tr, err := New(p); err == nil || tr != nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestTunnelFields is the outer header's fields by inner packet and flags.
func TestTunnelFields(t *testing.T) {
	ip4 := func(tos byte, frag uint16) []byte { return header4(c4, d4, tos, 9, 17, 77, frag, nil, 0) }
	ip6 := func(tos byte, label uint32) []byte { return header6(c6, d6, tos, 9, 17, label, 0) }
	noECN := func(p *Params) { p.Flags = netlinkx.FlagNoECN }
	noPMTU := func(p *Params) { p.Flags = netlinkx.FlagNoPMTUDisc }
	noDSCP := func(p *Params) { p.ExtraFlags = netlinkx.ExtraDontEncapDSCP }
	ttl7 := func(p *Params) { p.TTL = 7 }
	for _, tc := range []struct {
		name  string
		p     Params
		inner []byte
		want  Outer
	}{
		{"plain", tunnel4(), ip4(0, 0), Outer{NextHeader: 4, HeaderLen: 20, TTL: 64}},
		{"udp", with(tunnel4(), func(p *Params) { p.Encap = udp }), ip4(0, 0), Outer{NextHeader: 4, HeaderLen: 28, TTL: 64}},
		{"DF is copied", tunnel4(), ip4(0, 0x4000), Outer{NextHeader: 4, HeaderLen: 20, TTL: 64, DF: true}},
		{"DF cleared by nopmtudisc", with(tunnel4(), noPMTU), ip4(0, 0x4000), Outer{NextHeader: 4, HeaderLen: 20, TTL: 64}},
		{"a fragment's offset stays inside", tunnel4(), ip4(0, 0x2010), Outer{NextHeader: 4, HeaderLen: 20, TTL: 64}},
		{"DSCP and ECT(0) copied", tunnel4(), ip4(0xba, 0), Outer{NextHeader: 4, HeaderLen: 20, TTL: 64, TOS: 0xba}},
		{"ECT(1) copied", tunnel4(), ip4(0xb9, 0), Outer{NextHeader: 4, HeaderLen: 20, TTL: 64, TOS: 0xb9}},
		{"CE becomes ECT(0)", tunnel4(), ip4(0xbb, 0), Outer{NextHeader: 4, HeaderLen: 20, TTL: 64, TOS: 0xba}},
		{"noecn", with(tunnel4(), noECN), ip4(0xbb, 0), Outer{NextHeader: 4, HeaderLen: 20, TTL: 64, TOS: 0xb8}},
		{"dont-encap-dscp keeps ECN", with(tunnel4(), noDSCP), ip4(0xba, 0), Outer{NextHeader: 4, HeaderLen: 20, TTL: 64, TOS: 2}},
		{"ttl", with(tunnel4(), ttl7), ip4(0, 0), Outer{NextHeader: 4, HeaderLen: 20, TTL: 7}},
		{"6 in 4: DF, no label", tunnel4(), ip6(0xba, 0xabcde), Outer{NextHeader: 41, HeaderLen: 20, TTL: 64, TOS: 0xba, DF: true}},
		{"6 in 4, nopmtudisc", with(tunnel4(), noPMTU), ip6(0, 0), Outer{NextHeader: 41, HeaderLen: 20, TTL: 64}},
		{"6 in 6: label copied", tunnel6(), ip6(0xba, 0xabcde), Outer{NextHeader: 41, HeaderLen: 40, TTL: 64, TOS: 0xba, FlowLabel: 0xabcde}},
		{"6 in 6, noecn", with(tunnel6(), noECN), ip6(3, 0), Outer{NextHeader: 41, HeaderLen: 40, TTL: 64}},
		{"6 in 6, dont-encap-dscp", with(tunnel6(), noDSCP), ip6(0xbb, 0), Outer{NextHeader: 41, HeaderLen: 40, TTL: 64, TOS: 2}},
		{"4 in 6", tunnel6(), ip4(0xba, 0x4000), Outer{NextHeader: 4, HeaderLen: 40, TTL: 64, TOS: 0xba}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tr := mustNew(t, tc.p)
			var o Outer
			tc.want.Len = len(tc.inner)
			if err := tr.Plan(tc.inner, &o); err != nil || o != tc.want {
				t.Fatalf("%+v, want %+v (%v)", o, tc.want, err)
			}
			checkWritten(t, tr, tc.inner, &o)
		})
	}
}

// checkWritten compares the header that Write makes with one made by the
// test's own functions.
func checkWritten(t *testing.T, tr *Transform, inner []byte, o *Outer) {
	t.Helper()
	o.ID = 0xbeef
	const espLen = 100
	dst := make([]byte, 200)
	n, err := tr.Write(dst, inner, o, espLen)
	if err != nil || n != o.HeaderLen {
		t.Fatalf("%d bytes, %v", n, err)
	}
	proto, body := byte(50), espLen
	if tr.UDP() {
		proto, body = 17, espLen+8
	}
	frag := uint16(0)
	if o.DF {
		frag = 0x4000
	}
	want := header4(a4, b4, o.TOS, o.TTL, proto, o.ID, frag, nil, body)
	if tr.V6() {
		want = header6(a6, b6, o.TOS, o.TTL, proto, o.FlowLabel, body)
	}
	if tr.UDP() {
		want = append(want, 4500>>8, 4500&255, 40000>>8, 40000&255, 0, espLen+8, 0, 0)
	}
	if !bytes.Equal(dst[:n], want) {
		t.Errorf("header\n%x, want\n%x", dst[:n], want)
	}
}

// TestInnerTOS is every pair of inner and outer TOS through the four ways an
// SA may treat them, IPv4 and IPv6, against RFC 3168 section 9.1.1 in words.
func TestInnerTOS(t *testing.T) {
	for _, flags := range []netlinkx.SAFlags{0, netlinkx.FlagNoECN, netlinkx.FlagDecapDSCP, netlinkx.FlagNoECN | netlinkx.FlagDecapDSCP} {
		tr := mustNew(t, with(tunnel4(), func(p *Params) { p.Flags = flags }))
		for inner := range 256 {
			for outer := range 256 {
				want := inner
				if flags&netlinkx.FlagDecapDSCP != 0 {
					want = outer/4*4 + inner%4
				}
				if flags&netlinkx.FlagNoECN == 0 && outer%4 == 3 && inner%4 != 0 {
					want = want/4*4 + 3
				}
				p := header4(c4, d4, byte(inner), 9, 17, 77, 0, nil, 0)
				if _, n, err := tr.Decap(p, 0, len(p), 4, &Arrived{TOS: byte(outer)}); err != nil || n != 20 {
					t.Fatal(err)
				}
				if !bytes.Equal(p, header4(c4, d4, byte(want), 9, 17, 77, 0, nil, 0)) {
					t.Fatalf("flags %d, inner %#x, outer %#x: %x, want TOS %#x", flags, inner, outer, p, want)
				}
				p = header6(c6, d6, byte(inner), 9, 17, 0xfffff, 0)
				if _, _, err := tr.Decap(p, 0, len(p), 41, &Arrived{TOS: byte(outer)}); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(p, header6(c6, d6, byte(want), 9, 17, 0xfffff, 0)) {
					t.Fatalf("flags %d, inner %#x, outer %#x: %x, want traffic class %#x", flags, inner, outer, p, want)
				}
			}
		}
	}
}

// chain builds an IPv6 packet with extension headers of the given types and
// lengths in units of 8 bytes, ended by UDP with 8 bytes.
func chain(headers ...[2]byte) []byte {
	var body []byte
	next := []byte{}
	for i, h := range headers {
		after := byte(17)
		if i+1 < len(headers) {
			after = headers[i+1][0]
		}
		ext := make([]byte, 8*int(h[1]))
		ext[0], ext[1] = after, h[1]-1
		body = append(body, ext...)
		next = append(next, h[0])
	}
	first := byte(17)
	if len(next) > 0 {
		first = next[0]
	}
	body = append(body, "udp-data"...)
	return append(header6(a6, b6, 0x28, 33, first, 0x12345, len(body)), body...)
}

// TestTransport6 is where ESP goes among extension headers.
func TestTransport6(t *testing.T) {
	const hop, route, frag, dest = 0, 43, 44, 60
	for _, tc := range []struct {
		name    string
		packet  []byte
		strip   int
		next    byte
		wantErr error
	}{
		{"none", chain(), 40, 17, nil},
		{"hop by hop", chain([2]byte{hop, 2}), 56, 17, nil},
		{"routing", chain([2]byte{route, 3}), 64, 17, nil},
		{"destination options alone stay outside", chain([2]byte{dest, 1}), 48, 17, nil},
		{"hop, destination, routing outside", chain([2]byte{hop, 1}, [2]byte{dest, 1}, [2]byte{route, 1}), 64, 17, nil},
		{"destination options after routing go inside", chain([2]byte{route, 1}, [2]byte{dest, 1}), 48, dest, nil},
		{"fragment", chain([2]byte{hop, 1}, [2]byte{frag, 1}), 0, 0, ErrFragment},
		{"cut in a header", chain([2]byte{hop, 9})[:60], 0, 0, ErrHeader},
		{"chain without end", header6(a6, b6, 0, 1, hop, 0, 0), 0, 0, ErrHeader},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, encap := range []*netlinkx.Encap{nil, udp} {
				tr := mustNew(t, with(trans6(), func(p *Params) { p.Encap = encap }))
				if len(tc.packet) < 100 && tc.wantErr == ErrHeader {
					put16(tc.packet[4:], uint16(len(tc.packet)-40))
				}
				var o Outer
				if err := tr.Plan(tc.packet, &o); err != tc.wantErr {
					t.Fatalf("%v, want %v", err, tc.wantErr)
				}
				if tc.wantErr != nil {
					continue
				}
				if o.Strip != tc.strip || o.NextHeader != tc.next {
					t.Fatalf("strips %d, next header %d, want %d, %d", o.Strip, o.NextHeader, tc.strip, tc.next)
				}
				roundTrip(t, tr, tc.packet)
			}
		})
	}
}

// roundTrip sends a packet through Plan, Write and Decap.
func roundTrip(t testing.TB, tr *Transform, packet []byte) {
	t.Helper()
	inner := bytes.Clone(packet)
	var o Outer
	if err := tr.Plan(inner, &o); err != nil {
		t.Fatal(err)
	}
	payload := inner[o.Strip:o.Len]
	outer := make([]byte, o.HeaderLen+len(payload))
	n, err := tr.Write(outer, inner, &o, len(payload))
	if err != nil {
		t.Fatal(err)
	}
	copy(outer[n:], payload)
	tr.Finish(outer, &o)
	checkOuter(t, tr, outer)
	a := arrived(outer, tr.mode == netlinkx.ModeTransport)
	if a.Header != nil {
		a.Header = outer[:n]
		if tr.UDP() {
			a.Header = outer[:n-8]
		}
	}
	room := max(Room, len(a.Header))
	buf := append(append(make([]byte, room), payload...), "TFC"...)
	size := len(payload)
	if tr.mode == netlinkx.ModeTunnel {
		size += 3 // padding that the inner length does not cover
	}
	from, length, err := tr.Decap(buf, room, size, o.NextHeader, a)
	if err != nil || !bytes.Equal(buf[from:from+length], packet) {
		t.Fatalf("came in as\n%x, want\n%x (%v)", buf[from:from+length], packet, err)
	}
}

// checkOuter verifies lengths and checksums of an outer packet.
func checkOuter(t testing.TB, tr *Transform, outer []byte) {
	t.Helper()
	if tr.V6() {
		if got := int(be16(outer[4:])); got != len(outer)-40 {
			t.Fatalf("payload length %d of %d bytes", got, len(outer))
		}
	} else if ihl := int(outer[0]&15) * 4; slowSum(outer[:ihl]) != 0 || int(be16(outer[2:])) != len(outer) {
		t.Fatalf("checksum or length of %x in %d bytes", outer[:ihl], len(outer))
	}
	if tr.UDP() && tr.V6() && tr.mode != netlinkx.ModeTransport {
		u := outer[40:]
		if slowSum(outer[8:40], []byte{0, 17}, u[4:6], u) != 0 || be16(u[6:]) == 0 {
			t.Fatalf("UDP checksum of %x", u)
		}
	}
}

func TestRoundTrips(t *testing.T) {
	body := func(n int) []byte { return bytes.Repeat([]byte{0xa5, 1, 2}, n)[:n] }
	for _, n := range []int{0, 1, 7, 8, 100, 1399, 1400, 65000} {
		v4 := append(header4(c4, d4, 0xb8, 17, 6, 0x4321, 0x4000, nil, n), body(n)...)
		out4 := append(header4(a4, b4, 0xb9, 17, 6, 0x4321, 0, nil, n), body(n)...)
		v6 := append(header6(c6, d6, 0xb8, 17, 6, 0, n), body(n)...)
		out6 := append(header6(a6, b6, 0xbb, 17, 6, 0x54321, n), body(n)...)
		for _, encap := range []*netlinkx.Encap{nil, udp} {
			add := func(p *Params) { p.Encap = encap }
			for _, p := range []Params{tunnel4(), tunnel6()} {
				tr := mustNew(t, with(p, add))
				roundTrip(t, tr, v4)
				roundTrip(t, tr, v6)
			}
			roundTrip(t, mustNew(t, with(trans4(), add)), out4)
			roundTrip(t, mustNew(t, with(trans6(), add)), out6)
			roundTrip(t, mustNew(t, with(beet(false, false), add)), v4)
			roundTrip(t, mustNew(t, with(beet(false, true), add)), v6)
			roundTrip(t, mustNew(t, with(beet(true, true), add)), v6)
			for options := 4; options <= 40; options += 4 {
				opt := append(header4(c4, d4, 0, 17, 6, 1, 0, bytes.Repeat([]byte{0x94, 4, 0, 0}, options/4), n), body(n)...)
				roundTrip(t, mustNew(t, with(beet(false, false), add)), opt)
				opt = append(header4(a4, b4, 0, 17, 6, 1, 0, bytes.Repeat([]byte{0x94, 4, 0, 0}, options/4), n), body(n)...)
				roundTrip(t, mustNew(t, with(trans4(), add)), opt)
			}
		}
	}
}

func TestPlanRefuses(t *testing.T) {
	v4 := header4(a4, b4, 0, 1, 17, 1, 0, nil, 0)
	frag4 := header4(a4, b4, 0, 1, 17, 1, 0x2000, nil, 0)
	last4 := header4(a4, b4, 0, 1, 17, 1, 0x0010, nil, 0)
	v6 := header6(a6, b6, 0, 1, 17, 0, 0)
	bad := func(b []byte, at int, v byte) []byte {
		b = bytes.Clone(b)
		b[at] = v
		return b
	}
	for i, tc := range []struct {
		p     Params
		inner []byte
		want  error
	}{
		{tunnel4(), nil, ErrHeader}, {tunnel4(), []byte{0x45}, ErrHeader}, {tunnel4(), v4[:19], ErrHeader}, {tunnel4(), v6[:39], ErrHeader},
		{tunnel4(), bad(v4, 0, 0x35), ErrHeader}, {tunnel4(), bad(v4, 0, 0x44), ErrHeader}, {tunnel4(), bad(v4, 0, 0x46), ErrHeader},
		{tunnel4(), bad(v4, 3, 21), ErrHeader}, {tunnel4(), bad(v4, 3, 19), ErrHeader}, {tunnel4(), bad(v6, 5, 1), ErrHeader},
		{trans4(), v6, ErrFamily}, {trans6(), v4, ErrFamily}, {beet(false, false), v6, ErrFamily}, {beet(true, true), v4, ErrFamily},
		{trans4(), frag4, ErrFragment}, {trans4(), last4, ErrFragment}, {beet(true, false), frag4, ErrFragment},
		{trans4(), v4, nil}, {beet(true, false), v4, nil}, {tunnel6(), frag4, nil},
	} {
		var o Outer
		if err := mustNew(t, tc.p).Plan(tc.inner, &o); err != tc.want {
			t.Errorf("case %d: %v, want %v", i, err, tc.want)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	inner := header4(c4, d4, 0, 1, 17, 1, 0, nil, 0)
	for _, tc := range []struct {
		p    Params
		room int
		esp  int
		want error
	}{
		{tunnel4(), 19, 100, ErrRoom}, {tunnel6(), 39, 100, ErrRoom}, {tunnel4(), 20, 65515, nil}, {tunnel4(), 20, 65516, ErrTooLong},
		{tunnel6(), 40, 65535, nil}, {tunnel6(), 40, 65536, ErrTooLong},
		{with(tunnel4(), func(p *Params) { p.Encap = udp }), 28, 65508, ErrTooLong},
		{with(tunnel4(), func(p *Params) { p.Encap = udp }), 28, 65507, nil},
	} {
		tr := mustNew(t, tc.p)
		var o Outer
		if err := tr.Plan(inner, &o); err != nil {
			t.Fatal(err)
		}
		if _, err := tr.Write(make([]byte, tc.room), inner, &o, tc.esp); err != tc.want {
			t.Errorf("%d bytes into %d: %v, want %v", tc.esp, tc.room, err, tc.want)
		}
	}
}

func TestDecapRefuses(t *testing.T) {
	v4 := header4(a4, b4, 0, 1, 17, 1, 0, nil, 0)
	ours := &Arrived{Src: a4, Dst: b4}
	for i, tc := range []struct {
		p       Params
		payload []byte
		room    int
		next    byte
		a       *Arrived
		want    error
	}{
		{tunnel4(), v4, 0, 41, ours, ErrHeader}, {tunnel4(), v4, 0, 59, ours, ErrFamily}, {tunnel4(), v4[:19], 0, 4, ours, ErrHeader},
		{tunnel4(), header4(a4, b4, 0, 1, 17, 1, 0, nil, 1), 0, 4, ours, ErrHeader}, {tunnel4(), nil, 0, 41, ours, ErrHeader},
		{tunnel4(), header6(a6, b6, 0, 1, 17, 0, 1), 0, 41, ours, ErrHeader},
		{trans4(), []byte("x"), 19, 17, ours, ErrRoom}, {trans6(), []byte("x"), 60, 17, ours, ErrFamily}, {trans4(), []byte("x"), 60, 17, &Arrived{}, ErrFamily},
		{trans4(), []byte("x"), 60, 17, &Arrived{Header: v4[:19]}, ErrHeader}, {trans4(), []byte("x"), 60, 17, &Arrived{Header: chain()[:40]}, ErrHeader},
		{trans6(), []byte("x"), 60, 17, &Arrived{Header: v4}, ErrHeader}, {trans6(), []byte("x"), 60, 17, &Arrived{Header: chain([2]byte{0, 2})[:48]}, ErrHeader},
		{trans4(), make([]byte, 65516), 60, 17, ours, ErrHeader},
		{beet(false, false), []byte("x"), 19, 17, ours, ErrRoom}, {beet(false, true), []byte("x"), 39, 17, ours, ErrRoom},
		{beet(false, false), []byte{17, 0, 0}, 60, 94, ours, ErrHeader}, {beet(false, false), []byte{17, 0, 0, 0, 1, 1, 1}, 60, 94, ours, ErrHeader},
		{beet(false, false), append([]byte{17, 6, 4, 0}, make([]byte, 90)...), 60, 94, ours, ErrHeader}, {beet(false, false), []byte{17, 0, 200, 0}, 60, 94, ours, ErrHeader},
		{beet(false, false), []byte{17, 0, 1, 0, 0, 0, 0, 0}, 60, 94, ours, ErrHeader},
		{beet(false, false), []byte{17, 0, 4, 0, 1, 1, 1, 1}, 60, 94, ours, nil}, {beet(false, false), make([]byte, 65516), 60, 17, ours, ErrHeader},
	} {
		buf := append(make([]byte, tc.room), tc.payload...)
		if _, _, err := mustNew(t, tc.p).Decap(buf, tc.room, len(tc.payload), tc.next, tc.a); err != tc.want {
			t.Errorf("case %d: %v, want %v", i, err, tc.want)
		}
	}
}

// TestInnerMTU compares with xfrm_state_mtu, of which the first two figures
// were measured on Linux.
func TestInnerMTU(t *testing.T) {
	gcm := func(n int) int { return (n-16-16)&^3 - 2 }
	cbc := func(n int) int { return (n-24-16)&^15 - 2 }
	in := func(p Params) Params { p.Encap = udp; return p }
	for i, tc := range []struct {
		p       Params
		payload func(int) int
		mtu     int
		want    int
	}{
		{tunnel4(), gcm, 1500, 1446}, {in(tunnel4()), gcm, 1500, 1438}, {tunnel6(), gcm, 1500, 1426}, {tunnel4(), cbc, 1500, 1438},
		{trans4(), gcm, 1500, 1466}, {trans6(), gcm, 1500, 1466}, {tunnel6(), gcm, 1280, 1280},
		{beet(false, false), gcm, 1500, 1458}, {beet(false, true), gcm, 1500, 1466}, {beet(true, true), gcm, 1500, 1466}, {beet(true, false), gcm, 1500, 1438},
	} {
		if got := mustNew(t, tc.p).InnerMTU(tc.mtu, tc.payload); got != tc.want {
			t.Errorf("case %d: %d, want %d", i, got, tc.want)
		}
	}
}

// TestOverlap writes the header into the memory of the inner packet, as the
// data path does.
func TestOverlap(t *testing.T) {
	inner := append(header4(a4, b4, 0xb8, 17, 6, 0x4321, 0, []byte{0x94, 4, 0, 0}, 50), make([]byte, 50)...)
	tr := mustNew(t, trans4())
	var o Outer
	if err := tr.Plan(inner, &o); err != nil {
		t.Fatal(err)
	}
	apart := make([]byte, 24)
	if _, err := tr.Write(apart, inner, &o, 90); err != nil {
		t.Fatal(err)
	}
	for shift := range 40 {
		buf := append(make([]byte, 40), inner...)
		if _, err := tr.Write(buf[shift:], buf[40:], &o, 90); err != nil || !bytes.Equal(buf[shift:shift+24], apart) {
			t.Fatalf("shifted by %d: %x, want %x (%v)", 40-shift, buf[shift:shift+24], apart, err)
		}
	}
}

func TestAllocations(t *testing.T) {
	for _, p := range []Params{tunnel4(), tunnel6(), trans4(), beet(false, false)} {
		tr := mustNew(t, p)
		inner := append(header4(c4, d4, 0, 17, 6, 1, 0, nil, 100), make([]byte, 100)...)
		if p.Mode == netlinkx.ModeTransport {
			inner = append(header4(a4, b4, 0, 17, 6, 1, 0, nil, 100), make([]byte, 100)...)
		}
		dst := make([]byte, 400)
		a := &Arrived{Src: p.Src, Dst: p.Dst}
		if got := testing.AllocsPerRun(100, func() {
			var o Outer
			if err := tr.Plan(inner, &o); err != nil {
				t.Fatal(err)
			}
			if _, err := tr.Write(dst, inner, &o, 100); err != nil {
				t.Fatal(err)
			}
			copy(dst[60:], inner[o.Strip:])
			if _, _, err := tr.Decap(dst, 60, len(inner)-o.Strip, o.NextHeader, a); err != nil {
				t.Fatal(err)
			}
		}); got != 0 {
			t.Errorf("%s: %v allocations", p.Mode, got)
		}
	}
}

func BenchmarkOutAndIn(b *testing.B) {
	for _, p := range []Params{tunnel4(), tunnel6(), with(tunnel4(), func(p *Params) { p.Encap = udp }), beet(false, false)} {
		b.Run(fmt.Sprintf("%s/%s/%v", p.Mode, p.Dst, p.Encap != nil), func(b *testing.B) {
			tr := mustNew(b, p)
			inner := append(header4(c4, d4, 2, 17, 6, 1, 0, nil, 1380), make([]byte, 1380)...)
			dst := make([]byte, 1600)
			a := &Arrived{TOS: 3}
			var o Outer
			for b.Loop() {
				if err := tr.Plan(inner, &o); err != nil {
					b.Fatal(err)
				}
				if _, err := tr.Write(dst, inner, &o, 1420); err != nil {
					b.Fatal(err)
				}
				if _, _, err := tr.Decap(dst, 60, 1400-o.Strip, o.NextHeader, a); p.Mode != netlinkx.ModeTunnel && err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
