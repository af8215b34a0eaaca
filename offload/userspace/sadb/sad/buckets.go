package sad

import (
	"math/bits"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xaddr"
)

// Sizes of the kernel's hash tables, which it reports.
const (
	minHash = 8
	maxHash = 1 << 20
)

// buckets counts SAs as the kernel's hash tables do, so that GETSADINFO tells
// the same: they grow only when two SAs meet in a bucket.
type buckets struct {
	n    []uint32
	mask uint32
}

// kernelHash is __xfrm_dst_hash for IPv4; for IPv6 the kernel mixes more than
// is worth it here.
func kernelHash(w *Want) uint32 {
	h := uint32(w.Family) ^ w.ReqID
	le := func(a *xaddr.Addr, i int) uint32 {
		return uint32(a[i]) | uint32(a[i+1])<<8 | uint32(a[i+2])<<16 | uint32(a[i+3])<<24
	}
	for i := 0; i < w.Family.Bits()/8; i += 4 {
		h = bits.RotateLeft32(h, i) ^ bits.ReverseBytes32(le(&w.Dst, i)+le(&w.Src, i))
	}
	return h ^ h>>16
}

func (t *Table) countSA(sa *SA) {
	b := &t.buckets
	if b.n == nil {
		*b = buckets{n: make([]uint32, minHash), mask: minHash - 1}
	}
	sa.bucket = kernelHash(&sa.want)
	b.n[sa.bucket&b.mask]++
	if b.n[sa.bucket&b.mask] == 1 || len(b.n) >= maxHash || uint32(t.all.Len()) <= b.mask {
		return
	}
	*b = buckets{n: make([]uint32, 2*len(b.n)), mask: 2*b.mask + 1}
	for o := range t.all.All() {
		b.n[o.bucket&b.mask]++
	}
}

func (t *Table) uncountSA(sa *SA) { t.buckets.n[sa.bucket&t.buckets.mask]-- }

// Info returns how many SAs there are, and the sizes that the kernel's hash
// table would have. The caller holds the lock.
func (t *Table) Info() netlinkx.SADInfo {
	n := uint32(minHash)
	if t.buckets.n != nil {
		n = uint32(len(t.buckets.n))
	}
	return netlinkx.SADInfo{Count: uint32(t.all.Len()), HashCount: n, HashMaximum: maxHash}
}
