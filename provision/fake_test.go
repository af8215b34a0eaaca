package provision

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"

	"github.com/mdlayher/netlink"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/netlinkx/netlinkxtest"
)

// fake is a kernel in memory: SAs, policies, links, addresses and routes by what
// identifies them, as the messages that made them.
type fake struct {
	xfrm, routing netlinkxtest.Kernel
	undirected    bool // as before Linux 6.10
	sas           map[string]*netlinkx.SA
	policies      map[string]*netlinkx.Policy
	links         map[string]*fakeLink
	routes        map[string][]byte
	writes        int
	// refuse is asked before each write; what it returns is the answer.
	refuse func(n int, what string) syscall.Errno
	// seen is called before each write.
	seen func(what string)
}

type fakeLink struct {
	index, ifID, mtu uint32
	up               bool
	addresses        map[string][]byte
}

func newFake() *fake {
	k := &fake{sas: map[string]*netlinkx.SA{}, policies: map[string]*netlinkx.Policy{}, links: map[string]*fakeLink{}, routes: map[string][]byte{}}
	k.xfrm.Handle, k.routing.Handle = k.answerXFRM, k.answerRouting
	return k
}

// write notes a write and returns the refusal, if there is one.
func (k *fake) write(req netlinkxtest.Message, what string, errno syscall.Errno) []netlinkxtest.Message {
	if errno == 0 && k.refuse != nil {
		errno = k.refuse(k.writes, what)
	}
	k.writes++
	if k.seen != nil {
		k.seen(what)
	}
	if errno != 0 {
		return []netlinkxtest.Message{netlinkxtest.Refuse(req, errno, netlinkxtest.ExtAck{Text: "no " + what})}
	}
	return nil
}

func (k *fake) answerXFRM(req netlinkxtest.Message) []netlinkxtest.Message {
	r, err := netlinkx.DecodeRequest(req.Type, req.Flags, req.Payload)
	if sa, ok := r.Value().(*netlinkx.SA); err != nil || ok && sa.Proto == 0 {
		errno := syscall.ERANGE // the probe of the direction
		if k.undirected {
			errno = syscall.EINVAL
		}
		return []netlinkxtest.Message{netlinkxtest.Refuse(req, errno, netlinkxtest.ExtAck{})}
	}
	what := r.Op() + " " + r.Object()
	switch req.Type {
	case netlinkx.MsgGetSA:
		return k.getSA(req, r.Object())
	case netlinkx.MsgGetPolicy:
		var out []netlinkxtest.Message
		for _, id := range slices.Sorted(maps.Keys(k.policies)) {
			out = append(out, object(netlinkx.AddPolicy(k.policies[id]), netlinkx.MsgNewPolicy))
		}
		return append(out, done())
	}
	if refused := k.write(req, what, k.conflict(req, r)); refused != nil {
		return refused
	}
	switch v := r.Value().(type) {
	case *netlinkx.SA:
		k.sas[r.Object()] = v
	case *netlinkx.SAID:
		delete(k.sas, r.Object())
	case *netlinkx.Policy:
		k.policies[fmt.Sprint(v.Index)] = v
	case *netlinkx.PolicyID:
		maps.DeleteFunc(k.policies, func(_ string, p *netlinkx.Policy) bool {
			return p.Index == v.Index || v.Index == 0 && p.Selector == v.Selector && p.Dir == v.Dir && p.IfID == v.IfID
		})
	}
	return nil
}

func (k *fake) getSA(req netlinkxtest.Message, id string) []netlinkxtest.Message {
	if req.Flags&netlinkxtest.FlagDump == 0 {
		if sa := k.sas[id]; sa != nil {
			return []netlinkxtest.Message{object(netlinkx.AddSA(sa), netlinkx.MsgNewSA)}
		}
		return []netlinkxtest.Message{netlinkxtest.Refuse(req, syscall.ESRCH, netlinkxtest.ExtAck{})}
	}
	var out []netlinkxtest.Message
	for _, id := range slices.Sorted(maps.Keys(k.sas)) {
		out = append(out, object(netlinkx.AddSA(k.sas[id]), netlinkx.MsgNewSA))
	}
	return append(out, done())
}

// conflict is what the kernel itself refuses.
func (k *fake) conflict(req netlinkxtest.Message, r netlinkx.Request) syscall.Errno {
	there := k.sas[r.Object()] != nil
	switch req.Type {
	case netlinkx.MsgNewSA:
		if there {
			return syscall.EEXIST
		}
		if sa := r.Value().(*netlinkx.SA); k.undirected && (sa.Dir != netlinkx.DirUnset || sa.Flags&netlinkx.FlagESN != 0 && sa.ReplayWindow == 0) {
			return syscall.EINVAL
		}
	case netlinkx.MsgUpdSA, netlinkx.MsgDelSA:
		if !there {
			return syscall.ESRCH
		}
	}
	return 0
}

// object is an object as the kernel sends it.
func object(r netlinkx.Request, typ netlinkx.MsgType) netlinkxtest.Message {
	m := netlinkxtest.Object(r)
	m.Type, m.Flags = typ, netlinkxtest.FlagMulti
	return m
}

func done() netlinkxtest.Message {
	return netlinkxtest.Message{Type: netlinkxtest.TypeDone, Flags: netlinkxtest.FlagMulti, Payload: make([]byte, 4)}
}

// attributesOf returns the attributes behind a header, nested ones flattened.
func attributesOf(b []byte) map[uint16][]byte {
	out := map[uint16][]byte{}
	ad, err := netlink.NewAttributeDecoder(b)
	for err == nil && ad.Next() {
		out[ad.Type()] = ad.Bytes()
	}
	return out
}

// Numbers of linux/rtnetlink.h and linux/if_link.h.
const (
	rtmNewLink, rtmDelLink              = 16, 17
	rtmNewAddr, rtmDelAddr              = 20, 21
	iflaName, iflaMTU, iflaInfo         = 3, 4, 18
	infoKind, infoData, xfrmIfID, ifaIP = 1, 2, 2, 2
)

func (k *fake) answerRouting(req netlinkxtest.Message) []netlinkxtest.Message {
	p := req.Payload
	switch req.Type {
	case rtmGetLink:
		return k.getLinks(req)
	case rtmGetAddr:
		var out []netlinkxtest.Message
		for _, name := range slices.Sorted(maps.Keys(k.links)) {
			for _, key := range slices.Sorted(maps.Keys(k.links[name].addresses)) {
				out = append(out, netlinkxtest.Message{Type: rtmNewAddr, Flags: netlinkxtest.FlagMulti, Payload: k.links[name].addresses[key]})
			}
		}
		return append(out, done())
	case rtmGetRoute:
		var out []netlinkxtest.Message
		for _, key := range slices.Sorted(maps.Keys(k.routes)) {
			if k.routes[key][0] == p[0] {
				out = append(out, netlinkxtest.Message{Type: rtmNewRoute, Flags: netlinkxtest.FlagMulti, Payload: k.routes[key]})
			}
		}
		return append(out, done())
	case rtmNewRoute, rtmDelRoute:
		attrs := attributesOf(p[12:])
		key := fmt.Sprintf("route %x/%d %x", attrs[1], p[1], attrs[6])
		return k.change(req, key, func() {
			if delete(k.routes, key); req.Type == rtmNewRoute {
				k.routes[key] = p
			}
		})
	case rtmNewAddr, rtmDelAddr:
		l := k.link(binary.NativeEndian.Uint32(p[4:]), "")
		key := fmt.Sprintf("address %x/%d", attributesOf(p[8:])[ifaIP], p[1])
		return k.change(req, key, func() {
			if delete(l.addresses, key); req.Type == rtmNewAddr {
				l.addresses[key] = p
			}
		})
	}
	return k.changeLink(req)
}

func (k *fake) change(req netlinkxtest.Message, what string, do func()) []netlinkxtest.Message {
	refused := k.write(req, fmt.Sprintf("%d %s", req.Type, what), 0)
	if refused == nil {
		do()
	}
	return refused
}

func (k *fake) link(index uint32, name string) *fakeLink {
	for n, l := range k.links {
		if l.index == index || index == 0 && n == name {
			return l
		}
	}
	return nil
}

func (k *fake) changeLink(req netlinkxtest.Message) []netlinkxtest.Message {
	p, attrs := req.Payload, attributesOf(req.Payload[16:])
	name := strings.TrimRight(string(attrs[iflaName]), "\x00")
	l := k.link(binary.NativeEndian.Uint32(p[4:]), name)
	if l != nil && req.Flags&uint16(netlink.Excl) != 0 {
		return []netlinkxtest.Message{netlinkxtest.Refuse(req, syscall.EEXIST, netlinkxtest.ExtAck{})}
	}
	return k.change(req, "link "+name, func() {
		if req.Type == rtmDelLink {
			maps.DeleteFunc(k.links, func(_ string, o *fakeLink) bool { return o == l })
			maps.DeleteFunc(k.routes, func(_ string, r []byte) bool {
				oif := attributesOf(r[12:])[4]
				return oif != nil && binary.NativeEndian.Uint32(oif) == l.index
			})
			return
		}
		if l == nil {
			l = &fakeLink{index: uint32(10 + k.writes), mtu: 1500, addresses: map[string][]byte{}}
			k.links[name] = l
		}
		if v := attrs[iflaMTU]; v != nil {
			l.mtu = binary.NativeEndian.Uint32(v)
		}
		if info := attributesOf(attrs[iflaInfo]); info[infoData] != nil {
			l.ifID = binary.NativeEndian.Uint32(attributesOf(info[infoData])[xfrmIfID])
		}
		if binary.NativeEndian.Uint32(p[12:])&1 != 0 {
			l.up = p[8]&1 != 0
		}
	})
}

func (k *fake) getLinks(req netlinkxtest.Message) []netlinkxtest.Message {
	wanted := strings.TrimRight(string(attributesOf(req.Payload[16:])[iflaName]), "\x00")
	index, dump := binary.NativeEndian.Uint32(req.Payload[4:]), req.Flags&netlinkxtest.FlagDump != 0
	var out []netlinkxtest.Message
	for _, name := range slices.Sorted(maps.Keys(k.links)) {
		l := k.links[name]
		if !dump && l.index != index && name != wanted {
			continue
		}
		b := make([]byte, 16)
		binary.NativeEndian.PutUint32(b[4:], l.index)
		if l.up {
			b[8] = 1
		}
		ae := netlink.NewAttributeEncoder()
		ae.String(iflaName, name)
		ae.Uint32(iflaMTU, l.mtu)
		ae.Nested(iflaInfo, func(ae *netlink.AttributeEncoder) error {
			ae.String(infoKind, "xfrm")
			ae.Nested(infoData, func(ae *netlink.AttributeEncoder) error {
				ae.Uint32(xfrmIfID, l.ifID)
				return nil
			})
			return nil
		})
		attrs, err := ae.Encode()
		if err != nil {
			panic(err)
		}
		m := netlinkxtest.Message{Type: rtmNewLink, Payload: append(b, attrs...)}
		if dump {
			m.Flags = netlinkxtest.FlagMulti
		}
		out = append(out, m)
	}
	if dump {
		return append(out, done())
	}
	if out == nil {
		out = []netlinkxtest.Message{netlinkxtest.Refuse(req, syscall.ENODEV, netlinkxtest.ExtAck{})}
	}
	return out
}

// census is all that the kernel has.
func (k *fake) census() string {
	var b strings.Builder
	fmt.Fprintln(&b, slices.Sorted(maps.Keys(k.sas)), slices.Sorted(maps.Keys(k.policies)), slices.Sorted(maps.Keys(k.routes)))
	for _, name := range slices.Sorted(maps.Keys(k.links)) {
		l := k.links[name]
		fmt.Fprintln(&b, name, l.ifID, l.mtu, l.up, slices.Sorted(maps.Keys(l.addresses)))
	}
	return b.String()
}
