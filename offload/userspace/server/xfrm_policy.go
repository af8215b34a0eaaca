package server

import (
	nl "github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/rules"
)

// performPolicy is perform for messages about policies and the databases.
func (s *Server) performPolicy(r *request, cause sadb.Cause) *nl.Ack {
	if refused := r.badContext(); refused != nil {
		return refused
	}
	switch v := r.value.(type) {
	case *nl.Policy:
		if r.typ == nl.MsgUpdPolicy {
			return verdict(s.db.UpdatePolicy(cause, v))
		}
		return verdict(s.db.AddPolicy(cause, v))
	case *nl.PolicyID:
		if r.typ == nl.MsgDelPolicy {
			return verdict(s.db.DeletePolicy(cause, v))
		}
		p, err := s.db.GetPolicy(v)
		if err != nil {
			return verdict(err)
		}
		h := r.c.header(r.message)
		r.c.send(func(b []byte) ([]byte, error) { return nl.AppendPolicy(b, h, p) })
		return nil
	case nl.Opt[nl.PolicyType]:
		return verdict(s.db.FlushPolicies(cause, v))
	case *nl.ExpirePolicy:
		return verdict(s.db.ExpirePolicy(cause, v))
	case *nl.Acquire:
		return verdict(s.db.RequestAcquire(cause, v))
	case *nl.Migrate:
		if !r.attrs.has(nl.AttrMigrate) {
			return invalid("Missing required MIGRATE attribute")
		}
		return verdict(s.db.Migrate(cause, v))
	}
	return s.performInfo(r)
}

// badContext refuses a security context that is malformed, after what the
// kernel checks before it (verify_sec_ctx_len). Where an index names the
// policy, it does not look.
func (r *request) badContext() *nl.Ack {
	if !r.attrs.has(nl.AttrSecCtx) {
		return nil
	}
	_, text := trimSecCtx(r.attrs.data[nl.AttrSecCtx])
	if text == "" {
		return nil
	}
	var p nl.Policy
	named := false
	switch v := r.value.(type) {
	case *nl.Policy:
		p = *v
	case *nl.Acquire:
		p = v.Policy
	case *nl.PolicyID:
		p, named = nl.Policy{Dir: v.Dir, Index: v.Index, Type: v.Type}, true
	case *nl.ExpirePolicy:
		p, named = v.Policy, true
	default:
		return nil
	}
	if named {
		if err := rules.CheckPolicyType(p.Type); err != nil {
			return verdict(err)
		}
	}
	if err := rules.CheckPolicyDir(p.Dir); err != nil {
		return verdict(err)
	}
	switch {
	case named && p.Index != 0:
		return nil
	case p.Index != 0 && p.Index&7 != uint32(p.Dir):
		return invalid("Policy index doesn't match direction")
	}
	return invalid(text)
}

// performInfo is perform for messages about the databases.
func (s *Server) performInfo(r *request) *nl.Ack {
	h := r.c.header(r.message)
	switch r.typ {
	case nl.MsgGetSADInfo:
		info := s.db.SADInfo()
		r.c.send(func(b []byte) ([]byte, error) { return nl.AppendSADInfo(b, h, host.Uint32(r.payload()), &info) })
	case nl.MsgGetSPDInfo:
		info := s.db.SPDInfo()
		r.c.send(func(b []byte) ([]byte, error) { return nl.AppendSPDInfo(b, h, host.Uint32(r.payload()), &info) })
	case nl.MsgNewSPDInfo:
		return verdict(s.db.SetSPDInfo(r.value.(*nl.SPDInfo)))
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
