package traffic

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// relaySegment is how much of a super-packet one datagram of a relay holds.
	relaySegment = 1440
	// relayRoom has room for a super-packet and what is around it.
	relayRoom = 70000
	// relayHead is the length that precedes a packet.
	relayHead = 4
	// relayBurst is how many packets it carries before it looks the other way.
	relayBurst = 16
)

// relay is a tunnel without any protection: what a TUN device gives leaves by
// one call of a UDP socket, and the other way round. It looks at no byte and
// copies none, so that no tunnel between TUN devices and UDP sockets can take
// less.
type relay struct {
	tun, socket int
	out         [relayRoom]byte
	in          [4 * relayRoom]byte
	have        int // bytes in in
}

// relay carries packets until it is killed. Job.Addr is the peer.
func (j Job) relay() (Count, error) {
	runtime.LockOSThread()
	r := &relay{}
	if err := r.open(j); err != nil {
		return Count{}, err
	}
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return Count{}, err
	}
	for _, fd := range []int{r.tun, r.socket} {
		if err := unix.EpollCtl(poll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); err != nil {
			return Count{}, err
		}
	}
	ready()
	var events [2]unix.EpollEvent
	for idle := 0; ; idle++ {
		sent, received := r.send(), r.receive()
		switch {
		case sent || received:
			idle = 0
		case idle < 3: // as the engine does
			unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
		default:
			unix.EpollWait(poll, events[:], -1) //nolint:errcheck // interrupted: it looks again
		}
	}
}

func (r *relay) open(j Job) error {
	if err := r.openTUN(j.Device); err != nil {
		return fmt.Errorf("make %s: %w", j.Device, err)
	}
	return r.openSocket(j)
}

func (r *relay) openTUN(name string) (err error) {
	if r.tun, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0); err != nil {
		return err
	}
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if err := unix.IoctlIfreq(r.tun, unix.TUNSETIFF, ifr); err != nil {
		return err
	}
	return unix.IoctlSetInt(r.tun, unix.TUNSETOFFLOAD, unix.TUN_F_CSUM|unix.TUN_F_TSO4|unix.TUN_F_TSO6)
}

func (r *relay) openSocket(j Job) error {
	family, peer, err := sockaddr(j.Addr)
	if err != nil {
		return err
	}
	_, local, err := sockaddr(j.Local)
	if err != nil {
		return err
	}
	if r.socket, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
		return err
	}
	for _, o := range [][3]int{
		{unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4 << 20}, {unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 4 << 20},
		{unix.SOL_UDP, unix.UDP_SEGMENT, relaySegment}, {unix.SOL_UDP, unix.UDP_GRO, 1},
	} {
		if err := unix.SetsockoptInt(r.socket, o[0], o[1], o[2]); err != nil {
			return err
		}
	}
	if err := unix.Bind(r.socket, local); err != nil {
		return err
	}
	return unix.Connect(r.socket, peer)
}

// call reads or writes, and returns 0 for everything that went wrong: as with
// any tunnel, packets may be lost.
func call(trap uintptr, fd int, b []byte) int {
	n, _, errno := unix.RawSyscall(trap, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if errno != 0 {
		return 0
	}
	return int(n)
}

// framed is what a packet takes on the wire: its last datagram is shorter than
// the others, so that receiving ends there.
func framed(n int) int {
	n += relayHead
	if n%relaySegment == 0 {
		n++
	}
	return n
}

func (r *relay) send() (did bool) {
	for range relayBurst {
		n := call(unix.SYS_READ, r.tun, r.out[relayHead:])
		if n == 0 {
			return did
		}
		did = true
		binary.BigEndian.PutUint32(r.out[:], uint32(n))
		call(unix.SYS_WRITE, r.socket, r.out[:framed(n)])
	}
	return did
}

func (r *relay) receive() (did bool) {
	for range relayBurst {
		n := call(unix.SYS_READ, r.socket, r.in[r.have:r.have+relayRoom])
		if n == 0 {
			return did
		}
		did = true
		r.have += n
		r.deliver()
	}
	return did
}

// deliver writes whole packets to the device and keeps the rest, of which
// there is some only if datagrams were lost or merged.
func (r *relay) deliver() {
	at := 0
	for r.have-at > relayHead {
		n := int(binary.BigEndian.Uint32(r.in[at:]))
		if n == 0 || framed(n) > relayRoom { // after a loss
			r.have = 0
			return
		}
		if r.have-at < framed(n) {
			break
		}
		call(unix.SYS_WRITE, r.tun, r.in[at+relayHead:at+relayHead+n])
		at += framed(n)
	}
	r.have = copy(r.in[:], r.in[at:r.have])
	if r.have > 2*relayRoom {
		r.have = 0
	}
}
