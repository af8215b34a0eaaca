package netlinkx

import "strings"

// saFault is a rule of the kernel that can be judged by the SA alone. It is
// asked when the kernel gives no text; the hint is that of the rule whose text
// newer kernels give.
type saFault struct {
	broken func(*SA) bool
	text   string // words of the text for which a rule has the hint
}

var saFaultTable = []saFault{
	{func(sa *SA) bool { return sa.Proto == ProtoAH && sa.Auth == nil && sa.AuthTrunc == nil }, "missing required attribute for ah"},
	{func(sa *SA) bool {
		return sa.Proto == ProtoAH && (sa.AEAD != nil || sa.Crypt != nil || sa.Comp != nil || sa.TFCPad != 0)
	}, "invalid attributes for ah"},
	{func(sa *SA) bool { return sa.Proto == ProtoAH && sa.Encap != nil }, "ah not compatible encapsulation"},
	{func(sa *SA) bool { return sa.Proto == ProtoESP && sa.Comp != nil }, "invalid attribute for esp: comp"},
	{func(sa *SA) bool { return sa.Proto == ProtoESP && sa.AEAD != nil && hasPair(sa) }, "invalid attribute combination for esp"},
	{func(sa *SA) bool { return sa.Proto == ProtoESP && sa.AEAD == nil && sa.Crypt == nil && sa.hasAuth() }, "aead or crypt must be provided"},
	{func(sa *SA) bool { return sa.Proto == ProtoESP && sa.AEAD == nil && !hasPair(sa) }, "missing required attribute for esp"},
	{func(sa *SA) bool { return sa.Proto == ProtoComp && sa.Comp == nil }, "missing required attribute for comp"},
	{func(sa *SA) bool { return sa.Proto == ProtoComp && (sa.AEAD != nil || hasPair(sa) || sa.TFCPad != 0) }, "invalid attributes for comp"},
	{func(sa *SA) bool { return sa.Proto == ProtoComp && sa.SPI > 0xffff }, "spi is too large for comp"},
	{func(sa *SA) bool { return sa.Proto == ProtoComp && sa.Encap != nil }, "ipcomp not compatible encapsulation"},
	{func(sa *SA) bool { return sa.TFCPad != 0 && sa.Mode != ModeTunnel }, "tfc padding can only tunnel"},
	{func(sa *SA) bool { return sa.Encap != nil && !sa.Encap.Type.common() }, "unsupported encapsulation type"},
	{func(sa *SA) bool { return sa.Dir == DirOut && sa.ReplayWindow != 0 }, "replay window should be 0 for output"},
	{func(sa *SA) bool {
		return sa.Dir == DirOut && sa.Flags&(FlagDecapDSCP|FlagICMP|FlagWildRecv) != 0
	}, "flag should not be set for output"},
	{func(sa *SA) bool { return sa.Dir == DirIn && (sa.Flags&FlagNoPMTUDisc != 0 || sa.ExtraFlags != 0) }, "flag should not be set for input"},
	{func(sa *SA) bool { return sa.Flags&FlagESN != 0 && sa.ReplayWindow == 0 && sa.Dir != DirOut }, "esn replay window must be > 0"},
	{func(sa *SA) bool { return sa.PCPU.Valid && sa.Dir == DirUnset }, "sa_pcpu only supported with sa_dir"},
	{func(sa *SA) bool { return sa.MTimerThresh != 0 && sa.Encap == nil }, "mtimer_thresh requires encapsulation"},
	{func(sa *SA) bool { return sa.MTimerThresh != 0 && sa.Dir == DirOut }, "mtimer_thresh output"},
	{func(sa *SA) bool { return sa.NATKeepalive != 0 && sa.Encap == nil }, "nat keepalive encapsulation"},
	{func(sa *SA) bool { return sa.NATKeepalive != 0 && sa.Dir != DirOut }, "nat keepalive outbound"},
	{func(sa *SA) bool { return sa.Mode == ModeIPTFS && sa.Dir == DirUnset }, "ip-tfs mode requires"},
	{func(sa *SA) bool { return sa.Mode == ModeIPTFS && sa.Proto != ProtoESP }, "ip-tfs mode only supported with esp"},
	{func(sa *SA) bool { return sa.Mode != ModeIPTFS && sa.IPTFS != (IPTFS{}) }, "ip-tfs options"},
	{func(sa *SA) bool {
		return sa.Mode > ModeIPTFS || sa.Mode == ModeInTrigger || sa.Mode == ModeRO && sa.Proto.HasSPI()
	}, "unsupported mode"},
}

// saFaults says every rule of the kernel that the SA is seen to break, or "".
func saFaults(sa *SA) string {
	parts := []string{keyFaults(sa)}
	for _, u := range usedAlgos(sa) {
		parts = append(parts, u.icvFault())
	}
	for _, t := range saFaultTable {
		if t.broken(sa) {
			parts = append(parts, hintFor(t.text, sa))
		}
	}
	if o := sa.Offload; o != nil && o.Flags&OffloadPacket != 0 {
		parts = append(parts, packetOffloadFault(o))
	}
	return join(parts...)
}

// hintFor answers as if the kernel had given the text.
func hintFor(text string, sa *SA) string {
	f := &failure{typ: MsgNewSA, text: strings.ToLower(text), obj: sa}
	for _, table := range [][]rule{replayRules, saRules} {
		for i := range table {
			if table[i].errno == 0 && table[i].words != "" {
				if s := table[i].answer(f); s != "" {
					return s
				}
			}
		}
	}
	return ""
}

func (sa *SA) hasAuth() bool { return sa.Auth != nil || sa.AuthTrunc != nil }

// hasPair reports whether the SA has a cipher or an integrity algorithm of its own.
func hasPair(sa *SA) bool { return sa.Crypt != nil || sa.hasAuth() }

// common reports whether today's kernels may take the encapsulation.
func (t EncapType) common() bool { return t == EncapESPinUDP || t == EncapESPinTCP }
