package ipxfrm

import "github.com/xfrmctl/xfrmctl/netlinkx"

// stateWords holds what was said of an SA until it can be put together.
type stateWords struct {
	id         *idWords
	mode       netlinkx.Mode
	mark       netlinkx.Mark
	reqID      uint32
	seq        uint32
	dir        netlinkx.Dir
	window     uint32
	hasWindow  bool
	replay     netlinkx.ReplayESN
	flags      uint32
	extraFlags uint32
	outputMark netlinkx.Mark
	encap      *netlinkx.Encap
	ifID       uint32
	hasIfID    bool
	pcpu       netlinkx.Opt[uint32]

	offload *netlinkx.Offload
	packet  bool // remembered by a later offload without mode, as ip does

	mapping, keepalive, replayThresh, etimerThresh netlinkx.Opt[uint32]

	keys []keyWord // for warnings
}

func startSA(p *parser) {
	p.out.SA = p.slot.newSA()
	p.out.SA.Family = p.ctx.Family
	p.limits = &p.out.SA.Limits
}

// saOther parses an algorithm, or the ID.
func (p *parser) saOther() error {
	if k := p.acceptKeyword(algoKeywords); k != nil {
		return k.parse(p)
	}
	id, err := p.firstID(false)
	if err != nil {
		return err
	}
	sa := p.out.SA
	sa.Src, sa.Dst, sa.Proto, sa.SPI = id.src.addr, id.dst.addr, id.proto, id.spi
	if id.family != 0 {
		sa.Family = id.family
	}
	p.keepFamily(sa.Family)
	return nil
}

// finishSA puts the SA together and checks it, in the order of ip.
func (p *parser) finishSA() error {
	s, sa := &p.state, p.out.SA
	if err := p.checkWish(); err != nil {
		return err
	}
	sa.Flags, sa.Dir = netlinkx.SAFlags(s.flags), s.dir
	esn := sa.Flags&netlinkx.FlagESN != 0
	if esn && s.window == 0 && s.dir != netlinkx.DirOut {
		return &Error{Code: codeWords, Text: "Error: esn flag set without replay-window."}
	}
	if s.window > maxWindow {
		e := check("Error: replay-window (%d) > XFRMA_REPLAY_ESN_MAX (%d).", s.window, maxWindow)
		e.Code = codeWords
		return e
	}
	if s.id == nil {
		return errNoID
	}
	sa.Mode, sa.ReqID, sa.Seq = s.mode, s.reqID, s.seq
	sa.ReplayWindow = s.window
	sa.Mark, sa.OutputMark = s.mark, setMark(s.outputMark)
	sa.ExtraFlags = netlinkx.SAExtraFlags(s.extraFlags)
	sa.IfID, sa.PCPU, sa.Encap = s.ifID, s.pcpu, s.encap
	sa.Offload = s.finishOffload()
	sa.MTimerThresh, sa.NATKeepalive = s.mapping.V, s.keepalive.V
	sa.ReplayThresh, sa.ETimerThresh = s.replayThresh, s.etimerThresh
	s.setReplay(sa, esn)
	sa.Family = orIPv4(sa.Family)
	if err := checkSA(sa); err != nil {
		return err
	}
	p.out.Warnings = p.saWarnings()
	return nil
}

var errNoID = &Error{Code: codeCheck, Text: "Not enough information: ID is required"}

// maxWindow is the largest window that the kernel accepts (XFRMA_REPLAY_ESN_MAX).
const maxWindow = 4096

// setReplay puts the counters where the kernel wants them: the large form with
// ESN or a window above 32, else the small one, and that only if it says
// anything. The upper halves have no place in the small one.
func (s *stateWords) setReplay(sa *netlinkx.SA, esn bool) {
	if esn || s.window > 32 {
		r := s.replay
		r.BitmapLen = (s.window + 31) / 32
		sa.ReplayESN = &r
		return
	}
	if r := &s.replay; r.Seq != 0 || r.OSeq != 0 {
		sa.Replay = &netlinkx.ReplayState{Seq: r.Seq, OSeq: r.OSeq}
	}
}

// finishOffload gives the offload the direction that was named last.
func (s *stateWords) finishOffload() *netlinkx.Offload {
	if s.offload == nil {
		return nil
	}
	o := *s.offload
	if s.dir == netlinkx.DirIn {
		o.Flags |= netlinkx.OffloadInbound
	}
	if s.packet {
		o.Flags |= netlinkx.OffloadPacket
	}
	return &o
}

// checkSA checks what goes with the protocol.
func checkSA(sa *netlinkx.SA) error {
	if err := checkAlgos(sa); err != nil {
		return err
	}
	if !isRouteOptimisation(sa.Proto) {
		if sa.CareOf.IsValid() {
			return check("\"coa\" is invalid with XFRM-PROTO value \"%s\"", sa.Proto)
		}
		return nil
	}
	switch sa.Mode {
	case netlinkx.ModeRO, netlinkx.ModeInTrigger:
	case netlinkx.ModeTransport:
		return check("\"mode\" is required with XFRM-PROTO value \"%s\"", sa.Proto)
	default:
		return badMode(sa)
	}
	if !sa.CareOf.IsValid() {
		return check("\"coa\" is required with XFRM-PROTO value \"%s\"", sa.Proto)
	}
	return nil
}

func badMode(sa *netlinkx.SA) error {
	return check("MODE value is invalid with XFRM-PROTO value \"%s\"", sa.Proto)
}

// checkAlgos checks mode and algorithms of the IPsec protocols.
func checkAlgos(sa *netlinkx.SA) error {
	enc, aead, comp := sa.Crypt != nil, sa.AEAD != nil, sa.Comp != nil
	auth := sa.Auth != nil || sa.AuthTrunc != nil
	if !sa.Proto.HasSPI() {
		if enc || auth || aead || comp {
			return check("ALGO is invalid with XFRM-PROTO value \"%s\"", sa.Proto)
		}
		return nil
	}
	switch sa.Mode {
	case netlinkx.ModeTransport, netlinkx.ModeTunnel:
	case netlinkx.ModeBEET, netlinkx.ModeIPTFS:
		if sa.Proto != netlinkx.ProtoESP {
			return badMode(sa)
		}
	default:
		return badMode(sa)
	}
	text := ""
	switch {
	case sa.Proto == netlinkx.ProtoESP && comp:
		text = "ALGO-TYPE value \"comp\" is invalid"
	case sa.Proto == netlinkx.ProtoESP && !enc && !aead:
		text = "ALGO-TYPE value \"enc\" or \"aead\" is required"
	case sa.Proto == netlinkx.ProtoAH && (enc || aead || comp):
		text = "ALGO-TYPE values \"enc\", \"aead\", and \"comp\" are invalid"
	case sa.Proto == netlinkx.ProtoAH && !auth:
		text = "ALGO-TYPE value \"auth\" or \"auth-trunc\" is required"
	case sa.Proto == netlinkx.ProtoComp && (enc || auth || aead):
		text = "ALGO-TYPE values \"enc\", \"auth\", \"auth-trunc\", and \"aead\" are invalid"
	case sa.Proto == netlinkx.ProtoComp && !comp:
		text = "ALGO-TYPE value \"comp\" is required"
	default:
		return nil
	}
	return check("%s with XFRM-PROTO value \"%s\"", text, sa.Proto)
}

func startAlloc(p *parser) {
	p.out.Range = &netlinkx.SPIRange{SA: netlinkx.SA{Family: p.ctx.Family}}
}

func (p *parser) allocOther() error {
	id, err := p.firstID(false)
	if err != nil {
		return err
	}
	if id.spi != 0 {
		return check("\"spi\" is invalid")
	}
	sa := &p.out.Range.SA
	sa.Src, sa.Dst, sa.Proto = id.src.addr, id.dst.addr, id.proto
	if id.family != 0 {
		sa.Family = id.family
	}
	p.keepFamily(sa.Family)
	return nil
}

func (p *parser) spiBound(word string, v *netlinkx.SPI) error {
	if err := p.once(word); err != nil {
		return err
	}
	n, err := p.number32("SPI", "value after \""+word+"\" is invalid")
	*v = netlinkx.SPI(n)
	return err
}

func (p *parser) finishAlloc() error {
	if p.state.id == nil {
		return errNoID
	}
	if err := p.finishRange(); err != nil {
		return err
	}
	s, sa := &p.state, &p.out.Range.SA
	sa.Mode, sa.ReqID, sa.Seq, sa.Dir, sa.PCPU, sa.IfID = s.mode, s.reqID, s.seq, s.dir, s.pcpu, s.ifID
	sa.Mark = lookupMark(s.mark)
	sa.Family = orIPv4(sa.Family)
	return nil
}

// finishRange completes the bounds of the SPI; the defaults are those of PF_KEY.
func (p *parser) finishRange() error {
	r, hasMin, hasMax := p.out.Range, p.has("min"), p.has("max")
	switch {
	case hasMin && !hasMax:
		return check("\"max\" is missing")
	case !hasMin && hasMax:
		return check("\"min\" is missing")
	case hasMin && r.Min > r.Max:
		return check("value after \"min\" is larger than value after \"max\"")
	case !hasMin:
		r.Min, r.Max = 0x100, 0x0fffffff
		if r.SA.Proto == netlinkx.ProtoComp {
			r.Max = 0xffff
		}
	}
	return nil
}

// lookupMark returns the mark of a request that ip sends it with: one without
// a bit that counts is left out.
func lookupMark(m netlinkx.Mark) netlinkx.Mark {
	if m.Value&m.Mask == 0 {
		return netlinkx.Mark{}
	}
	return m
}

// setMark returns the mark to set on packets. ip sends a mask without a value,
// which the kernel ignores.
func setMark(m netlinkx.Mark) netlinkx.Mark {
	if m.Value == 0 {
		return netlinkx.Mark{}
	}
	return m
}

func startSAID(p *parser) { p.out.SAID.Family = p.ctx.Family }

func (p *parser) saIDOther() error {
	id, err := p.firstID(false)
	if err == nil {
		p.out.SAID = id.saID(p.out.SAID.Family)
	}
	return err
}

func (p *parser) finishSAID() error {
	p.out.SAID.Mark = lookupMark(p.state.mark)
	p.out.SAID.Family = orIPv4(p.out.SAID.Family)
	return nil
}
