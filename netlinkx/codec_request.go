package netlinkx

import (
	"fmt"
	"net/netip"
)

// Value returns what the request carries, borrowed:
//
//	*SA            NEWSA, UPDSA                 *SAID      DELSA, GETSA
//	*SPIRange      ALLOCSPI                     Proto      FLUSHSA
//	*Policy        NEWPOLICY, UPDPOLICY         *PolicyID  DELPOLICY, GETPOLICY
//	*SPDInfo       NEWSPDINFO                   *Defaults  SETDEFAULT, GETDEFAULT
//	*AE            NEWAE                        *AEID      GETAE
//	*Migrate       MIGRATE                      *MigrateState
//	*ExpireSA      EXPIRE                       *ExpirePolicy  POLEXPIRE
//	*Acquire       ACQUIRE                      Opt[PolicyType]  FLUSHPOLICY
//	*SAFilter      GETSA as a dump              nil        the rest
func (r Request) Value() any {
	switch b := r.body.(type) {
	case flushSA:
		return Proto(b)
	case flushPolicy:
		return Opt[PolicyType](b)
	case setAE:
		return b.AE
	case expireSA:
		return b.ExpireSA
	case infoRequest, dumpPolicies, nil:
		return nil
	default:
		return b
	}
}

// DecodeRequest is the way back of AppendRequest, for who answers requests: it
// decodes the payload (without the netlink header) of a request of type t. The
// flags of its header tell a dump from a get. Attributes that are unknown are
// skipped. A type that is no request, or a payload that does not have the
// type's form, is a *DecodeError. The values are owned by the caller.
func DecodeRequest(t MsgType, flags uint16, p []byte) (Request, error) {
	dec := requestDecoders[t]
	if isDump(t, flags) {
		dec = dumpDecoders[t]
	}
	if dec == nil {
		return Request{}, &DecodeError{Msg: t, Reason: "no request"}
	}
	return dec(t, p)
}

// isDump reports whether the flags make a get a dump: for the kernel either of
// the two bits of NLM_F_DUMP does (xfrm_user_rcv_msg).
func isDump(t MsgType, flags uint16) bool {
	return flags&flagDump != 0 && (t == MsgGetSA || t == MsgGetPolicy)
}

type requestDecoder func(t MsgType, p []byte) (Request, error)

var dumpDecoders = map[MsgType]requestDecoder{
	MsgGetSA: func(t MsgType, p []byte) (Request, error) {
		f, err := decodeSAFilter(p)
		if err != nil {
			return Request{}, err
		}
		return Request{typ: t, op: "list", body: f}, nil
	},
	MsgGetPolicy: func(t MsgType, _ []byte) (Request, error) {
		return Request{typ: t, op: "list", body: dumpPolicies{}}, nil
	},
}

var requestDecoders = map[MsgType]requestDecoder{
	MsgNewSA: decodeWith(AddSA, func(t MsgType, p []byte) (*SA, error) { return decodeSA(t, p, SizeSAInfo) }),
	MsgUpdSA: decodeWith(UpdateSA, func(t MsgType, p []byte) (*SA, error) { return decodeSA(t, p, SizeSAInfo) }),
	MsgDelSA: decodeWith(DeleteSA, decodeSAID),
	MsgGetSA: decodeWith(GetSA, decodeSAID),
	MsgNewPolicy: decodeWith(AddPolicy, func(t MsgType, p []byte) (*Policy, error) {
		return decodePolicy(t, p, SizePolicyInfo)
	}),
	MsgUpdPolicy: decodeWith(UpdatePolicy, func(t MsgType, p []byte) (*Policy, error) {
		return decodePolicy(t, p, SizePolicyInfo)
	}),
	MsgDelPolicy:    decodeWith(DeletePolicy, decodePolicyID),
	MsgGetPolicy:    decodeWith(GetPolicy, decodePolicyID),
	MsgAllocSPI:     decodeWith(AllocSPI, func(_ MsgType, p []byte) (*SPIRange, error) { return decodeSPIRange(p) }),
	MsgAcquire:      decodeWith(RequestAcquire, func(_ MsgType, p []byte) (*Acquire, error) { return decodeAcquire(p) }),
	MsgExpire:       decodeWith(Expire, decodeExpireSA),
	MsgPolExpire:    decodeWith(ExpirePol, decodeExpirePolicy),
	MsgFlushSA:      decodeWith(FlushSAs, decodeFlushSA),
	MsgFlushPolicy:  decodeWith(FlushPolicies, decodeFlushPolicy),
	MsgNewAE:        decodeWith(SetAE, decodeAE),
	MsgGetAE:        decodeWith(GetAE, decodeAEID),
	MsgMigrate:      decodeWith(MigratePolicy, func(_ MsgType, p []byte) (*Migrate, error) { return decodeMigrate(p) }),
	MsgGetSADInfo:   decodeEmpty(GetSADInfo),
	MsgNewSPDInfo:   decodeWith(SetSPDInfo, func(_ MsgType, p []byte) (*SPDInfo, error) { return decodeSPDInfo(p) }),
	MsgGetSPDInfo:   decodeEmpty(GetSPDInfo),
	MsgSetDefault:   decodeWith(SetDefaults, decodeDefaults),
	MsgGetDefault:   decodeEmpty(GetDefaults),
	MsgMigrateState: decodeWith(MigrateSA, func(_ MsgType, p []byte) (*MigrateState, error) { return decodeMigrateState(p) }),
}

// decodeWith decodes with dec and makes the request of what comes out.
func decodeWith[T any](request func(T) Request, dec func(MsgType, []byte) (T, error)) requestDecoder {
	return func(t MsgType, p []byte) (Request, error) {
		v, err := dec(t, p)
		if err != nil {
			return Request{}, err
		}
		return request(v), nil
	}
}

// decodeEmpty checks the length of a request whose contents say nothing.
func decodeEmpty(request func() Request) requestDecoder {
	return func(t MsgType, p []byte) (Request, error) {
		if _, _, err := split(t, p, bodySize(t, 0)); err != nil {
			return Request{}, err
		}
		return request(), nil
	}
}

func decodeExpireSA(t MsgType, p []byte) (*ExpireSA, error) {
	sa, err := decodeSA(t, p, SizeExpire)
	if err != nil {
		return nil, err
	}
	return &ExpireSA{SA: *sa, Hard: p[SizeSAInfo] != 0}, nil
}

func decodeExpirePolicy(t MsgType, p []byte) (*ExpirePolicy, error) {
	pol, err := decodePolicy(t, p, SizePolExpire)
	if err != nil {
		return nil, err
	}
	return &ExpirePolicy{Policy: *pol, Hard: p[SizePolicyInfo] != 0}, nil
}

func decodeFlushSA(t MsgType, p []byte) (Proto, error) {
	fixed, _, err := split(t, p, 1)
	if err != nil {
		return 0, err
	}
	return Proto(fixed[0]), nil
}

func decodeFlushPolicy(t MsgType, p []byte) (typ Opt[PolicyType], err error) {
	a := attrs{msg: t, b: p}
	for a.next() {
		if a.typ == AttrPolicyType {
			typ = a.policyType()
		}
	}
	return typ, a.err
}

func decodeAEID(t MsgType, p []byte) (*AEID, error) {
	fixed, a, err := split(t, p, SizeAE)
	if err != nil {
		return nil, err
	}
	id := getAEID(fixed)
	for a.next() {
		if a.typ == AttrMark {
			id.SA.Mark = a.mark()
		}
	}
	if a.err != nil {
		return nil, a.err
	}
	return &id, nil
}

// decodeSAFilter decodes the attributes of a dump. Prefix lengths above the
// family's are an error, although the kernel compares what there is.
func decodeSAFilter(p []byte) (*SAFilter, error) {
	f := &SAFilter{}
	a := attrs{msg: MsgGetSA, b: p}
	for a.next() {
		switch a.typ {
		case AttrProto:
			f.Proto = Proto(a.u8())
		case AttrAddressFilter:
			if a.want(SizeAddrFilter) {
				a.addressFilter(f)
			}
		}
	}
	if a.err != nil {
		return nil, a.err
	}
	return f, nil
}

// addressFilter decodes struct xfrm_address_filter.
func (a *attrs) addressFilter(f *SAFilter) {
	f.Family = Family(host.Uint16(a.data[2*SizeAddr:]))
	sl, dl := int(a.data[34]), int(a.data[35])
	if f.Family.Bits() == 0 {
		return
	}
	if sl > f.Family.Bits() || dl > f.Family.Bits() {
		a.fail(fmt.Sprintf("prefix length %d or %d above %d", sl, dl, f.Family.Bits()))
		return
	}
	f.Src, f.Dst = prefixOf(a.data, f.Family, sl), prefixOf(a.data[SizeAddr:], f.Family, dl)
}

// prefixOf reads an address of a filter; a length of 0 is no prefix.
func prefixOf(p []byte, f Family, bits int) netip.Prefix {
	if bits == 0 {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(getAddr(p, f), bits)
}
