package sadb

import (
	"net/netip"
	"syscall"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/rules"
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
	sa := db.sas.LarvalFor(&r.SA)
	if sa == nil {
		sa = db.makeLarval(&r.SA)
	}
	if sa.SPI() == 0 && !db.sas.GiveSPI(sa, r.Min, r.Max) {
		return nil, rules.Refuse(syscall.ENOENT, "No SPI available in the requested range")
	}
	if r.SA.Dir != netlinkx.DirUnset {
		sa.SetDir(r.SA.Dir)
	}
	return sa.Report(), nil
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
	sa := db.sas.NewLarval(c)
	db.sas.Insert(sa)
	return sa
}
