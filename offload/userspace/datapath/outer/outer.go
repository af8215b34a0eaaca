// Package outer is the outer side of the userspace ESP engine: UDP sockets for
// ESP in UDP (RFC 3948), raw sockets for plain ESP, and what the kernel offers
// to move many packets with one call: UDP_SEGMENT, UDP_GRO, sendmmsg, recvmmsg.
//
// It knows datagrams and their outer headers, not SAs. Start with Open.
package outer

import (
	"errors"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xaddr"
)

// Key says which socket a packet needs. It is comparable.
type Key struct {
	V6 bool
	// Port is the local UDP port, 0 for plain ESP.
	Port uint16
	// Mark is SO_MARK, which routing of outer packets sees (output mark).
	Mark uint32
	// Device is the interface to send by, "" for what routing says.
	Device string
}

// family is that of the packets which need the socket.
func (k *Key) family() netlinkx.Family {
	if k.V6 {
		return netlinkx.FamilyIPv6
	}
	return netlinkx.FamilyIPv4
}

// Hop is where packets of a path go on an Ethernet device: enough to send by a
// packet socket, without the lookup of a route for each packet.
type Hop struct {
	Index int
	MAC   [6]byte
}

// ErrNoHop is a path that packet sockets are not for: not Ethernet, a
// neighbour that is not known yet, a route that is not plain.
var ErrNoHop = errors.New("no ethernet neighbour to send to")

// Limits of a run that goes out with one UDP_SEGMENT call.
const (
	// MaxSegments is UDP_MAX_SEGMENTS of Linux before 6.9.
	MaxSegments = 64
	// MaxRun is the most bytes of a run: one IP packet, its headers apart.
	MaxRun = 65000
)

// Run is one or more packets for the same peer, back to back in memory, all
// Segment bytes long except perhaps the last, which may be shorter.
//
// For UDP a packet is the UDP payload, for plain ESP the IP packet with its
// header.
type Run struct {
	Buf     []byte
	Segment int
	// Packets is how many there are.
	Packets  int
	Src, Dst xaddr.Addr
	// Hop, with plain ESP, is the neighbour to send to; nil: routing finds it
	// for each packet. Only packets with DF go there.
	Hop *Hop
	// Port is the peer's UDP port.
	Port uint16
	// Of the outer header, where the kernel builds it: with UDP.
	TOS       uint8
	TTL       uint8  // 0: the system's default
	FlowLabel uint32 // IPv6
	// DF forbids fragments. Without it a packet longer than the path's MTU
	// goes out in fragments.
	DF bool
	// MTU is the path's, in bytes. It is needed for plain ESP without DF: the
	// kernel makes no fragments of what comes with its header.
	MTU int
}

// Sent is what became of packets handed to a socket.
type Sent struct {
	Packets, Calls int
	// Dropped were refused: by a full queue, by the path (no route, firewall)
	// or because they are longer than the MTU and may not be fragmented.
	Dropped int
	// TooLong are those of Dropped that met EMSGSIZE.
	TooLong int
}

// Message is a received datagram, or several of one flow that the kernel merged.
type Message struct {
	// Data is borrowed until the next Recv. Of plain ESP over IPv4 it begins
	// with the IP header, else with ESP (or with what the UDP datagram holds).
	Data []byte
	// Segment is the length of each merged datagram; the last may be shorter.
	Segment  int
	Src, Dst xaddr.Addr
	Port     uint16 // the peer's, UDP only
	TOS, TTL uint8  // traffic class, hop limit
	// Truncated: the datagram was longer than the buffer; the rest is lost.
	Truncated bool
}

// Features are what the kernel can do for UDP; switches off when clear.
type Features struct{ Segment, GRO bool }
