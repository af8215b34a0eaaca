package server

import (
	"os"
	"syscall"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/nlsock"
)

// handleRoute serves a client's link messages. With its hello come a routing
// socket of its namespace, and the namespace.
func (s *Server) handleRoute(p *nlsock.Peer) {
	switch {
	case s.cfg.Links == nil:
		p.Refuse(syscall.EOPNOTSUPP, "")
		return
	case len(p.Files) != 2 || p.Groups != 0:
		p.Refuse(syscall.EPROTO, "")
		return
	}
	sock, err := newRouteSocket(p.Files[0])
	if err != nil {
		p.Refuse(syscall.EPROTO, err.Error())
		return
	}
	v := &view{kernel: sock, ns: namespaceOf(p.Files[1])}
	if p.Welcome() != nil {
		return
	}
	c := &client{to: p, portID: p.PortID}
	buf := make([]byte, maxDatagram)
	for {
		n, files, err := p.Recv(buf)
		if err != nil {
			closeAll(files)
			return // it has gone, or sent what is no datagram of ours
		}
		err = s.cfg.Links.datagram(v, c, buf[:n], files)
		closeAll(files)
		if err != nil {
			return
		}
	}
}

// datagram answers link messages. Files are the namespaces that they name, in
// order.
func (l *Links) datagram(v *view, c *client, b []byte, files []*os.File) error {
	return datagram(c, b, func(c *client, m *message) (*netlinkx.Ack, bool) {
		l.mu.Lock()
		defer l.mu.Unlock()
		n := min(namespacesIn(m), len(files))
		mine := files[:n]
		files = files[n:]
		switch {
		case m.typ == rtmGetLink && m.flags&flagDump != 0:
			l.dumpLinks(v, c, m)
			return nil, true
		case m.typ == rtmGetLink:
			return l.getLink(v, c, m), false
		case m.typ == rtmNewLink:
			return l.newLink(v, m, mine), false
		case m.typ == rtmDelLink:
			return l.delLink(v, m), false
		}
		return refuse(syscall.EOPNOTSUPP, ""), false
	})
}

// namespacesIn counts the attributes that name a namespace which came along.
func namespacesIn(m *message) (n int) {
	if m.typ != rtmNewLink || len(m.raw) < sizeHeader+sizeIfInfo {
		return 0
	}
	for x := (attrWalk{b: m.raw[sizeHeader+sizeIfInfo:]}); x.next(); {
		if len(x.data) == 4 && (x.typ == iflaNetNSFD || x.typ == iflaNetNSPID) {
			n++
		}
	}
	return n
}
