package server

import (
	"encoding/json"
	"os"
	"syscall"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/nlsock"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb"
)

// Config says what a Server answers with. Nil fields: requests for them are
// refused with EOPNOTSUPP.
type Config struct {
	// Links manages the engine's XFRM interfaces.
	Links *Links
	// Status returns what the engine tells about itself, for JSON.
	Status func() any
	// Headroom is told of SAs whose sequence numbers run out; nil: nobody.
	Headroom func(sadb.Headroom)
}

// Server answers the clients of an engine. Make it before the database, whose
// Listener it is, and give it the database with Attach before Handle is called.
// It is safe for concurrent use.
type Server struct {
	cfg       Config
	db        *sadb.DB
	policy    *policy
	spdPolicy *policy
	groups    groups
}

var _ sadb.Listener = (*Server)(nil)

// New returns a Server without a database.
func New(cfg Config) *Server {
	return &Server{cfg: cfg, policy: xfrmPolicy(), spdPolicy: spdPolicy()}
}

// Attach sets the database. Call it once, before Handle.
func (s *Server) Attach(db *sadb.DB) { s.db = db }

// maxDatagram is the longest datagram of requests that is read.
const maxDatagram = 1 << 20

// Handle serves one client until it goes: what nlsock.Listener.Serve calls.
func (s *Server) Handle(p *nlsock.Peer) {
	switch p.Protocol {
	case nlsock.ProtocolXFRM:
		s.handleXFRM(p)
	case nlsock.ProtocolRoute:
		s.handleRoute(p)
	case nlsock.ProtocolStatus:
		s.handleStatus(p)
	default:
		p.Refuse(syscall.EPROTONOSUPPORT, "")
	}
}

func (s *Server) handleXFRM(p *nlsock.Peer) {
	if p.Groups>>(maxGroup-1) != 0 {
		p.Refuse(syscall.EINVAL, "")
		return
	}
	if p.Groups != 0 {
		s.groups.join(p, p.Groups)
		defer s.groups.leave(p)
	}
	if p.Welcome() != nil {
		return
	}
	c := &client{to: p, portID: p.PortID}
	buf := make([]byte, maxDatagram)
	for {
		n, files, err := p.Recv(buf)
		closeAll(files)
		if err != nil {
			return // it has gone, or sent what is no datagram of ours
		}
		err = datagram(c, buf[:n], s.xfrm)
		clear(buf[:n]) // keys
		if err != nil {
			return
		}
	}
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close() // nothing was written
	}
}

func (s *Server) handleStatus(p *nlsock.Peer) {
	if s.cfg.Status == nil {
		p.Refuse(syscall.EOPNOTSUPP, "")
		return
	}
	doc, err := json.Marshal(s.cfg.Status())
	if err != nil {
		p.Refuse(syscall.EIO, err.Error())
		return
	}
	if p.Welcome() == nil {
		_ = p.SendStatus(append(doc, '\n')) // it may have gone
	}
}

// Listening implements sadb.Listener.
func (s *Server) Listening(g netlinkx.Group) bool { return s.groups.listening(g) }

// Notify implements sadb.Listener: it sends an event to the clients that have
// joined the group.
func (s *Server) Notify(g netlinkx.Group, n sadb.Notice) {
	b, err := netlinkx.AppendEvent(nil, eventHeader(n.Event, n.Cause.PortID, n.Cause.Seq), n.Event)
	if err != nil {
		return // an event that no message carries
	}
	s.groups.deliver(g, b)
}

// Headroom implements sadb.Listener.
func (s *Server) Headroom(h sadb.Headroom) {
	if s.cfg.Headroom != nil {
		s.cfg.Headroom(h)
	}
}
