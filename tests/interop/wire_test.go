package interop_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// An outer is the IP header of a packet on the wire.
type outer struct {
	from     int // 0: sent by side A, 1: by B
	family   byte
	tos, ttl byte
	df       bool // don't fragment
	label    bool // IPv6: whether the flow label is not 0
	fragment bool
	next     byte // protocol, behind the headers of fragments
	length   int  // of the whole packet
	ports    bool // UDP from and to the port of encapsulated ESP
	checksum bool // UDP: whether there is one
	idZero   bool // IPv4: whether the identification is 0
}

func (o outer) String() string {
	return fmt.Sprintf("IPv%d tos %#02x ttl %d df %v label %v fragment %v next %d length %d checksum %v id 0 %v",
		o.family, o.tos, o.ttl, o.df, o.label, o.fragment, o.next, o.length, o.checksum, o.idZero)
}

// esp tells whether the packet is ESP, plain or in UDP.
func (o outer) esp() bool { return o.next == unix.IPPROTO_ESP || o.next == unix.IPPROTO_UDP && o.ports }

// parse reads a packet from its IP header on. It returns false for what is no
// IP packet or belongs to the neighbour protocols.
func parse(b []byte) (o outer, ok bool) {
	if len(b) < 20 {
		return o, false
	}
	var payload []byte
	switch b[0] >> 4 {
	case 4:
		flags := binary.BigEndian.Uint16(b[6:])
		o = outer{family: 4, tos: b[1], ttl: b[8], df: flags&0x4000 != 0, fragment: flags&0x3fff != 0, next: b[9], length: len(b), idZero: b[4] == 0 && b[5] == 0}
		payload = b[int(b[0]&15)*4:]
		if flags&0x1fff != 0 {
			o.ports = true // of the first fragment
		}
	case 6:
		if len(b) < 48 {
			return o, false
		}
		word := binary.BigEndian.Uint32(b)
		o = outer{family: 6, tos: byte(word >> 20), ttl: b[7], label: word&0xfffff != 0, next: b[6], length: len(b)}
		payload = b[40:]
		if o.next == unix.IPPROTO_FRAGMENT {
			o.next, o.fragment = payload[0], true
			o.ports = binary.BigEndian.Uint16(payload[2:])&0xfff8 != 0
			payload = payload[8:]
		}
	default:
		return o, false
	}
	if o.next == unix.IPPROTO_UDP && len(payload) >= 8 && !o.ports {
		o.ports = binary.BigEndian.Uint16(payload) == encapPort && binary.BigEndian.Uint16(payload[2:]) == encapPort
		o.checksum = payload[6] != 0 || payload[7] != 0
	}
	return o, o.next != unix.IPPROTO_ICMPV6 && o.next != unix.IPPROTO_HOPOPTS // neighbours, multicast listeners
}

// A tap sees every packet that either side puts on the wire. (What a side
// receives is of no use: a kernel shows packets once more when they have come
// out of ESP.)
type tap struct {
	fds [2]int
	raw func([]byte) // called for each packet, if not nil
}

// listen opens a tap.
func listen(t *testing.T, p *sandbox.Pair) *tap {
	t.Helper()
	w := &tap{}
	for i, ns := range []*sandbox.NS{p.A, p.B} {
		err := ns.Do(func() (err error) {
			const all = (unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8) & 0xffff // in network order
			if w.fds[i], err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, all); err != nil {
				return err
			}
			link, err := index(sandbox.Wire)
			if err != nil {
				return err
			}
			return errors.Join(
				unix.SetsockoptInt(w.fds[i], unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 256<<20),
				unix.Bind(w.fds[i], &unix.SockaddrLinklayer{Protocol: all, Ifindex: link}))
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(w.fds[i]) })
	}
	return w
}

// index returns a device's number in the namespace of this thread.
func index(name string) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, ifr); err != nil {
		return 0, err
	}
	return int(ifr.Uint32()), nil
}

// take returns what was sent since the last call.
func (w *tap) take() (seen []outer) {
	buf := make([]byte, 1<<16)
	for side, fd := range w.fds {
		for {
			n, from, err := unix.Recvfrom(fd, buf, unix.MSG_DONTWAIT)
			if err != nil {
				break
			}
			if ll, ok := from.(*unix.SockaddrLinklayer); !ok || ll.Pkttype != unix.PACKET_OUTGOING {
				continue
			}
			if o, ok := parse(buf[:n]); ok {
				o.from = side
				seen = append(seen, o)
				if w.raw != nil {
					w.raw(buf[:n])
				}
			}
		}
	}
	return seen
}

// inClear counts packets that are not ESP.
func inClear(seen []outer) (n int, first outer) {
	for _, o := range seen {
		if !o.esp() {
			if n == 0 {
				first = o
			}
			n++
		}
	}
	return n, first
}
