// Package xaddr has addresses in the form in which the kernel's XFRM code has
// them (xfrm_address_t), and compares them as it does: bit by bit, without a
// look at the family.
package xaddr

import (
	"encoding/binary"
	"net/netip"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Addr is an address: 16 bytes, an IPv4 address in the first four. The zero
// Addr is no address, of either family.
type Addr [16]byte

// Of returns the bytes of a; none for the zero netip.Addr.
func Of(a netip.Addr) (r Addr) {
	switch {
	case a.Is4():
		b := a.As4()
		copy(r[:], b[:])
	case a.Is6():
		r = a.As16()
	}
	return r
}

// Words returns the address as two numbers whose leading bits are its own.
func (a *Addr) Words() (hi, lo uint64) {
	return binary.BigEndian.Uint64(a[:]), binary.BigEndian.Uint64(a[8:])
}

// In returns the address in a family; the zero netip.Addr for an unknown one.
func (a *Addr) In(f netlinkx.Family) netip.Addr {
	switch f {
	case netlinkx.FamilyIPv4:
		return netip.AddrFrom4([4]byte(a[:4]))
	case netlinkx.FamilyIPv6:
		return netip.AddrFrom16(*a)
	}
	return netip.Addr{}
}

// Within reports whether the address begins with a prefix (addr_match). Without
// bits, the zero prefix too, every address does.
func (a *Addr) Within(p netip.Prefix) bool {
	n := p.Bits()
	if n <= 0 {
		return true
	}
	q := Of(p.Addr())
	ah, al := a.Words()
	bh, bl := q.Words()
	switch {
	case n <= 64:
		return (ah^bh)>>(64-n) == 0
	case n >= 128:
		return ah == bh && al == bl
	}
	return ah == bh && (al^bl)>>(128-n) == 0
}
