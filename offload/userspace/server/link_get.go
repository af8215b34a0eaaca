package server

import (
	"syscall"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// getLink answers for one link.
func (l *Links) getLink(v *view, c *client, m *message) *netlinkx.Ack {
	b := append([]byte(nil), m.raw...)
	host.PutUint16(b[6:], flagRequest)
	answers, refused, err := v.kernel.ask(b)
	if err != nil {
		return refuse(errnoOf(err), err.Error())
	}
	if len(answers) == 0 {
		return refused
	}
	places := l.places()
	for _, msg := range answers {
		msg, _ := l.show(v, places, msg)
		c.send(func(b []byte) ([]byte, error) { return append(b, addressed(c, m, msg)...), nil })
	}
	return refused
}

// dumpLinks answers for all links, or those of a kind.
func (l *Links) dumpLinks(v *view, c *client, m *message) {
	d := newDumper(c, m)
	verdict, answers, kind := (*netlinkx.Ack)(nil), [][]byte(nil), ""
	r, refused := parseLink(m)
	if refused == nil {
		var err error
		kind = r.kind
		if answers, verdict, err = v.kernel.ask(r.dumpAll()); err != nil {
			refused = refuse(errnoOf(err), err.Error())
		}
	}
	if refused != nil {
		d.end(refused)
		return
	}
	places := l.places()
	for _, msg := range answers {
		shown, shownKind := l.show(v, places, msg)
		if kind != "" && (shownKind != kind || kind == kindXFRM && len(shown) == len(msg) && &shown[0] == &msg[0]) {
			continue // of the kernel's own XFRM interfaces it knows nothing
		}
		shown = addressed(c, m, shown)
		appendTo := func(b []byte, _ netlinkx.Header) ([]byte, error) {
			for len(b)%4 != 0 {
				b = append(b, 0)
			}
			return append(b, shown...), nil
		}
		if !d.put(appendTo) {
			d.flush()
			d.put(appendTo)
		}
	}
	d.end(verdict)
}

// dumpAll is a dump request without a filter by kind, which the kernel would
// apply to its own idea of the kinds.
func (r *linkRequest) dumpAll() []byte {
	p := r.payload()
	b := make([]byte, sizeHeader, len(r.raw))
	host.PutUint16(b[4:], rtmGetLink)
	host.PutUint16(b[6:], flagRequest|flagDump)
	b = append(b, p[:sizeIfInfo]...)
	for x := (attrWalk{b: p[sizeIfInfo:]}); x.next(); {
		if x.typ != iflaLinkinfo {
			b = appendAttr(b, host.Uint16(x.b[x.at+2:]), x.data)
		}
	}
	host.PutUint32(b, uint32(len(b)))
	return b
}

// addressed makes a message of the kernel's one to the client.
func addressed(c *client, m *message, msg []byte) []byte {
	host.PutUint32(msg[8:], m.seq)
	host.PutUint32(msg[12:], c.portID)
	return msg
}

// nameAndKind reads a link message.
func nameAndKind(msg []byte) (name, kind string) {
	if len(msg) < sizeHeader+sizeIfInfo {
		return "", ""
	}
	for x := (attrWalk{b: msg[sizeHeader+sizeIfInfo:]}); x.next(); {
		switch x.typ {
		case iflaIfname:
			name = cstring(x.data)
		case iflaLinkinfo:
			for y := (attrWalk{b: x.data}); y.next(); {
				if y.typ == iflaInfoKind {
					kind = cstring(y.data)
				}
			}
		}
	}
	return name, kind
}

// linkIndex is the ifindex of a link message.
func linkIndex(msg []byte) int32 { return int32(host.Uint32(msg[sizeHeader+ifiIndex:])) }

// show returns a link message as the client shall see it, and the kind of the
// link: an interface of the engine's is one of kind xfrm, as the kernel would
// report it. Other messages are returned as they are.
func (l *Links) show(v *view, places map[where]*link, msg []byte) (shown []byte, kind string) {
	name, kind := nameAndKind(msg)
	k := places[where{v.ns.inode, name}]
	if kind != kindTUN || k == nil {
		return msg, kind
	}
	at := sizeHeader + sizeIfInfo
	b := append(make([]byte, 0, len(msg)+64), msg[:at]...)
	flags := host.Uint32(b[sizeHeader+ifiFlags:])
	host.PutUint32(b[sizeHeader+ifiFlags:], flags&^(iffPointToPoint|iffMulticast))
	for x := (attrWalk{b: msg[at:]}); x.next(); {
		switch x.typ {
		case iflaLink, iflaLinkNetNS:
		case iflaLinkinfo:
			b = appendAttr32(b, iflaLink, k.spec.Link)
			b = l.appendContext(b, v)
			b = appendAttr(b, iflaLinkinfo, k.spec.info())
		default:
			b = appendAttr(b, host.Uint16(x.b[x.at+2:]), x.data)
		}
	}
	host.PutUint32(b, uint32(len(b)))
	return b, kindXFRM
}

// info is the contents of IFLA_LINKINFO (xfrmi_fill_info).
func (s *LinkSpec) info() []byte {
	data := appendAttr32(nil, xfrmLink, s.Link)
	data = appendAttr32(data, xfrmIfID, s.IfID)
	if s.External {
		data = appendAttr(data, xfrmMetadata, nil)
	}
	b := appendAttr(nil, iflaInfoKind, append([]byte(kindXFRM), 0))
	return appendAttr(b, iflaInfoData, data)
}

// appendContext names the namespace that an interface belongs to, when it is
// another than the client's.
func (l *Links) appendContext(b []byte, v *view) []byte {
	if v.ns.inode == l.home.inode || l.home.file == nil {
		return b
	}
	if id, ok := namespaceID(v.kernel, int(l.home.file.Fd())); ok {
		b = appendAttr32(b, iflaLinkNetNS, uint32(id))
	}
	return b
}

// Attributes and header of namespace id messages (linux/net_namespace.h).
const (
	netnsaNSID = 1
	netnsaFD   = 3
	sizeGenMsg = 4
)

// namespaceID asks for the id by which a namespace knows another, and has the
// kernel choose one if there is none.
func namespaceID(k kernelLinks, fd int) (id int32, ok bool) {
	for try := range 2 {
		b := make([]byte, sizeHeader+sizeGenMsg, 64)
		host.PutUint16(b[4:], rtmGetNSID)
		b = appendAttr32(b, netnsaFD, uint32(fd))
		host.PutUint32(b, uint32(len(b)))
		answers, _, err := k.ask(b)
		if err != nil || len(answers) == 0 || len(answers[0]) < sizeHeader+sizeGenMsg {
			return 0, false
		}
		for x := (attrWalk{b: answers[0][sizeHeader+sizeGenMsg:]}); x.next(); {
			if x.typ == netnsaNSID && len(x.data) == 4 {
				id = int32(host.Uint32(x.data))
			}
		}
		if id >= 0 || try > 0 {
			return id, id >= 0
		}
		host.PutUint16(b[4:], rtmNewNSID)
		host.PutUint16(b[6:], flagAck)
		b = appendAttr32(b, netnsaNSID, ^uint32(0)) // any
		host.PutUint32(b, uint32(len(b)))
		if _, refused, err := k.ask(b); err != nil || refused != nil && refused.Errno != syscall.EEXIST {
			return 0, false
		}
	}
	return 0, false
}
