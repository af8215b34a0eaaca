package ifaces

// Numbers of linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h,
// linux/net_namespace.h and linux/if.h. They are repeated here so that all of
// the package but its sockets builds and tests on any system.
const (
	rtmNewLink  = 16
	rtmDelLink  = 17
	rtmGetLink  = 18
	rtmNewAddr  = 20
	rtmDelAddr  = 21
	rtmGetAddr  = 22
	rtmGetRoute = 26
	rtmNewRoute = 24
	rtmNewNSID  = 88
	rtmGetNSID  = 90
)

// Link attributes (IFLA_*).
const (
	iflaIfname     = 3
	iflaMTU        = 4
	iflaQdisc      = 6
	iflaMaster     = 10
	iflaTxQLen     = 13
	iflaOperstate  = 16
	iflaLinkinfo   = 18
	iflaNetNSPID   = 19
	iflaIfalias    = 20
	iflaGroup      = 27
	iflaNetNSFD    = 28
	iflaExtMask    = 29
	iflaLinkNetNS  = 37
	iflaPropList   = 52
	iflaAltIfname  = 53
	iflaInfoKind   = 1
	iflaInfoData   = 2
	extSkipStats   = 1 << 3 // RTEXT_FILTER_SKIP_STATS
	sizeofIfInfo   = 16
	iffUp          = 1
	maxNameLen     = 15 // IFNAMSIZ without its NUL
	xfrmLink       = 1  // IFLA_XFRM_LINK
	xfrmIfID       = 2  // IFLA_XFRM_IF_ID
	xfrmMetadata   = 3  // IFLA_XFRM_COLLECT_METADATA
	operstateNames = "unknown notpresent down lowerlayerdown testing dormant up"
)

// Attributes of the link data of VTIs (IFLA_VTI_*, linux/if_tunnel.h).
const (
	vtiLink   = 1
	vtiIKey   = 2
	vtiOKey   = 3
	vtiLocal  = 4
	vtiRemote = 5
	vtiFwMark = 6
)

// Address attributes (IFA_*) and flags.
const (
	ifaAddress    = 1
	ifaLocal      = 2
	ifaLabel      = 3
	ifaBroadcast  = 4
	ifaCacheinfo  = 6
	ifaFlags      = 8
	ifaRTPriority = 9
	ifaProto      = 11
	sizeofIfAddr  = 8
)

// Namespace id attributes (NETNSA_*).
const (
	netnsaNSID   = 1
	netnsaFD     = 3
	sizeofGenMsg = 4
)

// Route attributes (RTA_*) and protocols.
const (
	rtaDst         = 1
	rtaOIF         = 4
	rtaTable       = 15
	rtprotKernel   = 2
	sizeofRouteMsg = 12
)
