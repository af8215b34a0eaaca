package sadb

import (
	"encoding/binary"
	"net/netip"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/rcu"
)

// rawAddr is an address as the kernel keeps it (xfrm_address_t): 16 bytes, an
// IPv4 address in the first four. The zero rawAddr is no address, of either
// family.
type rawAddr [16]byte

// rawOf returns the bytes of a; none for the zero Addr.
func rawOf(a netip.Addr) (r rawAddr) {
	switch {
	case a.Is4():
		b := a.As4()
		copy(r[:], b[:])
	case a.Is6():
		r = a.As16()
	}
	return r
}

// words returns the address as two numbers whose leading bits are its own.
func (r *rawAddr) words() (hi, lo uint64) {
	return binary.BigEndian.Uint64(r[:]), binary.BigEndian.Uint64(r[8:])
}

// addr returns the address in a family; the zero Addr for an unknown one.
func (r *rawAddr) addr(f netlinkx.Family) netip.Addr {
	switch f {
	case netlinkx.FamilyIPv4:
		return netip.AddrFrom4([4]byte(r[:4]))
	case netlinkx.FamilyIPv6:
		return netip.AddrFrom16(*r)
	}
	return netip.Addr{}
}

// hashes computes the hashes of the tables of SAs.
type hashes struct{ seed rcu.Seed }

// spi is the hash of what a received packet names an SA by.
func (h *hashes) spi(dst *rawAddr, spi netlinkx.SPI, proto netlinkx.Proto) uint64 {
	hi, lo := dst.words()
	return h.seed.Hash(hi, lo, uint64(spi), uint64(proto))
}

// want is the hash of what a template wants. It holds all that must be equal,
// so that SAs between the same two gateways do not meet in one chain.
func (h *hashes) want(w *want) uint64 {
	hi, lo := w.dst.words()
	shi, slo := w.src.words()
	ids := uint64(w.reqID)<<32 | uint64(w.ifID)
	kinds := uint64(w.family)<<16 | uint64(w.mode)<<8 | uint64(w.proto)
	return h.seed.Hash(h.seed.Hash(hi, lo, shi, slo), ids, kinds, 0)
}

// want is what a template wants an SA to have.
type want struct {
	dst, src    rawAddr
	reqID, ifID uint32
	family      netlinkx.Family
	mode        netlinkx.Mode
	proto       netlinkx.Proto
}

// is reports whether an SA of that configuration, whose destination was
// compared already, is what is wanted.
func (w *want) is(c *netlinkx.SA) bool {
	return c.ReqID == w.reqID && c.IfID == w.ifID && c.Mode == w.mode && c.Proto == w.proto && c.Family == w.family && rawOf(c.Src) == w.src
}
