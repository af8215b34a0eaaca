package outer

import (
	"encoding/binary"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Direct is a packet socket: by it plain ESP goes to a neighbour without the
// lookup of a route for each packet. It only sends. One thread's raw sockets
// share one.
type Direct struct{ fd int }

// OpenDirect opens one, in the network namespace of the calling thread.
func OpenDirect() (*Direct, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open packet socket: %w", os.NewSyscallError("socket", err))
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, defaultBuffer) != nil { // without CAP_NET_ADMIN: up to net.core.wmem_max
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, defaultBuffer)
	}
	return &Direct{fd}, nil
}

// Close closes the socket; the raw sockets that share it must be closed before.
func (d *Direct) Close() error { return os.NewSyscallError("close", unix.Close(d.fd)) }

// choose makes the queue one of the raw or of the packet socket. Packets that
// may be fragmented, or need an identification, are the raw socket's.
func (s *Socket) choose(r *Run, res *Sent) {
	direct := r.Hop != nil && s.direct != nil && r.DF
	if direct == s.sender.direct {
		return
	}
	s.Flush(res)
	s.sender.direct = direct
	for i := range s.sender.msgs {
		h := &s.sender.msgs[i].hdr
		switch {
		case direct:
			h.Namelen = unix.SizeofSockaddrLinklayer
		case s.key.V6:
			h.Namelen = unix.SizeofSockaddrInet6
			s.sender.names[i] = unix.RawSockaddrInet6{Family: unix.AF_INET6}
		default:
			h.Namelen = unix.SizeofSockaddrInet4
			s.sender.names[i] = unix.RawSockaddrInet6{Family: unix.AF_INET}
		}
	}
}

// hop addresses slot i to the neighbour, and completes the IPv4 header, which
// raw sockets do by themselves.
func (q *sender) hop(i int, v6 bool, r *Run, pkt []byte) {
	n := (*unix.RawSockaddrLinklayer)(unsafe.Pointer(&q.names[i]))
	*n = unix.RawSockaddrLinklayer{Family: unix.AF_PACKET, Ifindex: int32(r.Hop.Index), Halen: uint8(len(r.Hop.MAC))}
	copy(n.Addr[:], r.Hop.MAC[:])
	if v6 {
		putPort(&n.Protocol, unix.ETH_P_IPV6)
		return
	}
	putPort(&n.Protocol, unix.ETH_P_IP)
	completeHeader(pkt)
}

// completeHeader fills in the checksum of an IPv4 header (RFC 1071).
func completeHeader(pkt []byte) {
	if len(pkt) < 20 {
		return
	}
	n := min(int(pkt[0]&15)*4, len(pkt)&^1)
	pkt[10], pkt[11] = 0, 0
	sum := uint32(0)
	for i := 0; i < n; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(pkt[i:]))
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	binary.BigEndian.PutUint16(pkt[10:], ^uint16(sum))
}
