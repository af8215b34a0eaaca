package sad

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
func (h *hashes) want(w *Want) uint64 {
	hi, lo := w.Dst.Words()
	shi, slo := w.Src.Words()
	ids := uint64(w.ReqID)<<32 | uint64(w.IfID)
	kinds := uint64(w.Family)<<16 | uint64(w.Mode)<<8 | uint64(w.Proto)
	return h.seed.Hash(h.seed.Hash(hi, lo, shi, slo), ids, kinds, 0)
}

// Want is what a policy's template wants an SA to have. It is comparable.
type Want struct {
	Dst, Src    xaddr.Addr
	ReqID, IfID uint32
	Family      netlinkx.Family
	Mode        netlinkx.Mode
	Proto       netlinkx.Proto
}

// wantOf is what a template must want to find an SA.
func wantOf(c *netlinkx.SA) Want {
	return Want{Dst: xaddr.Of(c.Dst), Src: xaddr.Of(c.Src), ReqID: c.ReqID, IfID: c.IfID, Family: c.Family, Mode: c.Mode, Proto: c.Proto}
}

// is reports whether an SA of that configuration, whose destination was
// compared already, is what is wanted.
func (w *Want) is(c *netlinkx.SA) bool {
	return c.ReqID == w.ReqID && c.IfID == w.IfID && c.Mode == w.Mode && c.Proto == w.Proto && c.Family == w.Family && xaddr.Of(c.Src) == w.Src
}
