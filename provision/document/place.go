package document

import (
	"context"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload"
	"github.com/xfrmctl/xfrmctl/provision"
)

// Wish is what a document says about where an SA shall be.
type Wish struct {
	Want   offload.Want
	Packet bool   // the device shall do all, policies too
	Device string // the underlay; "" that of the route
}

// surrounded looks at what of a tunnel this node or its engine does not have.
func (e *end) surrounded() {
	if v := e.t.NetNS[e.self.Name]; v.Set && !e.in.NoKeys {
		if err := e.in.Namespace(v.V); err != nil {
			e.d.r.fail(v.at, "%v", err)
		}
	}
	for _, v := range []Value[Mark]{e.t.Mark.In, e.t.Mark.Out} {
		if v.Set && e.in.Userspace {
			e.d.r.fail(v.at, "the userspace engine does not see marks: packets come to it through a TUN device, which does not tell them")
			return
		}
	}
}

// policyMark is what packets have when policies look at them. What was decrypted
// has got the SA's output mark over the one that it came with.
func (e *end) policyMark(dir netlinkx.PolicyDir) netlinkx.Mark {
	if dir == netlinkx.PolicyOut {
		return netlinkx.Mark(e.t.Mark.Out.V)
	}
	m, set := e.t.Mark.In, e.t.Output.In
	if !m.Set || !set.Set {
		return netlinkx.Mark(m.V)
	}
	return netlinkx.Mark{Value: m.V.Value&^set.V.Mask | set.V.Value, Mask: m.V.Mask | set.V.Mask}
}

// place decides whether a device carries an SA.
func (e *end) place(ctx context.Context, sa *netlinkx.SA, s *provision.State) {
	word := e.t.Offload.Out
	if sa.Dir == netlinkx.DirIn {
		word = e.t.Offload.In
	}
	if word.V == "off" || e.in.NoKeys {
		return
	}
	at := &provision.Placement{Want: offload.Want(word.V), Choice: offload.Choice{Rung: offload.RungUserspace, Reason: "it belongs to the userspace engine"}}
	if !e.in.Userspace {
		var err error
		at, err = e.in.Place(ctx, sa, &Wish{Want: at.Want, Packet: e.t.OffloadOf.V == "packet", Device: e.self.Underlay.V})
		if err != nil {
			e.d.r.fail(word.at, "%v", err)
			return
		}
	}
	if at.Want == offload.Require && sa.Offload == nil {
		e.d.r.fail(word.at, "no device can carry the %sbound SA: %s%s", sa.Dir, at.Reason, behind("; ", at.Fix))
		return
	}
	if s.Placements == nil {
		s.Placements = map[provision.ID]*provision.Placement{}
	}
	s.Placements[provision.SAObject(sa.ID())] = at
	if sa.Offload != nil && sa.Offload.Flags&netlinkx.OffloadPacket != 0 {
		e.carried[sa.Dir] = &netlinkx.Offload{IfIndex: sa.Offload.IfIndex, Flags: netlinkx.OffloadPacket}
	}
}

// policyOffload is for policies of SAs that a device carries as a whole: the
// kernel uses the one with the other only. No driver has those for forwarding.
func (e *end) policyOffload(dir netlinkx.PolicyDir) *netlinkx.Offload {
	switch dir {
	case netlinkx.PolicyIn:
		return e.carried[netlinkx.DirIn]
	case netlinkx.PolicyOut:
		return e.carried[netlinkx.DirOut]
	}
	return nil
}

func behind(sep, s string) string {
	if s == "" {
		return ""
	}
	return sep + s
}
