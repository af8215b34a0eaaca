package demo

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// wiretap sees what both sides put on the wire. It looks at packets that go
// out, for what comes in is shown a second time after decryption in some modes.
type wiretap struct {
	fds [2]int
	buf []byte
}

// tapBuffer is asked for as receive buffer, in bytes: a ping's packets, which
// are read when they have all been sent, take a few thousand.
const tapBuffer = 1 << 20

// openTap opens a packet socket on the device in both namespaces.
func openTap(sides [2]*Namespace, device string) (*wiretap, error) {
	w := &wiretap{fds: [2]int{-1, -1}, buf: make([]byte, 1<<16)}
	for side, ns := range sides {
		err := ns.Do(func() (err error) {
			w.fds[side], err = openPacketSocket(device)
			return err
		})
		if err != nil {
			w.close()
			return nil, err
		}
	}
	return w, nil
}

// openPacketSocket opens one in the namespace of the thread. It is deaf until
// it is bound, so that it hears of no other device.
func openPacketSocket(device string) (int, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, socketError("packet socket", err)
	}
	// what is lost for want of room is noticed: see drops
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, tapBuffer)
	index, err := deviceIndex(fd, device)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: bigEndian16(unix.ETH_P_ALL), Ifindex: index})
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("watch %s: %w", device, err)
	}
	// bound to a device that is not up yet, the socket holds ENETDOWN, once
	_, _ = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	return fd, nil
}

func deviceIndex(fd int, device string) (int, error) {
	req, err := unix.NewIfreq(device)
	if err != nil {
		return 0, err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, req); err != nil {
		return 0, err
	}
	return int(req.Uint32()), nil
}

// read returns what has been seen since the last read. A packet with the
// marker is in clear, whatever it says it is. Sockets see a packet before the
// other side gets it, so that after an answer there is nothing to wait for.
func (w *wiretap) read(marker []byte) (*count, error) {
	c, unseen, err := w.readMany(marker)
	if err == nil && unseen > 0 {
		err = fmt.Errorf("watch the wire: %d packets passed unseen", unseen)
	}
	return c, err
}

// readMany is read for when there may have been more than the tap can hold.
func (w *wiretap) readMany(marker []byte) (c *count, unseen int, err error) {
	c = &count{}
	for _, fd := range w.fds {
		if err := w.drain(fd, c, marker); err != nil {
			return nil, 0, err
		}
		lost, err := drops(fd)
		if err != nil {
			return nil, 0, err
		}
		unseen += int(lost)
	}
	return c, unseen, nil
}

func (w *wiretap) drain(fd int, c *count, marker []byte) error {
	for {
		n, from, err := unix.Recvfrom(fd, w.buf, 0)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("watch the wire: %w", err)
		}
		if ll, ok := from.(*unix.SockaddrLinklayer); ok && ll.Pkttype == unix.PACKET_OUTGOING {
			c.add(bigEndian16(ll.Protocol), w.buf[:n], marker)
		}
	}
}

// onlyClear makes the tap see nothing of ESP, for when there is more of it than
// can be looked at, or everything again.
func (w *wiretap) onlyClear(on bool) error {
	for _, fd := range w.fds {
		var err error
		if on {
			prog := notESP()
			err = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]})
		} else {
			err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0)
		}
		if err != nil {
			return fmt.Errorf("filter what is watched: %w", err)
		}
	}
	return nil
}

// notESP is a socket filter that takes every packet but those with ESP right
// behind their IP header.
func notESP() []unix.SockFilter {
	const (
		loadWord  = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		loadByte  = unix.BPF_LD | unix.BPF_B | unix.BPF_ABS
		jumpEqual = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		result    = unix.BPF_RET | unix.BPF_K
		all       = 1<<32 - 1
		protocol  = 1<<32 - 0x1000 // SKF_AD_OFF + SKF_AD_PROTOCOL of linux/filter.h
	)
	return []unix.SockFilter{
		{Code: loadWord, K: protocol},
		{Code: jumpEqual, K: etherIPv4, Jt: 0, Jf: 2},
		{Code: loadByte, K: 9}, // protocol
		{Code: jumpEqual, K: protoESP, Jt: 3, Jf: 4},
		{Code: jumpEqual, K: etherIPv6, Jt: 0, Jf: 3},
		{Code: loadByte, K: 6}, // next header
		{Code: jumpEqual, K: protoESP, Jt: 0, Jf: 1},
		{Code: result, K: 0},
		{Code: result, K: all},
	}
}

// drops returns how many packets were lost since the last call.
func drops(fd int) (uint32, error) {
	stats, err := unix.GetsockoptTpacketStats(fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return 0, fmt.Errorf("watch the wire: %w", err)
	}
	return stats.Drops, nil
}

func (w *wiretap) close() {
	for side, fd := range w.fds {
		if fd >= 0 {
			unix.Close(fd)
			w.fds[side] = -1
		}
	}
}

// socketError tells a missing privilege from other failures.
func socketError(what string, err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return &PrivilegeError{Op: "open a " + what, Err: err}
	}
	return fmt.Errorf("open a %s: %w", what, err)
}

// bigEndian16 turns an ethertype from the byte order of the machine into that
// of the network or back: the kernel wants and gives it as it is on the wire.
func bigEndian16(v uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], v)
	return binary.NativeEndian.Uint16(b[:])
}
