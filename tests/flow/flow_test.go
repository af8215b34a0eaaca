// Package flow_test compares package flow with the kernel: which policies a
// packet meets, by its ports and whatever stands for them.
package flow_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"github.com/xfrmctl/xfrmctl/gsogro/segment"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/flow"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
	"github.com/xfrmctl/xfrmctl/tests/tun"
)

var be = binary.BigEndian

var (
	src4, dst4 = netip.MustParseAddr("10.1.0.2"), netip.MustParseAddr("10.2.0.2")
	src6, dst6 = netip.MustParseAddr("fd01::2"), netip.MustParseAddr("fd02::2")
)

// place is a router whose forwarded packets meet one policy.
type place struct {
	t    *testing.T
	a, b *tun.Device
	conn *netlinkx.Conn
}

func newPlace(t *testing.T) *place {
	ns := sandbox.New(t)
	p := &place{t: t}
	p.a = tun.Open(t, ns, "tuna", 0, "10.1.0.1/24", "fd01::1/64")
	p.b = tun.Open(t, ns, "tunb", 0, "10.2.0.1/24", "fd02::1/64")
	tun.Forward(t, ns)
	var err error
	p.conn, err = netlinkx.Dial(&netlinkx.Config{NetNS: netlinkx.NetNSFD(ns.FD())})
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip("needs NETLINK_XFRM (CONFIG_XFRM_USER); nothing of this test ran")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.conn.Close() })
	return p
}

// blocked says whether a policy for the selector stops the packet. The marker
// that is sent behind it is of a protocol of its own.
func (p *place) blocked(sel netlinkx.Selector, pkt []byte) bool {
	p.t.Helper()
	pol := netlinkx.NewPolicy()
	pol.Selector, pol.Dir, pol.Action = sel, netlinkx.PolicyFwd, netlinkx.ActionBlock
	if err := p.conn.AddPolicy(context.Background(), pol); err != nil {
		p.t.Fatalf("%v: %v", pol, err)
	}
	defer func() {
		if err := p.conn.DeletePolicy(context.Background(), pol.ID()); err != nil {
			p.t.Fatal(err)
		}
	}()
	marker := ip4(253, 0, 1)
	for _, q := range [][]byte{pkt, marker} {
		if err := p.a.Write(append(make([]byte, segment.HeaderLen), q...)); err != nil {
			p.t.Fatal(err)
		}
	}
	through := false
	for {
		_, q := p.b.Read(func(q []byte) bool { return true })
		switch {
		case q == nil:
			p.t.Fatal("the marker did not come through")
		case q[0]>>4 == 4 && q[9] == 253:
			return !through
		case sameBut(q, pkt):
			through = true
		}
	}
}

// sameBut tells the forwarded packet from the kernel's own.
func sameBut(q, pkt []byte) bool {
	if len(q) != len(pkt) || q[0] != pkt[0] {
		return false
	}
	if q[0]>>4 == 4 {
		return q[9] == pkt[9] && string(q[12:]) == string(pkt[12:])
	}
	return q[6] == pkt[6] && string(q[8:]) == string(pkt[8:])
}

func ip4(proto uint8, frag uint16, payload ...byte) []byte {
	p := []byte{0x45, 0, 0, 0, 0x12, 0x34, 0, 0, 63, proto, 0, 0}
	p = append(append(append(p, src4.AsSlice()...), dst4.AsSlice()...), payload...)
	be.PutUint16(p[2:], uint16(len(p)))
	be.PutUint16(p[6:], frag)
	be.PutUint16(p[10:], ^segment.Sum(p[:20]))
	return p
}

func ip6(next uint8, parts ...[]byte) []byte {
	p := []byte{0x60, 0, 0, 0, 0, 0, next, 63}
	p = append(append(p, src6.AsSlice()...), dst6.AsSlice()...)
	for _, q := range parts {
		p = append(p, q...)
	}
	be.PutUint16(p[4:], uint16(len(p)-40))
	return p
}

// options is an extension header with padding in it.
func options(next uint8) []byte { return []byte{next, 0, 1, 4, 0, 0, 0, 0} }

var ports = []byte{0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}

func packets() map[string][]byte {
	gre := func(flags, proto uint16) []byte {
		return append(be.AppendUint16(be.AppendUint16(nil, flags), proto), ports...)
	}
	echo6 := []byte{128, 5, 0, 0, 0, 1, 0, 1}
	return map[string][]byte{
		"TCP":                    ip4(flow.ProtoTCP, 0, ports...),
		"UDP":                    ip4(flow.ProtoUDP, 0, ports...),
		"UDP-Lite":               ip4(flow.ProtoUDPLite, 0, ports...),
		"SCTP":                   ip4(flow.ProtoSCTP, 0, ports...),
		"DCCP":                   ip4(flow.ProtoDCCP, 0, ports...),
		"ESP":                    ip4(flow.ProtoESP, 0, ports...),
		"AH":                     ip4(flow.ProtoAH, 0, append([]byte{17, 4, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, ports...)...),
		"ICMP":                   ip4(flow.ProtoICMP, 0, 8, 3, 0, 0, 0, 1, 0, 1),
		"IPIP":                   ip4(flow.ProtoIPIP, 0, ip4(flow.ProtoUDP, 0, ports...)...),
		"GRE":                    ip4(flow.ProtoGRE, 0, gre(0, 0x800)...),
		"GRE key":                ip4(flow.ProtoGRE, 0, gre(0x2000, 0x800)...),
		"GRE checksum and key":   ip4(flow.ProtoGRE, 0, gre(0xa000, 0x800)...),
		"PPTP":                   ip4(flow.ProtoGRE, 0, gre(0x2001, 0x880b)...),
		"unknown":                ip4(200, 0, ports...),
		"UDP cut short":          ip4(flow.ProtoUDP, 0, 1, 2, 3),
		"UDP first fragment":     ip4(flow.ProtoUDP, 0x2000, ports[:16]...),
		"UDP later fragment":     ip4(flow.ProtoUDP, 0x2002, ports[:16]...),
		"IPv6 TCP":               ip6(flow.ProtoTCP, ports),
		"IPv6 UDP":               ip6(flow.ProtoUDP, ports),
		"ICMPv6":                 ip6(flow.ProtoICMPv6, echo6),
		"options":                ip6(flow.ProtoDestOpts, options(flow.ProtoUDP), ports),
		"hop by hop and options": ip6(flow.ProtoHopByHop, options(flow.ProtoDestOpts), options(flow.ProtoTCP), ports),
		"IPv6 in IPv6":           ip6(flow.ProtoIPv6, ip6(flow.ProtoUDP, ports)),
		"IPv6 GRE key":           ip6(flow.ProtoGRE, gre(0x2000, 0x800)),
		"IPv6 first fragment":    ip6(flow.ProtoFragment, []byte{17, 0, 0, 1, 0, 0, 0, 7}, ports[:16]),
		"IPv6 later fragment":    ip6(flow.ProtoFragment, []byte{17, 0, 0, 17, 0, 0, 0, 7}, ports[:16]),
	}
}

// TestKernelPolicies: a policy with ports stops a packet exactly if Flow has
// these.
func TestKernelPolicies(t *testing.T) {
	p := newPlace(t)
	for name, pkt := range packets() {
		t.Run(name, func(t *testing.T) {
			p.t = t
			var f flow.Flow
			if err := flow.Dissect(pkt, &f); err != nil {
				t.Fatal(err)
			}
			none := netlinkx.Selector{
				Family: f.Family, Proto: f.Proto,
				Src: netip.PrefixFrom(f.SrcAddr(), f.Family.Bits()), Dst: netip.PrefixFrom(f.DstAddr(), f.Family.Bits()),
			}
			if !p.blocked(none, pkt) {
				t.Errorf("protocol %d: the kernel sees another", f.Proto)
			}
			if whole := (netlinkx.PortMatch{Port: 0x1234, Mask: 0xffff}); name == "PPTP" {
				sel := none
				if sel.SrcPort = whole; p.blocked(sel, pkt) {
					t.Skip("needs a kernel that masks the keys of PPTP (Linux 6.7); its ports were not compared")
				}
			}
			for _, sport := range []uint16{f.SrcPort, 0x1234, 0x9abc, 8, 128} {
				check(t, p, none, pkt, &f, func(s *netlinkx.Selector) { s.SrcPort = netlinkx.PortMatch{Port: sport, Mask: 0xffff} })
			}
			for _, dport := range []uint16{f.DstPort, 0x5678, 0xdef0, 3, 5} {
				check(t, p, none, pkt, &f, func(s *netlinkx.Selector) { s.DstPort = netlinkx.PortMatch{Port: dport, Mask: 0xffff} })
			}
		})
	}
}

func check(t *testing.T, p *place, sel netlinkx.Selector, pkt []byte, f *flow.Flow, set func(*netlinkx.Selector)) {
	t.Helper()
	set(&sel)
	want := (f.SrcPort^sel.SrcPort.Port)&sel.SrcPort.Mask == 0 && (f.DstPort^sel.DstPort.Port)&sel.DstPort.Mask == 0
	if got := p.blocked(sel, pkt); got != want {
		t.Errorf("%s: blocked %v; Flow has ports %#x and %#x", fmt.Sprintf("sport %#x/%#x dport %#x/%#x", sel.SrcPort.Port, sel.SrcPort.Mask, sel.DstPort.Port, sel.DstPort.Mask), got, f.SrcPort, f.DstPort)
	}
}
