package server

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// fakeLink is a link of the fake kernel: a TUN device unless it says otherwise.
type fakeLink struct {
	kernel *fakeKernel
	index  int32
	name   string
	kind   string
	mtu    uint32
	flags  uint32
	ns     uint64 // inode of its namespace
	ifID   uint32
	gone   bool
}

// fakeKernel has the links of some namespaces.
type fakeKernel struct {
	links  []*fakeLink
	next   int32
	home   *os.File
	refuse syscall.Errno // answer to changes
	failed bool          // Create fails
}

func (k *fakeKernel) add(l *fakeLink) *fakeLink {
	k.next++
	l.kernel, l.index, l.mtu = k, k.next, 1500
	k.links = append(k.links, l)
	return l
}

// Create implements Plane.
func (k *fakeKernel) Create(s LinkSpec) (Device, error) {
	if k.failed {
		return nil, errors.New("no queues left")
	}
	home := namespaceOf(k.home).inode
	if k.find(home, s.Name, 0) != nil {
		return nil, fs.ErrExist
	}
	return k.add(&fakeLink{name: s.Name, kind: kindTUN, flags: iffPointToPoint | iffMulticast | 0x80, ns: home, ifID: s.IfID}), nil
}

func (k *fakeKernel) find(ns uint64, name string, index int32) *fakeLink {
	for _, l := range k.links {
		if !l.gone && l.ns == ns && (index != 0 && l.index == index || index == 0 && l.name == name) {
			return l
		}
	}
	return nil
}

func (l *fakeLink) Name() (string, error) {
	if l.gone {
		return "", os.ErrClosed
	}
	return l.name, nil
}

// NetNS is not to be had, so that the table goes by what the test says.
func (l *fakeLink) NetNS() (int, error) { return -1, errors.ErrUnsupported }

func (l *fakeLink) SetIfID(id uint32) error { l.ifID = id; return nil }
func (l *fakeLink) Delete() error           { l.gone = true; return nil }

func (l *fakeLink) message() []byte {
	b := make([]byte, sizeHeader+sizeIfInfo, 256)
	host.PutUint16(b[4:], rtmNewLink)
	host.PutUint32(b[sizeHeader+ifiIndex:], uint32(l.index))
	host.PutUint32(b[sizeHeader+ifiFlags:], l.flags)
	b = appendAttr(b, iflaIfname, append([]byte(l.name), 0))
	b = appendAttr32(b, iflaMTU, l.mtu)
	if l.kind != "" {
		b = appendAttr(b, iflaLinkinfo, appendAttr(nil, iflaInfoKind, append([]byte(l.kind), 0)))
	}
	host.PutUint32(b, uint32(len(b)))
	return b
}

// fakeView is a routing socket of the fake kernel.
type fakeView struct {
	k  *fakeKernel
	ns uint64
}

func (v fakeView) ask(msg []byte) ([][]byte, *netlinkx.Ack, error) {
	m, _, ok := nextMessage(msg)
	if !ok {
		return nil, nil, errors.New("malformed message to the kernel")
	}
	if m.typ == rtmGetLink && m.flags&flagDump != 0 {
		var out [][]byte
		for _, l := range v.k.links {
			if !l.gone && l.ns == v.ns {
				out = append(out, l.message())
			}
		}
		return out, nil, nil
	}
	r, refused := parseLink(&m)
	if refused != nil {
		return nil, refused, nil
	}
	l := v.k.find(v.ns, r.name, r.index)
	switch {
	case l == nil:
		return nil, refuse(syscall.ENODEV, ""), nil
	case m.typ == rtmGetLink:
		return [][]byte{l.message()}, nil, nil
	case v.k.refuse != 0:
		return nil, &netlinkx.Ack{Errno: v.k.refuse, Text: "no", Offset: 36}, nil
	}
	if d := r.attrs.data[iflaMTU]; d != nil {
		l.mtu = host.Uint32(d)
	}
	return nil, nil, nil
}

// linkClient sends link messages, and keeps the answers.
type linkClient struct {
	t       *testing.T
	k       *fakeKernel
	links   *Links
	view    *view
	answers [][]byte
}

func (c *linkClient) Send(b []byte) error {
	c.answers = append(c.answers, append([]byte(nil), b...))
	return nil
}

func newLinkClient(t *testing.T) *linkClient {
	t.Helper()
	home, err := os.Open("/proc/self/ns/net")
	if err != nil {
		t.Skip("needs /proc/self/ns/net: link messages were not tested")
	}
	t.Cleanup(func() { _ = home.Close() })
	k := &fakeKernel{home: home}
	ns := namespaceOf(home)
	k.add(&fakeLink{name: "lo", ns: ns.inode})
	k.add(&fakeLink{name: "eth0", kind: "veth", ns: ns.inode})
	k.add(&fakeLink{name: "tun9", kind: kindTUN, ns: ns.inode})
	return &linkClient{t: t, k: k, links: NewLinks(k, home), view: &view{kernel: fakeView{k, ns.inode}, ns: ns}}
}

// attrOf is an attribute of a request.
type attrOf struct {
	typ  uint16
	data []byte
}

func u32(v uint32) []byte { return host.AppendUint32(nil, v) }

// info is the link info of kind xfrm with data attributes.
func info(kind string, data ...attrOf) attrOf {
	var d []byte
	for _, a := range data {
		d = appendAttr(d, a.typ, a.data)
	}
	b := appendAttr(nil, iflaInfoKind, append([]byte(kind), 0))
	return attrOf{iflaLinkinfo, appendAttr(b, iflaInfoData, d)}
}

func named(s string) attrOf { return attrOf{iflaIfname, append([]byte(s), 0)} }

// ask sends one message and returns the verdict: nil success.
func (c *linkClient) ask(typ, flags uint16, index int32, attrs ...attrOf) *netlinkx.Ack {
	c.t.Helper()
	b := make([]byte, sizeHeader+sizeIfInfo, 256)
	host.PutUint16(b[4:], typ)
	host.PutUint16(b[6:], flags|flagRequest|flagAck)
	host.PutUint32(b[8:], 77)
	host.PutUint32(b[sizeHeader+ifiIndex:], uint32(index))
	for _, a := range attrs {
		b = appendAttr(b, a.typ, a.data)
	}
	host.PutUint32(b, uint32(len(b)))
	c.answers = nil
	if err := c.links.datagram(c.view, &client{to: c, portID: 5}, b, nil); err != nil {
		c.t.Fatal(err)
	}
	last := c.answers[len(c.answers)-1]
	m, _, ok := nextMessage(last)
	if !ok || m.typ != typeError && m.typ != typeDone || m.seq != 77 || m.pid != 5 {
		c.t.Fatalf("last answer %x", last)
	}
	c.answers = c.answers[:len(c.answers)-1]
	return parseVerdict(&m)
}

const newFlags = flagCreate | flagExcl

func id(v uint32) attrOf { return attrOf{xfrmIfID, u32(v)} }
