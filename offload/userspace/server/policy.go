package server

import nl "github.com/xfrmctl/xfrmctl/netlinkx"

// xfrmPolicy is xfrma_policy of net/xfrm/xfrm_user.c.
func xfrmPolicy() *policy {
	f := make([]form, nl.AttrIPTFSPktSize+1)
	least := func(n int, ts ...nl.AttrType) {
		for _, t := range ts {
			f[t] = form{kind: unspecified, length: n}
		}
	}
	numbers := func(n int, ts ...nl.AttrType) {
		for _, t := range ts {
			f[t] = form{kind: number, length: n}
		}
	}
	least(nl.SizeSAInfo, nl.AttrSA)
	least(nl.SizePolicyInfo, nl.AttrPolicy)
	least(nl.SizeAlgoTrunc, nl.AttrAlgAuthTrunc, nl.AttrAlgAEAD)
	least(nl.SizeAlgo, nl.AttrAlgAuth, nl.AttrAlgCrypt, nl.AttrAlgComp)
	least(nl.SizeEncap, nl.AttrEncap)
	least(nl.SizeTmpl, nl.AttrTmpl)
	least(nl.SizeSecCtx, nl.AttrSecCtx)
	least(nl.SizeUsage, nl.AttrLtimeVal)
	least(nl.SizeReplay, nl.AttrReplayVal)
	least(nl.SizeAddr, nl.AttrSrcAddr, nl.AttrCoAddr)
	least(nl.SizePolicyType, nl.AttrPolicyType)
	least(nl.SizeMigrate, nl.AttrMigrate)
	least(nl.SizeKMAddress, nl.AttrKMAddress)
	least(8, nl.AttrMark, nl.AttrOffloadDev)
	least(nl.SizeReplayESN, nl.AttrReplayESNVal)
	least(nl.SizeAddrFilter, nl.AttrAddressFilter)
	numbers(1, nl.AttrProto)
	numbers(8, nl.AttrLastUsed)
	numbers(4, nl.AttrReplayThresh, nl.AttrETimerThresh, nl.AttrTFCPad, nl.AttrSAExtraFlags, nl.AttrSetMark,
		nl.AttrSetMarkMask, nl.AttrIfID, nl.AttrMTimerThresh, nl.AttrNATKeepaliveInterval, nl.AttrSAPCPU,
		nl.AttrIPTFSDropTime, nl.AttrIPTFSInitDelay, nl.AttrIPTFSMaxQSize, nl.AttrIPTFSPktSize)
	numbers(2, nl.AttrIPTFSReorderWindow)
	f[nl.AttrSADir] = form{kind: number, length: 1, lo: uint8(nl.DirIn), hi: uint8(nl.DirOut)}
	f[nl.AttrIPTFSDontFrag] = form{kind: flag}
	return &policy{forms: f, strict: nl.AttrSADir}
}

// Attributes of NEWSPDINFO (XFRMA_SPD_IPV4_HTHRESH, XFRMA_SPD_IPV6_HTHRESH).
const (
	spdThreshold4 nl.AttrType = 3
	spdThreshold6 nl.AttrType = 4
)

// spdPolicy is xfrma_spd_policy.
func spdPolicy() *policy {
	f := make([]form, spdThreshold6+1)
	f[spdThreshold4], f[spdThreshold6] = form{length: 2}, form{length: 2}
	return &policy{forms: f}
}

// minSize returns the length of a message's fixed part (xfrm_msg_min); ok is
// false for types that there are not.
func minSize(t nl.MsgType) (n int, ok bool) {
	switch t {
	case nl.MsgNewSA, nl.MsgUpdSA:
		return nl.SizeSAInfo, true
	case nl.MsgDelSA, nl.MsgGetSA:
		return nl.SizeSAID, true
	case nl.MsgNewPolicy, nl.MsgUpdPolicy:
		return nl.SizePolicyInfo, true
	case nl.MsgDelPolicy, nl.MsgGetPolicy, nl.MsgMigrate:
		return nl.SizePolicyID, true
	case nl.MsgAllocSPI:
		return nl.SizeSPIInfo, true
	case nl.MsgAcquire:
		return nl.SizeAcquire, true
	case nl.MsgExpire:
		return nl.SizeExpire, true
	case nl.MsgPolExpire:
		return nl.SizePolExpire, true
	case nl.MsgFlushSA:
		return 1, true
	case nl.MsgFlushPolicy, nl.MsgNewSADInfo:
		return 0, true
	}
	return otherMinSize(t)
}

func otherMinSize(t nl.MsgType) (n int, ok bool) {
	switch t {
	case nl.MsgNewAE, nl.MsgGetAE:
		return nl.SizeAE, true
	case nl.MsgReport:
		return nl.SizeReport, true
	case nl.MsgGetSADInfo, nl.MsgNewSPDInfo, nl.MsgGetSPDInfo:
		return 4, true
	case nl.MsgMapping:
		return nl.SizeMapping, true
	case nl.MsgSetDefault, nl.MsgGetDefault:
		return nl.SizeDefaults, true
	case nl.MsgMigrateState:
		return nl.SizeMigrateState, true
	}
	return 0, false
}

// checkUnused refuses attributes that a message does not take, as far as the
// kernel looks (xfrm_reject_unused_attr).
func checkUnused(t nl.MsgType, a *attrs) *nl.Ack {
	sa := t == nl.MsgNewSA || t == nl.MsgUpdSA || t == nl.MsgAllocSPI
	if a.has(nl.AttrSADir) && !sa {
		return invalid("Invalid attribute SA_DIR")
	}
	if a.has(nl.AttrSAPCPU) && !sa && t != nl.MsgAcquire {
		return invalid("Invalid attribute SA_PCPU")
	}
	if t != nl.MsgMigrateState {
		return nil
	}
	for i := nl.AttrType(1); i <= nl.AttrIPTFSPktSize; i++ {
		switch i {
		case nl.AttrMark, nl.AttrEncap, nl.AttrOffloadDev, nl.AttrSetMark, nl.AttrSetMarkMask, nl.AttrMTimerThresh, nl.AttrNATKeepaliveInterval:
			continue
		}
		if a.has(i) {
			ack := invalid("Unsupported attribute in XFRM_MSG_MIGRATE_STATE")
			ack.Offset = a.offset[i]
			return ack
		}
	}
	return nil
}
