package netlinkx

import "fmt"

// Offsets in struct xfrm_aevent_id.
const (
	aeSrc, aeFlags, aeReqID = 24, 40, 44
)

func putAEID(p []byte, id *AEID) {
	putSAID(p, &id.SA)
	putAddr(p[aeSrc:], id.Src)
	host.PutUint32(p[aeFlags:], uint32(id.Flags))
	host.PutUint32(p[aeReqID:], id.ReqID)
}

func getAEID(p []byte) AEID {
	id := getSAID(p)
	return AEID{SA: id, Src: getAddr(p[aeSrc:], id.Family), Flags: AEFlags(host.Uint32(p[aeFlags:])), ReqID: host.Uint32(p[aeReqID:])}
}

func (id *AEID) appendTo(b []byte) ([]byte, error) {
	b, p := grow(b, SizeAE)
	putAEID(p, id)
	return appendMark(b, id.SA.Mark), nil
}

// String identifies the aevent's SA.
func (id *AEID) String() string { return "aevent of " + id.SA.String() }

func (e *AE) appendTo(b []byte) ([]byte, error) {
	b, p := grow(b, SizeAE)
	putAEID(p, &e.ID)
	if e.ReplayESN != nil {
		var err error
		if b, err = appendReplayESN(b, e.ReplayESN, e.ReplayWindow); err != nil {
			return b, fmt.Errorf("%s: %w", e, err)
		}
	}
	if e.Replay != nil {
		b = appendReplayVal(b, e.Replay)
	}
	return e.appendRest(b), nil
}

// appendRest appends what is alike in requests and reports: all but the replay
// state.
func (e *AE) appendRest(b []byte) []byte {
	if e.Usage != nil {
		var p []byte
		b, p = attr(b, AttrLtimeVal, SizeUsage)
		putUsage(p, e.Usage)
	}
	b = attrOpt32(b, AttrReplayThresh, e.ReplayThresh)
	b = attrOpt32(b, AttrETimerThresh, e.ETimerThresh)
	b = appendMark(b, e.ID.SA.Mark)
	b = attrU32NZ(b, AttrIfID, e.IfID)
	b = attrOpt32(b, AttrSAPCPU, e.PCPU)
	return appendDir(b, e.Dir)
}

// setAE is an aevent as a request: SA_DIR and SA_PCPU are for the kernel to
// report, and it refuses a request that has them.
type setAE struct{ *AE }

func (s setAE) appendTo(b []byte) ([]byte, error) {
	e := *s.AE
	e.Dir, e.PCPU = DirUnset, Opt[uint32]{}
	return e.appendTo(b)
}

func decodeAE(msg MsgType, p []byte) (*AE, error) {
	fixed, a, err := split(msg, p, SizeAE)
	if err != nil {
		return nil, err
	}
	e := &AE{ID: getAEID(fixed)}
	for a.next() {
		e.attr(&a)
	}
	if a.err != nil {
		return nil, a.err
	}
	return e, nil
}

func (e *AE) attr(a *attrs) {
	switch a.typ {
	case AttrReplayVal:
		e.Replay = a.replayVal(&ReplayState{})
	case AttrReplayESNVal:
		r, w := a.replayESN(&ReplayESN{}, nil)
		if r == nil && a.err == nil {
			r = &ReplayESN{BitmapLen: words(w)}
		}
		e.ReplayESN, e.ReplayWindow = r, w
	case AttrLtimeVal:
		if a.want(SizeUsage) {
			u := getUsage(a.data)
			e.Usage = &u
		}
	case AttrReplayThresh:
		e.ReplayThresh = Some(a.u32())
	case AttrETimerThresh:
		e.ETimerThresh = Some(a.u32())
	case AttrMark:
		e.ID.SA.Mark = a.mark()
	case AttrIfID:
		e.IfID = a.u32()
	case AttrSAPCPU:
		e.PCPU = Some(a.u32())
	case AttrSADir:
		e.Dir = Dir(a.u8())
	}
}

// putHard sets the byte that says so of a hard expiry, behind size bytes.
func putHard(b []byte, size int, hard bool) {
	if hard {
		b[size] = 1
	}
}

func (e *ExpireSA) appendTo(b []byte) ([]byte, error) {
	b, p := grow(b, SizeExpire)
	putSAInfo(p, &e.SA)
	putHard(p, SizeSAInfo, e.Hard)
	b = appendMark(b, e.SA.Mark)
	b = attrU32NZ(b, AttrIfID, e.SA.IfID)
	b = attrOpt32(b, AttrSAPCPU, e.SA.PCPU)
	return appendDir(b, e.SA.Dir), nil
}

// expireSA is ExpireSA as a request; see setAE.
type expireSA struct{ *ExpireSA }

func (s expireSA) appendTo(b []byte) ([]byte, error) {
	e := *s.ExpireSA
	e.SA.Dir, e.SA.PCPU = DirUnset, Opt[uint32]{}
	return e.appendTo(b)
}

func (e *ExpirePolicy) appendTo(b []byte) ([]byte, error) {
	b, p := grow(b, SizePolExpire)
	putPolicyInfo(p, &e.Policy)
	putHard(p, SizePolicyInfo, e.Hard)
	return e.Policy.appendAttrs(b)
}

// Offsets in struct xfrm_user_acquire.
const (
	acqDst, acqSPI, acqProto, acqSrc, acqSel, acqPolicy = 0, 16, 20, 24, 40, 96
	acqAAlgos, acqEAlgos, acqCAlgos, acqSeq             = 264, 268, 272, 276
)

func (q *Acquire) appendTo(b []byte) ([]byte, error) {
	b, p := grow(b, SizeAcquire)
	putAddr(p[acqDst:], q.SA.Dst)
	be.PutUint32(p[acqSPI:], uint32(q.SA.SPI))
	p[acqProto] = uint8(q.SA.Proto)
	putAddr(p[acqSrc:], q.SA.Src)
	putSelector(p[acqSel:], &q.Selector)
	putPolicyInfo(p[acqPolicy:], &q.Policy)
	for i, v := range [...]uint32{q.AAlgos, q.EAlgos, q.CAlgos, q.Seq} {
		host.PutUint32(p[acqAAlgos+4*i:], v)
	}
	b, err := q.Policy.appendAttrs(b)
	if err != nil {
		return b, fmt.Errorf("%s: %w", q, err)
	}
	b = appendOffload(b, q.Offload)
	return attrOpt32(b, AttrSAPCPU, q.PCPU), nil
}

func decodeAcquire(p []byte) (*Acquire, error) {
	fixed, a, err := split(MsgAcquire, p, SizeAcquire)
	if err != nil {
		return nil, err
	}
	x, q := &policyBox{}, &Acquire{}
	if err := getSelector(MsgAcquire, fixed[acqSel:], &q.Selector); err != nil {
		return nil, err
	}
	if err := getPolicyInfo(MsgAcquire, fixed[acqPolicy:], &x.pol); err != nil {
		return nil, err
	}
	// xfrm_id has no family of its own: a template's may differ from the flow's,
	// and then the addresses are not readable as the flow's.
	f := q.Selector.Family
	for a.next() {
		switch a.typ {
		case AttrSAPCPU:
			q.PCPU = Some(a.u32())
		case AttrOffloadDev:
			q.Offload = a.offload(&Offload{})
		default:
			x.attr(&a)
		}
	}
	if a.err != nil {
		return nil, a.err
	}
	for _, t := range x.pol.Templates {
		if t.Mode != ModeTransport && t.Family.Bits() != 0 && t.Proto == Proto(fixed[acqProto]) {
			f = t.Family
		}
	}
	q.SA = SAID{Dst: getAddr(fixed[acqDst:], f), Src: getAddr(fixed[acqSrc:], f), SPI: SPI(be.Uint32(fixed[acqSPI:])), Proto: Proto(fixed[acqProto]), Family: f}
	u := func(i int) uint32 { return host.Uint32(fixed[acqAAlgos+4*i:]) }
	q.AAlgos, q.EAlgos, q.CAlgos, q.Seq = u(0), u(1), u(2), u(3)
	q.Policy = x.pol
	return q, nil
}

// Offsets in struct xfrm_user_mapping.
const (
	mapReqID, mapOldSrc, mapNewSrc, mapOldPort, mapNewPort = 24, 28, 44, 60, 62
)

func (m *Mapping) appendTo(b []byte) ([]byte, error) {
	b, p := grow(b, SizeMapping)
	putSAID(p, &m.SA)
	host.PutUint32(p[mapReqID:], m.ReqID)
	putAddr(p[mapOldSrc:], m.OldSrc)
	putAddr(p[mapNewSrc:], m.NewSrc)
	be.PutUint16(p[mapOldPort:], m.OldPort)
	be.PutUint16(p[mapNewPort:], m.NewPort)
	return b, nil
}

// String identifies the SA.
func (m *Mapping) String() string { return "mapping of " + m.SA.String() }

func decodeMapping(p []byte) (*Mapping, error) {
	b, _, err := split(MsgMapping, p, SizeMapping)
	if err != nil {
		return nil, err
	}
	id := getSAID(b)
	return &Mapping{
		SA: id, ReqID: host.Uint32(b[mapReqID:]),
		OldSrc: getAddr(b[mapOldSrc:], id.Family), NewSrc: getAddr(b[mapNewSrc:], id.Family),
		OldPort: be.Uint16(b[mapOldPort:]), NewPort: be.Uint16(b[mapNewPort:]),
	}, nil
}

// reportSel is the offset of the selector in struct xfrm_user_report.
const reportSel = 4

func (r *Report) appendTo(b []byte) ([]byte, error) {
	b, p := grow(b, SizeReport)
	p[0] = uint8(r.Proto)
	putSelector(p[reportSel:], &r.Selector)
	if r.CareOf.IsValid() {
		b, p = attr(b, AttrCoAddr, SizeAddr)
		putAddr(p, r.CareOf)
	}
	return b, nil
}

// String names the report.
func (r *Report) String() string { return r.Proto.String() + " report" }

func decodeReport(p []byte) (*Report, error) {
	b, a, err := split(MsgReport, p, SizeReport)
	if err != nil {
		return nil, err
	}
	r := &Report{Proto: Proto(b[0])}
	if err := getSelector(MsgReport, b[reportSel:], &r.Selector); err != nil {
		return nil, err
	}
	for a.next() {
		if a.typ == AttrCoAddr && a.want(SizeAddr) {
			r.CareOf = getAddr(a.data, r.Selector.Family)
		}
	}
	if a.err != nil {
		return nil, a.err
	}
	return r, nil
}
