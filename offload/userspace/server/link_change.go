package server

import (
	"fmt"
	"os"
	"syscall"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Texts of net/xfrm/xfrm_interface_core.c and net/core.
const (
	textIfID     = "if_id must be non zero"
	textExternal = "link and if_id must be zero"
	textMetadata = "collect_md can't be changed"
	textKind     = "Unknown device type"
	textMTULow   = "mtu less than device minimum"
	textMTUHigh  = "mtu greater than device maximum"
	textIndex    = "ifindex can't be negative"
)

// Texts of this engine, which the kernel has no need for.
const (
	textForeign   = "not an interface of the userspace engine"
	textElsewhere = "the userspace engine makes interfaces in its own network namespace alone; move them afterwards"
)

// newLink creates or changes an interface (rtnl_newlink).
func (l *Links) newLink(v *view, m *message, files []*os.File) *netlinkx.Ack {
	r, refused := parseLink(m)
	if refused != nil {
		return refused
	}
	if r.index < 0 {
		return invalid(textIndex)
	}
	dev, refused := l.find(v, r)
	if refused != nil && refused.Errno != syscall.ENODEV {
		return refused
	}
	if dev != nil {
		return l.change(v, r, dev, files)
	}
	switch {
	case m.flags&flagCreate == 0:
		return refuse(syscall.ENODEV, "")
	case r.kind != kindXFRM:
		return refuse(syscall.EOPNOTSUPP, textKind)
	}
	return l.create(v, r)
}

// find returns the link that a message names, as the kernel reports it.
func (l *Links) find(v *view, r *linkRequest) ([]byte, *netlinkx.Ack) {
	if r.index == 0 && r.name == "" && !r.attrs.has(iflaAltIfname) {
		return nil, nil
	}
	b := make([]byte, sizeHeader+sizeIfInfo, 256)
	host.PutUint16(b[4:], rtmGetLink)
	switch {
	case r.index != 0:
		host.PutUint32(b[sizeHeader+ifiIndex:], uint32(r.index))
	case r.name != "":
		b = appendAttr(b, iflaIfname, append([]byte(r.name), 0))
	default:
		b = appendAttr(b, iflaAltIfname, r.attrs.data[iflaAltIfname])
	}
	host.PutUint32(b, uint32(len(b)))
	answers, refused, err := v.kernel.ask(b)
	switch {
	case err != nil:
		return nil, refuse(errnoOf(err), err.Error())
	case refused != nil && refused.Errno != 0:
		refused.Offset = 0
		return nil, refused
	case len(answers) != 1:
		return nil, refuse(syscall.EIO, fmt.Sprintf("%d answers of the kernel for one link", len(answers)))
	}
	return answers[0], nil
}

// ours returns the engine's interface that a link of the kernel is, or nil.
func (l *Links) ours(v *view, msg []byte) *link {
	name, kind := nameAndKind(msg)
	if kind != kindTUN {
		return nil
	}
	return l.places()[where{v.ns.inode, name}]
}

// change is rtnl_changelink and what comes after it.
func (l *Links) change(v *view, r *linkRequest, dev []byte, files []*os.File) *netlinkx.Ack {
	switch {
	case r.flags&flagExcl != 0:
		return refuse(syscall.EEXIST, "")
	case r.flags&flagReplace != 0:
		return refuse(syscall.EOPNOTSUPP, "")
	}
	k := l.ours(v, dev)
	if k == nil {
		return refuse(syscall.EOPNOTSUPP, textForeign)
	}
	if r.data != nil {
		if r.kind != kindXFRM {
			return refuse(syscall.EOPNOTSUPP, "")
		}
		if refused := l.changeInfo(k, r.spec()); refused != nil {
			return refused
		}
	}
	b, err := r.rest(files)
	if err != nil {
		return invalid(err.Error())
	}
	_, refused, err := v.kernel.ask(b)
	if err != nil {
		return refuse(errnoOf(err), err.Error())
	}
	return refused
}

// changeInfo is xfrmi_changelink.
func (l *Links) changeInfo(k *link, s LinkSpec) *netlinkx.Ack {
	switch {
	case s.IfID == 0:
		return invalid(textIfID)
	case s.External || k.spec.External:
		return invalid(textMetadata)
	}
	if o := l.taken(s.IfID, false); o != nil && o != k {
		return refuse(syscall.EEXIST, "")
	}
	if s.Link != k.spec.Link {
		return invalid("")
	}
	if s.IfID == k.spec.IfID {
		return nil
	}
	if err := k.dev.SetIfID(s.IfID); err != nil {
		return refuse(errnoOf(err), err.Error())
	}
	k.spec.IfID = s.IfID
	return nil
}

// create is rtnl_newlink_create with xfrmi_newlink.
func (l *Links) create(v *view, r *linkRequest) *netlinkx.Ack {
	if v.ns.inode != l.home.inode || r.movesNamespace() {
		return refuse(syscall.EOPNOTSUPP, textElsewhere)
	}
	if d := r.attrs.data[iflaMTU]; d != nil {
		if mtu := host.Uint32(d); mtu < minMTU {
			return invalid(textMTULow)
		} else if mtu > maxMTU {
			return invalid(textMTUHigh)
		}
	}
	s := r.spec()
	l.places() // forgets what is gone
	switch {
	case s.External && (s.Link != 0 || s.IfID != 0):
		return invalid(textExternal)
	case !s.External && s.IfID == 0:
		return invalid(textIfID)
	case l.taken(s.IfID, s.External) != nil:
		return refuse(syscall.EEXIST, "")
	}
	var refused *netlinkx.Ack
	if s.Name, refused = l.freeName(v, r.name); refused != nil {
		return refused
	}
	dev, err := l.plane.Create(s)
	if err != nil {
		return refuse(errnoOf(err), textOf(err))
	}
	l.links = append(l.links, &link{dev: dev, spec: s})
	return l.finish(v, r, l.links[len(l.links)-1])
}

// textOf is what there is to say about an error besides its errno.
func textOf(err error) string {
	if e := errnoOf(err); e == syscall.EEXIST {
		return "" // as the kernel
	}
	return err.Error()
}

// finish sets what a device does not get when it is made. When that fails, the
// device goes again.
func (l *Links) finish(v *view, r *linkRequest, k *link) *netlinkx.Ack {
	named := &linkRequest{message: r.message, name: k.spec.Name}
	msg, refused := l.find(v, named)
	if refused == nil {
		if b := r.creationRest(linkIndex(msg)); b != nil {
			var err error
			if _, refused, err = v.kernel.ask(b); err != nil {
				refused = refuse(errnoOf(err), err.Error())
			}
		}
	}
	if refused != nil && refused.Errno != 0 {
		refused.Offset = 0 // that of another message
		l.remove(v, k)
	}
	return refused
}

// freeName fills in the number of a name that leaves it to the kernel: xfrm%d
// without a name.
func (l *Links) freeName(v *view, name string) (string, *netlinkx.Ack) {
	if name == "" {
		name = kindXFRM + "%d"
	}
	format, ok := numbered(name)
	if !ok {
		return name, nil
	}
	for i := range 1 << 15 {
		s := fmt.Sprintf(format, i)
		if len(s) > maxName {
			break
		}
		_, refused := l.find(v, &linkRequest{name: s})
		if refused != nil && refused.Errno == syscall.ENODEV {
			return s, nil
		}
		if refused != nil {
			return "", refused
		}
	}
	return "", refuse(syscall.ENFILE, "")
}

// numbered reports whether a name has the one %d that the kernel fills in.
func numbered(name string) (format string, ok bool) {
	for i := 0; i+1 < len(name); i++ {
		if name[i] == '%' {
			return name, name[i+1] == 'd' && countByte(name, '%') == 1
		}
	}
	return name, false
}

func countByte(s string, c byte) (n int) {
	for i := range len(s) {
		if s[i] == c {
			n++
		}
	}
	return n
}

// delLink deletes an interface (rtnl_dellink).
func (l *Links) delLink(v *view, m *message) *netlinkx.Ack {
	r, refused := parseLink(m)
	if refused != nil {
		return refused
	}
	msg, refused := l.find(v, r)
	switch {
	case refused != nil:
		return refused
	case msg == nil:
		return invalid("")
	}
	k := l.ours(v, msg)
	if k == nil {
		return refuse(syscall.EOPNOTSUPP, textForeign)
	}
	return l.remove(v, k)
}

// remove deletes an interface and waits until the kernel has.
func (l *Links) remove(v *view, k *link) *netlinkx.Ack {
	name, nerr := k.dev.Name()
	if err := k.dev.Delete(); err != nil {
		return refuse(errnoOf(err), err.Error())
	}
	l.forget(k)
	if nerr == nil {
		vanished(func() bool {
			_, refused := l.find(v, &linkRequest{name: name})
			return refused != nil
		})
	}
	return nil
}
