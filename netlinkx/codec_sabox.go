package netlinkx

// saBox is an SA with room for what its pointers refer to, so that decoding one
// allocates once; a replay bitmap is a second allocation.
type saBox struct {
	sa        SA
	auth      Algo
	crypt     Algo
	comp      Algo
	authTrunc AuthTrunc
	aead      AEAD
	encap     Encap
	offload   Offload
	replay    ReplayState
	esn       ReplayESN
	usage     Usage
	keys      [4][]byte
	refs      [4]*[]byte // see Key
	nkeys     int
	store     [128]byte
	used      int
	bitmap    []uint32
}

// decodeSA decodes the payload of a NEWSA, UPDSA, or an EXPIRE or ALLOCSPI
// whose fixed part has size bytes and begins with an xfrm_usersa_info.
func decodeSA(msg MsgType, p []byte, size int) (*SA, error) {
	return (&saBox{}).decode(msg, p, size)
}

// decode decodes into the box, whose former contents are lost but for the
// memory of the replay bitmap.
func (x *saBox) decode(msg MsgType, p []byte, size int) (*SA, error) {
	fixed, a, err := split(msg, p, size)
	if err != nil {
		return nil, err
	}
	x.sa, x.nkeys, x.used = SA{}, 0, 0 // the rest is reached through sa alone
	if err := getSAInfo(msg, fixed, &x.sa); err != nil {
		return nil, err
	}
	if err := x.decodeAttrs(&a); err != nil {
		return nil, err
	}
	if r := x.sa.ReplayESN; r != nil && cap(r.Bitmap) > cap(x.bitmap) {
		x.bitmap = r.Bitmap[:cap(r.Bitmap)]
	}
	return &x.sa, nil
}

// decodeDeletedSA decodes a DELSA event: the SA is in an attribute.
func decodeDeletedSA(p []byte) (*SA, error) {
	fixed, a, err := split(MsgDelSA, p, SizeSAID)
	if err != nil {
		return nil, err
	}
	x := &saBox{}
	id := getSAID(fixed)
	x.sa.Dst, x.sa.SPI, x.sa.Proto, x.sa.Family = id.Dst, id.SPI, id.Proto, id.Family
	first := a // the SA's family is needed by attributes in front of it
	for first.next() {
		if first.typ == AttrSA && first.want(SizeSAInfo) {
			if err := getSAInfo(MsgDelSA, first.data, &x.sa); err != nil {
				return nil, err
			}
		}
	}
	if first.err != nil {
		return nil, first.err
	}
	if err := x.decodeAttrs(&a); err != nil {
		return nil, err
	}
	return &x.sa, nil
}

// attr decodes the present attribute of a. Unknown ones are skipped.
func (x *saBox) attr(a *attrs) {
	sa := &x.sa
	switch a.typ {
	case AttrAlgAuth:
		x.auth.Name, x.auth.Key, _ = x.algo(a, SizeAlgo, x.auth.Name)
		sa.Auth = &x.auth
	case AttrAlgCrypt:
		x.crypt.Name, x.crypt.Key, _ = x.algo(a, SizeAlgo, x.crypt.Name)
		sa.Crypt = &x.crypt
	case AttrAlgComp:
		x.comp.Name, x.comp.Key, _ = x.algo(a, SizeAlgo, x.comp.Name)
		sa.Comp = &x.comp
	case AttrAlgAEAD:
		x.aead.Name, x.aead.Key, x.aead.ICVBits = x.algo(a, SizeAlgoTrunc, x.aead.Name)
		sa.AEAD = &x.aead
	case AttrAlgAuthTrunc:
		x.authTrunc.Name, x.authTrunc.Key, x.authTrunc.ICVBits = x.algo(a, SizeAlgoTrunc, x.authTrunc.Name)
		sa.AuthTrunc = &x.authTrunc
	case AttrReplayVal:
		sa.Replay = a.replayVal(&x.replay)
	case AttrReplayESNVal:
		sa.ReplayESN, sa.ReplayWindow = a.replayESN(&x.esn, x.bitmap)
	case AttrEncap:
		sa.Encap = a.encap(&x.encap, sa.Family)
	case AttrOffloadDev:
		sa.Offload = a.offload(&x.offload)
	case AttrCoAddr:
		if a.want(SizeAddr) {
			sa.CareOf = getAddr(a.data, sa.Family)
		}
	case AttrSecCtx:
		sa.SecCtx = a.secCtx()
	case AttrMark:
		sa.Mark = a.mark()
	case AttrSetMark:
		sa.OutputMark.Value = a.u32()
	case AttrSetMarkMask:
		sa.OutputMark.Mask = a.u32()
	case AttrLtimeVal:
		if a.want(SizeUsage) {
			x.usage = getUsage(a.data)
			sa.SetUsage = &x.usage
		}
	default:
		sa.number(a)
	}
}

// number decodes the attributes that are one number.
func (sa *SA) number(a *attrs) {
	switch a.typ {
	case AttrIfID:
		sa.IfID = a.u32()
	case AttrSADir:
		sa.Dir = Dir(a.u8())
	case AttrSAPCPU:
		sa.PCPU = Some(a.u32())
	case AttrSAExtraFlags:
		sa.ExtraFlags = SAExtraFlags(a.u32())
	case AttrTFCPad:
		sa.TFCPad = a.u32()
	case AttrLastUsed:
		sa.LastUsed = a.u64()
	case AttrReplayThresh:
		sa.ReplayThresh = Some(a.u32())
	case AttrETimerThresh:
		sa.ETimerThresh = Some(a.u32())
	case AttrMTimerThresh:
		sa.MTimerThresh = a.u32()
	case AttrNATKeepaliveInterval:
		sa.NATKeepalive = a.u32()
	case AttrIPTFSDropTime:
		sa.IPTFS.DropTime = Some(a.u32())
	case AttrIPTFSReorderWindow:
		sa.IPTFS.ReorderWindow = Some(a.u16())
	case AttrIPTFSDontFrag:
		sa.IPTFS.DontFrag = a.want(0)
	case AttrIPTFSInitDelay:
		sa.IPTFS.InitDelay = Some(a.u32())
	case AttrIPTFSMaxQSize:
		sa.IPTFS.MaxQSize = Some(a.u32())
	case AttrIPTFSPktSize:
		sa.IPTFS.PktSize = Some(a.u32())
	}
}

// SAIDs.

// Offsets in struct xfrm_usersa_id.
const (
	idDst, idSPI, idFamily, idProto = 0, 16, 20, 22
)

func putSAID(p []byte, id *SAID) {
	putAddr(p[idDst:], id.Dst)
	be.PutUint32(p[idSPI:], uint32(id.SPI))
	host.PutUint16(p[idFamily:], uint16(orIPv4(familyOf(id.Family, id.Dst, id.Src))))
	p[idProto] = uint8(id.Proto)
}

func getSAID(p []byte) SAID {
	f := Family(host.Uint16(p[idFamily:]))
	return SAID{Dst: getAddr(p[idDst:], f), SPI: SPI(be.Uint32(p[idSPI:])), Family: f, Proto: Proto(p[idProto])}
}

// appendTo writes the source address always, as iproute2 does.
func (id *SAID) appendTo(b []byte) ([]byte, error) {
	b, p := grow(b, SizeSAID)
	putSAID(p, id)
	b, p = attr(b, AttrSrcAddr, SizeAddr)
	putAddr(p, id.Src)
	return appendMark(b, id.Mark), nil
}

func decodeSAID(msg MsgType, p []byte) (*SAID, error) {
	fixed, a, err := split(msg, p, SizeSAID)
	if err != nil {
		return nil, err
	}
	id := getSAID(fixed)
	for a.next() {
		switch a.typ {
		case AttrSrcAddr:
			if a.want(SizeAddr) {
				id.Src = getAddr(a.data, id.Family)
			}
		case AttrMark:
			id.Mark = a.mark()
		}
	}
	if a.err != nil {
		return nil, a.err
	}
	return &id, nil
}
