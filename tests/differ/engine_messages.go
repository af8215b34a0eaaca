package differ

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// answer is what an engine says to one message.
type engineAnswer struct {
	errno  int32
	text   string
	offset uint32
	reply  []message // in front of the verdict, masked
}

func (a engineAnswer) String() string {
	return fmt.Sprintf("errno %d %q at %d, %d messages", a.errno, a.text, a.offset, len(a.reply))
}

func (a engineAnswer) equal(b engineAnswer) bool {
	if a.errno != b.errno || a.text != b.text || a.offset != b.offset || len(a.reply) != len(b.reply) {
		return false
	}
	for i := range a.reply {
		if !bytes.Equal(a.reply[i], b.reply[i]) {
			return false
		}
	}
	return true
}

// tell sends a message that asks for an acknowledgement, and returns what
// comes back.
func (s *socket) tell(m message) (a engineAnswer, err error) {
	s.seq++
	m = append(message(nil), m...)
	native.PutUint16(m[6:], m.flags()|unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	native.PutUint32(m[8:], s.seq)
	if err := s.to.Send(m); err != nil {
		return a, err
	}
	for {
		n, err := s.to.Recv(s.buf)
		if err != nil {
			return a, err
		}
		for b := s.buf[:n]; len(b) >= sizeofNetlinkHdr; {
			size := int(native.Uint32(b))
			one := append(message(nil), b[:size]...)
			b = b[min((size+3)&^3, len(b)):]
			if native.Uint32(one[8:]) != s.seq {
				continue
			}
			if k := one.kind(); k == unix.NLMSG_ERROR || k == unix.NLMSG_DONE {
				a.verdict(one)
				return a, nil
			}
			a.reply = append(a.reply, maskEvent(one))
		}
	}
}

// verdict reads an acknowledgement, or the end of a dump.
func (a *engineAnswer) verdict(m message) {
	b := m.body()
	a.errno = -int32(native.Uint32(b))
	b = b[4:]
	if m.kind() == unix.NLMSG_ERROR {
		b = b[sizeofNetlinkHdr:]
	}
	const ackTLVs = 0x200
	for m.flags()&ackTLVs != 0 && len(b) >= 4 {
		n := int(native.Uint16(b))
		switch native.Uint16(b[2:]) {
		case 1:
			a.text = string(bytes.TrimRight(b[4:n], "\x00"))
		case 2:
			a.offset = native.Uint32(b[4:])
		}
		b = b[min((n+3)&^3, len(b)):]
	}
}

// baseRequests are the messages that are spoilt.
func baseRequests(r *rand.Rand) []netlinkx.Request {
	addr := func(s string) netip.Addr { return netip.MustParseAddr(s) }
	sa := netlinkx.NewSA()
	sa.Src, sa.Dst, sa.Proto, sa.SPI = addr("10.0.0.1"), addr("10.0.0.2"), netlinkx.ProtoESP, netlinkx.SPI(0x100+r.IntN(3))
	sa.Mode, sa.ReqID, sa.Mark, sa.IfID = netlinkx.ModeTunnel, 1, netlinkx.Mark{Value: 5, Mask: 0xff}, uint32(r.IntN(3))
	sa.Selector.Src, sa.Selector.Dst = netip.MustParsePrefix("10.1.0.0/24"), netip.MustParsePrefix("10.2.0.0/24")
	switch r.IntN(3) {
	case 0:
		sa.AEAD = &netlinkx.AEAD{Name: "rfc4106(gcm(aes))", Key: netlinkx.NewKey(make([]byte, 20)), ICVBits: 128}
		sa.Flags, sa.ReplayWindow, sa.Dir = netlinkx.FlagESN, 64, netlinkx.DirIn
	case 1:
		sa.Crypt = &netlinkx.Algo{Name: "cbc(aes)", Key: netlinkx.NewKey(make([]byte, 16))}
		sa.AuthTrunc = &netlinkx.AuthTrunc{Name: "hmac(sha256)", Key: netlinkx.NewKey(make([]byte, 32)), ICVBits: 128}
		sa.Encap = &netlinkx.Encap{Type: netlinkx.EncapESPinUDP, SrcPort: 4500, DstPort: 4500}
		sa.ReplayWindow, sa.TFCPad, sa.OutputMark = 32, 1000, netlinkx.Mark{Value: 1, Mask: 3}
	default:
		sa.AEAD = &netlinkx.AEAD{Name: "rfc4106(gcm(aes))", Key: netlinkx.NewKey(make([]byte, 36)), ICVBits: 64}
		sa.Dir, sa.PCPU, sa.ExtraFlags = netlinkx.DirOut, netlinkx.Some[uint32](0), netlinkx.ExtraDontEncapDSCP
	}
	pol := netlinkx.NewPolicy()
	pol.Selector = sa.Selector
	pol.Dir, pol.Priority, pol.IfID = netlinkx.PolicyDir(r.IntN(3)), 7, sa.IfID
	t := netlinkx.NewTemplate()
	t.Src, t.Dst, t.Proto, t.Mode, t.ReqID = sa.Src, sa.Dst, sa.Proto, sa.Mode, 1
	pol.Templates = []netlinkx.Template{t, t}[:1+r.IntN(2)]
	id, pid := sa.ID(), pol.ID()
	ae := &netlinkx.AE{ID: netlinkx.AEID{SA: id, Src: sa.Src}, ReplayThresh: netlinkx.Some[uint32](9), Usage: &netlinkx.Usage{Bytes: 1, Packets: 2, AddTime: 3, UseTime: 4}}
	mig := &netlinkx.Migrate{Policy: pid, Entries: []netlinkx.MigrateEntry{{OldDst: sa.Dst, OldSrc: sa.Src, NewDst: addr("10.0.0.9"), NewSrc: addr("10.0.0.8"), Proto: sa.Proto, Mode: sa.Mode, ReqID: 1}}}
	ms := &netlinkx.MigrateState{SA: id, NewDst: addr("10.0.0.7"), NewSrc: sa.Src, NewSelector: sa.Selector}
	return []netlinkx.Request{
		netlinkx.AddSA(sa), netlinkx.AddSA(sa), netlinkx.AddSA(sa), netlinkx.UpdateSA(sa), netlinkx.DeleteSA(&id), netlinkx.GetSA(&id),
		netlinkx.AllocSPI(&netlinkx.SPIRange{SA: *sa, Min: 0x200, Max: 0x200}), netlinkx.AddPolicy(pol), netlinkx.AddPolicy(pol), netlinkx.UpdatePolicy(pol),
		netlinkx.DeletePolicy(&pid), netlinkx.GetPolicy(&pid), netlinkx.SetAE(ae), netlinkx.GetAE(&netlinkx.AEID{SA: id, Flags: 3}),
		netlinkx.MigratePolicy(mig), netlinkx.MigrateSA(ms), netlinkx.Expire(&netlinkx.ExpireSA{SA: *sa}), netlinkx.ExpirePol(&netlinkx.ExpirePolicy{Policy: *pol}),
		netlinkx.SetSPDInfo(&netlinkx.SPDInfo{IPv4: netlinkx.Some(netlinkx.HashThreshold{Local: 24, Remote: 24})}), netlinkx.SetDefaults(&netlinkx.Defaults{In: netlinkx.DefaultAccept}),
		netlinkx.FlushPolicies(netlinkx.Some(netlinkx.PolicySub)), netlinkx.GetSADInfo(), netlinkx.GetSPDInfo(), netlinkx.GetDefaults(),
	}
}

// spoilMessage changes a message in some places. at is where its attributes
// begin.
func spoilMessage(r *rand.Rand, m message, at int) message {
	for range r.IntN(3) {
		starts := attributesOf(m, at)
		pick := func() int { return starts[r.IntN(len(starts))] }
		switch n := r.IntN(10); {
		case n < 3: // a byte of the fixed part
			if room := min(at, len(m)) - sizeofNetlinkHdr; room > 0 {
				if i := r.IntN(room); !meaningless(m.kind(), i) {
					m[sizeofNetlinkHdr+i] = byte(r.IntN(256))
				}
			}
		case len(starts) == 0:
		case n < 5: // a byte of an attribute
			s := pick()
			if size := int(native.Uint16(m[s:])); size > 4 {
				if i := r.IntN(size - 4); !meaninglessIn(native.Uint16(m[s+2:]), i) {
					m[s+4+i] = byte(r.IntN(256))
				}
			}
		case n < 6: // another type
			native.PutUint16(m[pick()+2:], uint16(r.IntN(45))|uint16(r.IntN(8)/7)<<15)
		case n < 7: // another length
			s := pick()
			native.PutUint16(m[s:], uint16(max(0, int(native.Uint16(m[s:]))+r.IntN(17)-8)))
		case n < 8: // twice
			s := pick()
			m = append(m, m[s:min(s+(int(native.Uint16(m[s:]))+3)&^3, len(m))]...)
		case n < 9: // without what follows
			m = m[:pick()]
		default: // one more
			m = message(attribute(m, uint16(r.IntN(45)), make([]byte, r.IntN(40))))
		}
	}
	native.PutUint32(m, uint32(len(m)))
	return m
}

// attributesOf returns where attributes begin.
func attributesOf(m message, at int) (starts []int) {
	for at+4 <= len(m) {
		n := int(native.Uint16(m[at:]))
		if n < 4 || at+n > len(m) {
			break
		}
		starts = append(starts, at)
		at += (n + 3) &^ 3
	}
	return starts
}

// meaningless reports whether a byte of a fixed part is padding, or behind an
// IPv4 address: Linux keeps such bytes and shows them; the engine has no
// place for them.
func meaningless(kind uint16, i int) bool {
	in := func(from, to int) bool { return i >= from && i < to }
	selector := func(at int) bool { return in(at+4, at+16) || in(at+20, at+32) || in(at+45, at+48) }
	id := func(at int) bool { return in(at+4, at+16) || in(at+23, at+24) }
	switch netlinkx.MsgType(kind) {
	case netlinkx.MsgNewSA, netlinkx.MsgUpdSA, netlinkx.MsgAllocSPI, netlinkx.MsgExpire: // at 224 the range, or padding
		return selector(0) || in(60, 72) || in(77, 80) || in(84, 96) || in(217, 224) || in(225, 232) || in(224, 232) && kind == uint16(netlinkx.MsgAllocSPI)
	case netlinkx.MsgNewPolicy, netlinkx.MsgUpdPolicy, netlinkx.MsgPolExpire:
		return selector(0) || in(164, 168) || in(169, 176)
	case netlinkx.MsgDelPolicy, netlinkx.MsgGetPolicy, netlinkx.MsgMigrate:
		return selector(0) || in(61, 64)
	case netlinkx.MsgDelSA, netlinkx.MsgGetSA:
		return id(0)
	case netlinkx.MsgNewAE, netlinkx.MsgGetAE:
		return id(0) || in(28, 40)
	case netlinkx.MsgMigrateState:
		return id(0) || in(28, 40) || in(44, 56) || selector(64)
	}
	return false
}

// meaninglessIn is meaningless for attributes: templates, migrations,
// encapsulations.
func meaninglessIn(kind uint16, i int) bool {
	in := func(from, to int) bool { return i >= from && i < to }
	switch netlinkx.AttrType(kind) {
	case netlinkx.AttrTmpl:
		i %= 64
		return in(4, 16) || in(21, 24) || in(26, 28) || in(32, 44) || in(50, 52)
	case netlinkx.AttrMigrate:
		i %= 76
		return in(4, 16) || in(20, 32) || in(36, 48) || in(52, 64) || in(66, 68)
	case netlinkx.AttrEncap:
		return in(6, 8) || in(12, 24)
	case netlinkx.AttrPolicyType:
		return in(1, 6)
	case netlinkx.AttrAlgAEAD, netlinkx.AttrAlgAuthTrunc, netlinkx.AttrAlgAuth, netlinkx.AttrAlgCrypt, netlinkx.AttrAlgComp:
		return in(0, 64) // what is behind a NUL in the middle of a name
	}
	return false
}
