package ipxfrm

import "github.com/xfrmctl/xfrmctl/netlinkx"

type jsonMigrate struct {
	Policy    *jsonPolicyID      `json:"policy"`
	Entries   []jsonMigrateEntry `json:"entries"`
	KMAddress *jsonKMAddress     `json:"kmaddress,omitempty"`
	Encap     *jsonEncap         `json:"encap,omitempty"`
	Offload   *jsonOffload       `json:"offload,omitempty"`
}

type jsonMigrateEntry struct {
	Proto     string `json:"proto"`
	Mode      string `json:"mode"`
	ReqID     uint32 `json:"reqid"`
	OldSrc    string `json:"old_src,omitempty"`
	OldDst    string `json:"old_dst,omitempty"`
	OldFamily string `json:"old_family,omitempty"`
	NewSrc    string `json:"new_src,omitempty"`
	NewDst    string `json:"new_dst,omitempty"`
	NewFamily string `json:"new_family,omitempty"`
}

type jsonKMAddress struct {
	Local  string `json:"local,omitempty"`
	Remote string `json:"remote,omitempty"`
	Family string `json:"family,omitempty"`
}

func (p *Printer) jsonMigrate(m *netlinkx.Migrate) *jsonMigrate {
	j := &jsonMigrate{
		Policy: p.jsonPolicyID(&m.Policy), Entries: make([]jsonMigrateEntry, len(m.Entries)),
		Encap: newJSONEncap(m.Encap), Offload: p.jsonOffload(m.Offload, true),
	}
	for i := range m.Entries {
		e := &m.Entries[i]
		j.Entries[i] = jsonMigrateEntry{
			shownProto(e.Proto), shownMode(e.Mode, true), e.ReqID,
			jsonAddr(e.OldSrc), jsonAddr(e.OldDst), jsonFamily(e.OldFamily),
			jsonAddr(e.NewSrc), jsonAddr(e.NewDst), jsonFamily(e.NewFamily),
		}
	}
	if k := m.KMAddress; k != nil {
		j.KMAddress = &jsonKMAddress{jsonAddr(k.Local), jsonAddr(k.Remote), jsonFamily(k.Family)}
	}
	return j
}

type jsonMigrateState struct {
	State        jsonSAID        `json:"state"`
	NewSrc       string          `json:"new_src,omitempty"`
	NewDst       string          `json:"new_dst,omitempty"`
	NewFamily    string          `json:"new_family,omitempty"`
	NewSel       jsonSelector    `json:"new_sel"`
	NewReqID     uint32          `json:"new_reqid"`
	Flags        []string        `json:"flags"`
	Encap        *jsonEncap      `json:"encap,omitempty"`
	Offload      *jsonOffload    `json:"offload,omitempty"`
	Mark         *jsonMark       `json:"mark,omitempty"`
	OutputMark   *jsonMark       `json:"output_mark,omitempty"`
	MTimer       jsonOpt[uint32] `json:"mapping_thresh,omitzero"`
	NATKeepalive jsonOpt[uint32] `json:"nat_keepalive,omitzero"`
}

var shownMigrateFlags = []flagName{
	{uint32(netlinkx.MigrateClearOffload), "clear-offload"},
	{uint32(netlinkx.MigrateUpdateH2HSel), "update-sel"},
}

func (p *Printer) jsonMigrateState(m *netlinkx.MigrateState) *jsonMigrateState {
	var mark *jsonMark // of zeros when the SA loses its mark
	if m.Mark.Valid {
		mark = &jsonMark{m.Mark.V.Value, m.Mark.V.Mask}
	}
	return &jsonMigrateState{
		State: newJSONSAID(&m.SA), NewSrc: jsonAddr(m.NewSrc), NewDst: jsonAddr(m.NewDst), NewFamily: jsonFamily(m.NewFamily),
		NewSel: p.jsonSelector(&m.NewSelector), NewReqID: m.NewReqID, Flags: jsonFlags(shownMigrateFlags, uint32(m.Flags)),
		Encap: newJSONEncap(m.Encap), Offload: p.jsonOffload(m.Offload, true),
		Mark: mark, OutputMark: newJSONMark(m.OutputMark),
		MTimer: jsonOpt[uint32](m.MTimerThresh), NATKeepalive: jsonOpt[uint32](m.NATKeepalive),
	}
}
