package demo

import (
	"net/netip"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// The two sides, as indices. Pings go from left to right.
const (
	left  = 0
	right = 1
)

var sideNames = [2]string{"left", "right"}

// veth is the name of the wire's end on either side.
const veth = "veth0"

// tunnel is a protected link between the two sides. Arrays are by side.
type tunnel struct {
	name  string // of the XFRM interface on both sides, "" none
	ifID  uint32 // 0 without an interface
	reqID uint32
	mode  netlinkx.Mode
	outer [2]netip.Addr
	pairs []*pair
	flows []*flow
}

// pair is two SAs, one for each direction. Arrays are by sending side.
type pair struct {
	spi [2]netlinkx.SPI
	key [2]netlinkx.Key
	// host has the only addresses that the SAs are for; without them the SAs
	// take any traffic, of either family, that a policy sends to them.
	host [2]netip.Addr
}

// flow is the traffic of one family through a tunnel.
type flow struct {
	pair *pair
	addr [2]netip.Addr   // that ping each other
	net  [2]netip.Prefix // that policies protect, and that are routed to
	bits int             // prefix length of addr on the interface
}

// wireAddresses are those of the veth pair: the outer ones of the tunnels, and
// a second set, with which the transport mode works, lest its policies catch
// anything of the others.
var wireAddresses = [2][]netip.Prefix{
	{pfx("192.0.2.1/24"), pfx("2001:db8::1/64"), pfx("198.51.100.1/24"), pfx("2001:db8:1::1/64")},
	{pfx("192.0.2.2/24"), pfx("2001:db8::2/64"), pfx("198.51.100.2/24"), pfx("2001:db8:1::2/64")},
}

func pfx(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// wirePair returns the two addresses at position i of wireAddresses.
func wirePair(i int) [2]netip.Addr {
	return [2]netip.Addr{wireAddresses[left][i].Addr(), wireAddresses[right][i].Addr()}
}

// plan returns what the demo sets up. newKey is called once for each SA.
//
// Transport mode goes without an XFRM interface: packets that are routed to
// one keep that route in transport mode, which leads to the interface again,
// and the kernel drops them ("Local routing loop detected!", xfrmi_xmit2 of
// net/xfrm/xfrm_interface_core.c). So there it protects the hosts' own
// addresses. Tunnel and BEET mode carry either family over either.
func plan(newKey func() netlinkx.Key) []*tunnel {
	b := &builder{newKey: newKey}
	v4, v6 := wirePair(0), wirePair(1)
	b.subnets("ipsec4", 4, v4)
	b.subnets("ipsec6", 6, v6)
	b.transport(wirePair(2))
	b.transport(wirePair(3))
	b.hosts("beet4", 0x40, v4)
	b.hosts("beet6", 0x60, v6)
	return b.tunnels
}

// throughInterfaces gives transport mode interfaces, for an engine that sees no
// packets but those that are routed to its interfaces. What leaves such an
// interface as ESP goes by the wire whatever the route to the peer says.
func throughInterfaces(tunnels []*tunnel) {
	for _, t := range tunnels {
		if t.mode == netlinkx.ModeTransport && t.outer[left].Is4() {
			t.name, t.ifID = "transport4", 0x14
		} else if t.mode == netlinkx.ModeTransport {
			t.name, t.ifID = "transport6", 0x16
		}
	}
}

type builder struct {
	newKey  func() netlinkx.Key
	tunnels []*tunnel
	pairs   uint32
}

func (b *builder) add(name string, ifID uint32, mode netlinkx.Mode, outer [2]netip.Addr) *tunnel {
	t := &tunnel{name: name, ifID: ifID, reqID: uint32(len(b.tunnels)) + 1, mode: mode, outer: outer}
	b.tunnels = append(b.tunnels, t)
	return t
}

func (b *builder) pair(t *tunnel, host [2]netip.Addr) *pair {
	b.pairs++
	spi := netlinkx.SPI(0x1000 * b.pairs)
	p := &pair{spi: [2]netlinkx.SPI{spi + 1, spi + 2}, key: [2]netlinkx.Key{b.newKey(), b.newKey()}, host: host}
	t.pairs = append(t.pairs, p)
	return p
}

// subnets adds a tunnel between a subnet of either family on each side. One
// pair of SAs carries both families.
func (b *builder) subnets(name string, id uint8, outer [2]netip.Addr) {
	t := b.add(name, uint32(id), netlinkx.ModeTunnel, outer)
	p := b.pair(t, [2]netip.Addr{})
	for _, v4 := range []bool{true, false} {
		f := &flow{pair: p, bits: 64}
		if v4 {
			f.bits = 24
		}
		for side := range f.addr {
			f.addr[side] = inner(v4, id, uint8(side+1), 1)
			f.net[side] = netip.PrefixFrom(f.addr[side], f.bits).Masked()
		}
		t.flows = append(t.flows, f)
	}
}

// hosts adds a BEET tunnel between an address of either family on each side.
// BEET puts the inner addresses into the SAs, so each family has its own.
func (b *builder) hosts(name string, id uint8, outer [2]netip.Addr) {
	t := b.add(name, uint32(id), netlinkx.ModeBEET, outer)
	for _, v4 := range []bool{true, false} {
		b.hostFlow(t, [2]netip.Addr{inner(v4, id, 0, 1), inner(v4, id, 0, 2)})
	}
}

// transport adds transport mode between two addresses of the wire.
func (b *builder) transport(addr [2]netip.Addr) {
	b.hostFlow(b.add("", 0, netlinkx.ModeTransport, addr), addr)
}

func (b *builder) hostFlow(t *tunnel, addr [2]netip.Addr) {
	f := &flow{pair: b.pair(t, addr), addr: addr, bits: addr[left].BitLen()}
	for side := range addr {
		f.net[side] = host(addr[side])
	}
	t.flows = append(t.flows, f)
}

func host(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

// inner returns 10.ID.SUBNET.HOST or fd00:ID:SUBNET::HOST.
func inner(v4 bool, id, subnet, host uint8) netip.Addr {
	if v4 {
		return netip.AddrFrom4([4]byte{10, id, subnet, host})
	}
	return netip.AddrFrom16([16]byte{0: 0xfd, 3: id, 5: subnet, 15: host})
}

func familyName(a netip.Addr) string {
	if a.Is4() {
		return "ipv4"
	}
	return "ipv6"
}
