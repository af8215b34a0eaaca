package ifaces

import "encoding/binary"

// attrSpec names an attribute and, for a nest, what is inside.
type attrSpec struct {
	name  string
	inner map[uint16]attrSpec
}

// linkAttrs names the attributes that this package sends about links.
var linkAttrs = map[uint16]attrSpec{
	iflaIfname:    {name: "IFNAME"},
	iflaMTU:       {name: "MTU"},
	iflaNetNSPID:  {name: "NET_NS_PID"},
	iflaIfalias:   {name: "IFALIAS"},
	iflaNetNSFD:   {name: "NET_NS_FD"},
	iflaExtMask:   {name: "EXT_MASK"},
	iflaAltIfname: {name: "ALT_IFNAME"},
	iflaLinkinfo: {name: "LINKINFO", inner: map[uint16]attrSpec{
		iflaInfoKind: {name: "INFO_KIND"},
		iflaInfoData: {name: "INFO_DATA", inner: map[uint16]attrSpec{
			xfrmLink:     {name: "XFRM_LINK"},
			xfrmIfID:     {name: "XFRM_IF_ID"},
			xfrmMetadata: {name: "XFRM_COLLECT_METADATA"},
		}},
	}},
}

// addrAttrs names those about addresses.
var addrAttrs = map[uint16]attrSpec{
	ifaAddress:    {name: "ADDRESS"},
	ifaLocal:      {name: "LOCAL"},
	ifaLabel:      {name: "LABEL"},
	ifaBroadcast:  {name: "BROADCAST"},
	ifaCacheinfo:  {name: "CACHEINFO"},
	ifaFlags:      {name: "FLAGS"},
	ifaRTPriority: {name: "RT_PRIORITY"},
	ifaProto:      {name: "PROTO"},
}

func headerLength(typ uint16) int {
	switch typ {
	case rtmNewAddr, rtmDelAddr, rtmGetAddr:
		return sizeofIfAddr
	case rtmGetNSID:
		return sizeofGenMsg
	}
	return sizeofIfInfo
}

// attributeAt names the innermost attribute of the message body b that holds
// the byte at offset; header is the length of the fixed part.
func attributeAt(b []byte, offset, header int) string {
	specs := linkAttrs
	if header == sizeofIfAddr {
		specs = addrAttrs
	}
	name, at, end := "", header, len(b)
	for at+4 <= end {
		n := int(binary.NativeEndian.Uint16(b[at:]))
		typ := binary.NativeEndian.Uint16(b[at+2:]) & 0x3fff // without NLA_F_NESTED
		if n < 4 || at+n > end {
			return name
		}
		if offset < at || offset >= at+n {
			at += (n + 3) &^ 3
			continue
		}
		spec, known := specs[typ]
		if !known {
			return name
		}
		name = spec.name
		if spec.inner == nil {
			return name
		}
		specs, at, end = spec.inner, at+4, at+n
	}
	return name
}
