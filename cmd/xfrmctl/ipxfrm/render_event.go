package ipxfrm

import (
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// AppendEvent appends the text of an event: `ip xfrm monitor`. What ip has no
// text for is an "Unknown message" there; with Extensions it is told. Lost
// events and re-syncs, which ip has not either, append nothing without it: tell
// the user by other means.
func (p *Printer) AppendEvent(b []byte, n *netlinkx.Notice) []byte {
	t := newTextRecord(b, p)
	if !p.Extensions && madeUp(n.Event) {
		return b
	}
	t.stamp()
	if p.AllNSID {
		t.nsid(n.NSID)
	}
	if p.Extensions && t.extensionEvent(n.Event) {
		return t.b
	}
	if !t.objectEvent(n.Event) && !t.fixedEvent(n.Event) {
		t.unknown(messageLen(n), uint32(n.Type), uint32(n.Flags))
	}
	return t.b
}

// madeUp tells the events that are no message of the kernel.
func madeUp(e netlinkx.Event) bool {
	switch e.(type) {
	case *netlinkx.LostEvent, *netlinkx.ResyncEvent:
		return true
	}
	return false
}

// stamp prints the time of printing.
func (t *textRecord) stamp() {
	if t.p.Time == TimeNone {
		return
	}
	now := t.p.now().In(t.p.location())
	if t.p.Time == TimeShort {
		t.b = now.AppendFormat(t.b, "[2006-01-02T15:04:05.000000] ")
		return
	}
	t.b = now.AppendFormat(t.b, "Timestamp: Mon Jan _2 15:04:05 2006 ")
	t.dec(uint64(now.Nanosecond() / 1000)).str(" usec\n")
}

func (p *Printer) now() time.Time {
	if p.Now == nil {
		return time.Now()
	}
	return p.Now()
}

func (t *textRecord) nsid(id netlinkx.Opt[int32]) {
	if !id.Valid || id.V < 0 {
		t.str("[nsid current]")
		return
	}
	t.str("[nsid ").dec(uint64(id.V)).str("]")
}

// objectEvent prints the events that carry an SA or policy, which -o joins.
func (t *textRecord) objectEvent(e netlinkx.Event) bool {
	switch e := e.(type) {
	case *netlinkx.SAEvent:
		t.str(eventVerb(e.Op)).sa(&e.SA)
	case *netlinkx.ExpireEvent:
		t.str("Expired ").sa(&e.SA)
		t.hard(e.Hard)
	case *netlinkx.PolicyEvent:
		t.str(eventVerb(e.Op)).policy(&e.Policy, "", "\t")
	case *netlinkx.PolicyExpireEvent:
		t.str("Expired ").policy(&e.Policy, "", "\t")
		t.hard(e.Hard)
	case *netlinkx.AcquireEvent:
		t.acquire(&e.Acquire)
	case *netlinkx.FlushSAEvent:
		t.str("Flushed state proto ").str(shownProto(e.Proto)).line()
	case *netlinkx.FlushPolicyEvent:
		t.str("Flushed policy ").policyType(e.Type)
		t.line()
	case *netlinkx.ReportEvent:
		t.report(&e.Report)
	default:
		return false
	}
	t.finish()
	return true
}

// fixedEvent prints the events whose lines -o does not join.
func (t *textRecord) fixedEvent(e netlinkx.Event) bool {
	switch e := e.(type) {
	case *netlinkx.AEvent:
		t.asyncEvent(&e.AE)
	case *netlinkx.MappingEvent:
		t.mapping(&e.Mapping)
	case *netlinkx.DefaultsEvent:
		t.b = t.p.AppendDefaults(t.b, &e.Defaults)
	case *netlinkx.UnknownEvent:
		t.unknown(e.Len, uint32(e.Type), uint32(e.Flags))
	default:
		return false
	}
	return true
}

func eventVerb(o netlinkx.EventOp) string {
	switch o {
	case netlinkx.EventUpdate:
		return "Updated "
	case netlinkx.EventDelete:
		return "Deleted "
	}
	return ""
}

func (t *textRecord) hard(hard bool) {
	n := uint64(0)
	if hard {
		n = 1
	}
	t.str("\thard ").dec(n).line()
}

// acquire prints the flow and the policy that wants an SA. Offload and CPU are
// those of the message, which ip prints with the policy's attributes.
func (t *textRecord) acquire(q *netlinkx.Acquire) {
	t.str("acquire proto ").str(shownProto(q.SA.Proto)).str(" ")
	t.spi(q.SA.SPI, false)
	t.line()
	t.str("  sel ").selector(&q.Selector, q.Policy.Selector.Family)
	pol := q.Policy
	pol.Offload = q.Offload
	t.policy(&pol, "  policy ", "    \t")
	t.pcpu(q.PCPU)
	if t.stats() {
		t.str("  seq 0x").decPad(q.Seq).str(" ").algoMasks(q.EAlgos, q.AAlgos, q.CAlgos)
	}
	t.line()
}

func (t *textRecord) report(r *netlinkx.Report) {
	t.str("report proto ").str(shownProto(r.Proto)).str(" ").line()
	t.str("  sel ").selector(&r.Selector, netlinkx.FamilyUnspec)
	if r.CareOf.IsValid() {
		t.str("  coa ").addr(r.CareOf, r.Selector.Family).line()
	}
}

// AppendAE appends the text of an aevent, as an event or an answer has it.
func (p *Printer) AppendAE(b []byte, e *netlinkx.AE) []byte {
	t := newTextRecord(b, p)
	t.asyncEvent(e)
	return t.b
}

// causes of an aevent in the words of ip, and in its order.
var shownAECauses = []flagName{
	{uint32(netlinkx.AECausedByReplay), " replay update "},
	{uint32(netlinkx.AECausedByTimer), " timer expired "},
	{uint32(netlinkx.AECausedByUpdate), " policy updated "},
}

// asyncEvent prints an aevent, with Extensions also what it carries.
func (t *textRecord) asyncEvent(e *netlinkx.AE) {
	t.str("Async event  (0x").hex(uint32(e.ID.Flags)).str(") ")
	for _, c := range shownAECauses {
		if uint32(e.ID.Flags)&c.bit != 0 {
			t.str(c.name)
		}
	}
	t.str("\n\tsrc ").addr(e.ID.Src, e.ID.SA.Family).str(" ")
	t.namedSA(&e.ID.SA, e.ID.ReqID)
	t.str("\n")
	if t.p.Extensions {
		t.nl = '\n'
		t.aeContents(e)
	}
}

// namedSA prints what aevents and mappings call their SA.
func (t *textRecord) namedSA(id *netlinkx.SAID, reqID uint32) {
	t.str("dst ").addr(id.Dst, id.Family).str("  reqid 0x").hex(reqID)
	t.str(" protocol ").upper(uint8(id.Proto)).str("  SPI 0x").hex(uint32(id.SPI))
}

func (t *textRecord) mapping(m *netlinkx.Mapping) {
	f := m.SA.Family
	t.str("Mapping change ").addr(m.OldSrc, f).str(":").dec(uint64(m.OldPort))
	t.str(" -> ").addr(m.NewSrc, f).str(":").dec(uint64(m.NewPort)).str("\n\t")
	t.namedSA(&m.SA, m.ReqID)
	t.str("\n")
}

// unknown prints a message that ip does not decode.
func (t *textRecord) unknown(length, typ, flags uint32) {
	t.str("Unknown message: ").decPad(length)
	t.str(" 0x").hexPad(typ, 8).str(" 0x").hexPad(flags, 8).str("\n")
}

// messageLen is the length of the message that an event came in, for those
// that only this package decodes: that of the same message made again.
func messageLen(n *netlinkx.Notice) uint32 {
	var r netlinkx.Request
	switch e := n.Event.(type) {
	case *netlinkx.MigrateEvent:
		r = netlinkx.MigratePolicy(&e.Migrate)
	case *netlinkx.MigrateStateEvent:
		r = netlinkx.MigrateSA(&e.Migrate)
	default:
		return 0
	}
	b, err := netlinkx.AppendRequest(nil, r, 0, 0)
	if err != nil {
		return 0
	}
	return uint32(len(b))
}
