package ipxfrm

import "github.com/xfrmctl/xfrmctl/netlinkx"

// jsonPolicy has the members of its selector at the top, as the grammar has
// its words.
type jsonPolicy struct {
	jsonSelector
	Dir       string         `json:"dir"`
	Socket    bool           `json:"socket,omitempty"` // a per-socket policy
	Action    string         `json:"action"`
	Index     uint32         `json:"index"`
	Priority  uint32         `json:"priority"`
	PType     string         `json:"ptype,omitempty"`
	Share     string         `json:"share"`
	Flags     []string       `json:"flags"`
	Mark      *jsonMark      `json:"mark,omitempty"`
	IfID      uint32         `json:"if_id,omitempty"`
	Templates []jsonTemplate `json:"tmpl"`
	Offload   *jsonOffload   `json:"offload,omitempty"`
	SecCtx    *jsonSecCtx    `json:"ctx,omitempty"`
	Limits    jsonLimits     `json:"limits"`
	Lifetime  jsonLifetime   `json:"lifetime"`
}

type jsonTemplate struct {
	Src      string  `json:"src,omitempty"`
	Dst      string  `json:"dst,omitempty"`
	Family   string  `json:"family,omitempty"`
	Proto    string  `json:"proto"`
	SPI      jsonHex `json:"spi"`
	ReqID    uint32  `json:"reqid"`
	Mode     string  `json:"mode"`
	Level    string  `json:"level"`
	Share    string  `json:"share"`
	EncMask  jsonHex `json:"enc_mask"`
	AuthMask jsonHex `json:"auth_mask"`
	CompMask jsonHex `json:"comp_mask"`
}

// JSONPolicy returns a policy for encoding/json.
func (p *Printer) JSONPolicy(pol *netlinkx.Policy) any { return p.jsonPolicy(pol) }

func (p *Printer) jsonPolicy(pol *netlinkx.Policy) *jsonPolicy {
	j := &jsonPolicy{
		jsonSelector: p.jsonSelector(&pol.Selector),
		Dir:          shownPolicyDir(pol.Dir), Socket: pol.Dir.Socket(), Action: shownAction(pol.Action),
		Index: pol.Index, Priority: pol.Priority, PType: jsonPolicyType(pol.Type), Share: shownShare(pol.Share),
		Flags: jsonFlags(shownPolicyFlags, uint32(pol.Flags)), Mark: newJSONMark(pol.Mark), IfID: pol.IfID,
		Templates: make([]jsonTemplate, len(pol.Templates)), Offload: p.jsonOffload(pol.Offload, false),
		SecCtx: newJSONSecCtx(pol.SecCtx), Limits: newJSONLimits(&pol.Limits), Lifetime: newJSONLifetime(&pol.Usage),
	}
	for i := range pol.Templates {
		j.Templates[i] = newJSONTemplate(&pol.Templates[i])
	}
	return j
}

// jsonPolicyType is "" where the kernel does not tell.
func jsonPolicyType(t netlinkx.Opt[netlinkx.PolicyType]) string {
	if !t.Valid {
		return ""
	}
	return shownPolicyType(t.V)
}

func newJSONTemplate(t *netlinkx.Template) jsonTemplate {
	j := jsonTemplate{
		Src: jsonAddr(t.Src), Dst: jsonAddr(t.Dst), Family: jsonFamily(t.Family), Proto: shownProto(t.Proto), SPI: jsonHex(t.SPI),
		ReqID: t.ReqID, Mode: shownMode(t.Mode, true), Level: "required", Share: shownShare(t.Share),
		EncMask: jsonHex(t.EAlgos), AuthMask: jsonHex(t.AAlgos), CompMask: jsonHex(t.CAlgos),
	}
	if t.Optional {
		j.Level = "use"
	}
	return j
}

// jsonPolicyID names a policy.
type jsonPolicyID struct {
	jsonSelector
	Dir    string      `json:"dir"`
	Socket bool        `json:"socket,omitempty"`
	Index  uint32      `json:"index"`
	PType  string      `json:"ptype,omitempty"`
	Mark   *jsonMark   `json:"mark,omitempty"`
	IfID   uint32      `json:"if_id,omitempty"`
	SecCtx *jsonSecCtx `json:"ctx,omitempty"`
}

func (p *Printer) jsonPolicyID(id *netlinkx.PolicyID) *jsonPolicyID {
	return &jsonPolicyID{
		jsonSelector: p.jsonSelector(&id.Selector),
		Dir:          shownPolicyDir(id.Dir), Socket: id.Dir.Socket(), Index: id.Index, PType: jsonPolicyType(id.Type),
		Mark: newJSONMark(id.Mark), IfID: id.IfID, SecCtx: newJSONSecCtx(id.SecCtx),
	}
}
