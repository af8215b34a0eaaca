package netlinkx

import "fmt"

// AppendRequest appends r as one whole netlink message with the given sequence
// number, at the next multiple of 4, and returns the longer buffer. flags are
// set besides those that the request itself needs; NLM_F_REQUEST always is. It
// does not allocate when b has room. On error b is returned unchanged.
func AppendRequest(b []byte, r Request, seq uint32, flags uint16) ([]byte, error) {
	if r.body == nil {
		return b, fmt.Errorf("empty request")
	}
	return appendMessage(b, r.typ, r.flags|flags|flagRequest, seq, r.body)
}

func appendMessage(b []byte, t MsgType, flags uint16, seq uint32, body body) ([]byte, error) {
	start := align4(len(b))
	out, h := grow(b, start-len(b)+sizeHeader)
	h = h[start-len(b):]
	host.PutUint16(h[4:], uint16(t))
	host.PutUint16(h[6:], flags)
	host.PutUint32(h[8:], seq)
	out, err := body.appendTo(out)
	if err != nil {
		return b, err
	}
	host.PutUint32(out[start:], uint32(len(out)-start))
	return out, nil
}

// DecodeEvent decodes the payload (without the netlink header) of a multicast
// message. A type that this package does not know is an *UnknownEvent.
func DecodeEvent(t MsgType, flags uint16, p []byte) (Event, error) {
	switch t {
	case MsgNewSA, MsgUpdSA:
		sa, err := decodeSA(t, p, SizeSAInfo)
		if err != nil {
			return nil, err
		}
		op := EventNew
		if t == MsgUpdSA {
			op = EventUpdate
		}
		return &SAEvent{Op: op, SA: *sa}, nil
	case MsgDelSA:
		return event(p, decodeDeletedSA, func(sa *SA) Event { return &SAEvent{Op: EventDelete, SA: *sa} })
	case MsgExpire:
		sa, err := decodeSA(t, p, SizeExpire)
		if err != nil {
			return nil, err
		}
		return &ExpireEvent{SA: *sa, Hard: p[SizeSAInfo] != 0}, nil
	case MsgFlushSA:
		if _, _, err := split(t, p, 1); err != nil {
			return nil, err
		}
		return &FlushSAEvent{Proto: Proto(p[0])}, nil
	case MsgNewPolicy, MsgUpdPolicy, MsgDelPolicy, MsgPolExpire, MsgFlushPolicy:
		return decodePolicyEvent(t, p)
	case MsgAcquire:
		return event(p, decodeAcquire, func(q *Acquire) Event { return &AcquireEvent{Acquire: *q} })
	case MsgNewAE:
		ae, err := decodeAE(t, p)
		if err != nil {
			return nil, err
		}
		return &AEvent{AE: *ae}, nil
	case MsgMapping:
		return event(p, decodeMapping, func(m *Mapping) Event { return &MappingEvent{Mapping: *m} })
	case MsgReport:
		return event(p, decodeReport, func(r *Report) Event { return &ReportEvent{Report: *r} })
	case MsgMigrate:
		return event(p, decodeMigrate, func(m *Migrate) Event { return &MigrateEvent{Migrate: *m} })
	case MsgMigrateState:
		return event(p, decodeMigrateState, func(m *MigrateState) Event { return &MigrateStateEvent{Migrate: *m} })
	case MsgGetDefault:
		d, err := decodeDefaults(t, p)
		if err != nil {
			return nil, err
		}
		return &DefaultsEvent{Defaults: *d}, nil
	}
	return &UnknownEvent{Len: uint32(sizeHeader + len(p)), Type: uint16(t), Flags: flags}, nil
}

// event decodes with dec and wraps what comes out.
func event[T any](p []byte, dec func([]byte) (*T, error), wrap func(*T) Event) (Event, error) {
	v, err := dec(p)
	if err != nil {
		return nil, err
	}
	return wrap(v), nil
}

func decodePolicyEvent(t MsgType, p []byte) (Event, error) {
	switch t {
	case MsgDelPolicy:
		pol, id, err := decodeDeletedPolicy(p)
		if err != nil {
			return nil, err
		}
		return &PolicyEvent{Op: EventDelete, Policy: *pol, Deleted: id}, nil
	case MsgPolExpire:
		pol, err := decodePolicy(t, p, SizePolExpire)
		if err != nil {
			return nil, err
		}
		return &PolicyExpireEvent{Policy: *pol, Hard: p[SizePolicyInfo] != 0}, nil
	case MsgFlushPolicy:
		a, e := attrs{msg: t, b: p}, &FlushPolicyEvent{}
		for a.next() {
			if a.typ == AttrPolicyType {
				e.Type = a.policyType()
			}
		}
		if a.err != nil {
			return nil, a.err
		}
		return e, nil
	}
	pol, err := decodePolicy(t, p, SizePolicyInfo)
	if err != nil {
		return nil, err
	}
	op := EventNew
	if t == MsgUpdPolicy {
		op = EventUpdate
	}
	return &PolicyEvent{Op: op, Policy: *pol}, nil
}
