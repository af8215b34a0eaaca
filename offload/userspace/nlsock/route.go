package nlsock

import (
	"fmt"
	"os"

	"github.com/mdlayher/netlink"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Numbers of linux/rtnetlink.h and linux/if_link.h.
const (
	rtmNewLink   = 16
	sizeIfInfo   = 16
	iflaNetNSPID = 19
	iflaNetNSFD  = 28
)

// DialRoute connects to the engine at path for link messages (RTM_NEWLINK,
// RTM_DELLINK, RTM_GETLINK), which are about the links of ns: the zero NetNS is
// that of the calling thread. The engine reads and changes them on a routing
// socket of that namespace that is opened here and handed over, so that it can
// do no more than its client may. Namespaces that a message names by descriptor
// or process go with it. Errors are those of DialXFRM and of opening ns.
func DialRoute(path string, ns netlinkx.NetNS) (netlinkx.Transport, error) {
	at, err := openNetNS(ns)
	if err != nil {
		return nil, err
	}
	defer func() { _ = at.Close() }() // opened for reading
	enter := at
	if ns.IsZero() {
		enter = nil // it is there already, and may lack the right to enter
	}
	sock, err := routeSocket(enter)
	if err != nil {
		return nil, fmt.Errorf("open routing socket: %w", err)
	}
	defer func() { _ = sock.Close() }() // the engine has its own copy
	c, err := dial(path, hello{protocol: ProtocolRoute}, sock, at)
	if err != nil {
		return nil, err
	}
	return &routeConn{conn: c}, nil
}

// routeSocket opens a NETLINK_ROUTE socket in a namespace; nil is that of the
// calling thread.
func routeSocket(at *os.File) (*os.File, error) {
	cfg := &netlink.Config{Strict: true}
	if at != nil {
		cfg.NetNS = int(at.Fd())
	}
	c, err := netlink.Dial(int(ProtocolRoute), cfg)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }() // a copy goes out
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	var out *os.File
	var derr error
	if err := raw.Control(func(fd uintptr) { out, derr = dupFile(int(fd), "routing socket") }); err != nil {
		return nil, err
	}
	return out, derr
}

// routeConn is a conn that sends the namespaces along that messages name.
type routeConn struct{ *conn }

// Send sends one datagram of netlink messages.
func (c *routeConn) Send(b []byte) error {
	files, err := namespacesOf(b)
	defer func() {
		for _, f := range files {
			_ = f.Close() // the engine has its own copies
		}
	}()
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return c.conn.Send(b)
	}
	if err := c.sendFiles(b, files); err != nil {
		return c.wrap("send", err)
	}
	return nil
}

// namespacesOf opens the namespaces that the messages of a datagram name, in
// order of appearance.
func namespacesOf(b []byte) (files []*os.File, err error) {
	for len(b) >= sizeHeader {
		n := int(host.Uint32(b))
		if n < sizeHeader || n > len(b) {
			break // the engine says what is wrong
		}
		if host.Uint16(b[4:]) == rtmNewLink && n >= sizeHeader+sizeIfInfo {
			err = eachNetNS(b[sizeHeader+sizeIfInfo:n], func(open func() (*os.File, error)) error {
				f, err := open()
				if err == nil {
					files = append(files, f)
				}
				return err
			})
			if err != nil {
				return files, err
			}
		}
		b = b[min(align4(n), len(b)):]
	}
	return files, nil
}

// eachNetNS calls f for each attribute of a link message that names a
// namespace.
func eachNetNS(attrs []byte, f func(open func() (*os.File, error)) error) error {
	for len(attrs) >= sizeAttr {
		n := int(host.Uint16(attrs))
		if n < sizeAttr || n > len(attrs) {
			return nil
		}
		typ, data := host.Uint16(attrs[2:])&0x3fff, attrs[sizeAttr:n]
		attrs = attrs[min(align4(n), len(attrs)):]
		if len(data) != 4 || typ != iflaNetNSFD && typ != iflaNetNSPID {
			continue
		}
		v := host.Uint32(data)
		open := func() (*os.File, error) { return dupFile(int(v), "network namespace") }
		if typ == iflaNetNSPID {
			open = func() (*os.File, error) { return os.Open(fmt.Sprintf("/proc/%d/ns/net", v)) }
		}
		if err := f(open); err != nil {
			return fmt.Errorf("network namespace of a link message: %w", err)
		}
	}
	return nil
}
