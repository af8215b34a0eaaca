package sadb

import (
	"math/bits"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xaddr"
)

// acqKey is what a larval SA without an SPI is found by (__find_acq_core).
type acqKey struct {
	dst, src xaddr.Addr
	reqID    uint32
	family   netlinkx.Family
	mode     netlinkx.Mode
	proto    netlinkx.Proto
	pcpu     netlinkx.Opt[uint32]
}

func acqKeyOf(c *netlinkx.SA) acqKey {
	return acqKey{dst: xaddr.Of(c.Dst), src: xaddr.Of(c.Src), reqID: c.ReqID, family: c.Family, mode: c.Mode, proto: c.Proto, pcpu: c.PCPU}
}

// protoSPI is what ALLOCSPI wants to be alone with.
type protoSPI struct {
	proto netlinkx.Proto
	spi   netlinkx.SPI
}

// insert puts an SA into all tables. The caller holds db.mu.
func (db *DB) insert(sa *SA) {
	c := sa.conf.Load()
	sa.place = db.sas.Push(sa)
	if sa.SPI() != 0 {
		db.insertSPI(sa, c)
	}
	if sa.State() == Larval {
		if sa.SPI() == 0 {
			k := acqKeyOf(c)
			db.larval[k] = append(db.larval[k], sa)
		}
		if c.Seq != 0 {
			db.byAcqSeq[c.Seq] = append(db.byAcqSeq[c.Seq], sa)
		}
	}
	if c.PCPU.Valid || sa.aged {
		db.exact.Store(true)
	}
	db.byWant.Insert(db.hashes.want(&sa.want), sa)
	db.countSA(sa)
	sa.startTimers()
	if sa.State() == Valid && db.cfg.SAChanged != nil {
		db.cfg.SAChanged(sa, true)
	}
	db.changed()
}

func (db *DB) insertSPI(sa *SA, c *netlinkx.SA) {
	db.spis[protoSPI{c.Proto, sa.SPI()}]++
	db.bySPI.Insert(db.hashes.spi(&sa.dst, sa.SPI(), c.Proto), sa)
}

// remove takes an SA out of all tables and ends it; false if it was dead
// already. The caller holds db.mu.
func (db *DB) remove(sa *SA) bool {
	old := State(sa.state.Swap(uint32(Dead)))
	if old == Dead {
		return false
	}
	c := sa.conf.Load()
	db.sas.Remove(sa.place)
	db.byWant.Remove(db.hashes.want(&sa.want), sa)
	if sa.SPI() != 0 {
		db.bySPI.Remove(db.hashes.spi(&sa.dst, sa.SPI(), c.Proto), sa)
		k := protoSPI{c.Proto, sa.SPI()}
		if db.spis[k]--; db.spis[k] == 0 {
			delete(db.spis, k)
		}
	}
	drop(db.larval, acqKeyOf(c), sa)
	drop(db.byAcqSeq, c.Seq, sa)
	if sa.acquired {
		db.acquires.Add(-1)
	}
	db.uncountSA(sa)
	sa.stopTimers()
	sa.dropCounter()
	if old != Larval && db.cfg.SAChanged != nil {
		db.cfg.SAChanged(sa, false)
	}
	db.changed()
	return true
}

// drop takes sa out of a list of a map.
func drop[K comparable](m map[K][]*SA, k K, sa *SA) {
	l := m[k]
	for i := range l {
		if l[i] != sa {
			continue
		}
		l = append(l[:i], l[i+1:]...)
		if len(l) == 0 {
			delete(m, k)
		} else {
			m[k] = l
		}
		return
	}
}

// find returns the newest SA of that identity whose mark fits, or nil
// (__xfrm_state_lookup). It takes no lock.
func (db *DB) find(dst *xaddr.Addr, spi netlinkx.SPI, proto netlinkx.Proto, family netlinkx.Family, mark uint32) *SA {
	for n := db.bySPI.First(db.hashes.spi(dst, spi, proto)); n != nil; n = n.Next() {
		sa := n.Item
		if sa.SPI() == spi && sa.dst == *dst && sa.matchesMark(mark) && sa.proto == proto && sa.family == family {
			return sa
		}
	}
	return nil
}

// locate finds the SA that a request about sa is about. The caller holds db.mu.
func (db *DB) locate(c *netlinkx.SA) *SA {
	dst := xaddr.Of(c.Dst)
	return db.find(&dst, c.SPI, c.Proto, c.Family, c.Mark.Value&c.Mark.Mask)
}

// byAddress finds an SA of a protocol without SPIs, by its addresses.
func (db *DB) byAddress(id *netlinkx.SAID) *SA {
	dst, src, mark := xaddr.Of(id.Dst), xaddr.Of(id.Src), id.Mark.Value&id.Mark.Mask
	for sa := range db.sas.All() {
		c := sa.conf.Load()
		if c.Proto == id.Proto && c.Family == id.Family && sa.dst == dst && sa.want.src == src && sa.matchesMark(mark) {
			return sa
		}
	}
	return nil
}

// buckets counts SAs as the kernel's hash tables do, so that GETSADINFO tells
// the same: they grow only when two SAs meet in a bucket.
type buckets struct {
	n    []uint32
	mask uint32
}

// kernelHash is __xfrm_dst_hash for IPv4; for IPv6 the kernel mixes more than
// is worth it here.
func kernelHash(w *want) uint32 {
	h := uint32(w.family) ^ w.reqID
	le := func(a *xaddr.Addr, i int) uint32 {
		return uint32(a[i]) | uint32(a[i+1])<<8 | uint32(a[i+2])<<16 | uint32(a[i+3])<<24
	}
	for i := 0; i < w.family.Bits()/8; i += 4 {
		h = bits.RotateLeft32(h, i) ^ bits.ReverseBytes32(le(&w.dst, i)+le(&w.src, i))
	}
	return h ^ h>>16
}

func (db *DB) countSA(sa *SA) {
	b := &db.saBuckets
	if b.n == nil {
		*b = buckets{n: make([]uint32, minHash), mask: minHash - 1}
	}
	sa.bucket = kernelHash(&sa.want)
	b.n[sa.bucket&b.mask]++
	if b.n[sa.bucket&b.mask] == 1 || len(b.n) >= maxHash || uint32(db.sas.Len()) <= b.mask {
		return
	}
	*b = buckets{n: make([]uint32, 2*len(b.n)), mask: 2*b.mask + 1}
	for o := range db.sas.All() {
		b.n[o.bucket&b.mask]++
	}
}

func (db *DB) uncountSA(sa *SA) { db.saBuckets.n[sa.bucket&db.saBuckets.mask]-- }
