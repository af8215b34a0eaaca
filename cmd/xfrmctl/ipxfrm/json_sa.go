package ipxfrm

import "github.com/xfrmctl/xfrmctl/netlinkx"

type jsonSA struct {
	Src          string          `json:"src,omitempty"`
	Dst          string          `json:"dst,omitempty"`
	Family       string          `json:"family,omitempty"`
	Proto        string          `json:"proto"`
	SPI          jsonHex         `json:"spi"`
	ReqID        uint32          `json:"reqid"`
	Mode         string          `json:"mode"`
	Dir          string          `json:"dir,omitempty"`
	IfID         uint32          `json:"if_id,omitempty"`
	Mark         *jsonMark       `json:"mark,omitempty"`
	OutputMark   *jsonMark       `json:"output_mark,omitempty"`
	ReplayWindow uint32          `json:"replay_window"`
	Seq          uint32          `json:"seq"`
	Flags        []string        `json:"flags"`
	ExtraFlags   []string        `json:"extra_flags,omitempty"`
	Algorithms   []jsonAlgo      `json:"algorithms"`
	Encap        *jsonEncap      `json:"encap,omitempty"`
	NATKeepalive uint32          `json:"nat_keepalive,omitempty"`
	MTimer       uint32          `json:"mapping_thresh,omitempty"`
	CareOf       string          `json:"coa,omitempty"`
	LastUsed     jsonTime        `json:"last_used,omitempty"`
	Replay       *jsonReplay     `json:"replay,omitempty"`
	ReplayESN    *jsonReplayESN  `json:"replay_esn,omitempty"`
	Headroom     *Headroom       `json:"headroom,omitempty"`
	ReplayThresh jsonOpt[uint32] `json:"replay_thresh,omitzero"`
	ETimerThresh jsonOpt[uint32] `json:"etimer_thresh,omitzero"`
	Offload      *jsonOffload    `json:"offload,omitempty"`
	TFCPad       uint32          `json:"tfcpad,omitempty"`
	PCPU         jsonOpt[uint32] `json:"pcpu_num,omitzero"`
	IPTFS        *jsonIPTFS      `json:"iptfs,omitempty"`
	Sel          *jsonSelector   `json:"sel,omitempty"`
	SecCtx       *jsonSecCtx     `json:"ctx,omitempty"`
	Limits       jsonLimits      `json:"limits"`
	Lifetime     jsonLifetime    `json:"lifetime"`
	SetLifetime  *jsonLifetime   `json:"initial_lifetime,omitempty"`
	Stats        jsonSAStats     `json:"stats"`
}

type jsonSAStats struct {
	ReplayWindow uint32 `json:"replay_window"`
	Replay       uint32 `json:"replay"`
	Failed       uint32 `json:"failed"`
}

// JSONSA returns an SA for encoding/json.
func (p *Printer) JSONSA(sa *netlinkx.SA) any { return p.jsonSA(sa) }

func (p *Printer) jsonSA(sa *netlinkx.SA) *jsonSA {
	j := &jsonSA{
		Src: jsonAddr(sa.Src), Dst: jsonAddr(sa.Dst), Family: jsonFamily(sa.Family),
		Proto: shownProto(sa.Proto), SPI: jsonHex(sa.SPI), ReqID: sa.ReqID, Mode: shownMode(sa.Mode, true),
		Dir: sa.Dir.String(), IfID: sa.IfID, Mark: newJSONMark(sa.Mark), OutputMark: newJSONMark(sa.OutputMark),
		ReplayWindow: sa.ReplayWindow, Seq: sa.Seq, Flags: jsonFlags(shownSAFlags, uint32(sa.Flags)), Algorithms: p.jsonAlgos(sa),
		Encap: newJSONEncap(sa.Encap), NATKeepalive: sa.NATKeepalive, MTimer: sa.MTimerThresh,
		CareOf: jsonAddr(sa.CareOf), LastUsed: jsonTime(sa.LastUsed),
		Replay: newJSONReplay(sa.Replay), ReplayESN: newJSONReplayESN(sa.ReplayESN, sa.ReplayWindow),
		Headroom:     NewHeadroom(sa),
		ReplayThresh: jsonOpt[uint32](sa.ReplayThresh), ETimerThresh: jsonOpt[uint32](sa.ETimerThresh),
		Offload: p.jsonOffload(sa.Offload, true), TFCPad: sa.TFCPad, PCPU: jsonOpt[uint32](sa.PCPU), IPTFS: newJSONIPTFS(&sa.IPTFS),
		SecCtx: newJSONSecCtx(sa.SecCtx), Limits: newJSONLimits(&sa.Limits), Lifetime: newJSONLifetime(&sa.Usage),
		Stats: jsonSAStats{sa.Stats.ReplayWindow, sa.Stats.Replay, sa.Stats.IntegrityFailed},
	}
	if sa.ExtraFlags != 0 {
		j.ExtraFlags = jsonFlags(shownExtraFlags, uint32(sa.ExtraFlags))
	}
	if sa.Selector != (netlinkx.Selector{}) {
		s := p.jsonSelector(&sa.Selector)
		j.Sel = &s
	}
	if sa.SetUsage != nil {
		l := newJSONLifetime(sa.SetUsage)
		j.SetLifetime = &l
	}
	return j
}

// jsonAlgos lists the algorithms in the order of the text. Of the two forms in
// which the kernel reports an integrity algorithm the one with the ICV's length
// is listed.
func (p *Printer) jsonAlgos(sa *netlinkx.SA) []jsonAlgo {
	none := netlinkx.Opt[uint32]{}
	list := []jsonAlgo{}
	if a := sa.Auth; a != nil && sa.AuthTrunc == nil {
		list = append(list, p.jsonAlgo("auth", a.Name, a.Key, none))
	}
	if a := sa.AuthTrunc; a != nil {
		list = append(list, p.jsonAlgo("auth-trunc", a.Name, a.Key, netlinkx.Some(a.ICVBits)))
	}
	if a := sa.AEAD; a != nil {
		list = append(list, p.jsonAlgo("aead", a.Name, a.Key, netlinkx.Some(a.ICVBits)))
	}
	if a := sa.Crypt; a != nil {
		list = append(list, p.jsonAlgo("enc", a.Name, a.Key, none))
	}
	if a := sa.Comp; a != nil {
		list = append(list, p.jsonAlgo("comp", a.Name, a.Key, none))
	}
	return list
}

// jsonReplay is the state of a window of up to 32 packets.
type jsonReplay struct {
	Seq    uint32  `json:"seq"`
	OSeq   uint32  `json:"oseq"`
	Bitmap jsonHex `json:"bitmap"`
}

func newJSONReplay(r *netlinkx.ReplayState) *jsonReplay {
	if r == nil {
		return nil
	}
	return &jsonReplay{r.Seq, r.OSeq, jsonHex(r.Bitmap)}
}

// jsonReplayESN is the state of a larger window or of extended numbers. The
// first word of the bitmap has the lowest bits.
type jsonReplayESN struct {
	SeqHi        uint32    `json:"seq_hi"`
	Seq          uint32    `json:"seq"`
	OSeqHi       uint32    `json:"oseq_hi"`
	OSeq         uint32    `json:"oseq"`
	ReplayWindow uint32    `json:"replay_window"`
	BitmapLength uint32    `json:"bitmap_length"`
	Bitmap       []jsonHex `json:"bitmap"`
}

func newJSONReplayESN(r *netlinkx.ReplayESN, window uint32) *jsonReplayESN {
	if r == nil {
		return nil
	}
	j := &jsonReplayESN{r.SeqHi, r.Seq, r.OSeqHi, r.OSeq, window, r.BitmapLen, make([]jsonHex, len(r.Bitmap))}
	for i, w := range r.Bitmap {
		j.Bitmap[i] = jsonHex(w)
	}
	return j
}

type jsonIPTFS struct {
	DropTime      jsonOpt[uint32] `json:"drop_time,omitzero"`
	ReorderWindow jsonOpt[uint16] `json:"reorder_window,omitzero"`
	DontFrag      bool            `json:"dont_frag,omitempty"`
	InitDelay     jsonOpt[uint32] `json:"init_delay,omitzero"`
	MaxQueueSize  jsonOpt[uint32] `json:"max_queue_size,omitzero"`
	PktSize       jsonOpt[uint32] `json:"pkt_size,omitzero"`
}

func newJSONIPTFS(i *netlinkx.IPTFS) *jsonIPTFS {
	if *i == (netlinkx.IPTFS{}) {
		return nil
	}
	return &jsonIPTFS{
		jsonOpt[uint32](i.DropTime), jsonOpt[uint16](i.ReorderWindow), i.DontFrag,
		jsonOpt[uint32](i.InitDelay), jsonOpt[uint32](i.MaxQSize), jsonOpt[uint32](i.PktSize),
	}
}

// jsonSelector has the port fields under the names that they have in the
// grammar for its protocol. A mask is there unless it is that of one port.
type jsonSelector struct {
	Src       string          `json:"src,omitempty"`
	Dst       string          `json:"dst,omitempty"`
	Family    string          `json:"family,omitempty"`
	Proto     string          `json:"proto,omitempty"`
	SPort     jsonOpt[uint16] `json:"sport,omitzero"`
	SPortMask jsonOpt[uint16] `json:"sport_mask,omitzero"`
	DPort     jsonOpt[uint16] `json:"dport,omitzero"`
	DPortMask jsonOpt[uint16] `json:"dport_mask,omitzero"`
	Type      jsonOpt[uint16] `json:"type,omitzero"`
	TypeMask  jsonOpt[uint16] `json:"type_mask,omitzero"`
	Code      jsonOpt[uint16] `json:"code,omitzero"`
	CodeMask  jsonOpt[uint16] `json:"code_mask,omitzero"`
	Key       jsonOpt[uint32] `json:"key,omitzero"`
	KeyMask   jsonOpt[uint32] `json:"key_mask,omitzero"`
	Dev       string          `json:"dev,omitempty"`
	IfIndex   int32           `json:"ifindex,omitempty"`
	UID       uint32          `json:"uid,omitempty"`
}

func (p *Printer) jsonSelector(s *netlinkx.Selector) jsonSelector {
	j := jsonSelector{
		Src: jsonPrefix(s.Src), Dst: jsonPrefix(s.Dst), Family: jsonFamily(s.Family),
		Proto: p.jsonUpper(s.Proto), IfIndex: s.IfIndex, UID: s.User,
	}
	if s.IfIndex != 0 {
		j.Dev = p.jsonDevice(s.IfIndex)
	}
	switch s.Proto {
	case upperICMP, upperICMPv6, upperMobility:
		j.Type, j.TypeMask = jsonPort(s.SrcPort)
		j.Code, j.CodeMask = jsonPort(s.DstPort)
	case upperGRE:
		j.Key, j.KeyMask = jsonGREKey(s.SrcPort, s.DstPort)
	default:
		j.SPort, j.SPortMask = jsonPort(s.SrcPort)
		j.DPort, j.DPortMask = jsonPort(s.DstPort)
	}
	return j
}

// jsonPort returns a port and its mask; none for any port.
func jsonPort(m netlinkx.PortMatch) (port, mask jsonOpt[uint16]) {
	if m == (netlinkx.PortMatch{}) {
		return port, mask
	}
	port = jsonOpt[uint16]{V: m.Port, Valid: true}
	mask = jsonOpt[uint16]{V: m.Mask, Valid: m.Mask != 0xffff}
	return port, mask
}

func jsonGREKey(hi, lo netlinkx.PortMatch) (key, mask jsonOpt[uint32]) {
	if hi == (netlinkx.PortMatch{}) && lo == (netlinkx.PortMatch{}) {
		return key, mask
	}
	key = jsonOpt[uint32]{V: uint32(hi.Port)<<16 | uint32(lo.Port), Valid: true}
	m := uint32(hi.Mask)<<16 | uint32(lo.Mask)
	return key, jsonOpt[uint32]{V: m, Valid: m != 0xffffffff}
}
