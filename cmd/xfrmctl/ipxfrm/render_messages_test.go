package ipxfrm

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// messageMaker makes random but well-formed messages of every kind that
// `ip xfrm monitor` decodes.
type messageMaker struct {
	*rand.Rand
	family netlinkx.Family
}

func newMessageMaker(seed uint64) *messageMaker {
	return &messageMaker{Rand: rand.New(rand.NewPCG(seed, 1)), family: netlinkx.FamilyIPv4}
}

func (m *messageMaker) maybe() bool { return m.IntN(3) == 0 }

// pick returns one of the usual values, or now and then any value at all.
func (m *messageMaker) pick(usual ...uint32) uint32 {
	if m.IntN(6) == 0 {
		return m.Uint32() >> m.IntN(32)
	}
	return usual[m.IntN(len(usual))]
}

func (m *messageMaker) addr() netip.Addr {
	if m.family == netlinkx.FamilyIPv4 {
		return netip.AddrFrom4([4]byte{byte(m.pick(0, 10, 192)), 0, byte(m.IntN(3)), byte(m.IntN(256))})
	}
	var a [16]byte
	switch m.IntN(6) {
	case 0: // ::/96 and around it
		binary.BigEndian.PutUint64(a[8:], m.Uint64()>>m.IntN(64))
	case 1: // IPv4-mapped
		a[10], a[11], a[12], a[15] = 0xff, 0xff, byte(m.IntN(256)), byte(m.IntN(2))
	default: // runs of zeros
		for i := range 8 {
			if m.IntN(2) == 0 {
				binary.BigEndian.PutUint16(a[2*i:], uint16(m.pick(1, 0x2001, 0xdb8)))
			}
		}
	}
	return netip.AddrFrom16(a)
}

func (m *messageMaker) prefix() netip.Prefix {
	return netip.PrefixFrom(m.addr(), m.IntN(m.family.Bits()+1))
}

func (m *messageMaker) port() (p netlinkx.PortMatch) {
	if m.maybe() {
		p = netlinkx.PortMatch{Port: uint16(m.pick(0, 80, 500)), Mask: uint16(m.pick(0xffff, 0xff00))}
	}
	return p
}

func (m *messageMaker) selector() netlinkx.Selector {
	return netlinkx.Selector{
		Family: m.family, Src: m.prefix(), Dst: m.prefix(), SrcPort: m.port(), DstPort: m.port(),
		Proto:   uint8(m.pick(0, 0, 1, 6, 17, 33, 47, 50, 58, 132, 135, 253)),
		IfIndex: int32(m.pick(0, 0, 1, 4242)), User: m.pick(0, 1000),
	}
}

func (m *messageMaker) proto() netlinkx.Proto {
	return netlinkx.Proto(m.pick(50, 50, 51, 108, 43, 60, 255, 4))
}

func (m *messageMaker) mark() netlinkx.Mark {
	if m.maybe() {
		return netlinkx.Mark{Value: m.pick(0, 5, 0x100), Mask: m.pick(0, 0xff, 0xffffffff)}
	}
	return netlinkx.Mark{}
}

func (m *messageMaker) limits() netlinkx.Limits {
	l := netlinkx.Unlimited()
	for _, p := range []*uint64{&l.SoftBytes, &l.HardBytes, &l.SoftPackets, &l.HardPackets, &l.SoftAdd, &l.HardAdd, &l.SoftUse, &l.HardUse} {
		if m.maybe() {
			*p = m.Uint64() >> m.IntN(64)
		}
	}
	return l
}

// seconds returns a time; also none, one out of range and one before 1970. In
// the year six million, summer time is not the same to Go and to C.
func (m *messageMaker) seconds() uint64 {
	switch m.IntN(8) {
	case 0:
		return 0
	case 1:
		return m.Uint64N(1 << 36)
	case 2:
		return [...]uint64{1 << 63, 1<<63 - 1, 1 << 56, math.MaxUint64 - 1_000_000, 67768036191676799 - 1<<17}[m.IntN(5)]
	}
	return 1_700_000_000 + m.Uint64N(100_000_000)
}

func (m *messageMaker) usage() netlinkx.Usage {
	return netlinkx.Usage{Bytes: m.Uint64() >> m.IntN(64), Packets: uint64(m.IntN(1000)), AddTime: m.seconds(), UseTime: m.seconds()}
}

func (m *messageMaker) key() netlinkx.Key {
	b := make([]byte, m.pick(0, 16, 20, 32, 36)%200)
	for i := range b {
		b[i] = byte(m.Uint32())
	}
	return netlinkx.NewKey(b)
}

func (m *messageMaker) algo(names ...string) *netlinkx.Algo {
	if !m.maybe() {
		return nil
	}
	return &netlinkx.Algo{Name: names[m.IntN(len(names))], Key: m.key()}
}

func (m *messageMaker) secCtx() *netlinkx.SecCtx {
	if !m.maybe() {
		return nil
	}
	return &netlinkx.SecCtx{DOI: 1, Alg: 1, Context: strings.Repeat("system_u:object_r:ipsec_spd_t", m.IntN(2))}
}

func (m *messageMaker) offload() *netlinkx.Offload {
	if !m.maybe() {
		return nil
	}
	return &netlinkx.Offload{IfIndex: int32(m.pick(0, 1, 4242)), Flags: netlinkx.OffloadFlags(m.IntN(8))}
}

func (m *messageMaker) opt32() netlinkx.Opt[uint32] {
	if !m.maybe() {
		return netlinkx.Opt[uint32]{}
	}
	return netlinkx.Some(m.pick(0, 1))
}

// replayState gives the SA one of the two kinds of state, or none.
func (m *messageMaker) replayState(sa *netlinkx.SA) {
	if sa.Flags&netlinkx.FlagESN == 0 && m.IntN(2) == 0 {
		sa.ReplayWindow = uint32(m.IntN(33))
		if m.IntN(2) == 0 {
			sa.Replay = &netlinkx.ReplayState{OSeq: m.pick(0, 7), Seq: m.pick(0, 8), Bitmap: m.pick(0, 0x1f)}
		}
		return
	}
	sa.ReplayWindow = min(m.pick(0, 32, 64, 128, 1000, 4096), 4096)
	r := &netlinkx.ReplayESN{OSeq: m.pick(0, 7), Seq: m.pick(0, 8), OSeqHi: m.pick(0, 1), SeqHi: m.pick(0, 2)}
	for range (sa.ReplayWindow + 31) / 32 {
		r.Bitmap = append(r.Bitmap, m.pick(0, 0xffffffff))
	}
	r.BitmapLen = uint32(len(r.Bitmap))
	sa.ReplayESN = r
}

func (m *messageMaker) sa() *netlinkx.SA {
	sa := &netlinkx.SA{
		Dst: m.addr(), Src: m.addr(), SPI: netlinkx.SPI(m.pick(0, 0x100, 0xc0ffee)), Proto: m.proto(), Family: m.family,
		Mode: netlinkx.Mode(m.pick(0, 1, 2, 3, 4, 5)), ReqID: m.pick(0, 7), Seq: m.pick(0, 5), Limits: m.limits(), Usage: m.usage(),
		Stats: netlinkx.SAStats{ReplayWindow: m.pick(0, 1), Replay: m.pick(0, 2), IntegrityFailed: m.pick(0, 3)},
		Flags: netlinkx.SAFlags(m.pick(0, 0, 1, 0x80, 0x21, 0xff)), Auth: m.algo("hmac(sha1)", "digest_null"),
		Crypt: m.algo("cbc(aes)", "ecb(cipher_null)"), Comp: m.algo("deflate"), Mark: m.mark(), OutputMark: m.mark(),
		IfID: m.pick(0, 7), Dir: netlinkx.Dir(m.pick(0, 1, 2)), PCPU: m.opt32(),
		ExtraFlags: netlinkx.SAExtraFlags(m.pick(0, 1, 2, 3)), TFCPad: m.pick(0, 1400), Offload: m.offload(), SecCtx: m.secCtx(),
		ReplayThresh: m.opt32(), ETimerThresh: m.opt32(), MTimerThresh: m.pick(0, 9), NATKeepalive: m.pick(0, 20), LastUsed: m.seconds(),
	}
	m.replayState(sa)
	if m.maybe() {
		sa.Selector = m.selector()
	}
	if m.maybe() {
		sa.AuthTrunc = &netlinkx.AuthTrunc{Name: "hmac(sha256)", Key: m.key(), ICVBits: m.pick(96, 128, 0)}
	}
	if m.maybe() {
		sa.AEAD = &netlinkx.AEAD{Name: "rfc4106(gcm(aes))", Key: m.key(), ICVBits: m.pick(64, 128)}
	}
	if m.maybe() {
		sa.Encap = &netlinkx.Encap{Type: netlinkx.EncapType(m.pick(1, 2, 7)), SrcPort: uint16(m.pick(4500)), DstPort: uint16(m.pick(4501)), OriginalAddr: m.addr()}
	}
	if m.maybe() {
		sa.CareOf = m.addr()
	}
	if m.maybe() {
		sa.IPTFS = netlinkx.IPTFS{DropTime: m.opt32(), DontFrag: m.maybe(), PktSize: m.opt32()}
	}
	return sa
}

func (m *messageMaker) policy() *netlinkx.Policy {
	p := &netlinkx.Policy{
		Selector: m.selector(), Dir: netlinkx.PolicyDir(m.pick(0, 1, 2, 3, 4, 5)), Index: m.pick(9, 33), Action: netlinkx.Action(m.pick(0, 0, 1)),
		Priority: m.pick(0, 10), Flags: netlinkx.PolicyFlags(m.pick(0, 0, 1, 2, 3, 4)), Share: uint8(m.pick(0, 1, 2, 3)),
		Limits: m.limits(), Usage: m.usage(), Mark: m.mark(), IfID: m.pick(0, 7), SecCtx: m.secCtx(), Offload: m.offload(),
	}
	if m.maybe() {
		p.Type = netlinkx.Some(netlinkx.PolicyType(m.pick(0, 1)))
	}
	for range m.IntN(3) {
		p.Templates = append(p.Templates, m.template())
	}
	return p
}

func (m *messageMaker) template() netlinkx.Template {
	t := netlinkx.Template{
		SPI: netlinkx.SPI(m.pick(0, 0x100)), Proto: m.proto(), ReqID: m.pick(0, 7), Mode: netlinkx.Mode(m.pick(0, 1, 4, 5)),
		Share: uint8(m.pick(0, 1)), Optional: m.maybe(), AAlgos: m.pick(0xffffffff), EAlgos: m.pick(0xffffffff), CAlgos: m.pick(0xffffffff, 0),
	}
	if m.IntN(8) != 0 { // else of no family
		t.Dst, t.Src, t.Family = m.addr(), m.addr(), m.family
	}
	return t
}

// message is one netlink message and its name in test output.
type message struct {
	name string
	data []byte
}

func (m *messageMaker) encode(tb testing.TB, name string, r netlinkx.Request) message {
	tb.Helper()
	b, err := netlinkx.AppendRequest(nil, r, 0, 0)
	if err != nil {
		tb.Fatal(name, err)
	}
	return message{name, b}
}

// all returns one message of every kind.
func (m *messageMaker) all(tb testing.TB) []message {
	m.family = [...]netlinkx.Family{netlinkx.FamilyIPv4, netlinkx.FamilyIPv6}[m.IntN(2)]
	newSA := m.encode(tb, "new sa", netlinkx.AddSA(m.sa()))
	newPolicy := m.encode(tb, "new policy", netlinkx.AddPolicy(m.policy()))
	typ := netlinkx.Opt[netlinkx.PolicyType]{V: netlinkx.PolicyType(m.pick(0, 1)), Valid: m.maybe()}
	return []message{
		newSA,
		m.encode(tb, "updated sa", netlinkx.UpdateSA(m.sa())),
		deleted("deleted sa", newSA.data, netlinkx.MsgDelSA, 24, 224, netlinkx.AttrSA),
		m.encode(tb, "expired sa", netlinkx.Expire(&netlinkx.ExpireSA{SA: *m.sa(), Hard: m.maybe()})),
		newPolicy,
		m.encode(tb, "updated policy", netlinkx.UpdatePolicy(m.policy())),
		deleted("deleted policy", newPolicy.data, netlinkx.MsgDelPolicy, 64, 168, netlinkx.AttrPolicy),
		m.encode(tb, "expired policy", netlinkx.ExpirePol(&netlinkx.ExpirePolicy{Policy: *m.policy(), Hard: m.maybe()})),
		m.encode(tb, "acquire", netlinkx.RequestAcquire(m.acquire())),
		padded(m.encode(tb, "flushed sas", netlinkx.FlushSAs(m.proto()))),
		m.encode(tb, "flushed policies", netlinkx.FlushPolicies(typ)),
		m.encode(tb, "aevent", netlinkx.SetAE(m.ae())),
		m.mapping(),
		m.report(),
		m.defaults(tb),
		m.encode(tb, "migrate", netlinkx.MigratePolicy(m.migrate())),
		m.encode(tb, "migrate state", netlinkx.MigrateSA(m.migrateState())),
	}
}

func (m *messageMaker) acquire() *netlinkx.Acquire {
	q := &netlinkx.Acquire{
		SA:       netlinkx.SAID{Dst: m.addr(), Src: m.addr(), SPI: netlinkx.SPI(m.pick(0, 0x100)), Proto: m.proto()},
		Selector: m.selector(), Policy: *m.policy(), AAlgos: m.pick(0xffffffff), EAlgos: m.pick(0xffffffff), CAlgos: m.pick(0),
		Seq: m.pick(1, 2), PCPU: m.opt32(), Offload: m.offload(),
	}
	if m.maybe() {
		q.Selector = netlinkx.Selector{}
	}
	q.Policy.Offload = nil
	return q
}

func (m *messageMaker) ae() *netlinkx.AE {
	u := m.usage()
	return &netlinkx.AE{
		ID: netlinkx.AEID{
			SA:  netlinkx.SAID{Dst: m.addr(), SPI: netlinkx.SPI(m.pick(0x100)), Proto: m.proto(), Family: m.family, Mark: m.mark()},
			Src: m.addr(), ReqID: m.pick(0, 7), Flags: netlinkx.AEFlags(m.pick(0, 0x10, 0x20, 0x42, 0x70)),
		},
		Replay: &netlinkx.ReplayState{Seq: 1}, Usage: &u, ReplayThresh: m.opt32(), IfID: m.pick(0, 7), Dir: netlinkx.Dir(m.IntN(3)),
	}
}

func (m *messageMaker) migrate() *netlinkx.Migrate {
	return &netlinkx.Migrate{
		Policy: netlinkx.PolicyID{Selector: m.selector(), Dir: netlinkx.PolicyDir(m.IntN(3)), IfID: m.pick(0, 7)},
		Entries: []netlinkx.MigrateEntry{{
			OldDst: m.addr(), OldSrc: m.addr(), NewDst: m.addr(), NewSrc: m.addr(), Proto: m.proto(), ReqID: m.pick(7),
			OldFamily: m.family, NewFamily: m.family,
		}},
	}
}

func (m *messageMaker) migrateState() *netlinkx.MigrateState {
	return &netlinkx.MigrateState{
		SA:     netlinkx.SAID{Dst: m.addr(), SPI: netlinkx.SPI(m.pick(0x100)), Proto: m.proto(), Family: m.family, Mark: m.mark()},
		NewDst: m.addr(), NewSrc: m.addr(), NewFamily: m.family, Mark: netlinkx.Some(m.mark()), NATKeepalive: m.opt32(),
	}
}

// mapping lays out struct xfrm_user_mapping.
func (m *messageMaker) mapping() message {
	b := header(netlinkx.MsgMapping)
	b = append(b, m.raw(m.addr())...)
	b = binary.BigEndian.AppendUint32(b, m.pick(0x100))
	b = binary.NativeEndian.AppendUint16(b, uint16(m.family))
	b = append(b, uint8(m.proto()), 0)
	b = binary.NativeEndian.AppendUint32(b, m.pick(7))
	b = append(append(b, m.raw(m.addr())...), m.raw(m.addr())...)
	b = binary.BigEndian.AppendUint16(b, uint16(m.pick(4500)))
	b = binary.BigEndian.AppendUint16(b, uint16(m.pick(4501)))
	return sealed("mapping", b)
}

// report lays out struct xfrm_user_report; the selector is a policy's.
func (m *messageMaker) report() message {
	pol, _ := netlinkx.AppendRequest(nil, netlinkx.AddPolicy(&netlinkx.Policy{Selector: m.selector()}), 0, 0)
	b := header(netlinkx.MsgReport)
	b = append(b, uint8(m.proto()), 0, 0, 0)
	if m.maybe() {
		return sealed("report", append(b, make([]byte, 56)...)) // of no family
	}
	b = append(b, pol[16:16+56]...)
	if m.maybe() {
		b = append(appendAttrHeader(b, netlinkx.AttrCoAddr, 16), m.raw(m.addr())...)
	}
	return sealed("report", b)
}

func (m *messageMaker) defaults(tb testing.TB) message {
	d := &netlinkx.Defaults{In: netlinkx.DefaultAction(m.IntN(4)), Fwd: netlinkx.DefaultAction(m.IntN(3)), Out: netlinkx.DefaultAction(m.IntN(3))}
	msg := padded(m.encode(tb, "defaults", netlinkx.SetDefaults(d)))
	binary.NativeEndian.PutUint16(msg.data[4:], uint16(netlinkx.MsgGetDefault))
	return msg
}

// raw is an address as xfrm_address_t.
func (m *messageMaker) raw(a netip.Addr) []byte {
	return append(a.AsSlice(), make([]byte, 16)...)[:16]
}

func header(t netlinkx.MsgType) []byte {
	b := make([]byte, 16)
	binary.NativeEndian.PutUint16(b[4:], uint16(t))
	return b
}

func appendAttrHeader(b []byte, t netlinkx.AttrType, payload int) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(4+payload))
	return binary.NativeEndian.AppendUint16(b, uint16(t))
}

// sealed sets the length in a message's header.
func sealed(name string, b []byte) message {
	binary.NativeEndian.PutUint32(b, uint32(len(b)))
	return message{name, b}
}

// padded gives a message whose fixed part is odd the length that the kernel
// gives its notifications.
func padded(m message) message {
	for len(m.data)%4 != 0 {
		m.data = append(m.data, 0)
	}
	return sealed(m.name, m.data)
}

// deleted makes the notification of a deletion from that of an addition: the
// fixed part, of fixed bytes, moves into an attribute behind an id.
func deleted(name string, added []byte, t netlinkx.MsgType, id, fixed int, at netlinkx.AttrType) message {
	b := append(header(t), make([]byte, id)...)
	b = append(appendAttrHeader(b, at, fixed), added[16:16+fixed]...)
	return sealed(name, append(b, added[16+fixed:]...))
}
