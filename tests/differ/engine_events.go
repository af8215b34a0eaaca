package differ

import (
	"errors"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/nlsock"
)

// allGroups are the multicast groups of NETLINK_XFRM.
var allGroups = []netlinkx.Group{1, 2, 3, 4, 5, 6, 7, 8}

// ears hear the events of both engines, as they are sent.
type ears struct {
	kernel kernelSocket
	engine netlinkx.Transport
	buf    []byte
}

// listen joins all groups of both.
func (p *enginePair) listen() (*ears, error) {
	e := &ears{buf: make([]byte, 64<<10)}
	var err error
	p.left.do(func() { e.kernel, err = joinAll() })
	if err != nil {
		return nil, err
	}
	if e.engine, err = nlsock.DialMonitor(p.engine.path, allGroups); err != nil {
		_ = e.kernel.Close()
	}
	return e, err
}

func joinAll() (kernelSocket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_XFRM)
	if err != nil {
		return -1, err
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return -1, err
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20)
	for _, g := range allGroups {
		if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, int(g)); err != nil {
			return -1, err
		}
	}
	return kernelSocket(fd), nil
}

func (e *ears) close() { _, _ = e.kernel.Close(), e.engine.Close() }

// hear returns what both have sent: the kernel has sent everything when a
// command ends, the engine a moment later, which is long on a busy machine.
func (e *ears) hear() (kernel, engine []message, err error) {
	for {
		n, err := e.kernel.Recv(e.buf)
		if errors.Is(err, syscall.EAGAIN) {
			break
		}
		if err != nil {
			return nil, nil, err
		}
		kernel = append(kernel, maskEvent(append(message(nil), e.buf[:n]...)))
	}
	for silent := 0; ; {
		_ = e.engine.SetDeadline(time.Now().Add(3 * time.Millisecond))
		n, err := e.engine.Recv(e.buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			// one too many is not waited for
			if silent++; len(engine) >= len(kernel) || silent == 2000 {
				return kernel, engine, nil
			}
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		engine = append(engine, maskEvent(append(message(nil), e.buf[:n]...)))
	}
}

// Messages whose bodies hold times or indexes.
const (
	msgDelSA      = 0x11
	msgDelPolicy  = 0x14
	msgAcquire    = 0x17
	msgExpire     = 0x18
	msgUpdPolicy  = 0x19
	msgUpdSA      = 0x1a
	msgPolExpire  = 0x1b
	msgNewAE      = 0x1e
	msgNewSADInfo = 0x22
	sizeofSAID    = 24
	sizeofPolID   = 64
	offPolIDIndex = 56
	sizeofAE      = 48
	attrLtime     = 9
)

// maskEvent hides what two runs cannot have in common.
func maskEvent(m message) message {
	maskHeader(m)
	b := m.body()
	switch m.kind() {
	case msgNewSA, msgUpdSA, msgExpire:
		maskTimes(b)
	case msgDelSA:
		maskTimes(b[sizeofSAID+4:])
	case msgNewPolicy, msgUpdPolicy, msgPolExpire:
		maskPolicyBody(b)
	case msgDelPolicy:
		maskIndex(b[offPolIDIndex:])
		maskPolicyBody(b[sizeofPolID+4:])
	case msgNewAE:
		maskAE(b[sizeofAE:])
	case msgNewSADInfo, msgNewSPDInfo:
		maskHashSize(m)
	}
	return m
}

func maskTimes(b []byte) { clear(b[offSATimes : offSATimes+16]) }

func maskPolicyBody(b []byte) {
	clear(b[offPolicyTimes : offPolicyTimes+16])
	maskIndex(b[offPolicyIndex:])
}

func maskIndex(b []byte) {
	if index := native.Uint32(b); index < explicitIndex {
		native.PutUint32(b, index&7)
	}
}

// maskAE hides the times in the lifetime attribute.
func maskAE(b []byte) {
	for len(b) >= 4 {
		n := int(native.Uint16(b))
		if native.Uint16(b[2:]) == attrLtime && n == 36 {
			clear(b[4+16 : 36])
		}
		b = b[min((n+3)&^3, len(b)):]
	}
}
