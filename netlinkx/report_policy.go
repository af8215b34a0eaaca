package netlinkx

import "fmt"

// putReportedSelector writes a selector's family as it is, also none.
func putReportedSelector(p []byte, s *Selector) {
	putSelector(p, s)
	host.PutUint16(p[selFamily:], uint16(s.Family))
}

// policyReport is a policy in the kernel's order of attributes
// (dump_one_policy, xfrm_notify_policy); events have no security context.
type policyReport struct {
	*Policy
	context bool
}

func (r policyReport) appendTo(b []byte) ([]byte, error) {
	b, p := grow(b, SizePolicyInfo)
	r.put(p)
	return r.appendAttrs(b)
}

func (r policyReport) put(p []byte) {
	putPolicyInfo(p, r.Policy)
	if r.Selector.Family != FamilyUnspec {
		putReportedSelector(p[polSel:], &r.Selector)
	}
}

func (r policyReport) appendAttrs(b []byte) ([]byte, error) {
	b, err := appendTemplates(b, r.Templates)
	if err == nil && r.context {
		b, err = appendSecCtx(b, r.SecCtx)
	}
	if err != nil {
		return b, fmt.Errorf("%s: %w", r.Policy, err)
	}
	b = appendPolicyType(b, r.Type)
	b = appendMark(b, r.Mark)
	b = attrU32NZ(b, AttrIfID, r.IfID)
	return appendOffload(b, r.Offload), nil
}

// deletedPolicy is a DELPOLICY event: how it was named, the policy in an
// attribute, the rest as ever.
type deletedPolicy struct{ *PolicyEvent }

// String identifies the policy.
func (d deletedPolicy) String() string { return d.Policy.String() }

func (d deletedPolicy) appendTo(b []byte) ([]byte, error) {
	b, p := grow(b, SizePolicyID)
	p[polIDDir] = uint8(d.Deleted.Dir)
	if d.Deleted.Index != 0 {
		host.PutUint32(p[polIDIndex:], d.Deleted.Index)
	} else {
		putReportedSelector(p, &d.Policy.Selector)
	}
	b, p = attr(b, AttrPolicy, SizePolicyInfo)
	r := policyReport{&d.Policy, false}
	r.put(p)
	return r.appendAttrs(b)
}

// policyExpireReport is a POLEXPIRE event (build_polexpire).
type policyExpireReport struct{ *PolicyExpireEvent }

// String identifies the policy.
func (e policyExpireReport) String() string { return e.Policy.String() }

func (e policyExpireReport) appendTo(b []byte) ([]byte, error) {
	b, p := grow(b, SizePolExpire)
	r := policyReport{&e.Policy, true}
	r.put(p)
	putHard(p, SizePolicyInfo, e.Hard)
	return r.appendAttrs(b)
}

// acquireReport is an ACQUIRE event (build_acquire): the offload is that of
// the policy.
type acquireReport struct{ *Acquire }

func (r acquireReport) appendTo(b []byte) ([]byte, error) {
	b, p := grow(b, SizeAcquire)
	putAddr(p[acqDst:], r.SA.Dst)
	be.PutUint32(p[acqSPI:], uint32(r.SA.SPI))
	p[acqProto] = uint8(r.SA.Proto)
	putAddr(p[acqSrc:], r.SA.Src)
	putReportedSelector(p[acqSel:], &r.Selector)
	pol := policyReport{&r.Policy, true}
	pol.put(p[acqPolicy:])
	for i, v := range [...]uint32{r.AAlgos, r.EAlgos, r.CAlgos, r.Seq} {
		host.PutUint32(p[acqAAlgos+4*i:], v)
	}
	withOffload := r.Policy
	withOffload.Offload = r.Offload
	b, err := policyReport{&withOffload, true}.appendAttrs(b)
	if err != nil {
		return b, err
	}
	return attrOpt32(b, AttrSAPCPU, r.PCPU), nil
}

// migrateReport is a MIGRATE event, with an attribute for each entry
// (build_migrate).
type migrateReport struct{ *Migrate }

func (m migrateReport) appendTo(b []byte) ([]byte, error) {
	b, p := grow(b, SizePolicyID)
	putReportedSelector(p, &m.Policy.Selector)
	p[polIDDir] = uint8(m.Policy.Dir)
	if k := m.KMAddress; k != nil {
		b, p = attr(b, AttrKMAddress, SizeKMAddress)
		putAddr(p, k.Local)
		putAddr(p[16:], k.Remote)
		host.PutUint16(p[36:], uint16(familyOf(k.Family, k.Local, k.Remote)))
	}
	b = appendEncap(b, m.Encap)
	b = appendPolicyType(b, m.Policy.Type)
	for i := range m.Entries {
		b, p = attr(b, AttrMigrate, SizeMigrate)
		putMigrateEntry(p, &m.Entries[i])
	}
	return b, nil
}

// migrateStateReport is a MIGRATE_STATE event (build_migrate_state): numbers of
// zero are not there.
type migrateStateReport struct{ *MigrateState }

func (m migrateStateReport) appendTo(b []byte) ([]byte, error) {
	start := len(b)
	bare := *m.MigrateState
	bare.Encap, bare.Offload, bare.Mark, bare.OutputMark = nil, nil, Opt[Mark]{}, Mark{}
	bare.MTimerThresh, bare.NATKeepalive = Opt[uint32]{}, Opt[uint32]{}
	b, err := bare.appendTo(b)
	if err != nil {
		return b, err
	}
	putReportedSelector(b[start+msNewSel:], &m.NewSelector)
	b = appendEncap(b, m.Encap)
	b = appendOffload(b, m.Offload)
	if m.Mark.Valid {
		b = putMark(b, m.Mark.V)
	}
	if m.OutputMark != (Mark{}) {
		b = attrU32(b, AttrSetMark, m.OutputMark.Value)
		b = attrU32(b, AttrSetMarkMask, m.OutputMark.Mask)
	}
	b = attrU32NZ(b, AttrMTimerThresh, m.MTimerThresh.V)
	return attrU32NZ(b, AttrNATKeepaliveInterval, m.NATKeepalive.V), nil
}
