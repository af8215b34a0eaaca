package outer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// rtmFibMatch is RTM_F_FIB_MATCH: the route itself, not what it was resolved
// to, which could have an MTU that an ICMP message brought.
const rtmFibMatch = 0x2000

// errShort is an answer of rtnetlink that is cut off.
var errShort = errors.New("rtnetlink: short answer")

// Routes answers what routing says about peers, in the network namespace in
// which it was opened. Safe for concurrent use.
type Routes struct{ conn *netlink.Conn }

// OpenRoutes opens the socket to ask with.
func OpenRoutes() (*Routes, error) {
	c, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		return nil, fmt.Errorf("open route socket: %w", err)
	}
	return &Routes{conn: c}, nil
}

// Close closes the socket.
func (r *Routes) Close() error { return r.conn.Close() }

// MTU returns the MTU of the route to a peer: its own if it has one, else that
// of its interface. An MTU that the kernel learned from ICMP does not count.
// device is the index of the interface that packets are bound to, or 0: the way
// that they take is not that of others when the peer itself is routed into a
// tunnel.
func (r *Routes) MTU(dst netip.Addr, mark, device uint32) (int, error) {
	route, err := r.get(dst, mark, device)
	if err != nil {
		return 0, fmt.Errorf("route to %s: %w", dst, err)
	}
	if route.mtu != 0 {
		return route.mtu, nil
	}
	return r.linkMTU(route.device)
}

// Source returns the local address that routing chooses for a peer.
func Source(dst netip.Addr, mark uint32) (netip.Addr, error) {
	s, err := unix.Socket(family(dst), unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return netip.Addr{}, os.NewSyscallError("socket", err)
	}
	defer unix.Close(s)
	if mark != 0 {
		if err := unix.SetsockoptInt(s, unix.SOL_SOCKET, unix.SO_MARK, int(mark)); err != nil {
			return netip.Addr{}, os.NewSyscallError("setsockopt SO_MARK", err)
		}
	}
	if err := unix.Connect(s, sockaddr(dst, 4500)); err != nil {
		return netip.Addr{}, os.NewSyscallError("connect", err)
	}
	name, err := unix.Getsockname(s)
	if err != nil {
		return netip.Addr{}, os.NewSyscallError("getsockname", err)
	}
	if a, ok := name.(*unix.SockaddrInet4); ok {
		return netip.AddrFrom4(a.Addr), nil
	}
	if a, ok := name.(*unix.SockaddrInet6); ok {
		return netip.AddrFrom16(a.Addr), nil
	}
	return netip.Addr{}, fmt.Errorf("source address for %s: of no known family", dst)
}

// IsLocal reports whether an address is one of this host's.
func IsLocal(a netip.Addr) bool {
	s, err := unix.Socket(family(a), unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(s)
	return unix.Bind(s, sockaddr(a, 0)) == nil
}

func family(a netip.Addr) int {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

func sockaddr(a netip.Addr, port int) unix.Sockaddr {
	if a.Is4() {
		return &unix.SockaddrInet4{Port: port, Addr: a.As4()}
	}
	return &unix.SockaddrInet6{Port: port, Addr: a.As16()}
}

type route struct {
	device uint32
	mtu    int
}

// get asks for the route to dst (RTM_GETROUTE).
func (r *Routes) get(dst netip.Addr, mark, device uint32) (found route, err error) {
	ae := netlink.NewAttributeEncoder()
	ae.Bytes(unix.RTA_DST, dst.AsSlice())
	if mark != 0 {
		ae.Uint32(unix.RTA_MARK, mark)
	}
	if device != 0 {
		ae.Uint32(unix.RTA_OIF, device)
	}
	attrs, err := ae.Encode()
	if err != nil {
		return route{}, err
	}
	head := make([]byte, unix.SizeofRtMsg)
	head[0], head[1] = byte(family(dst)), byte(dst.BitLen())
	binary.NativeEndian.PutUint32(head[8:], rtmFibMatch)
	ad, err := r.ask(unix.RTM_GETROUTE, append(head, attrs...), unix.SizeofRtMsg)
	if err != nil {
		return route{}, err
	}
	for ad.Next() {
		switch ad.Type() {
		case unix.RTA_OIF:
			found.device = ad.Uint32()
		case unix.RTA_METRICS:
			ad.Nested(found.metrics)
		}
	}
	return found, ad.Err()
}

func (r *route) metrics(m *netlink.AttributeDecoder) error {
	for m.Next() {
		if m.Type() == unix.RTAX_MTU {
			r.mtu = int(m.Uint32())
		}
	}
	return nil
}

// linkMTU asks for the MTU of an interface.
func (r *Routes) linkMTU(index uint32) (int, error) {
	head := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(head[4:], index)
	ad, err := r.ask(unix.RTM_GETLINK, head, unix.SizeofIfInfomsg)
	if err != nil {
		return 0, fmt.Errorf("link %d: %w", index, err)
	}
	for ad.Next() {
		if ad.Type() == unix.IFLA_MTU {
			return int(ad.Uint32()), ad.Err()
		}
	}
	return 0, fmt.Errorf("link %d: the kernel tells no mtu", index)
}

// ask sends one request and decodes the attributes of the first answer.
func (r *Routes) ask(kind netlink.HeaderType, body []byte, header int) (*netlink.AttributeDecoder, error) {
	replies, err := r.conn.Execute(netlink.Message{Header: netlink.Header{Type: kind, Flags: netlink.Request}, Data: body})
	if err != nil {
		return nil, err
	}
	if len(replies) == 0 || len(replies[0].Data) < header {
		return nil, errShort
	}
	return netlink.NewAttributeDecoder(replies[0].Data[header:])
}
