package nicoffload_test

import (
	"encoding/binary"
	"errors"
	"net"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// A request is a kind of netlink message from a program to the kernel.
type request struct {
	protocol, typ uint16
	dump          bool
}

const getSA = 0x12 // XFRM_MSG_GETSA

// requests is how often each was sent.
type requests map[request]int

// sum is how many there were that are dumps, or are not.
func (r requests) sum(dump bool) (n int) {
	for q, times := range r {
		if q.dump == dump {
			n += times
		}
	}
	return n
}

// add counts the messages of a datagram.
func (r requests) add(t *testing.T, from unix.Sockaddr, b []byte) {
	t.Helper()
	ll, ok := from.(*unix.SockaddrLinklayer)
	for len(b) >= unix.SizeofNlMsghdr && ok {
		size := (binary.NativeEndian.Uint32(b) + 3) &^ 3
		if size < unix.SizeofNlMsghdr || size > uint32(len(b)) {
			break
		}
		protocol := ll.Protocol<<8 | ll.Protocol>>8
		r[request{protocol, binary.NativeEndian.Uint16(b[4:]), binary.NativeEndian.Uint16(b[6:])&unix.NLM_F_DUMP == unix.NLM_F_DUMP}]++
		b = b[size:]
	}
	if len(b) > 0 {
		t.Fatalf("%d bytes are no netlink message: %+v", len(b), from)
	}
}

// requests runs xfrmctl and returns what it asked the kernel, as nlmon sees it,
// the kernel's own tap of a namespace's netlink: a count, whatever the time.
func (p *place) requests(t *testing.T, words ...string) requests {
	t.Helper()
	const device = "tap0"
	if out, err := p.Run(sandbox.IP(), "link", "add", device, "type", "nlmon"); err != nil {
		t.Skipf("needs links of kind nlmon (CONFIG_NLMON, module nlmon); the requests were not counted: %s", out)
	}
	defer p.MustRun(t, sandbox.IP(), "link", "del", device)
	p.MustRun(t, sandbox.IP(), "link", "set", device, "up")
	fd := p.tap(t, device)
	defer unix.Close(fd)
	if out, code := p.xfrmctl(t, words...); code != 0 {
		t.Fatalf("%v: exit code %d: %s", words, code, out)
	}
	seen := requests{}
	buf := make([]byte, 1<<20)
	for {
		n, from, err := unix.Recvfrom(fd, buf, unix.MSG_DONTWAIT)
		if errors.Is(err, unix.EAGAIN) {
			break // the program has ended: all that it sent is here
		}
		if err != nil {
			t.Fatal(err)
		}
		seen.add(t, from, buf[:n])
	}
	if st, err := unix.GetsockoptTpacketStats(fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err != nil || st.Drops > 0 {
		t.Fatalf("not all was seen: %+v, %v", st, err)
	}
	t.Logf("%s: %d dumps, %d other requests", strings.Join(words, " "), seen.sum(true), seen.sum(false))
	return seen
}

// tap opens a socket that gets the requests alone: answers may be many.
func (p *place) tap(t *testing.T, device string) (fd int) {
	t.Helper()
	flags := uint32(6) // the low byte of the flags in a netlink header
	if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
		flags = 7
	}
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: flags},
		{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, Jf: 1, K: unix.NLM_F_REQUEST},
		{Code: unix.BPF_RET | unix.BPF_K, K: 1 << 20},
		{Code: unix.BPF_RET | unix.BPF_K},
	}
	err := p.Do(func() (err error) {
		dev, err := net.InterfaceByName(device)
		if err != nil {
			return err
		}
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		const all = 0x0300 // ETH_P_ALL in network order
		return errors.Join(
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20),
			unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}),
			unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: dev.Index}))
	})
	if err != nil {
		t.Fatal(err)
	}
	return fd
}
