package document

import (
	"net/netip"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

func (e *end) policies(own, peers netip.Prefix) (all []*netlinkx.Policy) {
	in, out := e.template(e.peer, e.self), e.template(e.self, e.peer)
	add := func(dir netlinkx.PolicyDir, src, dst netip.Prefix, t netlinkx.Template) {
		p := netlinkx.NewPolicy()
		p.Dir, p.IfID, p.Templates = dir, e.ifID, []netlinkx.Template{t}
		p.Selector = netlinkx.Selector{Family: netlinkx.FamilyOf(src.Addr()), Src: src, Dst: dst}
		p.Priority = 10000 - uint32(src.Bits()+dst.Bits()) // the narrower wins
		p.Mark, p.Offload = e.policyMark(dir), e.policyOffload(dir)
		all = append(all, p)
	}
	add(netlinkx.PolicyIn, peers, own, in)
	if e.t.tunnelMode() && e.t.Forward.V {
		add(netlinkx.PolicyFwd, peers, own, in)
	}
	add(netlinkx.PolicyOut, own, peers, out)
	return all
}

func (e *end) template(from, to *Node) netlinkx.Template {
	t := netlinkx.NewTemplate()
	t.Proto, t.ReqID, t.Mode = netlinkx.ProtoESP, e.reqID, netlinkx.ModeTransport
	t.Family = netlinkx.FamilyOf(to.Endpoint.V)
	if e.t.tunnelMode() {
		t.Mode, t.Src, t.Dst = netlinkx.ModeTunnel, from.Endpoint.V, to.Endpoint.V
	}
	return t
}
