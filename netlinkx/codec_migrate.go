package netlinkx

import "fmt"

// Offsets in struct xfrm_user_migrate.
const (
	migOldDst, migOldSrc, migNewDst, migNewSrc = 0, 16, 32, 48
	migProto, migMode, migReqID                = 64, 65, 68
	migOldFamily, migNewFamily                 = 72, 74
)

func (m *Migrate) appendTo(b []byte) ([]byte, error) {
	b, p := grow(b, SizePolicyID)
	putPolicyID(p, &m.Policy)
	if len(m.Entries) > (0xffff-sizeAttr)/SizeMigrate {
		return b, fmt.Errorf("%s: %d entries, at most %d", m, len(m.Entries), MaxTemplates)
	}
	b, err := m.Policy.appendAttrs(b)
	if err != nil {
		return b, err
	}
	b, p = attr(b, AttrMigrate, len(m.Entries)*SizeMigrate)
	for i := range m.Entries {
		putMigrateEntry(p[i*SizeMigrate:], &m.Entries[i])
	}
	if k := m.KMAddress; k != nil {
		b, p = attr(b, AttrKMAddress, SizeKMAddress)
		putAddr(p, k.Local)
		putAddr(p[16:], k.Remote)
		host.PutUint16(p[36:], uint16(familyOf(k.Family, k.Local, k.Remote)))
	}
	b = appendEncap(b, m.Encap)
	return appendOffload(b, m.Offload), nil
}

func putMigrateEntry(p []byte, e *MigrateEntry) {
	putAddr(p[migOldDst:], e.OldDst)
	putAddr(p[migOldSrc:], e.OldSrc)
	putAddr(p[migNewDst:], e.NewDst)
	putAddr(p[migNewSrc:], e.NewSrc)
	p[migProto], p[migMode] = uint8(e.Proto), uint8(e.Mode)
	host.PutUint32(p[migReqID:], e.ReqID)
	host.PutUint16(p[migOldFamily:], uint16(familyOf(e.OldFamily, e.OldDst, e.OldSrc)))
	host.PutUint16(p[migNewFamily:], uint16(familyOf(e.NewFamily, e.NewDst, e.NewSrc)))
}

func getMigrateEntry(p []byte) MigrateEntry {
	of, nf := Family(host.Uint16(p[migOldFamily:])), Family(host.Uint16(p[migNewFamily:]))
	return MigrateEntry{
		OldDst: getAddr(p[migOldDst:], of), OldSrc: getAddr(p[migOldSrc:], of), OldFamily: of,
		NewDst: getAddr(p[migNewDst:], nf), NewSrc: getAddr(p[migNewSrc:], nf), NewFamily: nf,
		Proto: Proto(p[migProto]), Mode: Mode(p[migMode]), ReqID: host.Uint32(p[migReqID:]),
	}
}

func decodeMigrate(p []byte) (*Migrate, error) {
	fixed, a, err := split(MsgMigrate, p, SizePolicyID)
	if err != nil {
		return nil, err
	}
	m := &Migrate{}
	if m.Policy, err = getPolicyID(MsgMigrate, fixed); err != nil {
		return nil, err
	}
	for a.next() {
		m.attr(&a)
	}
	if a.err != nil {
		return nil, a.err
	}
	return m, nil
}

func (m *Migrate) attr(a *attrs) {
	switch a.typ {
	case AttrMigrate:
		if len(a.data)%SizeMigrate != 0 {
			a.fail(fmt.Sprintf("length %d is no multiple of %d", len(a.data), SizeMigrate))
			return
		}
		for d := a.data; len(d) > 0; d = d[SizeMigrate:] {
			m.Entries = append(m.Entries, getMigrateEntry(d))
		}
	case AttrKMAddress:
		if a.want(SizeKMAddress) {
			f := Family(host.Uint16(a.data[36:]))
			m.KMAddress = &KMAddress{Local: getAddr(a.data, f), Remote: getAddr(a.data[16:], f), Family: f}
		}
	case AttrEncap:
		f := m.Policy.Selector.Family
		if len(m.Entries) > 0 {
			f = m.Entries[0].NewFamily
		}
		m.Encap = a.encap(&Encap{}, f)
	case AttrOffloadDev:
		m.Offload = a.offload(&Offload{})
	default:
		m.Policy.attr(a)
	}
}

// Offsets in struct xfrm_user_migrate_state.
const (
	msNewDst, msNewSrc, msOldMark, msNewSel = 24, 40, 56, 64
	msNewReqID, msFlags, msNewFamily        = 120, 124, 128
)

func (m *MigrateState) appendTo(b []byte) ([]byte, error) {
	b, p := grow(b, SizeMigrateState)
	putSAID(p, &m.SA)
	putAddr(p[msNewDst:], m.NewDst)
	putAddr(p[msNewSrc:], m.NewSrc)
	host.PutUint32(p[msOldMark:], m.SA.Mark.Value)
	host.PutUint32(p[msOldMark+4:], m.SA.Mark.Mask)
	putSelector(p[msNewSel:], &m.NewSelector)
	host.PutUint32(p[msNewReqID:], m.NewReqID)
	host.PutUint32(p[msFlags:], uint32(m.Flags))
	host.PutUint16(p[msNewFamily:], uint16(familyOf(m.NewFamily, m.NewDst, m.NewSrc)))
	b = appendEncap(b, m.Encap)
	b = appendOffload(b, m.Offload)
	if m.Mark.Valid {
		b = putMark(b, m.Mark.V)
	}
	b = appendOutputMark(b, m.OutputMark)
	b = attrOpt32(b, AttrMTimerThresh, m.MTimerThresh)
	return attrOpt32(b, AttrNATKeepaliveInterval, m.NATKeepalive), nil
}

func decodeMigrateState(p []byte) (*MigrateState, error) {
	b, a, err := split(MsgMigrateState, p, SizeMigrateState)
	if err != nil {
		return nil, err
	}
	nf := Family(host.Uint16(b[msNewFamily:]))
	m := &MigrateState{
		SA: getSAID(b), NewDst: getAddr(b[msNewDst:], nf), NewSrc: getAddr(b[msNewSrc:], nf), NewFamily: nf,
		NewReqID: host.Uint32(b[msNewReqID:]), Flags: MigrateStateFlags(host.Uint32(b[msFlags:])),
	}
	m.SA.Mark = Mark{host.Uint32(b[msOldMark:]), host.Uint32(b[msOldMark+4:])}
	if err := getSelector(MsgMigrateState, b[msNewSel:], &m.NewSelector); err != nil {
		return nil, err
	}
	for a.next() {
		m.attr(&a)
	}
	if a.err != nil {
		return nil, a.err
	}
	return m, nil
}

func (m *MigrateState) attr(a *attrs) {
	switch a.typ {
	case AttrEncap:
		m.Encap = a.encap(&Encap{}, m.NewFamily)
	case AttrOffloadDev:
		m.Offload = a.offload(&Offload{})
	case AttrMark:
		m.Mark = Some(a.mark())
	case AttrSetMark:
		m.OutputMark.Value = a.u32()
	case AttrSetMarkMask:
		m.OutputMark.Mask = a.u32()
	case AttrMTimerThresh:
		m.MTimerThresh = Some(a.u32())
	case AttrNATKeepaliveInterval:
		m.NATKeepalive = Some(a.u32())
	}
}
