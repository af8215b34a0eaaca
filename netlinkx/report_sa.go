package netlinkx

import "fmt"

// putReported writes an SA's fixed part as the kernel does: families are what
// they are, also none.
func putReported(p []byte, sa *SA) {
	putSAInfo(p, sa)
	host.PutUint16(p[saSel+selFamily:], uint16(sa.Selector.Family))
	if sa.Family != FamilyUnspec {
		host.PutUint16(p[saFamily:], uint16(sa.Family))
	}
}

// saReport is an SA in the kernel's order of attributes
// (copy_to_user_state_extra of net/xfrm/xfrm_user.c).
type saReport struct{ *SA }

func (r saReport) appendTo(b []byte) ([]byte, error) {
	b, p := grow(b, SizeSAInfo)
	putReported(p, r.SA)
	return r.appendAttrs(b)
}

func (r saReport) appendAttrs(b []byte) (_ []byte, err error) {
	sa := r.SA
	b = attrU32NZ(b, AttrSAExtraFlags, uint32(sa.ExtraFlags))
	if sa.CareOf.IsValid() {
		var p []byte
		b, p = attr(b, AttrCoAddr, SizeAddr)
		putAddr(p, sa.CareOf)
	}
	if sa.LastUsed != 0 {
		var p []byte
		b, p = attr(b, AttrLastUsed, 8)
		host.PutUint64(p, sa.LastUsed)
	}
	if b, err = r.appendAlgos(b); err != nil {
		return b, fmt.Errorf("%s: %w", sa, err)
	}
	b = appendEncap(b, sa.Encap)
	b = attrU32NZ(b, AttrTFCPad, sa.TFCPad)
	b = appendMark(b, sa.Mark)
	if sa.OutputMark != (Mark{}) {
		b = attrU32(b, AttrSetMark, sa.OutputMark.Value)
		b = attrU32(b, AttrSetMarkMask, sa.OutputMark.Mask)
	}
	if b, err = appendReplayReport(b, sa.Replay, sa.ReplayESN, sa.ReplayWindow); err != nil {
		return b, fmt.Errorf("%s: %w", sa, err)
	}
	b = appendOffload(b, sa.Offload)
	b = attrU32NZ(b, AttrIfID, sa.IfID)
	if b, err = appendSecCtx(b, sa.SecCtx); err != nil {
		return b, fmt.Errorf("%s: %w", sa, err)
	}
	b = appendIPTFS(b, &sa.IPTFS)
	b = attrU32NZ(b, AttrMTimerThresh, sa.MTimerThresh)
	b = attrOpt32(b, AttrSAPCPU, sa.PCPU)
	b = appendDir(b, sa.Dir)
	return attrU32NZ(b, AttrNATKeepaliveInterval, sa.NATKeepalive), nil
}

// appendAlgos writes an integrity algorithm twice, as the kernel does.
func (r saReport) appendAlgos(b []byte) (_ []byte, err error) {
	if a := r.AEAD; a != nil {
		b, err = appendAlgo(b, AttrAlgAEAD, a.Name, a.Key, &a.ICVBits)
	}
	if a := r.AuthTrunc; a != nil && err == nil {
		if b, err = appendAlgo(b, AttrAlgAuth, a.Name, a.Key, nil); err == nil {
			b, err = appendAlgo(b, AttrAlgAuthTrunc, a.Name, a.Key, &a.ICVBits)
		}
	}
	if a := r.Crypt; a != nil && err == nil {
		b, err = appendAlgo(b, AttrAlgCrypt, a.Name, a.Key, nil)
	}
	if a := r.Comp; a != nil && err == nil {
		b, err = appendAlgo(b, AttrAlgComp, a.Name, a.Key, nil)
	}
	return b, err
}

// appendReplayReport writes the one replay state that an SA has.
func appendReplayReport(b []byte, legacy *ReplayState, esn *ReplayESN, window uint32) ([]byte, error) {
	if esn == nil {
		if legacy == nil {
			legacy = &ReplayState{}
		}
		return appendReplayVal(b, legacy), nil
	}
	full := *esn
	if full.Bitmap == nil {
		full.Bitmap = make([]uint32, full.BitmapLen)
	}
	if uint32(len(full.Bitmap)) != full.BitmapLen {
		return b, fmt.Errorf("replay bitmap of %d words, declared %d", len(full.Bitmap), full.BitmapLen)
	}
	if full.BitmapLen == 0 && window != 0 {
		return b, fmt.Errorf("replay window of %d packets without a bitmap", window)
	}
	return appendReplayESN(b, &full, window)
}

// deletedSA is a DELSA event: the id, the SA in an attribute, the rest as ever.
type deletedSA struct{ *SA }

func (d deletedSA) appendTo(b []byte) ([]byte, error) {
	b, p := grow(b, SizeSAID)
	id := d.ID()
	putSAID(p, &id)
	b, p = attr(b, AttrSA, SizeSAInfo)
	putReported(p, d.SA)
	return saReport(d).appendAttrs(b)
}

// expireReport is an EXPIRE event (build_expire).
type expireReport struct{ *ExpireEvent }

// String identifies the SA.
func (e expireReport) String() string { return e.SA.String() }

func (e expireReport) appendTo(b []byte) ([]byte, error) {
	start := len(b)
	b, err := (&ExpireSA{SA: e.SA, Hard: e.Hard}).appendTo(b)
	if err == nil {
		putReported(b[start:], &e.SA)
	}
	return b, err
}

// aeReport is a NEWAE event or the answer to GETAE (build_aevent).
type aeReport struct{ *AE }

func (r aeReport) appendTo(b []byte) ([]byte, error) {
	b, p := grow(b, SizeAE)
	putAEID(p, &r.ID)
	b, err := appendReplayReport(b, r.Replay, r.ReplayESN, r.ReplayWindow)
	if err != nil {
		return b, fmt.Errorf("%s: %w", r.AE, err)
	}
	return r.appendRest(b), nil
}

// infoReport replaces the flags in front of a count, which the kernel repeats
// from the request.
type infoReport struct {
	body
	flags uint32
}

func (r infoReport) appendTo(b []byte) ([]byte, error) {
	start := len(b)
	b, err := r.body.appendTo(b)
	if err == nil {
		host.PutUint32(b[start:], r.flags)
	}
	return b, err
}

// spdReport is an SPDInfo with everything in it, also counts of zero.
type spdReport struct{ *SPDInfo }

func (r spdReport) appendTo(b []byte) ([]byte, error) {
	b = append(b, 0, 0, 0, 0)
	c := r.Counts
	b, p := attr(b, attrSPDInfo, 24)
	for k, v := range [...]uint32{c.In, c.Out, c.Fwd, c.SocketIn, c.SocketOut, c.SocketFwd} {
		host.PutUint32(p[4*k:], v)
	}
	b, p = attr(b, attrSPDHash, 8)
	host.PutUint32(p, r.HashCount)
	host.PutUint32(p[4:], r.HashMaximum)
	b = appendHashThreshold(b, attrSPDIPv4Hash, r.IPv4)
	return appendHashThreshold(b, attrSPDIPv6Hash, r.IPv6), nil
}
