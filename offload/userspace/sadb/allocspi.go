package sadb

import (
	"math/rand/v2"
	"net/netip"
	"syscall"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/rules"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xaddr"
)

// AllocSPI finds or makes a larval SA and gives it an SPI that no SA of its
// protocol has (XFRM_MSG_ALLOCSPI). It returns the larval SA as reported.
func (db *DB) AllocSPI(_ Cause, r *netlinkx.SPIRange) (*netlinkx.SA, error) {
	if err := rules.CheckSPIRange(r.SA.Proto, r.Min, r.Max); err != nil {
		return nil, err
	}
	if err := rules.CheckCPU(r.SA.PCPU, db.cfg.CPUs, syscall.EINVAL); err != nil {
		return nil, err
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	sa := db.wantedLarval(&r.SA)
	if sa == nil {
		sa = db.makeLarval(&r.SA)
	}
	if err := db.giveSPI(sa, r.Min, r.Max); err != nil {
		return nil, err
	}
	if r.SA.Dir != netlinkx.DirUnset {
		c := *sa.conf.Load()
		c.Dir = r.SA.Dir
		sa.conf.Store(&c)
	}
	return sa.Report(), nil
}

// wantedLarval finds the larval SA that a request is about, or nil.
func (db *DB) wantedLarval(c *netlinkx.SA) *SA {
	if c.Seq != 0 {
		if sa := db.acquireBySeq(c.Seq, c.Mark, c.PCPU); sa != nil && sa.dst == xaddr.Of(c.Dst) {
			return sa
		}
	}
	return db.findLarval(acqKeyOf(c), c.Mark)
}

// makeLarval adds a larval SA. Its selector has the addresses of the SA and,
// as the kernel's, no family.
func (db *DB) makeLarval(r *netlinkx.SA) *SA {
	c := &netlinkx.SA{
		Dst: r.Dst, Src: r.Src, Proto: r.Proto, Family: r.Family, Mode: r.Mode, ReqID: r.ReqID,
		Mark: r.Mark, IfID: r.IfID, PCPU: r.PCPU, Limits: netlinkx.Unlimited(),
	}
	c.Limits.HardAdd = uint64(db.cfg.Sysctls.AcquireExpires.Seconds())
	if r.Dst.IsValid() && r.Src.IsValid() {
		c.Selector.Dst = netip.PrefixFrom(r.Dst, r.Dst.BitLen())
		c.Selector.Src = netip.PrefixFrom(r.Src, r.Src.BitLen())
	}
	sa := db.newSA(c)
	sa.state.Store(uint32(Larval))
	db.insert(sa)
	return sa
}

// giveSPI chooses an SPI for a larval SA without one (xfrm_alloc_spi).
func (db *DB) giveSPI(sa *SA, lo, hi netlinkx.SPI) *Refusal {
	if sa.SPI() != 0 {
		return nil
	}
	c := *sa.conf.Load()
	spi := db.freeSPI(c.Proto, lo, hi)
	if spi == 0 {
		return rules.Refuse(syscall.ENOENT, "No SPI available in the requested range")
	}
	drop(db.larval, acqKeyOf(&c), sa)
	c.SPI = spi
	sa.conf.Store(&c)
	sa.spi.Store(uint32(spi))
	db.insertSPI(sa, &c)
	return nil
}

// freeSPI draws an SPI that no SA of the protocol has, 0 if there is none.
// After some tries it takes the next free one, which is found after as many
// steps as there are SAs at most.
func (db *DB) freeSPI(proto netlinkx.Proto, lo, hi netlinkx.SPI) netlinkx.SPI {
	const tries = 16
	n := uint64(hi) - uint64(lo) + 1
	spi := lo
	for range tries {
		spi = lo + netlinkx.SPI(rand.Uint64N(n))
		if spi != 0 && db.spis[protoSPI{proto, spi}] == 0 {
			return spi
		}
	}
	for range min(n, uint64(len(db.spis))+2) {
		if spi++; spi > hi || spi < lo {
			spi = lo
		}
		if spi != 0 && db.spis[protoSPI{proto, spi}] == 0 {
			return spi
		}
	}
	return 0
}
