package sadb

import (
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/rcu"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xaddr"
)

// hashes computes the hashes of the tables of SAs.
type hashes struct{ seed rcu.Seed }

// spi is the hash of what a received packet names an SA by.
func (h *hashes) spi(dst *xaddr.Addr, spi netlinkx.SPI, proto netlinkx.Proto) uint64 {
	hi, lo := dst.Words()
	return h.seed.Hash(hi, lo, uint64(spi), uint64(proto))
}

// want is the hash of what a template wants. It holds all that must be equal,
// so that SAs between the same two gateways do not meet in one chain.
func (h *hashes) want(w *want) uint64 {
	hi, lo := w.dst.Words()
	shi, slo := w.src.Words()
	ids := uint64(w.reqID)<<32 | uint64(w.ifID)
	kinds := uint64(w.family)<<16 | uint64(w.mode)<<8 | uint64(w.proto)
	return h.seed.Hash(h.seed.Hash(hi, lo, shi, slo), ids, kinds, 0)
}

// want is what a template wants an SA to have.
type want struct {
	dst, src    xaddr.Addr
	reqID, ifID uint32
	family      netlinkx.Family
	mode        netlinkx.Mode
	proto       netlinkx.Proto
}

// is reports whether an SA of that configuration, whose destination was
// compared already, is what is wanted.
func (w *want) is(c *netlinkx.SA) bool {
	return c.ReqID == w.reqID && c.IfID == w.ifID && c.Mode == w.mode && c.Proto == w.proto && c.Family == w.family && xaddr.Of(c.Src) == w.src
}
