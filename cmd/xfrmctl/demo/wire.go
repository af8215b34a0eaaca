package demo

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/jsimonetti/rtnetlink/v2"
	"github.com/jsimonetti/rtnetlink/v2/driver"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// network is the plain networking of one namespace: wires, addresses, routes.
type network struct {
	ns   *Namespace
	conn *rtnetlink.Conn
}

func dialNetwork(ns *Namespace) (*network, error) {
	conn, err := rtnetlink.Dial(&netlink.Config{NetNS: ns.fd(), Strict: true})
	if err != nil {
		return nil, fmt.Errorf("open routing socket: %w", err)
	}
	return &network{ns, conn}, nil
}

func (n *network) close() error { return n.conn.Close() }

// addWire makes a veth pair of one end here, named veth, and one in peer.
func (n *network) addWire(peer *Namespace, peerName string) error {
	end := &rtnetlink.LinkMessage{Attributes: &rtnetlink.LinkAttributes{
		Name: peerName, NetNS: rtnetlink.NetNSForFD(uint32(peer.fd())),
	}}
	err := n.conn.Link.New(&rtnetlink.LinkMessage{Attributes: &rtnetlink.LinkAttributes{
		Name: veth,
		Info: &rtnetlink.LinkInfo{Kind: "veth", Data: &driver.Veth{PeerInfo: end}},
	}})
	return step("make a veth pair", err)
}

// index returns the ifindex of a device.
func (n *network) index(name string) (index uint32, err error) {
	err = n.ns.Do(func() error {
		i, err := net.InterfaceByName(name)
		if err != nil {
			return fmt.Errorf("find %s: %w", name, err)
		}
		index = uint32(i.Index)
		return nil
	})
	return index, err
}

// setUp sets a device up.
func (n *network) setUp(name string) error {
	index, err := n.index(name)
	if err != nil {
		return err
	}
	err = n.conn.Link.Set(&rtnetlink.LinkMessage{Index: index, Flags: unix.IFF_UP, Change: unix.IFF_UP})
	return step("set "+name+" up", err)
}

// addAddresses gives a device addresses. It should be up: IPv6 addresses that
// wait for that become usable up to a second later.
func (n *network) addAddresses(name string, addrs []netip.Prefix) error {
	index, err := n.index(name)
	if err != nil {
		return err
	}
	for _, a := range addrs {
		if err := n.addAddress(index, a); err != nil {
			return err
		}
	}
	return nil
}

// addAddress adds an address. Duplicate address detection is left out: it
// takes a second, and the wire has no third party.
func (n *network) addAddress(index uint32, p netip.Prefix) error {
	m := &rtnetlink.AddressMessage{
		Family: family(p.Addr()), PrefixLength: uint8(p.Bits()), Index: index,
		Attributes: &rtnetlink.AddressAttributes{Address: p.Addr().AsSlice(), Local: p.Addr().AsSlice()},
	}
	if p.Addr().Is6() {
		m.Attributes.Flags = unix.IFA_F_NODAD
	}
	return step(fmt.Sprintf("add address %s", p), n.conn.Address.New(m))
}

func (n *network) addRoute(dst netip.Prefix, name string) error {
	index, err := n.index(name)
	if err != nil {
		return err
	}
	err = n.conn.Route.Add(&rtnetlink.RouteMessage{
		Family: family(dst.Addr()), DstLength: uint8(dst.Bits()),
		Table: unix.RT_TABLE_MAIN, Protocol: unix.RTPROT_STATIC, Scope: unix.RT_SCOPE_LINK, Type: unix.RTN_UNICAST,
		Attributes: rtnetlink.RouteAttributes{Dst: dst.Masked().Addr().AsSlice(), OutIface: index},
	})
	return step(fmt.Sprintf("add route to %s through %s", dst, name), err)
}

// linkStats are a device's MTU and counters in packets.
type linkStats struct {
	mtu                            uint32
	rx, tx                         uint64
	rxErrors, txErrors, collisions uint64
}

func (n *network) stats(name string) (s linkStats, err error) {
	index, err := n.index(name)
	if err != nil {
		return s, err
	}
	m, err := n.conn.Link.Get(index)
	if err != nil {
		return s, step("read counters of "+name, err)
	}
	s.mtu = m.Attributes.MTU
	if c := m.Attributes.Stats64; c != nil {
		s.rx, s.tx, s.rxErrors, s.txErrors, s.collisions = c.RXPackets, c.TXPackets, c.RXErrors, c.TXErrors, c.Collisions
	}
	return s, nil
}

func family(a netip.Addr) uint8 {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// quiet keeps a device that is not up yet from announcing itself by IPv6, which
// no policy covers and which would show as errors among its counters. Without
// the right to write there, they show.
func quiet(ns *Namespace, name string) {
	_ = ns.Do(func() error {
		// /proc/sys/net shows the namespace of the thread that looks
		path := filepath.Join("/proc/sys/net/ipv6/conf", name, "addr_gen_mode")
		return os.WriteFile(path, []byte("1\n"), 0)
	})
}

// step says what was tried when it failed.
func step(what string, err error) error {
	if err == nil {
		return nil
	}
	var op *netlink.OpError
	if errors.As(err, &op) {
		err = op.Err
		if op.Message != "" {
			err = fmt.Errorf("%w: %s", op.Err, op.Message)
		}
	}
	return fmt.Errorf("%s: %w", what, err)
}
