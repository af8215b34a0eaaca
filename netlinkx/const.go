package netlinkx

// MsgType is a NETLINK_XFRM message type (XFRM_MSG_* of linux/xfrm.h).
type MsgType uint16

// Message types.
const (
	MsgNewSA MsgType = 0x10 + iota
	MsgDelSA
	MsgGetSA
	MsgNewPolicy
	MsgDelPolicy
	MsgGetPolicy
	MsgAllocSPI
	MsgAcquire
	MsgExpire
	MsgUpdPolicy
	MsgUpdSA
	MsgPolExpire
	MsgFlushSA
	MsgFlushPolicy
	MsgNewAE
	MsgGetAE
	MsgReport
	MsgMigrate
	MsgNewSADInfo
	MsgGetSADInfo
	MsgNewSPDInfo
	MsgGetSPDInfo
	MsgMapping
	MsgSetDefault
	MsgGetDefault
	MsgMigrateState
)

// String returns the kernel's name without its prefix: "NEWSA".
func (t MsgType) String() string { return msgName(t) }

// Group is a multicast group of NETLINK_XFRM (XFRMNLGRP_*).
type Group uint32

// Multicast groups. A listener changes what the kernel does: with one on
// GroupAcquire traffic without an SA makes larval SAs, with one on
// GroupAEvents nearly every packet of a slow flow makes an event.
const (
	GroupAcquire Group = 1 + iota
	GroupExpire
	GroupSA
	GroupPolicy
	GroupAEvents
	GroupReport
	GroupMigrate
	GroupMapping
)

// AttrType is an attribute type (XFRMA_*). Most messages use this space.
type AttrType uint16

// Attributes of the general space.
const (
	AttrAlgAuth AttrType = 1 + iota
	AttrAlgCrypt
	AttrAlgComp
	AttrEncap
	AttrTmpl
	AttrSA
	AttrPolicy
	AttrSecCtx
	AttrLtimeVal
	AttrReplayVal
	AttrReplayThresh
	AttrETimerThresh
	AttrSrcAddr
	AttrCoAddr
	AttrLastUsed
	AttrPolicyType
	AttrMigrate
	AttrAlgAEAD
	AttrKMAddress
	AttrAlgAuthTrunc
	AttrMark
	AttrTFCPad
	AttrReplayESNVal
	AttrSAExtraFlags
	AttrProto
	AttrAddressFilter
	AttrPad
	AttrOffloadDev
	AttrSetMark
	AttrSetMarkMask
	AttrIfID
	AttrMTimerThresh
	AttrSADir
	AttrNATKeepaliveInterval
	AttrSAPCPU
	AttrIPTFSDropTime
	AttrIPTFSReorderWindow
	AttrIPTFSDontFrag
	AttrIPTFSInitDelay
	AttrIPTFSMaxQSize
	AttrIPTFSPktSize
)

var attrNames = [...]string{
	"", "ALG_AUTH", "ALG_CRYPT", "ALG_COMP", "ENCAP", "TMPL", "SA", "POLICY", "SEC_CTX", "LTIME_VAL",
	"REPLAY_VAL", "REPLAY_THRESH", "ETIMER_THRESH", "SRCADDR", "COADDR", "LASTUSED", "POLICY_TYPE",
	"MIGRATE", "ALG_AEAD", "KMADDRESS", "ALG_AUTH_TRUNC", "MARK", "TFCPAD", "REPLAY_ESN_VAL",
	"SA_EXTRA_FLAGS", "PROTO", "ADDRESS_FILTER", "PAD", "OFFLOAD_DEV", "SET_MARK", "SET_MARK_MASK",
	"IF_ID", "MTIMER_THRESH", "SA_DIR", "NAT_KEEPALIVE_INTERVAL", "SA_PCPU", "IPTFS_DROP_TIME",
	"IPTFS_REORDER_WINDOW", "IPTFS_DONT_FRAG", "IPTFS_INIT_DELAY", "IPTFS_MAX_QSIZE", "IPTFS_PKT_SIZE",
}

var msgNames = [...]string{
	"NEWSA", "DELSA", "GETSA", "NEWPOLICY", "DELPOLICY", "GETPOLICY", "ALLOCSPI", "ACQUIRE", "EXPIRE",
	"UPDPOLICY", "UPDSA", "POLEXPIRE", "FLUSHSA", "FLUSHPOLICY", "NEWAE", "GETAE", "REPORT", "MIGRATE",
	"NEWSADINFO", "GETSADINFO", "NEWSPDINFO", "GETSPDINFO", "MAPPING", "SETDEFAULT", "GETDEFAULT", "MIGRATE_STATE",
}
