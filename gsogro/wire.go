package gsogro

import "encoding/binary"

var native = binary.NativeEndian

// Netlink families.
const (
	netlinkRoute   = 0
	netlinkGeneric = 16
)

// Numbers of linux/ethtool_netlink.h.
const (
	ethtoolFamily  = "ethtool"
	ethtoolVersion = 1

	msgStrsetGet   = 1
	msgFeaturesGet = 11
	msgFeaturesSet = 12

	aHeader           = 1 // of every message
	aHeaderDevIndex   = 1
	aHeaderDevName    = 2
	aHeaderFlags      = 3
	flagCompact       = 1 // ETHTOOL_FLAG_COMPACT_BITSETS
	aFeaturesHW       = 2
	aFeaturesWanted   = 3
	aFeaturesActive   = 4
	aFeaturesNoChange = 5

	aBitsetBits  = 3
	aBitsetValue = 4
	aBitsBit     = 1
	aBitName     = 2
	aBitValue    = 3

	aStrsetStringsets = 2
	aStringsetsSet    = 1
	aStringsetID      = 1
	aStringsetStrings = 3
	aStringsString    = 1
	aStringIndex      = 1
	aStringValue      = 2
	ethSSFeatures     = 4
)

// Numbers of linux/rtnetlink.h and linux/if_link.h.
const (
	rtmNewLink   = 16
	rtmGetLink   = 18
	sizeofIfInfo = 16
	iffUp        = 1

	iflaIfname         = 3
	iflaMTU            = 4
	iflaLink           = 5
	iflaMaster         = 10
	iflaLinkinfo       = 18
	iflaExtMask        = 29
	iflaLinkNetNSID    = 37
	iflaGSOMaxSegs     = 40
	iflaGSOMaxSize     = 41
	iflaParentDevName  = 56
	iflaParentDevBus   = 57
	iflaGROMaxSize     = 58
	iflaTSOMaxSize     = 59
	iflaTSOMaxSegs     = 60
	iflaGSOIPv4MaxSize = 63
	iflaGROIPv4MaxSize = 64
	iflaInfoKind       = 1
	iflaInfoSlaveKind  = 4

	extSkipStats = 8 // RTEXT_FILTER_SKIP_STATS
)
