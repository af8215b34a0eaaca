package netlinkx

// bodySize returns the length of the fixed part of a request, which is what
// comes before its attributes; -1 for an unknown type. Dumps have none
// (xfrm_msg_min and xfrm_dump_sa of net/xfrm/xfrm_user.c).
func bodySize(t MsgType, flags uint16) int {
	if flags&flagDump == flagDump && (t == MsgGetSA || t == MsgGetPolicy) {
		return 0
	}
	switch t {
	case MsgNewSA, MsgUpdSA:
		return SizeSAInfo
	case MsgDelSA, MsgGetSA:
		return SizeSAID
	case MsgNewPolicy, MsgUpdPolicy:
		return SizePolicyInfo
	case MsgDelPolicy, MsgGetPolicy, MsgMigrate:
		return SizePolicyID
	case MsgAllocSPI:
		return SizeSPIInfo
	case MsgAcquire:
		return SizeAcquire
	case MsgExpire:
		return SizeExpire
	case MsgPolExpire:
		return SizePolExpire
	case MsgFlushSA:
		return 1
	case MsgFlushPolicy:
		return 0
	case MsgNewAE, MsgGetAE:
		return SizeAE
	case MsgReport:
		return SizeReport
	case MsgNewSADInfo, MsgGetSADInfo, MsgNewSPDInfo, MsgGetSPDInfo:
		return 4
	case MsgMapping:
		return SizeMapping
	case MsgSetDefault, MsgGetDefault:
		return SizeDefaults
	case MsgMigrateState:
		return SizeMigrateState
	}
	return -1
}

// attrSpace returns how the attributes of a message are named: SAD and SPD info
// have spaces of their own.
func attrSpace(t MsgType) func(AttrType) string {
	switch t {
	case MsgNewSADInfo, MsgGetSADInfo:
		return sadAttrName
	case MsgNewSPDInfo, MsgGetSPDInfo:
		return spdAttrName
	}
	return AttrType.String
}

// attrAt names the attribute of the whole netlink message msg that holds the
// byte at offset. It returns "" when offset is zero, outside, in the header or
// in the fixed part.
func attrAt(msg []byte, offset int) string {
	if offset < sizeHeader || len(msg) < sizeHeader {
		return ""
	}
	t := MsgType(host.Uint16(msg[4:]))
	size := bodySize(t, host.Uint16(msg[6:]))
	if n := int(host.Uint32(msg)); n < len(msg) {
		msg = msg[:max(n, sizeHeader)]
	}
	at := sizeHeader + align4(size)
	if size < 0 || offset < at || at > len(msg) {
		return ""
	}
	a := attrs{msg: t, b: msg[at:]}
	for a.next() {
		if end := len(msg) - len(a.b); offset < end {
			return attrSpace(t)(a.typ)
		}
	}
	return ""
}
