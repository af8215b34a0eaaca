package server

import (
	"errors"
	"io/fs"
	"os"
	"slices"
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
		t.Skip("needs /proc/self/ns/net")
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

// TestLinkRefusals is the kernel's table of what is refused when an interface
// is made or changed.
func TestLinkRefusals(t *testing.T) {
	c := newLinkClient(t)
	if a := c.ask(rtmNewLink, newFlags, 0, named("ipsec0"), info("xfrm", id(5), attrOf{xfrmLink, u32(2)})); a != nil {
		t.Fatalf("first interface: %+v", a)
	}
	if a := c.ask(rtmNewLink, newFlags, 0, named("ext0"), info("xfrm", attrOf{xfrmMetadata, nil})); a != nil {
		t.Fatalf("external interface: %+v", a)
	}
	ipsec0, ext0 := c.k.links[3].index, c.k.links[4].index
	for _, x := range []struct {
		name       string
		typ, flags uint16
		index      int32
		attrs      []attrOf
		errno      syscall.Errno
		text       string
	}{
		{"no data", rtmNewLink, newFlags, 0, []attrOf{named("a"), {iflaLinkinfo, appendAttr(nil, iflaInfoKind, []byte("xfrm\x00"))}}, syscall.EINVAL, textIfID},
		{"if_id 0", rtmNewLink, newFlags, 0, []attrOf{named("a"), info("xfrm", id(0))}, syscall.EINVAL, textIfID},
		{"if_id in use", rtmNewLink, newFlags, 0, []attrOf{named("a"), info("xfrm", id(5))}, syscall.EEXIST, ""},
		{"name in use", rtmNewLink, newFlags, 0, []attrOf{named("ipsec0"), info("xfrm", id(6))}, syscall.EEXIST, ""},
		{"name of another", rtmNewLink, newFlags, 0, []attrOf{named("eth0"), info("xfrm", id(6))}, syscall.EEXIST, ""},
		{"replace", rtmNewLink, flagCreate | flagReplace, 0, []attrOf{named("ipsec0"), info("xfrm", id(6))}, syscall.EOPNOTSUPP, ""},
		{"external with if_id", rtmNewLink, newFlags, 0, []attrOf{named("a"), info("xfrm", id(6), attrOf{xfrmMetadata, nil})}, syscall.EINVAL, textExternal},
		{"second external", rtmNewLink, newFlags, 0, []attrOf{named("a"), info("xfrm", attrOf{xfrmMetadata, nil})}, syscall.EEXIST, ""},
		{"short if_id", rtmNewLink, newFlags, 0, []attrOf{named("a"), info("xfrm", attrOf{xfrmIfID, []byte{1}})}, syscall.ERANGE, textPolicy},
		{"flag with data", rtmNewLink, newFlags, 0, []attrOf{named("a"), info("xfrm", attrOf{xfrmMetadata, u32(1)})}, syscall.ERANGE, textPolicy},
		{"low mtu", rtmNewLink, newFlags, 0, []attrOf{named("a"), {iflaMTU, u32(67)}, info("xfrm", id(6))}, syscall.EINVAL, textMTULow},
		{"high mtu", rtmNewLink, newFlags, 0, []attrOf{named("a"), {iflaMTU, u32(65536)}, info("xfrm", id(6))}, syscall.EINVAL, textMTUHigh},
		{"long name", rtmNewLink, newFlags, 0, []attrOf{named("abcdefghijklmnop"), info("xfrm", id(6))}, syscall.ERANGE, textPolicy},
		{"another kind", rtmNewLink, newFlags, 0, []attrOf{named("a"), info("dummy")}, syscall.EOPNOTSUPP, textKind},
		{"no create", rtmNewLink, 0, 0, []attrOf{named("a"), info("xfrm", id(6))}, syscall.ENODEV, ""},
		{"elsewhere", rtmNewLink, newFlags, 0, []attrOf{named("a"), {iflaTargetNS, u32(1)}, info("xfrm", id(6))}, syscall.EOPNOTSUPP, textElsewhere},
		{"change without link", rtmNewLink, 0, ipsec0, []attrOf{info("xfrm", id(6))}, syscall.EINVAL, ""},
		{"change without if_id", rtmNewLink, 0, ipsec0, []attrOf{info("xfrm", attrOf{xfrmLink, u32(2)})}, syscall.EINVAL, textIfID},
		{"change to external", rtmNewLink, 0, ipsec0, []attrOf{info("xfrm", id(6), attrOf{xfrmMetadata, nil})}, syscall.EINVAL, textMetadata},
		{"change of external", rtmNewLink, 0, ext0, []attrOf{info("xfrm", id(6))}, syscall.EINVAL, textMetadata},
		{"change as another kind", rtmNewLink, 0, ipsec0, []attrOf{info("vti", id(6))}, syscall.EOPNOTSUPP, ""},
		{"change of a foreign link", rtmNewLink, 0, 2, []attrOf{{iflaMTU, u32(1400)}}, syscall.EOPNOTSUPP, textForeign},
		{"delete a foreign link", rtmDelLink, 0, 0, []attrOf{named("tun9")}, syscall.EOPNOTSUPP, textForeign},
		{"delete nothing", rtmDelLink, 0, 0, nil, syscall.EINVAL, ""},
		{"delete what is not there", rtmDelLink, 0, 0, []attrOf{named("b")}, syscall.ENODEV, ""},
		{"get what is not there", rtmGetLink, 0, 99, nil, syscall.ENODEV, ""},
		{"another message", 20, 0, 0, nil, syscall.EOPNOTSUPP, ""},
	} {
		a := c.ask(x.typ, x.flags, x.index, x.attrs...)
		if a == nil || a.Errno != x.errno || a.Text != x.text {
			t.Errorf("%s: %+v, want %v %q", x.name, a, x.errno, x.text)
		}
	}
	if n := len(c.links.links); n != 2 {
		t.Errorf("%d interfaces after refusals", n)
	}
}

func TestLinkOffset(t *testing.T) {
	c := newLinkClient(t)
	a := c.ask(rtmNewLink, newFlags, 0, named("ipsec0"), info("xfrm", attrOf{xfrmIfID, []byte{1}}))
	// header, ifinfomsg, name of 7 bytes, link info, kind of 5, data
	if want := sizeHeader + sizeIfInfo + 12 + 4 + 12 + 4; a == nil || a.Offset != want {
		t.Errorf("%+v, want offset %d", a, want)
	}
}

// TestLinkLife makes, changes, lists and deletes an interface.
func TestLinkLife(t *testing.T) {
	c := newLinkClient(t)
	if a := c.ask(rtmNewLink, newFlags, 0, attrOf{iflaMTU, u32(1400)}, info("xfrm", id(5), attrOf{xfrmLink, u32(2)})); a != nil {
		t.Fatalf("%+v", a)
	}
	l := c.k.links[3]
	if l.name != "xfrm0" || l.mtu != 1400 {
		t.Errorf("made %+v", l)
	}
	if a := c.ask(rtmNewLink, 0, l.index, info("xfrm", id(9), attrOf{xfrmLink, u32(2)})); a != nil || l.ifID != 9 {
		t.Errorf("change of the if_id: %+v, %+v", a, l)
	}
	if a := c.ask(rtmGetLink, 0, l.index); a != nil || len(c.answers) != 1 {
		t.Fatalf("get: %+v, %d answers", a, len(c.answers))
	}
	want := LinkSpec{IfID: 9, Link: 2}
	checkShown(t, c.answers[0], want)
	if a := c.ask(rtmGetLink, flagDump, 0, info("xfrm")); a != nil {
		t.Errorf("dump: %+v", a)
	}
	if n := countMessages(c.answers); n != 1 {
		t.Fatalf("%d interfaces of kind xfrm", n)
	}
	checkShown(t, c.answers[0], want)
	if c.ask(rtmGetLink, flagDump, 0); countMessages(c.answers) != 4 {
		t.Errorf("%d links", countMessages(c.answers))
	}
	if a := c.ask(rtmDelLink, 0, l.index); a != nil || !l.gone {
		t.Errorf("delete: %+v", a)
	}
	if c.ask(rtmGetLink, flagDump, 0, info("xfrm")); len(c.answers) != 0 {
		t.Error("deleted, and still listed")
	}
	if a := c.ask(rtmNewLink, newFlags, 0, info("xfrm", id(9))); a != nil {
		t.Errorf("the if_id is not free again: %+v", a)
	}
	c.k.links[4].gone = true // by `ip link delete`
	if a := c.ask(rtmNewLink, newFlags, 0, info("xfrm", id(9))); a != nil {
		t.Errorf("the if_id of what somebody deleted is not free: %+v", a)
	}
}

func countMessages(datagrams [][]byte) (n int) {
	for _, b := range datagrams {
		for _, rest, ok := nextMessage(b); ok; _, rest, ok = nextMessage(rest) {
			n++
		}
	}
	return n
}

// checkShown compares a link message with what the kernel says of an XFRM
// interface.
func checkShown(t *testing.T, b []byte, want LinkSpec) {
	t.Helper()
	m, _, ok := nextMessage(b)
	if !ok {
		t.Fatalf("no message: %x", b)
	}
	r, refused := parseLink(&m)
	if refused != nil {
		t.Fatal(refused)
	}
	got := r.spec()
	if r.kind != kindXFRM || got != want || host.Uint32(r.attrs.data[iflaLink]) != want.Link {
		t.Errorf("kind %s, %+v, want %+v", r.kind, got, want)
	}
	if f := host.Uint32(b[sizeHeader+ifiFlags:]); f&(iffPointToPoint|iffMulticast) != 0 {
		t.Errorf("flags %#x", f)
	}
	if !slices.Equal(m.raw[12:16], u32(5)) {
		t.Errorf("port id %x", m.raw[12:16])
	}
}

// TestLinkUndone: what cannot be completed is not left behind.
func TestLinkUndone(t *testing.T) {
	c := newLinkClient(t)
	c.k.refuse = syscall.EPERM
	a := c.ask(rtmNewLink, newFlags, 0, attrOf{iflaMTU, u32(1400)}, info("xfrm", id(5)))
	if a == nil || a.Errno != syscall.EPERM || a.Offset != 0 || len(c.links.links) != 0 || !c.k.links[3].gone {
		t.Errorf("%+v, %d interfaces", a, len(c.links.links))
	}
	c.k.refuse, c.k.failed = 0, true
	if a := c.ask(rtmNewLink, newFlags, 0, info("xfrm", id(5))); a == nil || a.Errno != syscall.EIO || a.Text != "no queues left" {
		t.Errorf("%+v", a)
	}
}
