package classify

import (
	"encoding/binary"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Bin is where rules of a kind lie; only rules of the asked bin are found.
type Bin struct {
	Dir    netlinkx.PolicyDir
	Type   netlinkx.PolicyType
	Family netlinkx.Family
	IfID   uint32
}

// Prefix is the leading Bits of an address, whose first byte is the most
// significant; bits beyond do not matter.
type Prefix struct {
	Addr [16]byte
	Bits uint8
}

// Rule is an item and what it is found by. Rules are immutable once inserted.
type Rule[T any] struct {
	Bin      Bin
	Dst, Src Prefix
	Match    Match
	Priority uint32
	Pos      uint64 // age: of two rules with one priority the lower wins
	Item     *T
}

// Match is what a rule compares besides the addresses. Zero fields match all.
type Match struct {
	SrcPort, DstPort netlinkx.PortMatch
	Proto            uint8
	IfIndex          uint32
	Mark             netlinkx.Mark
}

// Key is what of a packet is compared. Addresses are those of an
// xfrm_address_t: IPv4 in the first four bytes.
type Key struct {
	Dst, Src         [16]byte
	SrcPort, DstPort uint16
	Proto            uint8
	IfIndex          uint32
	Mark             uint32
}

// matches compares all but the addresses (xfrm_selector_match,
// xfrm_policy_match).
func (m *Match) matches(k *Key) bool {
	return (k.DstPort^m.DstPort.Port)&m.DstPort.Mask == 0 &&
		(k.SrcPort^m.SrcPort.Port)&m.SrcPort.Mask == 0 &&
		(m.Proto == 0 || m.Proto == k.Proto) &&
		(m.IfIndex == 0 || m.IfIndex == k.IfIndex) &&
		k.Mark&m.Mark.Mask == m.Mark.Value
}

// before reports whether r wins over o, when both match.
func (r *Rule[T]) before(o *Rule[T]) bool {
	return r.Priority < o.Priority || r.Priority == o.Priority && r.Pos < o.Pos
}

// words are an address as two numbers.
type words struct{ hi, lo uint64 }

func wordsOf(a *[16]byte) words {
	return words{binary.BigEndian.Uint64(a[:]), binary.BigEndian.Uint64(a[8:])}
}

// first returns the first n bits, the others zero.
func (w words) first(n uint8) words {
	if n <= 64 {
		return words{w.hi &^ (^uint64(0) >> n), 0}
	}
	return words{w.hi, w.lo &^ (^uint64(0) >> (n - 64))}
}
