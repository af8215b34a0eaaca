package provision

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/ifaces/rtnl"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/nlsock"
	"github.com/xfrmctl/xfrmctl/provision"
	"github.com/xfrmctl/xfrmctl/provision/document"
	"github.com/xfrmctl/xfrmctl/provision/keys"
)

// applier applies documents as `xfrmctl apply --prune` does, in this process.
type applier struct {
	node, stateDir string
	socket         string // of the userspace engine, "" the kernel
	ns             netlinkx.NetNS
	wrap           func(t netlinkx.Transport, routing bool) netlinkx.Transport // may be nil
	mtus           map[string]int                                              // of underlays, which keep theirs
	*connections                                                               // once connect has made them
}

// connections are used again by each apply.
type connections struct {
	xfrm   *netlinkx.Conn
	links  *ifaces.Conn
	routes netlinkx.Transport
}

// keptOpen is a transport that outlives a session.
type keptOpen struct{ netlinkx.Transport }

func (keptOpen) Close() error { return nil }

// connect opens the connections, unless they are there.
func (a *applier) connect() (err error) {
	if a.connections != nil {
		return nil
	}
	c := &connections{}
	xfrm := &netlinkx.Config{NetNS: a.ns, Dial: a.dialXFRM}
	if a.socket == "" && a.wrap == nil {
		xfrm.Dial = nil
	}
	if c.xfrm, err = netlinkx.Dial(xfrm); err != nil {
		return err
	}
	if c.links, err = ifaces.Dial(&ifaces.Config{Dial: a.dialLinks}); err != nil {
		return errors.Join(err, c.xfrm.Close())
	}
	if c.routes, err = a.dialRoutes(); err != nil {
		return errors.Join(err, c.links.Close(), c.xfrm.Close())
	}
	a.connections = c
	return nil
}

// close closes the connections.
func (a *applier) close() error {
	if a.connections == nil {
		return nil
	}
	c := a.connections
	a.connections = nil
	return errors.Join(c.routes.Close(), c.links.Close(), c.xfrm.Close())
}

// applyFile applies the document of a file and returns how many steps there were.
func (a *applier) applyFile(ctx context.Context, path string) (steps int, err error) {
	w, err := a.resolve(ctx, path)
	if err != nil {
		return 0, err
	}
	return a.apply(ctx, w)
}

// apply returns how many steps there were. It opens the state directory anew.
func (a *applier) apply(ctx context.Context, w *document.Wanted) (steps int, err error) {
	if err := a.connect(); err != nil {
		return 0, err
	}
	cfg := &provision.Config{StateDir: a.stateDir, Owner: w.Owner, NetNS: a.ns, Engine: "kernel", XFRM: a.xfrm, Links: a.links, OnWait: func(string) {}}
	cfg.Routes = func() (netlinkx.Transport, error) { return keptOpen{a.routes}, nil }
	if a.socket != "" {
		cfg.Engine, cfg.OwnCounters = "userspace", true
	}
	s, err := provision.Open(ctx, cfg)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	res, err := s.Apply(ctx, w.State, provision.Options{Prune: true})
	if err != nil {
		return 0, err
	}
	return len(res.Steps), nil
}

func (a *applier) resolve(ctx context.Context, path string) (*document.Wanted, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	d, err := document.Read(path, b)
	if err != nil {
		return nil, err
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, err
	}
	return d.Resolve(ctx, a.node, &document.Surroundings{Keys: &keys.Source{}, BootID: strings.TrimSpace(string(boot)), Userspace: a.socket != "", UnderlayMTU: a.mtu})
}

func (a *applier) mtu(_ context.Context, name string) (mtu int, err error) {
	if mtu = a.mtus[name]; mtu != 0 {
		return mtu, nil
	}
	if mtu, err = provision.DeviceMTU(a.ns, name); err == nil {
		a.mtus[name] = mtu
	}
	return mtu, err
}

func (a *applier) wrapped(routing bool) func(netlinkx.Transport, error) (netlinkx.Transport, error) {
	return func(t netlinkx.Transport, err error) (netlinkx.Transport, error) {
		if err != nil || a.wrap == nil {
			return t, err
		}
		return a.wrap(t, routing), nil
	}
}

func (a *applier) dialXFRM() (netlinkx.Transport, error) {
	if a.socket != "" {
		return a.wrapped(false)(nlsock.DialXFRM(a.socket))
	}
	return a.wrapped(false)(dialKernelXFRM())
}

func (a *applier) dialRoutes() (netlinkx.Transport, error) { return a.wrapped(true)(rtnl.Dial(a.ns)) }

// dialLinks sends what is about links to the engine, and addresses to the kernel.
func (a *applier) dialLinks() (netlinkx.Transport, error) {
	if a.socket == "" {
		return a.dialRoutes()
	}
	links, err := nlsock.DialRoute(a.socket, a.ns)
	if err != nil {
		return nil, err
	}
	rest, err := rtnl.Dial(a.ns)
	if err != nil {
		return nil, errors.Join(err, links.Close())
	}
	return a.wrapped(true)(&both{links: links, rest: rest, last: rest}, nil)
}

// both is two transports for requests that are answered one after the other.
type both struct{ links, rest, last netlinkx.Transport }

func (b *both) Send(m []byte) error {
	b.last = b.rest
	if typ := binary.NativeEndian.Uint16(m[4:]); typ >= unix.RTM_NEWLINK && typ <= unix.RTM_GETLINK {
		b.last = b.links
	}
	return b.last.Send(m)
}

func (b *both) Recv(m []byte) (int, error) { return b.last.Recv(m) }

func (b *both) SetDeadline(t time.Time) error {
	return errors.Join(b.links.SetDeadline(t), b.rest.SetDeadline(t))
}

func (b *both) Close() error { return errors.Join(b.links.Close(), b.rest.Close()) }

// kernelXFRM is a plain socket of the caller's namespace, for one that is going
// to die: netlinkx's own cannot be had alone.
type kernelXFRM struct{ fd int }

func dialKernelXFRM() (netlinkx.Transport, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_XFRM)
	if err != nil {
		return nil, err
	}
	return &kernelXFRM{fd}, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<20)
}

func (s *kernelXFRM) Send(b []byte) error { return nonNil(unix.Write(s.fd, b)) }

func (s *kernelXFRM) Recv(b []byte) (int, error) {
	for {
		n, err := unix.Read(s.fd, b)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

func (s *kernelXFRM) SetDeadline(time.Time) error { return nil }
func (s *kernelXFRM) Close() error                { return unix.Close(s.fd) }

func nonNil(_ int, err error) error { return err }
