package server

import (
	"syscall"

	nl "github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/rules"
)

// saWindow is the offset of replay_window in struct xfrm_usersa_info.
const saWindow = 215

// perform carries a request out, and sends its answer if it has one.
func (s *Server) perform(r *request) *nl.Ack {
	cause := sadb.Cause{PortID: r.pid, Seq: r.seq}
	switch v := r.value.(type) {
	case *nl.SA:
		if r.typ == nl.MsgUpdSA {
			return verdict(s.db.UpdateSA(cause, r.saRequest(v)))
		}
		return verdict(s.db.AddSA(cause, r.saRequest(v)))
	case *nl.SAID:
		if !v.Proto.HasSPI() && v.Family.Bits() == 0 && r.attrs.has(nl.AttrSrcAddr) {
			return refuse(syscall.ESRCH, "") // a source, but of no family that there is
		}
		if r.typ == nl.MsgDelSA {
			return verdict(s.db.DeleteSA(cause, v))
		}
		sa, err := s.db.GetSA(v)
		return r.answerSA(sa, err)
	case *nl.SPIRange:
		sa, err := s.db.AllocSPI(cause, v)
		return r.answerSA(sa, err)
	case nl.Proto:
		return verdict(s.db.FlushSAs(cause, v))
	case *nl.ExpireSA:
		return verdict(s.db.ExpireSA(cause, v))
	case *nl.AE:
		return verdict(s.db.SetAE(cause, v, r.flags&flagReplace != 0))
	case *nl.AEID:
		ae, err := s.db.GetAE(v)
		return r.answerAE(ae, err)
	case *nl.MigrateState:
		q := &sadb.MigrateStateRequest{MigrateState: *v, Attrs: r.present(), Reserved: host.Uint16(r.payload()[msNewFamily+2:]) != 0}
		if err := s.db.MigrateState(cause, q); err != nil || s.Listening(nl.GroupMigrate) {
			return verdict(err)
		}
		return refuse(0, "Failed to send migration notification") // so does the kernel without a listener
	}
	return s.performPolicy(r, cause)
}

// saRequest is what the database is asked: the SA, and what the values of it do
// not tell.
func (r *request) saRequest(sa *nl.SA) *sadb.SARequest {
	q := &sadb.SARequest{SA: sa, Attrs: r.present()}
	if r.attrs.has(nl.AttrReplayESNVal) {
		q.LegacyWindow = r.payload()[saWindow]
	}
	if m := r.malformed; m != nil {
		q.Malformed = rules.Refuse(m.Errno, m.Text)
	}
	return q
}

// present is the set of a request's attributes.
func (r *request) present() (a rules.Attrs) {
	for t := nl.AttrType(1); t < maxAttrs; t++ {
		if r.attrs.has(t) {
			a = a.With(t)
		}
	}
	return a
}

// answerSA sends an SA.
func (r *request) answerSA(sa *nl.SA, err error) *nl.Ack {
	if err != nil {
		return verdict(err)
	}
	h := r.c.header(r.message)
	r.c.send(func(b []byte) ([]byte, error) { return nl.AppendSA(b, h, sa) })
	return nil
}

// answerAE sends an aevent.
func (r *request) answerAE(ae *nl.AE, err error) *nl.Ack {
	if err != nil {
		return verdict(err)
	}
	h := r.c.header(r.message)
	r.c.send(func(b []byte) ([]byte, error) { return nl.AppendEvent(b, h, &nl.AEvent{AE: *ae}) })
	return nil
}

// notSupported is the answer to messages that are no requests.
func notSupported() *nl.Ack { return refuse(syscall.EINVAL, "") }
