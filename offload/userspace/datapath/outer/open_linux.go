package outer

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Not in x/sys/unix: see include/uapi/linux/in.h, in6.h.
const (
	ipv6FlowInfoSend = 33 // IPV6_FLOWINFO_SEND
	ipHdrIncl        = unix.IP_HDRINCL
)

// Config says how Open prepares a socket.
type Config struct {
	Key
	// SendOnly: nothing is to be received here. Raw sockets get a copy of
	// every ESP packet, so only one of each family may listen.
	SendOnly bool
	// Share is the number of sockets that share the ESP packets of a family,
	// and Member which of them this one is: each takes the SPIs whose
	// remainder it is. 0 or 1: it takes all.
	Share, Member int
	// Buffer is the size of the kernel's buffers in bytes, 0 for 4 MiB.
	Buffer int
	// Off are features that shall not be used.
	NoSegment, NoGRO bool
	// Direct is for plain ESP to neighbours (Run.Hop), nil for none. It is
	// borrowed.
	Direct *Direct
}

// defaultBuffer is the size of the kernel's buffers for a socket, in bytes.
const defaultBuffer = 4 << 20

// Socket is a UDP socket or a raw ESP socket. It is not safe for concurrent use,
// except that Close may interrupt nobody: who uses it must have stopped.
type Socket struct {
	key      Key
	fd       int
	direct   *Direct // beside a raw socket, nil without
	features Features
	sender   sender
}

// Open opens a socket in the network namespace of the calling thread. UDP
// sockets share their port with others of the same user (SO_REUSEPORT).
func Open(c Config) (*Socket, error) {
	s := &Socket{key: c.Key, fd: -1, direct: c.Direct}
	if err := s.open(c); err != nil {
		s.Close()
		return nil, fmt.Errorf("open %s: %w", c.Key, err)
	}
	s.sender.init(s)
	return s, nil
}

// String names the socket: "udp socket, port 4500".
func (k Key) String() string {
	text := "raw esp socket"
	if k.Port != 0 {
		text = fmt.Sprintf("udp socket, port %d", k.Port)
	}
	if k.V6 {
		text += ", ipv6"
	}
	if k.Mark != 0 {
		text += fmt.Sprintf(", mark %#x", k.Mark)
	}
	if k.Device != "" {
		text += ", device " + k.Device
	}
	return text
}

// Key returns what the socket was opened for.
func (s *Socket) Key() Key { return s.key }

// FD returns the descriptor, to wait for it. It belongs to the socket.
func (s *Socket) FD() int { return s.fd }

// Features returns what the kernel does for this socket.
func (s *Socket) Features() Features { return s.features }

// Close closes the socket.
func (s *Socket) Close() error {
	if s.fd < 0 {
		return nil
	}
	fd := s.fd
	s.fd = -1
	return os.NewSyscallError("close", unix.Close(fd))
}

func (s *Socket) open(c Config) error {
	domain, kind, proto := unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ESP
	if c.V6 {
		domain = unix.AF_INET6
	}
	if c.Port != 0 {
		kind, proto = unix.SOCK_DGRAM, unix.IPPROTO_UDP
	}
	fd, err := unix.Socket(domain, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, proto)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	s.fd = fd
	if err := s.options(c); err != nil {
		return err
	}
	if c.Port == 0 {
		return s.openRaw(c)
	}
	return s.openUDP(c)
}

// options are those of both kinds of sockets.
func (s *Socket) options(c Config) error {
	size := c.Buffer
	if size == 0 {
		size = defaultBuffer
	}
	for _, force := range [][2]int{{unix.SO_RCVBUFFORCE, unix.SO_RCVBUF}, {unix.SO_SNDBUFFORCE, unix.SO_SNDBUF}} {
		if unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, force[0], size) != nil { // without CAP_NET_ADMIN: up to net.core.*mem_max
			if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, force[1], size); err != nil {
				return os.NewSyscallError("setsockopt SO_RCVBUF", err)
			}
		}
	}
	if c.Mark != 0 {
		if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_MARK, int(c.Mark)); err != nil {
			return os.NewSyscallError("setsockopt SO_MARK", err)
		}
	}
	if c.Device != "" {
		if err := unix.BindToDevice(s.fd, c.Device); err != nil {
			return os.NewSyscallError("setsockopt SO_BINDTODEVICE", err)
		}
	}
	return s.ipOptions(c)
}

type option struct{ level, name, value int }

// ipOptions ask for the addresses and the traffic class of received packets,
// and keep the kernel's idea of the path MTU out: an ICMP message that did not
// quote one of our SPIs must not shrink packets. What is longer than the
// interface's MTU is EMSGSIZE.
func (s *Socket) ipOptions(c Config) error {
	options := []option{
		{unix.IPPROTO_IP, unix.IP_PKTINFO, 1},
		{unix.IPPROTO_IP, unix.IP_RECVTOS, 1},
		{unix.IPPROTO_IP, unix.IP_RECVTTL, 1},
		{unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE},
	}
	if !c.V6 && c.Port == 0 { // all of it is in the IP header
		options = options[len(options)-1:]
	}
	if c.V6 {
		options = []option{
			{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1},
			{unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1},
			{unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS, 1},
			{unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT, 1},
			{unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE},
			{unix.IPPROTO_IPV6, ipv6FlowInfoSend, 1},
			{unix.IPPROTO_IPV6, unix.IPV6_AUTOFLOWLABEL, 0}, // the label is what we say, also none
		}
		if c.Port == 0 {
			options = options[1:] // raw sockets are of one family, and refuse V6ONLY
		}
	}
	return s.set(options)
}

func (s *Socket) set(options []option) error {
	for _, o := range options {
		if err := unix.SetsockoptInt(s.fd, o.level, o.name, o.value); err != nil {
			return fmt.Errorf("setsockopt level %d option %d: %w", o.level, o.name, err)
		}
	}
	return nil
}

func (s *Socket) openUDP(c Config) error {
	if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		return os.NewSyscallError("setsockopt SO_REUSEPORT", err)
	}
	var local unix.Sockaddr = &unix.SockaddrInet4{Port: int(c.Port)}
	if c.V6 {
		local = &unix.SockaddrInet6{Port: int(c.Port)}
	}
	if err := unix.Bind(s.fd, local); err != nil {
		return os.NewSyscallError("bind", err)
	}
	if _, err := unix.GetsockoptInt(s.fd, unix.SOL_UDP, unix.UDP_SEGMENT); err == nil && !c.NoSegment {
		s.features.Segment = true
	}
	if !c.NoGRO && unix.SetsockoptInt(s.fd, unix.SOL_UDP, unix.UDP_GRO, 1) == nil {
		s.features.GRO = true
	}
	return nil
}

func (s *Socket) openRaw(c Config) error {
	header := option{unix.IPPROTO_IP, ipHdrIncl, 1}
	if c.V6 {
		header = option{unix.IPPROTO_IPV6, unix.IPV6_HDRINCL, 1}
	}
	if err := s.set([]option{header}); err != nil {
		return err
	}
	program := spiFilter(c)
	if program == nil {
		return nil
	}
	fprog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	err := unix.SetsockoptSockFprog(s.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &fprog)
	return os.NewSyscallError("setsockopt SO_ATTACH_FILTER", err)
}

// spiFilter is the classic BPF program that takes this socket's share of the
// ESP packets, nil to take all.
func spiFilter(c Config) []unix.SockFilter {
	ret := func(k uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: k} }
	if c.SendOnly {
		return []unix.SockFilter{ret(0)}
	}
	if c.Share <= 1 {
		return nil
	}
	load := []unix.SockFilter{ // IPv4: the filter sees the IP header
		{Code: unix.BPF_LDX | unix.BPF_B | unix.BPF_MSH, K: 0},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_IND, K: 0},
	}
	if c.V6 {
		load = []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}}
	}
	return append(load,
		unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_MOD | unix.BPF_K, K: uint32(c.Share)},
		unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 0, Jf: 1, K: uint32(c.Member)},
		ret(0x40000), ret(0))
}

// mmsghdr is struct mmsghdr of sendmmsg(2) and recvmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
	_   [unsafe.Sizeof(uintptr(0)) - 4]byte
}
