package bench_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/ifaces/rtnl"
	nlx "github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/provision"
	"github.com/xfrmctl/xfrmctl/provision/document"
	"github.com/xfrmctl/xfrmctl/provision/keys"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// promised is how many tunnels what is promised is for.
const promised = 10_000

// tunnelCount is how many tunnels are applied: each has an interface with an
// address, 2 SAs, 6 policies, 2 routes and 2 guards.
func tunnelCount(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv("XFRMCTL_BENCH_TUNNELS"))
	if err != nil {
		return some(promised)
	}
	return n
}

// tunnelsDocument writes a document of n tunnels and returns its path.
func tunnelsDocument(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	if err := os.WriteFile(root, bytes.Repeat([]byte("secret! "), 5), 0o600); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("version: 1\nowner: {name: many, reqid: 100000-999999, if_id: 100000-999999}\nnodes:\n")
	b.WriteString("  east: {endpoint: 192.0.2.1}\n")
	for k := range n {
		fmt.Fprintf(&b, "  n%d: {endpoint: 100.64.%d.%d, boot_id: x}\n", k, k>>8, k&255)
	}
	b.WriteString("tunnels:\n")
	for k := range n {
		hi, lo := k>>8, k&255
		fmt.Fprintf(&b, "  - name: t%d\n    between: [east, n%d]\n    keys: {derive: \"file:%s\"}\n    interface: ipsec%d\n    addresses: {east: [172.16.%d.%d/32]}\n", k, k, root, k, hi, lo)
		fmt.Fprintf(&b, "    traffic:\n      - {east: 10.255.0.0/16, n%d: 10.%d.%d.0/24}\n      - {east: 10.255.0.0/16, n%d: 11.%d.%d.0/24}\n", k, hi, lo, k, hi, lo)
	}
	path := filepath.Join(dir, "many.yaml")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// resolveFile is what the command does in front of a session.
func resolveFile(t *testing.T, path string) *document.Wanted {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d, err := document.Read(path, b)
	if err != nil {
		t.Fatal(err)
	}
	w, err := d.Resolve(t.Context(), "east", &document.Surroundings{Keys: &keys.Source{}, BootID: "x",
		UnderlayMTU: func(context.Context, string) (int, error) { return 1500, nil }})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// tape records what a session sends that changes something, in order.
type tape struct {
	fds       map[int]int // protocol: socket, while it is played
	datagrams []taped
}

type taped struct {
	protocol int
	b        []byte
}

// recorder is a transport that keeps a copy on the tape.
type recorder struct {
	nlx.Transport
	tape     *tape
	protocol int
}

func (r recorder) Send(b []byte) error {
	if !reads(b, r.protocol) {
		r.tape.datagrams = append(r.tape.datagrams, taped{r.protocol, bytes.Clone(b)})
	}
	return r.Transport.Send(b)
}

// reads reports whether a datagram only asks: get requests of both protocols.
func reads(b []byte, protocol int) bool {
	typ := binary.NativeEndian.Uint16(b[4:])
	if protocol == unix.NETLINK_ROUTE {
		return typ%4 == 2
	}
	return nlx.MsgType(typ) == nlx.MsgGetSA || nlx.MsgType(typ) == nlx.MsgGetPolicy
}

// xfrmSocket is a transport to the kernel's XFRM.
type xfrmSocket struct{ fd int }

func openXFRM(ns *sandbox.NS) (s xfrmSocket, err error) {
	err = ns.Do(func() (err error) {
		s.fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_XFRM)
		return err
	})
	return s, err
}

func (s xfrmSocket) Send(b []byte) error         { _, err := unix.Write(s.fd, b); return err }
func (s xfrmSocket) Recv(b []byte) (int, error)  { return unix.Read(s.fd, b) }
func (s xfrmSocket) SetDeadline(time.Time) error { return nil }
func (s xfrmSocket) Close() error                { return unix.Close(s.fd) }

// play sends what was recorded, and waits for the acknowledgement of each
// datagram.
func (p *tape) play(t *testing.T, ns *sandbox.NS) time.Duration {
	t.Helper()
	p.fds = map[int]int{}
	for _, protocol := range []int{unix.NETLINK_XFRM, unix.NETLINK_ROUTE} {
		err := ns.Do(func() (err error) {
			p.fds[protocol], err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(p.fds[protocol])
	}
	ack := make([]byte, 64<<10)
	begun := time.Now()
	for i, d := range p.datagrams {
		_, err := unix.Write(p.fds[d.protocol], d.b)
		n := 0
		if err == nil {
			n, err = unix.Read(p.fds[d.protocol], ack)
		}
		if err == nil && n >= 20 {
			// the session's first one asks whether SAs have directions, and is refused
			if errno := -int32(binary.NativeEndian.Uint32(ack[16:])); errno != 0 && i > 0 {
				err = syscall.Errno(errno)
			}
		}
		if err != nil {
			t.Fatalf("ready-made datagram %d of %d: %v", i, len(p.datagrams), err)
		}
	}
	return time.Since(begun)
}

// session opens one in a namespace; with a tape it records.
func session(t *testing.T, ns *sandbox.NS, w *document.Wanted, dir string, p *tape) *provision.Session {
	t.Helper()
	fd := nlx.NetNSFD(ns.FD())
	xfrm, links := &nlx.Config{NetNS: fd}, &ifaces.Config{NetNS: fd}
	cfg := &provision.Config{StateDir: dir, Owner: w.Owner, NetNS: fd, Engine: "kernel"}
	if p != nil {
		xfrm.Dial = func() (nlx.Transport, error) {
			s, err := openXFRM(ns)
			return recorder{s, p, unix.NETLINK_XFRM}, err
		}
		links.Dial = func() (nlx.Transport, error) {
			s, err := rtnl.Dial(fd)
			return recorder{s, p, unix.NETLINK_ROUTE}, err
		}
		cfg.Routes = links.Dial
	}
	var err error
	if cfg.XFRM, err = nlx.Dial(xfrm); err != nil {
		t.Fatal(err)
	}
	if cfg.Links, err = ifaces.Dial(links); err != nil {
		t.Fatal(err)
	}
	s, err := provision.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(); _ = cfg.Links.Close(); _ = cfg.XFRM.Close() })
	return s
}

// dumps reads all that a session has to read, and drops it.
func dumps(t *testing.T, ns *sandbox.NS) time.Duration {
	t.Helper()
	c := conn(t, ns)
	links, err := ifaces.Dial(&ifaces.Config{NetNS: nlx.NetNSFD(ns.FD())})
	if err != nil {
		t.Fatal(err)
	}
	defer links.Close()
	tr, err := rtnl.Dial(nlx.NetNSFD(ns.FD()))
	if err != nil {
		t.Fatal(err)
	}
	routes := rtnl.New(tr)
	defer routes.Close()
	begun := time.Now()
	sas, err := c.ListSAs(t.Context(), nil)
	if err != nil || len(sas) == 0 {
		t.Fatal(len(sas), err)
	}
	if _, err := c.ListPolicies(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := links.List(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		body := make([]byte, unix.SizeofRtMsg)
		body[0] = family
		body = binary.NativeEndian.AppendUint16(body, 8)
		body = binary.NativeEndian.AppendUint16(body, unix.RTA_TABLE)
		body = binary.NativeEndian.AppendUint32(body, unix.RT_TABLE_MAIN)
		if _, err := routes.Exchange(t.Context(), &rtnl.Message{Type: unix.RTM_GETROUTE, Flags: netlink.Dump, Body: body}); err != nil {
			t.Fatal(err)
		}
	}
	return time.Since(begun)
}

// TestApplyAgainstReadyMade: a session that applies a resolved document, with
// planning, journal and read-back, against its own messages sent again ready-made
// in a namespace of their own; and the same once nothing has changed, against
// the lists that it has to read.
func TestApplyAgainstReadyMade(t *testing.T) {
	need(t)
	n := tunnelCount(t)
	path := tunnelsDocument(t, n)
	begun := time.Now()
	w := resolveFile(t, path)
	t.Logf("%d tunnels: document read and resolved in %v", n, time.Since(begun))
	p := &tape{}
	ns := sandbox.New(t)
	if _, err := session(t, ns, w, t.TempDir(), p).Apply(t.Context(), w.State, provision.Options{}); err != nil {
		t.Fatal(err)
	}
	made, applied := &timing{name: "ready-made messages"}, &timing{name: "apply"}
	read, again := &timing{name: "lists"}, &timing{name: "apply, unchanged"}
	for range times(max(1, 3000/n)) { // 10,000 take minutes, of which others' work is a small part
		ns = sandbox.New(t)
		made.runs = append(made.runs, p.play(t, ns))
		ns = sandbox.New(t)
		s := session(t, ns, w, t.TempDir(), nil)
		begun = time.Now()
		res, err := s.Apply(t.Context(), w.State, provision.Options{})
		applied.runs = append(applied.runs, time.Since(begun))
		if err != nil || len(res.Steps) < 12*n {
			t.Fatal(err)
		}
		for range 2 {
			read.runs = append(read.runs, dumps(t, ns))
			begun = time.Now()
			res, err = s.Apply(t.Context(), w.State, provision.Options{})
			again.runs = append(again.runs, time.Since(begun))
			if err != nil || len(res.Steps) > 0 {
				t.Fatal(err, len(res.Steps))
			}
		}
	}
	for _, x := range []*timing{made, applied, read, again} {
		x.row(t, 13*n)
	}
	// what does not grow with the number weighs more with fewer
	atMost := 1.3
	if n < promised {
		atMost = 2
	}
	ratio(t, "apply", applied, made, 0, atMost)
	// through the library, and so the long way: see TestApplyCommand
	ratio(t, "unchanged", again, read, 0, 4)
}
