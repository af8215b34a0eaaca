package datapath

import (
	"net/netip"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb"
)

// setup is how two ends talk.
type setup struct {
	mode     netlinkx.Mode
	inner6   bool
	outer6   bool
	udp      bool
	esn      bool
	window   uint32
	suite    string
	external bool
	off      Off
}

const testIfID = 7

func (s setup) addresses() (a, b netip.Addr) {
	if s.outer6 {
		return netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
	}
	return netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
}

// inner returns the addresses that talk through the tunnel.
func (s setup) inner() (a, b netip.Addr) {
	if s.mode == netlinkx.ModeTransport {
		return s.addresses()
	}
	if s.inner6 {
		return netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd00::2")
	}
	return netip.MustParseAddr("10.9.0.1"), netip.MustParseAddr("10.9.0.2")
}

// newPair connects two ends with SAs and policies both ways.
func newPair(t *testing.T, s setup) (a, b *end) {
	t.Helper()
	a, b = newEnd(t, s.off), newEnd(t, s.off)
	a.peer, b.peer = b, a
	for _, e := range []*end{a, b} {
		c := DeviceConfig{Name: "test0", IfID: testIfID}
		if s.external {
			c = DeviceConfig{Name: "test0", External: true}
		}
		e.device, e.queue = e.addDevice(t, c)
	}
	oa, ob := s.addresses()
	ia, ib := s.inner()
	for _, e := range []*end{a, b} {
		addSA(t, e, s.sa(oa, ob, ia, ib, 0x1000))
		addSA(t, e, s.sa(ob, oa, ib, ia, 0x2000))
	}
	addPolicies(t, a, s, ia, ib, oa, ob)
	addPolicies(t, b, s, ib, ia, ob, oa)
	return a, b
}

func (s setup) ifID() uint32 {
	if s.external {
		return 0
	}
	return testIfID
}

func familyOf(a netip.Addr) netlinkx.Family {
	if a.Is4() {
		return netlinkx.FamilyIPv4
	}
	return netlinkx.FamilyIPv6
}

func host(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

// sa makes the SA of one direction.
func (s setup) sa(src, dst, innerSrc, innerDst netip.Addr, spi netlinkx.SPI) *netlinkx.SA {
	sa := netlinkx.NewSA()
	sa.Src, sa.Dst, sa.SPI, sa.Proto, sa.Mode, sa.ReqID, sa.IfID = src, dst, spi, netlinkx.ProtoESP, s.mode, 1, s.ifID()
	sa.Family = familyOf(src)
	sa.Selector = netlinkx.Selector{Family: familyOf(innerSrc), Src: host(innerSrc), Dst: host(innerDst)}
	if s.mode == netlinkx.ModeTunnel {
		all := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		if innerSrc.Is6() {
			all = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
		sa.Selector.Src, sa.Selector.Dst = all, all
	}
	sa.ReplayWindow = s.window
	if s.esn {
		sa.Flags |= netlinkx.FlagESN
	}
	suite := s.suite
	if suite == "" {
		suite = "rfc4106(gcm(aes))"
	}
	key := make([]byte, 20)
	key[0] = byte(spi >> 8)
	sa.AEAD = &netlinkx.AEAD{Name: suite, Key: netlinkx.NewKey(key), ICVBits: 128}
	if s.udp {
		sa.Encap = &netlinkx.Encap{Type: netlinkx.EncapESPinUDP, SrcPort: 4500, DstPort: 4500}
	}
	return sa
}

func addSA(t *testing.T, e *end, sa *netlinkx.SA) {
	t.Helper()
	if err := e.db.AddSA(sadb.Cause{}, &sadb.SARequest{SA: sa}); err != nil {
		t.Fatal(err)
	}
}

// addPolicies adds those of out, and of in for the answers.
func addPolicies(t *testing.T, e *end, s setup, innerSrc, innerDst, src, dst netip.Addr) {
	t.Helper()
	for _, dir := range []netlinkx.PolicyDir{netlinkx.PolicyOut, netlinkx.PolicyIn} {
		if dir == netlinkx.PolicyIn {
			innerSrc, innerDst, src, dst = innerDst, innerSrc, dst, src
		}
		p := netlinkx.NewPolicy()
		p.Dir, p.IfID = dir, s.ifID()
		p.Selector = netlinkx.Selector{Family: familyOf(innerSrc), Src: host(innerSrc), Dst: host(innerDst)}
		tm := netlinkx.NewTemplate()
		tm.Src, tm.Dst, tm.Proto, tm.Mode, tm.ReqID, tm.Family = src, dst, netlinkx.ProtoESP, s.mode, 1, familyOf(src)
		p.Templates = []netlinkx.Template{tm}
		if err := e.db.AddPolicy(sadb.Cause{}, p); err != nil {
			t.Fatal(err)
		}
	}
}
