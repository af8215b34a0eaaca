package nlsock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// ErrNotRunning tells that no engine listens at the path.
var ErrNotRunning = errors.New("no userspace engine is running")

// helloTimeout bounds how long a client waits for an engine's first word: longer
// than a machine stands still.
const helloTimeout = 30 * time.Second

// bufferSize is asked for both directions of a socket, in bytes. The kernel
// grants what net.core.wmem_max allows, which is more than a batch or a dump
// needs for one datagram.
const bufferSize = 4 << 20

// DialXFRM connects to the engine at path for requests: what netlinkx.Config's
// Dial takes. It fails with ErrNotRunning, fs.ErrPermission, or a
// *netlinkx.Error with the engine's refusal.
func DialXFRM(path string) (netlinkx.Transport, error) {
	return dial(path, hello{protocol: ProtocolXFRM})
}

// DialMonitor connects to the engine at path and joins multicast groups of
// NETLINK_XFRM: what netlinkx.MonitorConfig's Dial takes. Errors are those of
// DialXFRM.
func DialMonitor(path string, groups []netlinkx.Group) (netlinkx.Transport, error) {
	h := hello{protocol: ProtocolXFRM}
	for _, g := range groups {
		if g == 0 || g > maxGroup {
			return nil, &netlinkx.Error{Op: "join", Object: fmt.Sprintf("multicast group %d", g), Errno: syscall.EINVAL}
		}
		h.groups |= 1 << (g - 1)
	}
	return dial(path, h)
}

// Status asks the engine at path for its state: a JSON document. Errors are
// those of DialXFRM.
func Status(path string) ([]byte, error) {
	c, err := dial(path, hello{protocol: ProtocolStatus})
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }() // everything has been read
	var doc []byte
	buf := make([]byte, 64<<10)
	for {
		_ = c.SetDeadline(time.Now().Add(helloTimeout)) // a closed socket fails by itself
		n, err := c.Recv(buf)
		if err != nil {
			return nil, fmt.Errorf("status of the engine at %s: %w", path, err)
		}
		if n < sizeHeader {
			return nil, fmt.Errorf("status of the engine at %s: datagram of %d bytes", path, n)
		}
		switch host.Uint16(buf[4:]) {
		case typeStatus:
			doc = append(doc, buf[sizeHeader:n]...)
		case typeDone:
			return doc, nil
		}
	}
}

// conn is a client's end. It implements netlinkx.Transport.
type conn struct {
	c    *net.UnixConn
	path string
}

func dial(path string, h hello, files ...*os.File) (*conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), helloTimeout)
	defer cancel()
	raw, err := (&net.Dialer{}).DialContext(ctx, "unixpacket", path)
	if err != nil {
		return nil, dialError(path, err)
	}
	c := &conn{c: raw.(*net.UnixConn), path: path}
	_ = c.c.SetWriteBuffer(bufferSize) // what the kernel grants is enough
	if err := c.greet(h, files); err != nil {
		_ = c.c.Close() // nothing was sent that could be lost
		return nil, err
	}
	return c, nil
}

// greet sends the hello and waits for its answer.
func (c *conn) greet(h hello, files []*os.File) error {
	_ = c.c.SetDeadline(time.Now().Add(helloTimeout)) // a closed socket fails by itself
	if err := c.sendFiles(h.encode(), files); err != nil {
		return dialError(c.path, err)
	}
	buf := make([]byte, 4096)
	n, err := c.Recv(buf)
	if err != nil {
		return dialError(c.path, err)
	}
	errno, text, err := decodeAck(buf[:n])
	if err != nil {
		return fmt.Errorf("engine at %s: %w", c.path, err)
	}
	if errno != 0 {
		return refusal(c.path, errno, text)
	}
	return c.c.SetDeadline(time.Time{})
}

func refusal(path string, errno syscall.Errno, text string) error {
	e := &netlinkx.Error{Op: "connect", Object: "to the engine at " + path, Errno: errno, Text: text}
	if errno == syscall.EPERM || errno == syscall.EACCES {
		e.Hint = "only root and the user who runs the engine may talk to it"
	}
	return e
}

func dialError(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("engine socket %s: %w", path, ErrNotRunning)
	case errors.Is(err, fs.ErrPermission):
		return refusal(path, syscall.EACCES, "")
	}
	return fmt.Errorf("engine socket %s: %w", path, err)
}

// sendFiles sends one datagram with open files.
func (c *conn) sendFiles(b []byte, files []*os.File) error {
	var oob []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			fds[i] = int(f.Fd())
		}
		oob = syscall.UnixRights(fds...)
	}
	_, _, err := c.c.WriteMsgUnix(b, oob, nil)
	return err
}

// Send sends one datagram of netlink messages.
func (c *conn) Send(b []byte) error {
	if _, err := c.c.Write(b); err != nil {
		return c.wrap("send", err)
	}
	return nil
}

// Recv reads one datagram. syscall.ENOBUFS: events were lost.
func (c *conn) Recv(b []byte) (int, error) {
	n, _, flags, _, err := c.c.ReadMsgUnix(b, nil)
	switch {
	case err != nil:
		return 0, c.wrap("receive", err)
	case n == 0:
		return 0, c.wrap("receive", io.EOF)
	case flags&syscall.MSG_TRUNC != 0:
		return 0, fmt.Errorf("engine at %s: receive: datagram of more than %d bytes", c.path, len(b))
	case n >= sizeHeader && host.Uint16(b[4:]) == typeOverrun:
		return 0, fmt.Errorf("engine at %s: receive: %w", c.path, syscall.ENOBUFS)
	}
	return n, nil
}

// wrap says whose connection failed. Deadlines keep their identity.
func (c *conn) wrap(call string, err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return os.ErrDeadlineExceeded
	}
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		return fmt.Errorf("engine at %s: %s: it has ended: %w", c.path, call, io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("engine at %s: %s: %w", c.path, call, err)
}

// SetDeadline ends calls that wait at t; the zero time: never.
func (c *conn) SetDeadline(t time.Time) error { return c.c.SetDeadline(t) }

// Close ends calls that wait, too.
func (c *conn) Close() error { return c.c.Close() }
