package server

import nl "github.com/xfrmctl/xfrmctl/netlinkx"

// canonical rewrites a request for the codec: one attribute of each type,
// without what the kernel does not read behind its end. malformed is what the
// kernel says of the first one whose contents declare more than there is; the
// attribute is cut to its fixed part then. What trim returns nil for is left out.
func (a *attrs) canonical(payload []byte, fixed int, trim trimmer) (b []byte, malformed *nl.Ack) {
	b = make([]byte, 0, len(payload)+8)
	b = append(b, payload[:min(fixed, len(payload))]...)
	for _, t := range canonicalOrder(a) {
		data, text := trim(t, a.data[t])
		if text != "" && malformed == nil {
			malformed = invalid(text)
		}
		if data == nil {
			continue
		}
		for len(b)%4 != 0 {
			b = append(b, 0)
		}
		b = host.AppendUint16(b, uint16(sizeAttr+len(data)))
		b = host.AppendUint16(b, uint16(t))
		b = append(b, data...)
	}
	return b, malformed
}

// canonicalOrder lists the attributes that are there; algorithms in the order
// in which the kernel checks their lengths.
func canonicalOrder(a *attrs) []nl.AttrType {
	out := make([]nl.AttrType, 0, 16)
	for _, t := range [...]nl.AttrType{nl.AttrAlgAEAD, nl.AttrAlgAuthTrunc} {
		if a.has(t) {
			out = append(out, t)
		}
	}
	for t := nl.AttrType(1); t < maxAttrs; t++ {
		if a.has(t) && t != nl.AttrAlgAEAD && t != nl.AttrAlgAuthTrunc {
			out = append(out, t)
		}
	}
	return out
}

// trimmer cuts what is behind the end of an attribute's contents, and says what
// is wrong with them.
type trimmer func(t nl.AttrType, data []byte) (_ []byte, malformed string)

// trimSPD is for the attributes of NEWSPDINFO: two thresholds of two bytes. The
// others are for the kernel to report, and it does not look at them.
func trimSPD(t nl.AttrType, data []byte) ([]byte, string) {
	if t != spdThreshold4 && t != spdThreshold6 {
		return nil, ""
	}
	return data[:min(2, len(data))], ""
}

// trimXFRM is for the attributes of all other messages.
func trimXFRM(t nl.AttrType, data []byte) (_ []byte, malformed string) {
	switch t {
	case nl.AttrAlgAEAD:
		return trimAlgo(data, nl.SizeAlgoTrunc, "Invalid AEAD attribute length")
	case nl.AttrAlgAuthTrunc:
		return trimAlgo(data, nl.SizeAlgoTrunc, "Invalid AUTH_TRUNC attribute length")
	case nl.AttrAlgAuth, nl.AttrAlgCrypt, nl.AttrAlgComp:
		return trimAlgo(data, nl.SizeAlgo, "Invalid AUTH/CRYPT/COMP attribute length")
	case nl.AttrSecCtx:
		return trimSecCtx(data)
	case nl.AttrReplayESNVal:
		return trimReplayESN(data)
	case nl.AttrTmpl:
		return data[:len(data)/nl.SizeTmpl*nl.SizeTmpl], ""
	case nl.AttrMigrate:
		return data[:len(data)/nl.SizeMigrate*nl.SizeMigrate], ""
	}
	if n := sizeOf(t); n >= 0 && n < len(data) {
		return data[:n], ""
	}
	return data, ""
}

// sizeOf returns the length of an attribute of a fixed one, else -1.
func sizeOf(t nl.AttrType) int {
	switch t {
	case nl.AttrSA:
		return nl.SizeSAInfo
	case nl.AttrPolicy:
		return nl.SizePolicyInfo
	case nl.AttrEncap:
		return nl.SizeEncap
	case nl.AttrLtimeVal:
		return nl.SizeUsage
	case nl.AttrReplayVal:
		return nl.SizeReplay
	case nl.AttrSrcAddr, nl.AttrCoAddr:
		return nl.SizeAddr
	case nl.AttrPolicyType:
		return nl.SizePolicyType
	case nl.AttrKMAddress:
		return nl.SizeKMAddress
	case nl.AttrMark, nl.AttrOffloadDev, nl.AttrLastUsed:
		return 8
	case nl.AttrAddressFilter:
		return nl.SizeAddrFilter
	case nl.AttrProto:
		return 1
	case nl.AttrReplayThresh, nl.AttrETimerThresh, nl.AttrTFCPad, nl.AttrSAExtraFlags,
		nl.AttrSetMark, nl.AttrSetMarkMask, nl.AttrIfID, nl.AttrMTimerThresh:
		return 4
	}
	return -1
}

// trimAlgo cuts an algorithm behind its key. One whose key is cut short keeps
// no key at all; the kernel ends the name at its last byte.
func trimAlgo(data []byte, fixed int, text string) ([]byte, string) {
	const nameLen = 64
	bits := uint64(host.Uint32(data[nameLen:]))
	n := uint64(fixed) + (bits+7)/8
	if n > uint64(len(data)) {
		out := append([]byte(nil), data[:fixed]...)
		host.PutUint32(out[nameLen:], 0)
		return out, text
	}
	if data[nameLen-1] != 0 {
		data = append([]byte(nil), data[:n]...)
		data[nameLen-1] = 0
	}
	return data[:n], ""
}

func trimSecCtx(data []byte) ([]byte, string) {
	n, ctx := int(host.Uint16(data)), int(host.Uint16(data[6:]))
	if n > len(data) || n != nl.SizeSecCtx+ctx {
		out := append([]byte(nil), data[:nl.SizeSecCtx]...)
		host.PutUint16(out, nl.SizeSecCtx)
		host.PutUint16(out[6:], 0)
		return out, "Invalid security context length"
	}
	return data[:n], ""
}

// maxESNWords is what a bitmap may have; a longer one is refused before its
// length is looked at.
const maxESNWords = 128

func trimReplayESN(data []byte) ([]byte, string) {
	words := uint64(host.Uint32(data))
	n := nl.SizeReplayESN + 4*words
	switch {
	case n <= uint64(len(data)):
		return data[:n], ""
	case len(data) != nl.SizeReplayESN && words <= maxESNWords:
		return data[:nl.SizeReplayESN], "ESN attribute is too short to fit the full bitmap length"
	}
	return data[:nl.SizeReplayESN], ""
}
