package ifaces

import (
	"context"
	"encoding/binary"
	"math"
	"os"
	"slices"
	"syscall"
	"testing"

	"github.com/jsimonetti/rtnetlink/v2"
	"github.com/mdlayher/netlink"

	"github.com/xfrmctl/xfrmctl/ifaces/rtnl"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// fakeKernel answers link and address messages from memory, with the refusals
// of the kernel that matter here. What it is sent goes through the real
// encoders, what it answers through the real decoders.
type fakeKernel struct {
	t         *testing.T
	links     []*fakeLink
	next      int32
	noKind    bool   // no XFRM interfaces
	old       string // "6.0": external is skipped; "5.10": and if_id 0 accepted
	ackText   string // of successful changes
	interrupt int    // how many dumps say that they were interrupted
	refuse    map[uint16]syscall.Errno
	sent      []uint16
}

type fakeLink struct {
	index   int32
	name    string
	kind    string
	data    Driver
	tunnel  vtiData // of VTIs
	mtu     uint32
	up      bool
	alias   string
	context netlinkx.Opt[int32]
	addrs   [][]byte // messages
}

func newFake(t *testing.T, links ...*fakeLink) *fakeKernel {
	k := &fakeKernel{t: t, next: 10}
	for _, l := range links {
		k.add(l)
	}
	return k
}

func (k *fakeKernel) add(l *fakeLink) {
	if l.index == 0 {
		k.next++
		l.index = k.next
	}
	if l.mtu == 0 {
		l.mtu = 1500
	}
	k.links = append(k.links, l)
}

// conn returns a Conn to the fake and a list of its warnings' kinds.
func (k *fakeKernel) conn() (*Conn, *[]WarningKind) {
	var kinds []WarningKind
	c := &Conn{
		cfg:          Config{OnWarning: func(w *Warning) { kinds = append(kinds, w.Kind) }},
		exchange:     k.exchange,
		batch:        k.batch,
		closeSocket:  func() error { return nil },
		namespaces:   func() []netlinkx.NetNS { return nil },
		transportSAs: func(context.Context) (int, error) { return 0, nil },
	}
	c.dial = func(*Config) (*Conn, error) { return nil, os.ErrPermission }
	return c, &kinds
}

func (k *fakeKernel) exchange(ctx context.Context, m rtnetlink.Message, typ uint16, flags netlink.HeaderFlags) ([]netlink.Message, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b, err := m.MarshalBinary()
	if err != nil {
		return nil, err
	}
	k.sent = append(k.sent, typ)
	if e := k.refuse[typ]; e != 0 {
		return nil, &netlink.OpError{Op: "receive", Err: e}
	}
	switch typ {
	case rtmGetLink:
		return k.getLink(b, flags)
	case rtmNewLink:
		return k.newLink(b, flags)
	case rtmDelLink:
		return k.delLink(b)
	case rtmGetAddr:
		return k.getAddr(b)
	case rtmNewAddr, rtmDelAddr:
		return k.changeAddr(b, typ)
	case rtmGetRoute:
		return nil, nil
	}
	k.t.Errorf("message of type %d", typ)
	return nil, refuse(syscall.EINVAL, "")
}

// batch carries out chunks of two messages, as the kernel carries out datagrams.
func (k *fakeKernel) batch(ctx context.Context, msgs []rtnl.Message) (*rtnl.Result, error) {
	res := &rtnl.Result{Failed: map[int]error{}}
	for res.Unsent < len(msgs) && len(res.Failed) == 0 {
		for range min(2, len(msgs)-res.Unsent) {
			m := msgs[res.Unsent]
			if _, err := k.exchange(ctx, &encoded{b: m.Body}, m.Type, m.Flags); err != nil {
				res.Failed[res.Unsent] = err
			}
			res.Unsent++
		}
	}
	return res, nil
}

func refuse(e syscall.Errno, text string) error {
	return &netlink.OpError{Op: "receive", Err: e, Message: text}
}

// request decodes what the Conn sent as the kernel reads it.
func (k *fakeKernel) request(b []byte) (*device, map[uint16]bool) {
	d, err := decodeLink(b)
	if err != nil {
		k.t.Fatalf("request: %v", err)
	}
	has := make(map[uint16]bool)
	ad, err := netlink.NewAttributeDecoder(b[sizeofIfInfo:])
	if err != nil {
		k.t.Fatal(err)
	}
	for ad.Next() {
		has[ad.Type()] = true
		if ad.Type() == iflaAltIfname {
			d.Name = ad.String()
		}
	}
	return d, has
}

func (k *fakeKernel) find(d *device) *fakeLink {
	for _, l := range k.links {
		if d.Index != 0 && l.index == d.Index || d.Index == 0 && l.name == d.Name {
			return l
		}
	}
	return nil
}

func (k *fakeKernel) getLink(b []byte, flags netlink.HeaderFlags) ([]netlink.Message, error) {
	d, _ := k.request(b)
	if flags&netlink.Dump != netlink.Dump {
		l := k.find(d)
		if l == nil {
			return nil, refuse(syscall.ENODEV, "")
		}
		return []netlink.Message{l.message(0)}, nil
	}
	var hf netlink.HeaderFlags
	if k.interrupt > 0 {
		k.interrupt--
		hf = netlink.DumpInterrupted
	}
	var out []netlink.Message
	for _, l := range k.links {
		out = append(out, l.message(hf)) // unfiltered, as by a kernel that does not know the kind
	}
	return out, nil
}

func (l *fakeLink) message(flags netlink.HeaderFlags) netlink.Message {
	b := make([]byte, sizeofIfInfo)
	binary.NativeEndian.PutUint32(b[4:], uint32(l.index))
	if l.up {
		binary.NativeEndian.PutUint32(b[8:], iffUp)
	}
	ae := netlink.NewAttributeEncoder()
	ae.String(iflaIfname, l.name)
	ae.Uint32(iflaMTU, l.mtu)
	ae.Uint8(iflaOperstate, 2)
	if l.alias != "" {
		ae.String(iflaIfalias, l.alias)
	}
	if l.context.Valid {
		ae.Uint32(iflaLinkNetNS, uint32(l.context.V))
	}
	ae.Nested(iflaLinkinfo, func(ae *netlink.AttributeEncoder) error {
		ae.String(iflaInfoKind, l.kind)
		switch {
		case l.kind == Kind:
			ae.Nested(iflaInfoData, l.data.Encode)
		case isVTI(l.kind):
			ae.Nested(iflaInfoData, l.tunnel.Encode)
		}
		return nil
	})
	a, err := ae.Encode()
	if err != nil {
		panic(err)
	}
	return netlink.Message{Header: netlink.Header{Type: rtmNewLink, Flags: flags}, Data: append(b, a...)}
}

func (k *fakeKernel) newLink(b []byte, flags netlink.HeaderFlags) ([]netlink.Message, error) {
	d, has := k.request(b)
	var err error
	if flags&netlink.Create != 0 {
		err = k.createLink(d)
	} else {
		err = k.changeLink(k.find(d), d, has, binary.NativeEndian.Uint32(b[12:]))
	}
	if err != nil {
		return nil, err
	}
	return []netlink.Message{k.ack()}, nil
}

func (k *fakeKernel) createLink(d *device) error {
	want := Driver{Link: uint32(d.Underlay), IfID: d.IfID, External: d.External}
	if k.old != "" {
		want.External = false
	}
	switch {
	case k.noKind:
		return refuse(syscall.EOPNOTSUPP, "Unknown device type")
	case isVTI(d.kind):
		return k.createVTI(d)
	case d.Name != "" && k.find(&device{Link: Link{Name: d.Name}}) != nil:
		return refuse(syscall.EEXIST, "")
	case want.IfID == 0 && !want.External && k.old != "5.10":
		return refuse(syscall.EINVAL, "if_id must be non zero")
	case k.taken(want, nil):
		return refuse(syscall.EEXIST, "")
	}
	if d.Name == "" {
		d.Name = "xfrm0"
	}
	k.add(&fakeLink{name: d.Name, kind: Kind, data: want, mtu: d.MTU})
	return nil
}

func (k *fakeKernel) createVTI(d *device) error {
	same := func(l *fakeLink) bool {
		return l.name == d.Name || l.kind == d.kind && l.tunnel.local == d.tunnel.local && l.tunnel.remote == d.tunnel.remote
	}
	if slices.ContainsFunc(k.links, same) {
		return refuse(syscall.EEXIST, "")
	}
	k.add(&fakeLink{name: d.Name, kind: d.kind, tunnel: d.tunnel, mtu: d.MTU})
	return nil
}

func (k *fakeKernel) taken(want Driver, self *fakeLink) bool {
	return slices.ContainsFunc(k.links, func(l *fakeLink) bool {
		return l != self && l.kind == Kind && !l.context.Valid && l.data.IfID == want.IfID && l.data.External == want.External
	})
}

func (k *fakeKernel) changeLink(l *fakeLink, d *device, has map[uint16]bool, change uint32) error {
	if l == nil {
		return refuse(syscall.ENODEV, "")
	}
	if has[iflaLinkinfo] {
		want := Driver{Link: uint32(d.Underlay), IfID: d.IfID, External: d.External}
		switch {
		case want.IfID == 0:
			return refuse(syscall.EINVAL, "if_id must be non zero")
		case want.External || l.data.External:
			return refuse(syscall.EINVAL, "collect_md can't be changed")
		case want.Link != l.data.Link:
			return refuse(syscall.EINVAL, "")
		case k.taken(want, l):
			return refuse(syscall.EEXIST, "")
		}
		l.data = want
	}
	if d.MTU != 0 {
		l.mtu = d.MTU
	}
	if d.Name != "" && d.Index != 0 && d.Name != l.name {
		if k.find(&device{Link: Link{Name: d.Name}}) != nil {
			return refuse(syscall.EEXIST, "")
		}
		l.name = d.Name
	}
	if has[iflaIfalias] {
		l.alias = d.Alias
	}
	if change&iffUp != 0 {
		l.up = d.Up
	}
	return nil
}

func (k *fakeKernel) ack() netlink.Message {
	m := netlink.Message{Header: netlink.Header{Type: netlink.Error}, Data: make([]byte, 20)}
	binary.NativeEndian.PutUint32(m.Data[4:], 16)
	if k.ackText != "" {
		a, err := netlink.MarshalAttributes([]netlink.Attribute{{Type: 1, Data: append([]byte(k.ackText), 0)}})
		if err != nil {
			k.t.Fatal(err)
		}
		m.Header.Flags, m.Data = netlink.AcknowledgeTLVs, append(m.Data, a...)
	}
	return m
}

func (k *fakeKernel) delLink(b []byte) ([]netlink.Message, error) {
	d, _ := k.request(b)
	l := k.find(d)
	if l == nil {
		return nil, refuse(syscall.ENODEV, "")
	}
	k.links = slices.DeleteFunc(k.links, func(o *fakeLink) bool { return o == l })
	return []netlink.Message{k.ack()}, nil
}

func (k *fakeKernel) getAddr(b []byte) ([]netlink.Message, error) {
	index := int32(binary.NativeEndian.Uint32(b[4:]))
	var out []netlink.Message
	for _, l := range k.links {
		for _, a := range l.addrs {
			if index == 0 || index == l.index {
				out = append(out, netlink.Message{Header: netlink.Header{Type: rtmNewAddr}, Data: a})
			}
		}
	}
	return out, nil
}

func (k *fakeKernel) changeAddr(b []byte, typ uint16) ([]netlink.Message, error) {
	index, a, err := decodeAddress(b)
	if err != nil {
		k.t.Fatalf("request: %v", err)
	}
	l := k.find(&device{Link: Link{Index: index}})
	if l == nil {
		return nil, refuse(syscall.ENODEV, "")
	}
	i := slices.IndexFunc(l.addrs, func(m []byte) bool {
		_, have, err := decodeAddress(m)
		return err == nil && have.Prefix == a.Prefix
	})
	switch {
	case typ == rtmNewAddr && i >= 0:
		return nil, refuse(syscall.EEXIST, "")
	case typ == rtmNewAddr:
		l.addrs = append(l.addrs, b)
	case i < 0:
		return nil, refuse(syscall.EADDRNOTAVAIL, "")
	default:
		l.addrs = slices.Delete(l.addrs, i, i+1)
	}
	return []netlink.Message{k.ack()}, nil
}

// underlay is a device to stand below, of ifindex 2.
func underlay() *fakeLink { return &fakeLink{index: 2, name: "eth0", kind: "veth"} }

func xfrm(name string, ifID uint32) *fakeLink {
	return &fakeLink{name: name, kind: Kind, data: Driver{Link: 2, IfID: ifID}}
}

const maxUint32 = math.MaxUint32
