package stamp

import (
	"encoding/binary"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Protocols of netlink that are asked.
const (
	protocolRoute = 0 // NETLINK_ROUTE
	protocolXFRM  = 6 // NETLINK_XFRM
)

// span is a range of bytes; until 0 means the end.
type span struct{ from, until int }

// form is what changes in a message, or in an attribute, while nothing does:
// counters and times of use. All else counts.
type form struct {
	fixed int    // bytes in front of the attributes
	spans []span // of these, or of an attribute as a whole
	attrs map[uint16]form
}

// whole is an attribute that is a counter.
func whole() form { return form{spans: []span{{0, 0}}} }

// messageType is a type of messages of a protocol.
type messageType struct {
	protocol int
	typ      uint16
}

// forms is the list of what is not compared. Anything that is not in it is:
// attributes and messages that this program does not know among them.
// (kernel: include/uapi/linux/xfrm.h, if_link.h, if_addr.h, rtnetlink.h)
func forms() map[messageType]form {
	const addTime = 16 // of struct xfrm_lifetime_cur, which is compared
	usage := func(at int) []span { return []span{{at, at + addTime}, {at + addTime + 8, at + netlinkx.SizeUsage}} }
	const saUsage, policyUsage = 160, 120
	stats := span{saUsage + netlinkx.SizeUsage, saUsage + netlinkx.SizeUsage + 12} // struct xfrm_stats
	return map[messageType]form{
		{protocolXFRM, uint16(netlinkx.MsgNewSA)}: {fixed: netlinkx.SizeSAInfo, spans: append(usage(saUsage), stats), attrs: map[uint16]form{
			10: whole(),                           // XFRMA_REPLAY_VAL
			23: {spans: []span{{4, 20}, {24, 0}}}, // XFRMA_REPLAY_ESN_VAL, but for its sizes
			15: whole(),                           // XFRMA_LASTUSED
		}},
		{protocolXFRM, uint16(netlinkx.MsgNewPolicy)}: {fixed: netlinkx.SizePolicyInfo, spans: usage(policyUsage)},
		{protocolRoute, 16}: {fixed: 16, attrs: map[uint16]form{ // RTM_NEWLINK
			7:  whole(), // IFLA_STATS
			23: whole(), // IFLA_STATS64
			26: {attrs: map[uint16]form{ // IFLA_AF_SPEC
				10: {attrs: map[uint16]form{ // AF_INET6
					3: whole(), // IFLA_INET6_STATS
					5: whole(), // IFLA_INET6_CACHEINFO
					6: whole(), // IFLA_INET6_ICMP6STATS
				}},
			}},
		}},
		{protocolRoute, 20}: {fixed: 8, attrs: map[uint16]form{6: whole()}},   // RTM_NEWADDR: IFA_CACHEINFO
		{protocolRoute, 24}: {fixed: 12, attrs: map[uint16]form{12: whole()}}, // RTM_NEWROUTE: RTA_CACHEINFO
	}
}

// mask overwrites in b what f names. It reports whether b has that form.
func (f *form) mask(b []byte) bool {
	if len(b) < f.fixed {
		return false
	}
	for _, s := range f.spans {
		until := s.until
		if until == 0 {
			until = len(b)
		}
		if s.from > len(b) || until > len(b) {
			return false
		}
		clear(b[s.from:until])
	}
	if f.attrs == nil {
		return true
	}
	for b = b[f.fixed:]; len(b) >= 4; {
		n := int(binary.NativeEndian.Uint16(b))
		if n < 4 || n > len(b) {
			return false
		}
		const typeMask = 0x3fff // without NLA_F_NESTED and NLA_F_NET_BYTEORDER
		if inner, known := f.attrs[binary.NativeEndian.Uint16(b[2:])&typeMask]; known && !inner.mask(b[4:n]) {
			return false
		}
		b = b[min((n+3)&^3, len(b)):]
	}
	return len(b) == 0
}
