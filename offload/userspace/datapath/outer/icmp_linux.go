package outer

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ICMP filters of the kernel: include/uapi/linux/icmp.h, icmpv6.h.
const (
	icmpFilter4     = 1 // ICMP_FILTER of SOL_RAW
	icmpUnreachable = 3
	icmp6TooBig     = 2
)

// OpenICMP opens a raw socket that hears of paths with a smaller MTU:
// destination unreachable, or ICMPv6 Packet Too Big. Reads return what
// pmtu.Quote parses; Close ends a read that waits.
func OpenICMP(v6 bool) (*os.File, error) {
	domain, proto := unix.AF_INET, unix.IPPROTO_ICMP
	if v6 {
		domain, proto = unix.AF_INET6, unix.IPPROTO_ICMPV6
	}
	fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, proto)
	if err != nil {
		return nil, fmt.Errorf("open raw icmp socket: %w", os.NewSyscallError("socket", err))
	}
	if v6 { // a set bit blocks
		var f unix.ICMPv6Filter
		for i := range f.Data {
			f.Data[i] = ^uint32(0)
		}
		f.Data[0] &^= 1 << icmp6TooBig
		err = unix.SetsockoptICMPv6Filter(fd, unix.IPPROTO_ICMPV6, unix.ICMPV6_FILTER, &f)
	} else {
		block := ^uint32(1 << icmpUnreachable)
		err = unix.SetsockoptInt(fd, unix.SOL_RAW, icmpFilter4, int(int32(block)))
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("open raw icmp socket: %w", os.NewSyscallError("setsockopt", err))
	}
	return os.NewFile(uintptr(fd), "icmp"), nil
}

// Keepalive sends the one byte that keeps a NAT's mapping open (RFC 3948
// section 2.3). Unlike Send it may be called from any thread.
func (s *Socket) Keepalive(r *Run) error {
	c := appendSource(make([]byte, 0, controlRoom), s.key.V6, r)
	to := sockaddr(r.Dst.In(s.key.family()), int(r.Port))
	_, err := unix.SendmsgN(s.fd, []byte{0xff}, c, to, unix.MSG_DONTWAIT)
	return os.NewSyscallError("sendmsg", err)
}
