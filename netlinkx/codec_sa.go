package netlinkx

import (
	"fmt"
	"net/netip"
)

// Offsets in struct xfrm_selector.
const (
	selDst, selSrc                 = 0, 16
	selDPort, selDPortMask         = 32, 34
	selSPort, selSPortMask         = 36, 38
	selFamily                      = 40
	selDstLen, selSrcLen, selProto = 42, 43, 44
	selIfIndex, selUser            = 48, 52
)

func putSelector(p []byte, s *Selector) {
	putAddr(p[selDst:], s.Dst.Addr())
	putAddr(p[selSrc:], s.Src.Addr())
	be.PutUint16(p[selDPort:], s.DstPort.Port)
	be.PutUint16(p[selDPortMask:], s.DstPort.Mask)
	be.PutUint16(p[selSPort:], s.SrcPort.Port)
	be.PutUint16(p[selSPortMask:], s.SrcPort.Mask)
	host.PutUint16(p[selFamily:], uint16(familyOf(s.Family, s.Dst.Addr(), s.Src.Addr())))
	p[selDstLen] = uint8(max(s.Dst.Bits(), 0))
	p[selSrcLen] = uint8(max(s.Src.Bits(), 0))
	p[selProto] = s.Proto
	host.PutUint32(p[selIfIndex:], uint32(s.IfIndex))
	host.PutUint32(p[selUser:], s.User)
}

func getSelector(msg MsgType, p []byte, s *Selector) error {
	f := Family(host.Uint16(p[selFamily:]))
	*s = Selector{
		Family:  f,
		DstPort: PortMatch{be.Uint16(p[selDPort:]), be.Uint16(p[selDPortMask:])},
		SrcPort: PortMatch{be.Uint16(p[selSPort:]), be.Uint16(p[selSPortMask:])},
		Proto:   p[selProto],
		IfIndex: int32(host.Uint32(p[selIfIndex:])),
		User:    host.Uint32(p[selUser:]),
	}
	return getPrefixes(msg, p, f, s)
}

// getPrefixes reads the addresses of a selector as those of family f.
func getPrefixes(msg MsgType, p []byte, f Family, s *Selector) error {
	if f.Bits() == 0 {
		return nil
	}
	dl, sl := int(p[selDstLen]), int(p[selSrcLen])
	if dl > f.Bits() || sl > f.Bits() {
		return &DecodeError{Msg: msg, Reason: fmt.Sprintf("selector prefix length %d or %d above %d", sl, dl, f.Bits())}
	}
	s.Dst = netip.PrefixFrom(getAddr(p[selDst:], f), dl)
	s.Src = netip.PrefixFrom(getAddr(p[selSrc:], f), sl)
	return nil
}

func putLimits(p []byte, l *Limits) {
	for i, v := range [...]uint64{l.SoftBytes, l.HardBytes, l.SoftPackets, l.HardPackets, l.SoftAdd, l.HardAdd, l.SoftUse, l.HardUse} {
		host.PutUint64(p[8*i:], v)
	}
}

func getLimits(p []byte) Limits {
	u := func(i int) uint64 { return host.Uint64(p[8*i:]) }
	return Limits{u(0), u(1), u(2), u(3), u(4), u(5), u(6), u(7)}
}

func putUsage(p []byte, u *Usage) {
	host.PutUint64(p, u.Bytes)
	host.PutUint64(p[8:], u.Packets)
	host.PutUint64(p[16:], u.AddTime)
	host.PutUint64(p[24:], u.UseTime)
}

func getUsage(p []byte) Usage {
	return Usage{host.Uint64(p), host.Uint64(p[8:]), host.Uint64(p[16:]), host.Uint64(p[24:])}
}

// Offsets in struct xfrm_usersa_info.
const (
	saSel, saDst, saSPI, saProto, saSrc = 0, 56, 72, 76, 80
	saLimits, saUsage, saStats          = 96, 160, 192
	saSeq, saReqID, saFamily            = 204, 208, 212
	saMode, saWindow, saFlags           = 214, 215, 216
)

// maxWindow is the largest replay window, XFRMA_REPLAY_ESN_MAX.
const maxWindow = 4096

// legacyWindow is the largest window without XFRMA_REPLAY_ESN_VAL.
const legacyWindow = 32

func putSAInfo(p []byte, sa *SA) {
	putSelector(p[saSel:], &sa.Selector)
	putAddr(p[saDst:], sa.Dst)
	be.PutUint32(p[saSPI:], uint32(sa.SPI))
	p[saProto] = uint8(sa.Proto)
	putAddr(p[saSrc:], sa.Src)
	putLimits(p[saLimits:], &sa.Limits)
	putUsage(p[saUsage:], &sa.Usage)
	host.PutUint32(p[saStats:], sa.Stats.ReplayWindow)
	host.PutUint32(p[saStats+4:], sa.Stats.Replay)
	host.PutUint32(p[saStats+8:], sa.Stats.IntegrityFailed)
	host.PutUint32(p[saSeq:], sa.Seq)
	host.PutUint32(p[saReqID:], sa.ReqID)
	host.PutUint16(p[saFamily:], uint16(orIPv4(familyOf(sa.Family, sa.Dst, sa.Src))))
	p[saMode] = uint8(sa.Mode)
	if !sa.largeReplay() {
		p[saWindow] = uint8(sa.ReplayWindow)
	}
	p[saFlags] = uint8(sa.Flags)
}

func getSAInfo(msg MsgType, p []byte, sa *SA) error {
	f := Family(host.Uint16(p[saFamily:]))
	sa.Family = f
	sa.Dst, sa.Src = getAddr(p[saDst:], f), getAddr(p[saSrc:], f)
	sa.SPI, sa.Proto = SPI(be.Uint32(p[saSPI:])), Proto(p[saProto])
	sa.Limits, sa.Usage = getLimits(p[saLimits:]), getUsage(p[saUsage:])
	sa.Stats = SAStats{host.Uint32(p[saStats:]), host.Uint32(p[saStats+4:]), host.Uint32(p[saStats+8:])}
	sa.Seq, sa.ReqID = host.Uint32(p[saSeq:]), host.Uint32(p[saReqID:])
	sa.Mode, sa.ReplayWindow, sa.Flags = Mode(p[saMode]), uint32(p[saWindow]), SAFlags(p[saFlags])
	if err := getSelector(msg, p[saSel:], &sa.Selector); err != nil {
		return err
	}
	return getLarvalSelector(msg, p[saSel:], sa)
}

// getLarvalSelector reads the addresses of a selector without a family: the
// kernel leaves it out for SAs that it made itself, on ALLOCSPI or for want of
// one (xfrm_find_acq, xfrm_init_tempstate).
func getLarvalSelector(msg MsgType, p []byte, sa *SA) error {
	if sa.Selector.Family != FamilyUnspec || p[selDstLen]|p[selSrcLen] == 0 {
		return nil
	}
	return getPrefixes(msg, p, sa.Family, &sa.Selector)
}

// largeReplay reports whether the replay state travels in XFRMA_REPLAY_ESN_VAL.
func (sa *SA) largeReplay() bool {
	return sa.ReplayESN != nil || sa.Flags&FlagESN != 0 || sa.ReplayWindow > legacyWindow
}

func (sa *SA) appendTo(b []byte) ([]byte, error) {
	b, p := grow(b, SizeSAInfo)
	putSAInfo(p, sa)
	return sa.appendAttrs(b)
}

// appendAttrs writes the attributes in the order of iproute2, so that requests
// can be compared byte for byte.
func (sa *SA) appendAttrs(b []byte) ([]byte, error) {
	b = appendEncap(b, sa.Encap)
	if sa.CareOf.IsValid() {
		var p []byte
		b, p = attr(b, AttrCoAddr, SizeAddr)
		putAddr(p, sa.CareOf)
	}
	b, err := appendSecCtx(b, sa.SecCtx)
	if err != nil {
		return b, err
	}
	if b, err = sa.appendAlgos(b); err != nil {
		return b, err
	}
	b = appendOffload(b, sa.Offload)
	if b, err = sa.appendReplay(b); err != nil {
		return b, err
	}
	b = attrU32NZ(b, AttrSAExtraFlags, uint32(sa.ExtraFlags))
	b = appendMark(b, sa.Mark)
	b = attrU32NZ(b, AttrIfID, sa.IfID)
	b = attrU32NZ(b, AttrTFCPad, sa.TFCPad)
	b = appendOutputMark(b, sa.OutputMark)
	b = appendDir(b, sa.Dir)
	b = attrOpt32(b, AttrSAPCPU, sa.PCPU)
	b = attrOpt32(b, AttrReplayThresh, sa.ReplayThresh)
	b = attrOpt32(b, AttrETimerThresh, sa.ETimerThresh)
	b = attrU32NZ(b, AttrMTimerThresh, sa.MTimerThresh)
	b = attrU32NZ(b, AttrNATKeepaliveInterval, sa.NATKeepalive)
	b = appendIPTFS(b, &sa.IPTFS)
	if sa.SetUsage != nil {
		var p []byte
		b, p = attr(b, AttrLtimeVal, SizeUsage)
		putUsage(p, sa.SetUsage)
	}
	if sa.LastUsed != 0 {
		var p []byte
		b, p = attr(b, AttrLastUsed, 8)
		host.PutUint64(p, sa.LastUsed)
	}
	return b, nil
}

func (sa *SA) appendReplay(b []byte) ([]byte, error) {
	if sa.ReplayWindow > maxWindow {
		return b, fmt.Errorf("%s: replay window of %d packets, at most %d", sa, sa.ReplayWindow, maxWindow)
	}
	if sa.Replay != nil {
		b = appendReplayVal(b, sa.Replay)
	}
	if !sa.largeReplay() {
		return b, nil
	}
	r := sa.ReplayESN
	if r == nil {
		r = &ReplayESN{}
	}
	return appendReplayESN(b, r, sa.ReplayWindow)
}

// decodeSAInto fills sa from the attributes of a; the fixed part is in already.
func (x *saBox) decodeAttrs(a *attrs) error {
	for a.next() {
		x.attr(a)
	}
	return a.err
}
