package ipxfrm

import (
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// jsonEvent is one line of the monitor. Of the members behind the header only
// those of its kind are there.
type jsonEvent struct {
	Event  string         `json:"event"`
	Time   *time.Time     `json:"time,omitempty"`
	NSID   jsonOpt[int32] `json:"nsid,omitzero"`
	Msg    string         `json:"msg,omitempty"` // name of the netlink message
	Flags  uint16         `json:"msg_flags,omitempty"`
	Length uint32         `json:"msg_length,omitempty"`
	Seq    uint32         `json:"msg_seq,omitempty"`
	PortID uint32         `json:"msg_pid,omitempty"` // port of who caused it, often a process id

	Hard         *bool             `json:"hard,omitempty"`
	SA           *jsonSA           `json:"state,omitempty"`
	Policy       *jsonPolicy       `json:"policy,omitempty"`
	Deleted      *jsonPolicyID     `json:"deleted_by,omitempty"` // how the deleter named the policy
	Acquire      *jsonAcquire      `json:"acquire,omitempty"`
	AE           *jsonAE           `json:"aevent,omitempty"`
	Mapping      *jsonMapping      `json:"mapping,omitempty"`
	Report       *jsonReport       `json:"report,omitempty"`
	Migrate      *jsonMigrate      `json:"migrate,omitempty"`
	MigrateState *jsonMigrateState `json:"migrate_state,omitempty"`
	Defaults     any               `json:"defaults,omitempty"`
	Proto        string            `json:"proto,omitempty"` // of a flush, "any" for all
	PType        string            `json:"ptype,omitempty"` // of a flush
}

// JSONEvent returns an event for encoding/json. The member "event" tells its
// kind: sa_new, sa_update, sa_delete, sa_expire, policy_new, policy_update,
// policy_delete, policy_expire, acquire, sa_flush, policy_flush, aevent,
// mapping, report, migrate, migrate_state, defaults, lost, resync, resync_done
// or unknown.
func (p *Printer) JSONEvent(n *netlinkx.Notice) any {
	j := &jsonEvent{NSID: jsonOpt[int32](n.NSID), Flags: n.Flags, Seq: n.Seq, PortID: n.PortID}
	if n.Type != 0 {
		j.Msg = n.Type.String()
	}
	if p.Time != TimeNone {
		now := p.now().UTC().Truncate(time.Microsecond)
		j.Time = &now
	}
	if !p.jsonObjectEvent(j, n.Event) && !p.jsonOtherEvent(j, n.Event) {
		j.Event = "unknown"
	}
	return j
}

// jsonObjectEvent fills in the events about SAs and policies.
func (p *Printer) jsonObjectEvent(j *jsonEvent, e netlinkx.Event) bool {
	switch e := e.(type) {
	case *netlinkx.SAEvent:
		j.Event, j.SA = "sa_"+e.Op.String(), p.jsonSA(&e.SA)
	case *netlinkx.ExpireEvent:
		j.Event, j.SA, j.Hard = "sa_expire", p.jsonSA(&e.SA), &e.Hard
	case *netlinkx.PolicyEvent:
		j.Event, j.Policy = "policy_"+e.Op.String(), p.jsonPolicy(&e.Policy)
		if e.Op == netlinkx.EventDelete {
			j.Deleted = p.jsonPolicyID(&e.Deleted)
		}
	case *netlinkx.PolicyExpireEvent:
		j.Event, j.Policy, j.Hard = "policy_expire", p.jsonPolicy(&e.Policy), &e.Hard
	case *netlinkx.FlushSAEvent:
		j.Event, j.Proto = "sa_flush", "any"
		if e.Proto != 0 {
			j.Proto = shownProto(e.Proto)
		}
	case *netlinkx.FlushPolicyEvent:
		j.Event, j.PType = "policy_flush", jsonPolicyType(e.Type)
	case *netlinkx.ResyncEvent:
		p.jsonResync(j, e)
	default:
		return false
	}
	return true
}

func (p *Printer) jsonResync(j *jsonEvent, e *netlinkx.ResyncEvent) {
	j.Event = "resync"
	switch {
	case e.SA != nil:
		j.SA = p.jsonSA(e.SA)
	case e.Policy != nil:
		j.Policy = p.jsonPolicy(e.Policy)
	default:
		j.Event = "resync_done"
	}
}

// jsonOtherEvent fills in the events with objects of their own.
func (p *Printer) jsonOtherEvent(j *jsonEvent, e netlinkx.Event) bool {
	switch e := e.(type) {
	case *netlinkx.AcquireEvent:
		j.Event, j.Acquire = "acquire", p.jsonAcquire(&e.Acquire)
	case *netlinkx.AEvent:
		j.Event, j.AE = "aevent", newJSONAE(&e.AE)
	case *netlinkx.MappingEvent:
		j.Event, j.Mapping = "mapping", newJSONMapping(&e.Mapping)
	case *netlinkx.ReportEvent:
		j.Event = "report"
		j.Report = &jsonReport{shownProto(e.Report.Proto), p.jsonSelector(&e.Report.Selector), jsonAddr(e.Report.CareOf)}
	case *netlinkx.MigrateEvent:
		j.Event, j.Migrate = "migrate", p.jsonMigrate(&e.Migrate)
	case *netlinkx.MigrateStateEvent:
		j.Event, j.MigrateState = "migrate_state", p.jsonMigrateState(&e.Migrate)
	case *netlinkx.DefaultsEvent:
		j.Event, j.Defaults = "defaults", p.JSONDefaults(&e.Defaults)
	case *netlinkx.LostEvent:
		j.Event = "lost"
	case *netlinkx.UnknownEvent:
		j.Event, j.Msg = "unknown", netlinkx.MsgType(e.Type).String()
		j.Flags, j.Length = e.Flags, e.Len
	default:
		return false
	}
	return true
}

// jsonSAID names an SA.
type jsonSAID struct {
	Src    string    `json:"src,omitempty"`
	Dst    string    `json:"dst,omitempty"`
	Family string    `json:"family,omitempty"`
	Proto  string    `json:"proto"`
	SPI    jsonHex   `json:"spi"`
	Mark   *jsonMark `json:"mark,omitempty"`
}

func newJSONSAID(id *netlinkx.SAID) jsonSAID {
	return jsonSAID{jsonAddr(id.Src), jsonAddr(id.Dst), jsonFamily(id.Family), shownProto(id.Proto), jsonHex(id.SPI), newJSONMark(id.Mark)}
}

// jsonAcquire has the wanted SA at the top.
type jsonAcquire struct {
	jsonSAID
	Sel      jsonSelector    `json:"sel"`
	Policy   *jsonPolicy     `json:"policy"`
	Seq      uint32          `json:"seq"`
	EncMask  jsonHex         `json:"enc_mask"`
	AuthMask jsonHex         `json:"auth_mask"`
	CompMask jsonHex         `json:"comp_mask"`
	PCPU     jsonOpt[uint32] `json:"pcpu_num,omitzero"`
	Offload  *jsonOffload    `json:"offload,omitempty"`
}

func (p *Printer) jsonAcquire(q *netlinkx.Acquire) *jsonAcquire {
	return &jsonAcquire{
		jsonSAID: newJSONSAID(&q.SA), Sel: p.jsonSelector(&q.Selector), Policy: p.jsonPolicy(&q.Policy), Seq: q.Seq,
		EncMask: jsonHex(q.EAlgos), AuthMask: jsonHex(q.AAlgos), CompMask: jsonHex(q.CAlgos),
		PCPU: jsonOpt[uint32](q.PCPU), Offload: p.jsonOffload(q.Offload, false),
	}
}

// jsonAE is an aevent. Its source address is the one of the message, or else
// of the name of the SA.
type jsonAE struct {
	jsonSAID
	ReqID        uint32          `json:"reqid"`
	Flags        []string        `json:"flags"`
	Replay       *jsonReplay     `json:"replay,omitempty"`
	ReplayESN    *jsonReplayESN  `json:"replay_esn,omitempty"`
	Lifetime     *jsonLifetime   `json:"lifetime,omitempty"`
	ReplayThresh jsonOpt[uint32] `json:"replay_thresh,omitzero"`
	ETimerThresh jsonOpt[uint32] `json:"etimer_thresh,omitzero"`
	IfID         uint32          `json:"if_id,omitempty"`
	Dir          string          `json:"dir,omitempty"`
	PCPU         jsonOpt[uint32] `json:"pcpu_num,omitzero"`
}

// shownAEFlags are named for JSON; ip names the last three in words.
var shownAEFlags = []flagName{
	{uint32(netlinkx.AEReplayThresh), "replay-thresh"},
	{uint32(netlinkx.AEReplayVal), "replay-val"},
	{uint32(netlinkx.AELifetimeVal), "lifetime-val"},
	{uint32(netlinkx.AETimerThresh), "etimer-thresh"},
	{uint32(netlinkx.AECausedByReplay), "replay-update"},
	{uint32(netlinkx.AECausedByTimer), "timer-expired"},
	{uint32(netlinkx.AECausedByUpdate), "policy-updated"},
}

// JSONAE returns an aevent for encoding/json.
func (p *Printer) JSONAE(e *netlinkx.AE) any { return newJSONAE(e) }

func newJSONAE(e *netlinkx.AE) *jsonAE {
	j := &jsonAE{
		jsonSAID: newJSONSAID(&e.ID.SA), ReqID: e.ID.ReqID, Flags: jsonFlags(shownAEFlags, uint32(e.ID.Flags)),
		Replay: newJSONReplay(e.Replay), ReplayESN: newJSONReplayESN(e.ReplayESN, e.ReplayWindow),
		ReplayThresh: jsonOpt[uint32](e.ReplayThresh), ETimerThresh: jsonOpt[uint32](e.ETimerThresh),
		IfID: e.IfID, Dir: e.Dir.String(), PCPU: jsonOpt[uint32](e.PCPU),
	}
	if e.ID.Src.IsValid() {
		j.Src = jsonAddr(e.ID.Src)
	}
	if e.Usage != nil {
		l := newJSONLifetime(e.Usage)
		j.Lifetime = &l
	}
	return j
}

type jsonMapping struct {
	jsonSAID
	ReqID    uint32 `json:"reqid"`
	OldSrc   string `json:"old_src,omitempty"`
	OldSPort uint16 `json:"old_sport"`
	NewSrc   string `json:"new_src,omitempty"`
	NewSPort uint16 `json:"new_sport"`
}

func newJSONMapping(m *netlinkx.Mapping) *jsonMapping {
	return &jsonMapping{newJSONSAID(&m.SA), m.ReqID, jsonAddr(m.OldSrc), m.OldPort, jsonAddr(m.NewSrc), m.NewPort}
}

type jsonReport struct {
	Proto  string       `json:"proto"`
	Sel    jsonSelector `json:"sel"`
	CareOf string       `json:"coa,omitempty"`
}
