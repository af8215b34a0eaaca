package ifaces_test

import (
	"errors"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// TestMTUOfKernel sends a packet that is too large through real SAs and
// compares the path MTU that the kernel then names with MTU.
func TestMTUOfKernel(t *testing.T) {
	gcm := func(sa *netlinkx.SA) {
		sa.AEAD = &netlinkx.AEAD{Name: "rfc4106(gcm(aes))", ICVBits: 128, Key: netlinkx.NewKey(make([]byte, 20))}
	}
	cbc := func(sa *netlinkx.SA) {
		sa.Crypt = &netlinkx.Algo{Name: "cbc(aes)", Key: netlinkx.NewKey(make([]byte, 16))}
		sa.AuthTrunc = &netlinkx.AuthTrunc{Name: "hmac(sha256)", ICVBits: 128, Key: netlinkx.NewKey(make([]byte, 32))}
	}
	null := func(sa *netlinkx.SA) {
		sa.Crypt = &netlinkx.Algo{Name: "ecb(cipher_null)"}
		sa.AuthTrunc = &netlinkx.AuthTrunc{Name: "hmac(sha1)", ICVBits: 96, Key: netlinkx.NewKey(make([]byte, 20))}
	}
	udp := func(sa *netlinkx.SA) {
		sa.Encap = &netlinkx.Encap{Type: netlinkx.EncapESPinUDP, SrcPort: 4500, DstPort: 4500}
	}
	over6 := func(sa *netlinkx.SA) {
		sa.Src, sa.Dst = netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd00::2")
		sa.Selector.Family = netlinkx.FamilyIPv4 // the kernel would take the outer one
	}
	beet := func(sa *netlinkx.SA) {
		sa.Mode = netlinkx.ModeBEET
		sa.Selector = netlinkx.Selector{Family: netlinkx.FamilyIPv4, Src: netip.MustParsePrefix("10.9.0.1/32"), Dst: netip.MustParsePrefix("10.9.0.2/32")}
	}
	tests := []struct {
		name string
		with []func(*netlinkx.SA)
	}{
		{"gcm", []func(*netlinkx.SA){gcm}},
		{"gcm in udp", []func(*netlinkx.SA){gcm, udp}},
		{"gcm over ipv6", []func(*netlinkx.SA){gcm, over6}},
		{"gcm in udp over ipv6", []func(*netlinkx.SA){gcm, udp, over6}},
		{"cbc", []func(*netlinkx.SA){cbc}},
		{"cbc in udp over ipv6", []func(*netlinkx.SA){cbc, udp, over6}},
		{"null cipher", []func(*netlinkx.SA){null}},
		{"gcm beet", []func(*netlinkx.SA){gcm, beet}},
		{"cbc beet over ipv6", []func(*netlinkx.SA){cbc, beet, over6}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sa := netlinkx.NewSA()
			sa.Src, sa.Dst = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
			sa.SPI, sa.Proto, sa.Mode, sa.IfID, sa.ReqID = 0x1000, netlinkx.ProtoESP, netlinkx.ModeTunnel, 5, 1
			for _, f := range tt.with {
				f(sa)
			}
			want, err := ifaces.MTU(1500, sa)
			if err != nil {
				t.Fatal(err)
			}
			if got := pathMTU(t, sa); got != want {
				t.Errorf("the kernel says %d, MTU %d", got, want)
			}
		})
	}
}

// pathMTU installs sa behind an interface and returns the path MTU of
// 10.9.0.2 after a packet of 1500 bytes was refused.
func pathMTU(t *testing.T, sa *netlinkx.SA) int {
	p := newPlace(t)
	for _, args := range [][]string{
		{"address", "add", "192.0.2.1/24", "dev", "u0"},
		{"address", "add", "fd00::1/64", "dev", "u0", "nodad"},
		{"link", "set", "u0", "up"},
		{"link", "set", "u1", "up"},
		{"neigh", "add", "192.0.2.2", "lladdr", "02:00:00:00:00:02", "dev", "u0"},
		{"neigh", "add", "fd00::2", "lladdr", "02:00:00:00:00:02", "dev", "u0"},
	} {
		p.ns.MustRun(t, sandbox.IP(), args...)
	}
	p.must(t, ifaces.Spec{Name: "x0", IfID: 5, Underlay: "u0", MTU: 1500, Addresses: prefixes("10.9.0.1/24"), Up: true})
	c, err := netlinkx.Dial(&netlinkx.Config{NetNS: netlinkx.NetNSFD(p.ns.FD())})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.AddSA(background(t), sa); err != nil {
		t.Fatalf("%+v", err)
	}
	pol := netlinkx.NewPolicy()
	pol.Dir, pol.IfID = netlinkx.PolicyOut, 5
	pol.Selector = netlinkx.Selector{Family: netlinkx.FamilyIPv4, Src: netip.MustParsePrefix("10.9.0.0/24"), Dst: netip.MustParsePrefix("10.9.0.0/24")}
	tmpl := netlinkx.NewTemplate()
	tmpl.Src, tmpl.Dst, tmpl.Proto, tmpl.Mode, tmpl.ReqID = sa.Src, sa.Dst, sa.Proto, sa.Mode, sa.ReqID
	pol.Templates = []netlinkx.Template{tmpl}
	if err := c.AddPolicy(background(t), pol); err != nil {
		t.Fatalf("%+v", err)
	}
	mtu := 0
	if err := p.ns.Do(func() (err error) { mtu, err = probe(); return err }); err != nil {
		t.Fatal(err)
	}
	return mtu
}

// probe sends 1500 bytes that may not be fragmented and reads the path MTU.
func probe() (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DO); err != nil {
		return 0, err
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: 9, Addr: [4]byte{10, 9, 0, 2}}); err != nil {
		return 0, err
	}
	// The first one finds the limit, the next are refused with it.
	for range 3 {
		if _, err := unix.Write(fd, make([]byte, 1500-28)); err != nil && !errors.Is(err, unix.EMSGSIZE) {
			return 0, err
		}
	}
	return unix.GetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU)
}
