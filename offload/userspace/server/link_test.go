package server

import (
	"slices"
	"syscall"
	"testing"
)

// linkRefusal is a request and its answer.
type linkRefusal struct {
	name       string
	typ, flags uint16
	index      int32
	attrs      []attrOf
	errno      syscall.Errno
	text       string
}

// linkRefusals are about an interface with if_id 5, and an external one.
func linkRefusals(ipsec0, ext0 int32) []linkRefusal {
	return []linkRefusal{
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
	}
}

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
	for _, x := range linkRefusals(ipsec0, ext0) {
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
