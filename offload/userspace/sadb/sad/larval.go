package sad

import (
	"math/rand/v2"
	"slices"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xaddr"
)

// larvalKey is what a larval SA without an SPI is found by (__find_acq_core).
type larvalKey struct {
	dst, src xaddr.Addr
	reqID    uint32
	family   netlinkx.Family
	mode     netlinkx.Mode
	proto    netlinkx.Proto
	pcpu     netlinkx.Opt[uint32]
}

func larvalKeyOf(c *netlinkx.SA) larvalKey {
	return larvalKey{dst: xaddr.Of(c.Dst), src: xaddr.Of(c.Src), reqID: c.ReqID, family: c.Family, mode: c.Mode, proto: c.Proto, pcpu: c.PCPU}
}

// protoSPI is what ALLOCSPI wants to be alone with.
type protoSPI struct {
	proto netlinkx.Proto
	spi   netlinkx.SPI
}

// LarvalFor returns the larval SA that a request for c means: the one of its
// acquire's number, or one for the same, or nil. The caller holds the lock.
func (t *Table) LarvalFor(c *netlinkx.SA) *SA {
	if c.Seq != 0 {
		if sa := t.larvalBySeq(c); sa != nil && sa.dst == xaddr.Of(c.Dst) {
			return sa
		}
	}
	return t.newestLarval(c)
}

// Answered returns the larval SA that an SA like c takes the place of, or nil.
// The caller holds the lock.
func (t *Table) Answered(c *netlinkx.SA) *SA {
	if c.Seq != 0 {
		if sa := t.larvalBySeq(c); sa != nil && sa.proto == c.Proto && sa.dst == xaddr.Of(c.Dst) {
			return sa
		}
	}
	return t.newestLarval(c)
}

// larvalBySeq is __xfrm_find_acq_byseq.
func (t *Table) larvalBySeq(c *netlinkx.SA) *SA {
	for _, sa := range t.byAcqSeq[c.Seq] {
		if sa.matchesMark(c.Mark.Value&c.Mark.Mask) && sa.Conf().PCPU == c.PCPU && sa.State() == Larval {
			return sa
		}
	}
	return nil
}

// newestLarval is __find_acq_core without making one.
func (t *Table) newestLarval(c *netlinkx.SA) *SA {
	for _, sa := range slices.Backward(t.larval[larvalKeyOf(c)]) {
		if sa.matchesMark(c.Mark.Value & c.Mark.Mask) {
			return sa
		}
	}
	return nil
}

// IsAsked reports whether a key manager has been asked for an SA like c. The
// caller holds the lock.
func (t *Table) IsAsked(c *netlinkx.SA) bool {
	for _, sa := range t.larval[larvalKeyOf(c)] {
		if sa.want.IfID == c.IfID && sa.matchesMark(c.Mark.Value&c.Mark.Mask) {
			return true
		}
	}
	return false
}

// Acquires returns how many larval SAs there are that traffic made. It takes no
// lock.
func (t *Table) Acquires() int { return int(t.acquires.Load()) }

// InsertAcquired is Insert for a larval SA that traffic asks for.
func (t *Table) InsertAcquired(sa *SA) {
	sa.acquired = true
	t.acquires.Add(1)
	t.Insert(sa)
}

// GiveSPI gives a larval SA without an SPI one that no SA of its protocol has;
// false if there is none from lo to hi (xfrm_alloc_spi). The caller holds the
// lock.
func (t *Table) GiveSPI(sa *SA, lo, hi netlinkx.SPI) bool {
	c := *sa.Conf()
	spi := t.freeSPI(c.Proto, lo, hi)
	if spi == 0 {
		return false
	}
	drop(t.larval, larvalKeyOf(&c), sa)
	c.SPI = spi
	sa.conf.Store(&c)
	sa.spi.Store(uint32(spi))
	t.insertSPI(sa, &c)
	return true
}

// freeSPI draws an SPI that no SA of the protocol has, 0 if there is none.
// After some tries it takes the next free one, which is found after as many
// steps as there are SAs at most.
func (t *Table) freeSPI(proto netlinkx.Proto, lo, hi netlinkx.SPI) netlinkx.SPI {
	const tries = 16
	n := uint64(hi) - uint64(lo) + 1
	spi := lo
	for range tries {
		spi = lo + netlinkx.SPI(rand.Uint64N(n))
		if spi != 0 && t.spis[protoSPI{proto, spi}] == 0 {
			return spi
		}
	}
	for range min(n, uint64(len(t.spis))+2) {
		if spi++; spi > hi || spi < lo {
			spi = lo
		}
		if spi != 0 && t.spis[protoSPI{proto, spi}] == 0 {
			return spi
		}
	}
	return 0
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
