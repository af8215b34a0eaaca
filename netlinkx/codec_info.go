package netlinkx

import "fmt"

// Attribute spaces of their own: XFRMA_SAD_* and XFRMA_SPD_*.
const (
	attrSADCount    AttrType = 1
	attrSADHash     AttrType = 2
	attrSPDInfo     AttrType = 1
	attrSPDHash     AttrType = 2
	attrSPDIPv4Hash AttrType = 3
	attrSPDIPv6Hash AttrType = 4
)

func sadAttrName(t AttrType) string {
	switch t {
	case attrSADCount:
		return "SAD_CNT"
	case attrSADHash:
		return "SAD_HINFO"
	}
	return fmt.Sprintf("attribute %d", uint16(t))
}

func spdAttrName(t AttrType) string {
	switch t {
	case attrSPDInfo:
		return "SPD_INFO"
	case attrSPDHash:
		return "SPD_HINFO"
	case attrSPDIPv4Hash:
		return "SPD_IPV4_HTHRESH"
	case attrSPDIPv6Hash:
		return "SPD_IPV6_HTHRESH"
	}
	return fmt.Sprintf("attribute %d", uint16(t))
}

// flushSA is struct xfrm_usersa_flush.
type flushSA Proto

func (f flushSA) appendTo(b []byte) ([]byte, error) { return append(b, uint8(f)), nil }

func (f flushSA) String() string {
	if f == 0 {
		return "of every protocol"
	}
	return "of protocol " + Proto(f).String()
}

// flushPolicy has no fixed part.
type flushPolicy Opt[PolicyType]

func (f flushPolicy) appendTo(b []byte) ([]byte, error) {
	return appendPolicyType(b, Opt[PolicyType](f)), nil
}

func (f flushPolicy) String() string { return "of type " + f.V.String() }

// infoRequest is the body of GETSADINFO and GETSPDINFO: flags, all set.
type infoRequest string

func (infoRequest) appendTo(b []byte) ([]byte, error) {
	return append(b, 0xff, 0xff, 0xff, 0xff), nil
}

func (r infoRequest) String() string { return string(r) }

func (i *SADInfo) appendTo(b []byte) ([]byte, error) {
	b = append(b, 0xff, 0xff, 0xff, 0xff)
	b = attrU32(b, attrSADCount, i.Count)
	b, p := attr(b, attrSADHash, 8)
	host.PutUint32(p, i.HashCount)
	host.PutUint32(p[4:], i.HashMaximum)
	return b, nil
}

// String names the object.
func (i *SADInfo) String() string { return "sad info" }

func decodeSADInfo(p []byte) (*SADInfo, error) {
	_, a, err := split(MsgNewSADInfo, p, 4)
	if err != nil {
		return nil, err
	}
	a.name = sadAttrName
	i := &SADInfo{}
	for a.next() {
		switch a.typ {
		case attrSADCount:
			i.Count = a.u32()
		case attrSADHash:
			if a.want(8) {
				i.HashCount, i.HashMaximum = host.Uint32(a.data), host.Uint32(a.data[4:])
			}
		}
	}
	if a.err != nil {
		return nil, a.err
	}
	return i, nil
}

func appendHashThreshold(b []byte, t AttrType, h Opt[HashThreshold]) []byte {
	if !h.Valid {
		return b
	}
	b, p := attr(b, t, 2)
	p[0], p[1] = h.V.Local, h.V.Remote
	return b
}

// appendTo writes the counts only when there are any: they are read only, and
// requests carry thresholds alone.
func (i *SPDInfo) appendTo(b []byte) ([]byte, error) {
	b = append(b, 0xff, 0xff, 0xff, 0xff)
	if c := i.Counts; c != (SPDCounts{}) {
		var p []byte
		b, p = attr(b, attrSPDInfo, 24)
		for k, v := range [...]uint32{c.In, c.Out, c.Fwd, c.SocketIn, c.SocketOut, c.SocketFwd} {
			host.PutUint32(p[4*k:], v)
		}
	}
	if i.HashCount|i.HashMaximum != 0 {
		var p []byte
		b, p = attr(b, attrSPDHash, 8)
		host.PutUint32(p, i.HashCount)
		host.PutUint32(p[4:], i.HashMaximum)
	}
	b = appendHashThreshold(b, attrSPDIPv4Hash, i.IPv4)
	return appendHashThreshold(b, attrSPDIPv6Hash, i.IPv6), nil
}

// String names the object.
func (i *SPDInfo) String() string { return "policy hash thresholds" }

func (a *attrs) hashThreshold() Opt[HashThreshold] {
	if !a.want(2) {
		return Opt[HashThreshold]{}
	}
	return Some(HashThreshold{a.data[0], a.data[1]})
}

func decodeSPDInfo(p []byte) (*SPDInfo, error) {
	_, a, err := split(MsgNewSPDInfo, p, 4)
	if err != nil {
		return nil, err
	}
	a.name = spdAttrName
	i := &SPDInfo{}
	for a.next() {
		switch a.typ {
		case attrSPDInfo:
			if a.want(24) {
				u := func(k int) uint32 { return host.Uint32(a.data[4*k:]) }
				i.Counts = SPDCounts{u(0), u(1), u(2), u(3), u(4), u(5)}
			}
		case attrSPDHash:
			if a.want(8) {
				i.HashCount, i.HashMaximum = host.Uint32(a.data), host.Uint32(a.data[4:])
			}
		case attrSPDIPv4Hash:
			i.IPv4 = a.hashThreshold()
		case attrSPDIPv6Hash:
			i.IPv6 = a.hashThreshold()
		}
	}
	if a.err != nil {
		return nil, a.err
	}
	return i, nil
}

func (d *Defaults) appendTo(b []byte) ([]byte, error) {
	return append(b, uint8(d.In), uint8(d.Fwd), uint8(d.Out)), nil
}

// String names the object.
func (d *Defaults) String() string { return "default policies" }

func decodeDefaults(msg MsgType, p []byte) (*Defaults, error) {
	fixed, _, err := split(msg, p, SizeDefaults)
	if err != nil {
		return nil, err
	}
	return &Defaults{In: DefaultAction(fixed[0]), Fwd: DefaultAction(fixed[1]), Out: DefaultAction(fixed[2])}, nil
}

func (r *SPIRange) appendTo(b []byte) ([]byte, error) {
	b, p := grow(b, SizeSPIInfo)
	putSAInfo(p, &r.SA)
	host.PutUint32(p[SizeSAInfo:], uint32(r.Min))
	host.PutUint32(p[SizeSAInfo+4:], uint32(r.Max))
	b = appendDir(b, r.SA.Dir)
	b = appendMark(b, r.SA.Mark)
	b = attrU32NZ(b, AttrIfID, r.SA.IfID)
	return attrOpt32(b, AttrSAPCPU, r.SA.PCPU), nil
}

func decodeSPIRange(p []byte) (*SPIRange, error) {
	sa, err := decodeSA(MsgAllocSPI, p, SizeSPIInfo)
	if err != nil {
		return nil, err
	}
	return &SPIRange{SA: *sa, Min: SPI(host.Uint32(p[SizeSAInfo:])), Max: SPI(host.Uint32(p[SizeSAInfo+4:]))}, nil
}

// appendTo writes the attributes of a dump request, which has no fixed part.
func (f *SAFilter) appendTo(b []byte) ([]byte, error) {
	if f.Proto != 0 {
		var p []byte
		b, p = attr(b, AttrProto, 1)
		p[0] = uint8(f.Proto)
	}
	fam := familyOf(f.Family, f.Src.Addr(), f.Dst.Addr())
	if fam == FamilyUnspec {
		return b, nil
	}
	b, p := attr(b, AttrAddressFilter, SizeAddrFilter)
	putAddr(p, f.Src.Addr())
	putAddr(p[SizeAddr:], f.Dst.Addr())
	host.PutUint16(p[2*SizeAddr:], uint16(fam))
	p[34], p[35] = uint8(max(f.Src.Bits(), 0)), uint8(max(f.Dst.Bits(), 0))
	return b, nil
}

// String names the dump.
func (f *SAFilter) String() string { return "sas" }
