package differ

import (
	"encoding/binary"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The messages and attributes of linux/xfrm.h that the harness itself uses. It
// shares no code with what it tests.
const (
	msgNewSA         = 0x10
	msgGetSA         = 0x12
	msgNewPolicy     = 0x13
	msgGetPolicy     = 0x15
	msgFlushSA       = 0x1c
	msgFlushPolicy   = 0x1d
	msgGetSADInfo    = 0x23
	msgNewSPDInfo    = 0x24
	msgGetSPDInfo    = 0x25
	msgSetDefault    = 0x27
	msgGetDefault    = 0x28
	attrPolicyType   = 16
	attrHThreshIPv4  = 3
	attrHThreshIPv6  = 4
	sizeofSA         = 224
	sizeofPolicy     = 168
	sizeofNetlinkHdr = 16
)

var native = binary.NativeEndian

// socket asks an engine: the kernel over NETLINK_XFRM, or one in user space.
type socket struct {
	to  datagrams
	seq uint32
	buf []byte
}

// datagrams carry netlink messages.
type datagrams interface {
	Send(b []byte) error
	Recv(b []byte) (int, error)
	Close() error
}

// kernelSocket is a NETLINK_XFRM socket.
type kernelSocket int

func (k kernelSocket) Send(b []byte) error {
	return unix.Sendto(int(k), b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
}

func (k kernelSocket) Recv(b []byte) (int, error) {
	n, _, err := unix.Recvfrom(int(k), b, 0)
	return n, err
}

func (k kernelSocket) Close() error { return unix.Close(int(k)) }

func newSocket(to datagrams) *socket { return &socket{to: to, buf: make([]byte, 64<<10)} }

func openSocket() (*socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_XFRM)
	if err != nil {
		return nil, fmt.Errorf("open NETLINK_XFRM: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("bind NETLINK_XFRM: %w", err)
	}
	timeout := unix.NsecToTimeval(int64(20 * time.Second))
	_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout)
	return newSocket(kernelSocket(fd)), nil
}

func (s *socket) close() { _ = s.to.Close() }

// message is one netlink message, header included.
type message []byte

func (m message) kind() uint16  { return native.Uint16(m[4:]) }
func (m message) flags() uint16 { return native.Uint16(m[6:]) }
func (m message) body() []byte  { return m[sizeofNetlinkHdr:] }

// newMessage builds a message.
func newMessage(kind, flags uint16, body []byte) message {
	m := make(message, sizeofNetlinkHdr, sizeofNetlinkHdr+len(body))
	native.PutUint32(m, uint32(sizeofNetlinkHdr+len(body)))
	native.PutUint16(m[4:], kind)
	native.PutUint16(m[6:], flags)
	return append(m, body...)
}

// attribute appends an attribute, padded.
func attribute(b []byte, kind uint16, value []byte) []byte {
	b = native.AppendUint16(b, uint16(4+len(value)))
	b = native.AppendUint16(b, kind)
	b = append(b, value...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// ask sends a request and returns the answers up to the acknowledgement, the
// end of the dump, or, without either flag, the first answer.
func (s *socket) ask(kind, flags uint16, body []byte) ([]message, error) {
	s.seq++
	m := newMessage(kind, flags|unix.NLM_F_REQUEST, body)
	native.PutUint32(m[8:], s.seq)
	if err := s.to.Send(m); err != nil {
		return nil, err
	}
	var answers []message
	for {
		n, err := s.to.Recv(s.buf)
		if err != nil {
			return nil, fmt.Errorf("answer to message 0x%x: %w", kind, err)
		}
		for b := s.buf[:n]; len(b) >= sizeofNetlinkHdr; {
			size := int(native.Uint32(b))
			one := append(message(nil), b[:size]...)
			b = b[min((size+3)&^3, len(b)):]
			switch {
			case native.Uint32(one[8:]) != s.seq:
				continue
			case one.kind() == unix.NLMSG_ERROR:
				if errno := int32(native.Uint32(one.body())); errno != 0 {
					return answers, syscall.Errno(-errno)
				}
				return answers, nil
			case one.kind() == unix.NLMSG_DONE:
				return answers, nil
			}
			answers = append(answers, one)
		}
		if flags&(unix.NLM_F_ACK|unix.NLM_F_DUMP) == 0 && len(answers) > 0 {
			return answers, nil
		}
	}
}

// empty removes everything from the tables and sets the defaults.
func (s *socket) empty() error {
	ones := native.AppendUint32(nil, ^uint32(0))
	thresholds := attribute(attribute(ones, attrHThreshIPv4, []byte{32, 32}), attrHThreshIPv6, []byte{128, 128})
	steps := []struct {
		kind uint16
		body []byte
		may  error // what a kernel without the feature says
	}{
		{msgFlushSA, []byte{0}, nil},
		{msgFlushPolicy, nil, nil},
		{msgFlushPolicy, attribute(nil, attrPolicyType, []byte{1, 0, 0, 0, 0, 0}), unix.EINVAL},
		{msgNewSPDInfo, thresholds, unix.EINVAL},
		{msgSetDefault, []byte{2, 2, 2}, unix.EINVAL},
	}
	for _, step := range steps {
		// An empty table is an error for a flush in some kernels.
		if _, err := s.ask(step.kind, unix.NLM_F_ACK, step.body); err != nil && err != unix.ESRCH && err != step.may {
			return fmt.Errorf("message 0x%x: %w", step.kind, err)
		}
	}
	return nil
}
