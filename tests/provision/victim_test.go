package provision

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
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

// TestMain runs the tests, or is the process that is killed: this program,
// started again with the variable set.
func TestMain(m *testing.M) {
	if words := os.Getenv("XFRMCTL_TEST_VICTIM"); words != "" {
		if err := beVictim(strings.Fields(words)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// beVictim applies a document in the namespace that it is in, and kills itself
// behind so many messages. Words: document, node, state directory, socket of the
// engine or "-", number of messages or 0 for none.
func beVictim(words []string) error {
	left, err := strconv.Atoi(words[4])
	if err != nil {
		return err
	}
	socket := words[3]
	if socket == "-" {
		socket = ""
	}
	a := &applier{node: words[1], stateDir: words[2], socket: socket}
	if left > 0 {
		k := &killer{left: left}
		a.wrap = func(t netlinkx.Transport, routing bool) netlinkx.Transport {
			return &deadly{t, k, routing, socket == "" && !routing}
		}
	}
	_, err = a.apply(context.Background(), words[0])
	return err
}

// killer ends this process behind the message with which nothing is left. Of
// messages that only ask, those count that follow one that changes something:
// between others there is nothing but the files, which are written when they
// have been answered.
type killer struct {
	left  int
	asked bool // the last message only asked
}

// sent is called when a message has been sent.
func (k *killer) sent(asks bool) {
	counts := !asks || !k.asked
	k.asked = asks
	if counts {
		k.left--
	}
	if k.left <= 0 {
		_ = unix.Kill(os.Getpid(), unix.SIGKILL) // then there is nobody to look at an error
		select {}
	}
}

// deadly counts messages. It sends them one by one, although they come together:
// an engine in userspace may get only some of them. To the kernel's XFRM they go
// as they come, since it has carried out all of a datagram when it lets go of a
// process that is to die.
type deadly struct {
	netlinkx.Transport
	k       *killer
	routing bool // rtnetlink, else XFRM
	whole   bool // datagrams stay as they are
}

func (d *deadly) Send(b []byte) error {
	for len(b) >= unix.SizeofNlMsghdr {
		n := int(binary.NativeEndian.Uint32(b))
		if d.whole {
			n = len(b)
		}
		if err := d.Transport.Send(b[:n]); err != nil {
			return err
		}
		d.k.sent(d.asks(binary.NativeEndian.Uint16(b[4:])))
		b = b[min((n+3)&^3, len(b)):]
	}
	return nil
}

// asks reports whether messages of a type change nothing. Those of rtnetlink come
// in fours, of which the third asks.
func (d *deadly) asks(typ uint16) bool {
	if d.routing {
		return typ%4 == 2
	}
	switch netlinkx.MsgType(typ) {
	case netlinkx.MsgGetSA, netlinkx.MsgGetPolicy, netlinkx.MsgGetDefault:
		return true
	}
	return false
}

// applier applies documents as `xfrmctl apply --prune` does, in this process.
type applier struct {
	node, stateDir string
	socket         string // of the userspace engine, "" the kernel
	ns             netlinkx.NetNS
	wrap           func(t netlinkx.Transport, routing bool) netlinkx.Transport // may be nil
}

// apply returns how many steps there were.
func (a *applier) apply(ctx context.Context, path string) (steps int, err error) {
	w, err := a.resolve(ctx, path)
	if err != nil {
		return 0, err
	}
	cfg := &provision.Config{StateDir: a.stateDir, Owner: w.Owner, NetNS: a.ns, Engine: "kernel", Routes: a.dialRoutes, OnWait: func(string) {}}
	if a.socket != "" {
		cfg.Engine, cfg.OwnCounters = "userspace", true
	}
	xfrm := &netlinkx.Config{NetNS: a.ns, Dial: a.dialXFRM}
	if a.socket == "" && a.wrap == nil {
		xfrm.Dial = nil
	}
	if cfg.XFRM, err = netlinkx.Dial(xfrm); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, cfg.XFRM.Close()) }()
	if cfg.Links, err = ifaces.Dial(&ifaces.Config{Dial: a.dialLinks}); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, cfg.Links.Close()) }()
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
	return d.Resolve(ctx, a.node, &document.Surroundings{Keys: &keys.Source{}, BootID: strings.TrimSpace(string(boot)), Userspace: a.socket != "",
		UnderlayMTU: func(_ context.Context, name string) (int, error) { return provision.DeviceMTU(a.ns, name) }})
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
