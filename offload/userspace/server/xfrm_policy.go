package server

import (
	nl "github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb"
)

// performPolicy is perform for messages about policies and the databases.
func (s *Server) performPolicy(r *request, cause sadb.Cause) *nl.Ack {
	switch v := r.value.(type) {
	case *nl.Policy:
		if r.malformed != nil && r.attrs.has(nl.AttrSecCtx) {
			return r.malformed
		}
		if r.typ == nl.MsgUpdPolicy {
			return r.verdict(s.db.UpdatePolicy(cause, v))
		}
		return r.verdict(s.db.AddPolicy(cause, v))
	case *nl.PolicyID:
		if r.typ == nl.MsgDelPolicy {
			return r.verdict(s.db.DeletePolicy(cause, v))
		}
		p, err := s.db.GetPolicy(v)
		if err != nil {
			return r.verdict(err)
		}
		h := r.c.header(r.message)
		r.c.send(func(b []byte) ([]byte, error) { return nl.AppendPolicy(b, h, p) })
		return nil
	case nl.Opt[nl.PolicyType]:
		return r.verdict(s.db.FlushPolicies(cause, v))
	case *nl.ExpirePolicy:
		return r.verdict(s.db.ExpirePolicy(cause, v))
	case *nl.Acquire:
		return r.verdict(s.db.RequestAcquire(cause, v))
	case *nl.Migrate:
		if !r.attrs.has(nl.AttrMigrate) {
			return invalid("Missing required MIGRATE attribute")
		}
		return r.verdict(s.db.Migrate(cause, v))
	}
	return s.performInfo(r, cause)
}

// performInfo is perform for messages about the databases.
func (s *Server) performInfo(r *request, cause sadb.Cause) *nl.Ack {
	h := r.c.header(r.message)
	switch r.typ {
	case nl.MsgGetSADInfo:
		info := s.db.SADInfo()
		r.c.send(func(b []byte) ([]byte, error) { return nl.AppendSADInfo(b, h, host.Uint32(r.payload()), &info) })
	case nl.MsgGetSPDInfo:
		info := s.db.SPDInfo()
		r.c.send(func(b []byte) ([]byte, error) { return nl.AppendSPDInfo(b, h, host.Uint32(r.payload()), &info) })
	case nl.MsgNewSPDInfo:
		return r.verdict(s.db.SetSPDInfo(r.value.(*nl.SPDInfo)))
	case nl.MsgGetDefault:
		d := s.db.Defaults()
		r.c.send(func(b []byte) ([]byte, error) { return nl.AppendEvent(b, h, &nl.DefaultsEvent{Defaults: d}) })
	case nl.MsgSetDefault:
		s.db.SetDefaults(r.value.(*nl.Defaults))
	default:
		return notSupported()
	}
	return nil
}
