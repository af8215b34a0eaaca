package encap

import "github.com/xfrmctl/xfrmctl/netlinkx"

// Outer is what becomes of one inner packet, as Plan decided.
type Outer struct {
	// Strip is how many bytes at the front of the inner packet do not go
	// into ESP.
	Strip int
	// Len is the inner packet's own length: inner[Strip:Len] goes into ESP.
	// What the caller has beyond it is no part of the packet.
	Len int
	// NextHeader is for the ESP trailer.
	NextHeader byte
	// HeaderLen is how many bytes Write puts before ESP.
	HeaderLen int

	// Of the outer IP header; for sockets that build it themselves.
	TOS       uint8 // DSCP and ECN
	TTL       uint8
	FlowLabel uint32
	DF        bool // IPv4
	// ID is the IPv4 identification. Plan sets that of BEET and transport
	// mode; in tunnel mode the caller sets one before Write if he wants it.
	ID uint16

	patch int // transport, IPv6: where the next header to change lies
}

// Plan looks at an inner packet, starting with its IP header, and says what
// goes into ESP and what onto the outer header. In BEET mode with IPv4 options
// it writes the pseudo header into inner, right before the options.
//
// Errors are ErrHeader, ErrFamily and ErrFragment.
func (t *Transform) Plan(inner []byte, o *Outer) error {
	if len(inner) == 0 {
		return ErrHeader
	}
	switch inner[0] >> 4 {
	case 4:
		if len(inner) < v4Len {
			return ErrHeader
		}
		ihl := int(inner[0]&15) * 4
		if total := int(be16(inner[2:])); ihl < v4Len || total < ihl || total > len(inner) {
			return ErrHeader
		}
		return t.plan4(inner, ihl, o)
	case 6:
		if len(inner) < v6Len || v6Len+int(be16(inner[4:])) > len(inner) {
			return ErrHeader
		}
		return t.plan6(inner, o)
	}
	return ErrHeader
}

func (t *Transform) plan4(inner []byte, ihl int, o *Outer) error {
	frag := be16(inner[6:])
	*o = Outer{HeaderLen: t.headerSize, Len: int(be16(inner[2:])), TOS: inner[1], TTL: inner[8], DF: frag&0x4000 != 0, ID: be16(inner[4:])}
	switch t.mode {
	case netlinkx.ModeTunnel:
		o.NextHeader = protoIPIP
		t.tunnel(o)
		return nil
	case netlinkx.ModeTransport:
		if t.v6 {
			return ErrFamily
		}
		o.HeaderLen += ihl - v4Len
	default:
		if t.innerV6 {
			return ErrFamily
		}
	}
	if frag&0x3fff != 0 {
		return ErrFragment
	}
	o.Strip, o.NextHeader = ihl, inner[9]
	if t.mode == netlinkx.ModeBEET {
		beetPseudo(inner, ihl, o)
		if t.v6 {
			o.DF, o.ID = false, 0
		}
	}
	return nil
}

func (t *Transform) plan6(inner []byte, o *Outer) error {
	*o = Outer{
		HeaderLen: t.headerSize, Len: v6Len + int(be16(inner[4:])),
		TOS: inner[0]<<4 | inner[1]>>4, TTL: inner[7], FlowLabel: flowLabel(inner),
	}
	switch t.mode {
	case netlinkx.ModeTunnel:
		o.NextHeader, o.DF = protoIPv6, true
		t.tunnel(o)
	case netlinkx.ModeTransport:
		if !t.v6 {
			return ErrFamily
		}
		return t.planTransport6(inner, o)
	default:
		if !t.innerV6 {
			return ErrFamily
		}
		o.Strip, o.NextHeader, o.DF = v6Len, inner[6], true
	}
	if t.v6 {
		o.DF = false
	} else {
		o.FlowLabel = 0
	}
	return nil
}

// tunnel makes the inner header's fields in o those of a tunnel's outer one.
func (t *Transform) tunnel(o *Outer) {
	dscp, ecn := o.TOS&^3, o.TOS&3
	if t.keepDSCP {
		dscp = 0
	}
	if ecn == 3 {
		ecn = 2 // CE stays inside; outside it starts as ECT(0) (INET_ECN_encapsulate)
	}
	if t.flags&netlinkx.FlagNoECN != 0 {
		ecn = 0
	}
	o.TOS, o.TTL, o.ID = dscp|ecn, t.ttl, 0
	if t.v6 || t.flags&netlinkx.FlagNoPMTUDisc != 0 {
		o.DF = false
	}
}

// planTransport6 finds the place of ESP among the extension headers: after
// hop-by-hop and routing headers and the destination options that routers
// read, before those that only the destination reads (RFC 4303 section 3.1.1;
// ip6_find_1stfragopt).
func (t *Transform) planTransport6(inner []byte, o *Outer) error {
	inner = inner[:o.Len]
	at, routing := v6Len, false
	o.patch = 6
	for {
		next := inner[o.patch]
		switch next {
		case extFragment:
			return ErrFragment
		case extRouting:
			routing = true
		case extHopByHop:
		case extDest:
			if routing {
				return t.split6(inner, at, o)
			}
		default:
			return t.split6(inner, at, o)
		}
		if at+8 > len(inner) {
			return ErrHeader
		}
		o.patch = at
		at += 8 + 8*int(inner[at+1])
		if at > len(inner) {
			return ErrHeader
		}
	}
}

func (t *Transform) split6(inner []byte, at int, o *Outer) error {
	o.Strip, o.NextHeader = at, inner[o.patch]
	o.HeaderLen += at - v6Len
	return nil
}

// beetPseudo puts the pseudo header before IPv4 options: next header, length
// of the options in units of 8 less what the padding says, padding, reserved,
// and padding of NOPs to a multiple of 8
// (draft-nikander-esp-beet-mode section 5.3).
//
//	 0          1          2          3
//	+----------+----------+----------+----------+
//	| next     | hdr len  | pad len  | 0        |  [4 NOPs]  options
//	+----------+----------+----------+----------+
func beetPseudo(inner []byte, ihl int, o *Outer) {
	opt := ihl - v4Len
	if opt == 0 && o.NextHeader != protoBEETPH {
		return // a payload of protocol 94 would be taken for a pseudo header
	}
	pad := 4 - opt&4
	o.Strip = v4Len - 4 - pad
	ph := inner[o.Strip:v4Len]
	ph[0], ph[1], ph[2], ph[3] = o.NextHeader, byte(opt/8), byte(pad), 0
	for i := range ph[4:] {
		ph[4+i] = 1 // IPOPT_NOP
	}
	o.NextHeader = protoBEETPH
}
