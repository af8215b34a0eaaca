package server

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// kernelLinks is a routing socket: what the kernel says about the links of one
// network namespace.
type kernelLinks interface {
	// ask sends one message and returns the messages that answer it, without
	// the end of a dump. A refusal is a *netlinkx.Ack; the error is that of
	// the socket.
	ask(msg []byte) (answers [][]byte, refused *netlinkx.Ack, err error)
}

// routeSocket is a NETLINK_ROUTE socket that a client has handed over. It is
// for one goroutine.
type routeSocket struct {
	fd  int
	seq uint32
	buf []byte
}

// answerTimeout bounds the wait for the kernel, which answers at once.
const answerTimeout = 10 // seconds

// newRouteSocket checks and sets up a client's socket; the file stays the
// caller's, and open.
func newRouteSocket(f *os.File) (*routeSocket, error) {
	fd := int(f.Fd())
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err == nil && domain != unix.AF_NETLINK {
		err = errors.New("not a netlink socket")
	}
	if err != nil {
		return nil, fmt.Errorf("routing socket of a client: %w", err)
	}
	proto, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	if err == nil && proto != unix.NETLINK_ROUTE {
		err = errors.New("not of NETLINK_ROUTE")
	}
	if err == nil {
		err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: answerTimeout})
	}
	if err != nil {
		return nil, fmt.Errorf("routing socket of a client: %w", err)
	}
	// Without them errors have no text, and the kernel repeats requests: no
	// reason to fail.
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1)
	return &routeSocket{fd: fd, buf: make([]byte, 64<<10)}, nil
}

// ask implements kernelLinks.
func (s *routeSocket) ask(msg []byte) (answers [][]byte, refused *netlinkx.Ack, err error) {
	s.seq++
	b := append([]byte(nil), msg...)
	host.PutUint16(b[6:], host.Uint16(b[6:])|flagRequest)
	host.PutUint32(b[8:], s.seq)
	if err := unix.Sendto(s.fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, nil, os.NewSyscallError("sendto", err)
	}
	for {
		n, from, err := unix.Recvfrom(s.fd, s.buf, 0)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return nil, nil, os.NewSyscallError("recvfrom", err)
		}
		if a, ok := from.(*unix.SockaddrNetlink); !ok || a.Pid != 0 {
			continue // not from the kernel
		}
		var done bool
		if answers, refused, done = s.collect(answers, s.buf[:n]); done {
			return answers, refused, nil
		}
	}
}

// collect takes the answers out of one datagram; done at the last.
func (s *routeSocket) collect(answers [][]byte, b []byte) (_ [][]byte, refused *netlinkx.Ack, done bool) {
	for {
		m, rest, ok := nextMessage(b)
		if !ok {
			return answers, nil, false
		}
		b = rest
		switch {
		case m.seq != s.seq:
		case m.typ == typeError || m.typ == typeDone:
			return answers, parseVerdict(&m), true
		default:
			answers = append(answers, append([]byte(nil), m.raw...))
			if m.flags&flagMulti == 0 {
				return answers, nil, true
			}
		}
	}
}

// parseVerdict decodes an acknowledgement or the end of a dump; nil is success
// without a word.
func parseVerdict(m *message) *netlinkx.Ack {
	p := m.payload()
	if len(p) < 4 {
		return nil
	}
	a := &netlinkx.Ack{Errno: syscall.Errno(-int32(host.Uint32(p)))}
	tlvs := 4
	if m.typ == typeError {
		tlvs += sizeHeader // capped
	}
	const ackTLVs = 0x200
	if m.flags&ackTLVs != 0 && tlvs <= len(p) {
		for x := (attrWalk{b: p[tlvs:]}); x.next(); {
			switch {
			case x.typ == 1: // NLMSGERR_ATTR_MSG
				a.Text = cstring(x.data)
			case x.typ == 2 && len(x.data) == 4: // NLMSGERR_ATTR_OFFS
				a.Offset = int(host.Uint32(x.data))
			}
		}
	}
	if a.Errno == 0 && a.Text == "" {
		return nil
	}
	return a
}

// attrWalk walks attributes as they are.
type attrWalk struct {
	b    []byte
	at   int // where the present attribute begins
	end  int
	typ  uint16
	data []byte
}

// next moves to the next attribute; false at the end and at what is none.
func (x *attrWalk) next() bool {
	x.at = x.end
	if len(x.b)-x.at < sizeAttr {
		return false
	}
	n := int(host.Uint16(x.b[x.at:]))
	if n < sizeAttr || n > len(x.b)-x.at {
		return false
	}
	x.typ, x.data = host.Uint16(x.b[x.at+2:])&nlaTypeMask, x.b[x.at+sizeAttr:x.at+n]
	x.end = min(x.at+align4(n), len(x.b))
	return true
}

// cstring returns the bytes before the first NUL.
func cstring(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}

// appendAttr appends an attribute, padded.
func appendAttr(b []byte, typ uint16, data []byte) []byte {
	b = host.AppendUint16(b, uint16(sizeAttr+len(data)))
	b = host.AppendUint16(b, typ)
	b = append(b, data...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func appendAttr32(b []byte, typ uint16, v uint32) []byte {
	return appendAttr(b, typ, host.AppendUint32(nil, v))
}
