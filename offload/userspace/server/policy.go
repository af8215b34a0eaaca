package server

import nl "github.com/xfrmctl/xfrmctl/netlinkx"

// Sizes of structures of linux/xfrm.h.
const (
	sizeAddr         = 16
	sizeSelector     = 56
	sizeSAInfo       = 224
	sizeSAID         = 24
	sizeSPIInfo      = 232
	sizePolicyInfo   = 168
	sizePolicyID     = 64
	sizeTmpl         = 64
	sizeAlgo         = 68
	sizeAlgoTrunc    = 72
	sizeEncap        = 24
	sizeSecCtx       = 8
	sizeUsage        = 32
	sizeReplay       = 12
	sizeReplayESN    = 24
	sizeOffload      = 8
	sizeAddrFilter   = 36
	sizePolicyType   = 6
	sizeAE           = 48
	sizeAcquire      = 280
	sizeExpire       = 232
	sizePolExpire    = 176
	sizeReport       = 60
	sizeMapping      = 64
	sizeMigrate      = 76
	sizeKMAddress    = 40
	sizeMigrateState = 132
	sizeDefaults     = 3
)

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
	least(sizeSAInfo, nl.AttrSA)
	least(sizePolicyInfo, nl.AttrPolicy)
	least(sizeAlgoTrunc, nl.AttrAlgAuthTrunc, nl.AttrAlgAEAD)
	least(sizeAlgo, nl.AttrAlgAuth, nl.AttrAlgCrypt, nl.AttrAlgComp)
	least(sizeEncap, nl.AttrEncap)
	least(sizeTmpl, nl.AttrTmpl)
	least(sizeSecCtx, nl.AttrSecCtx)
	least(sizeUsage, nl.AttrLtimeVal)
	least(sizeReplay, nl.AttrReplayVal)
	least(sizeAddr, nl.AttrSrcAddr, nl.AttrCoAddr)
	least(sizePolicyType, nl.AttrPolicyType)
	least(sizeMigrate, nl.AttrMigrate)
	least(sizeKMAddress, nl.AttrKMAddress)
	least(8, nl.AttrMark, nl.AttrOffloadDev)
	least(sizeReplayESN, nl.AttrReplayESNVal)
	least(sizeAddrFilter, nl.AttrAddressFilter)
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
		return sizeSAInfo, true
	case nl.MsgDelSA, nl.MsgGetSA:
		return sizeSAID, true
	case nl.MsgNewPolicy, nl.MsgUpdPolicy:
		return sizePolicyInfo, true
	case nl.MsgDelPolicy, nl.MsgGetPolicy, nl.MsgMigrate:
		return sizePolicyID, true
	case nl.MsgAllocSPI:
		return sizeSPIInfo, true
	case nl.MsgAcquire:
		return sizeAcquire, true
	case nl.MsgExpire:
		return sizeExpire, true
	case nl.MsgPolExpire:
		return sizePolExpire, true
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
		return sizeAE, true
	case nl.MsgReport:
		return sizeReport, true
	case nl.MsgGetSADInfo, nl.MsgNewSPDInfo, nl.MsgGetSPDInfo:
		return 4, true
	case nl.MsgMapping:
		return sizeMapping, true
	case nl.MsgSetDefault, nl.MsgGetDefault:
		return sizeDefaults, true
	case nl.MsgMigrateState:
		return sizeMigrateState, true
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
