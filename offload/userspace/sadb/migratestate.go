package sadb

import (
	"fmt"
	"net/netip"
	"syscall"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/rules"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/sad"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xaddr"
)

// MigrateStateRequest asks to move one SA. It is borrowed for the call.
type MigrateStateRequest struct {
	netlinkx.MigrateState
	Attrs    rules.Attrs // of the request; zero: those that the values imply
	Reserved bool        // the reserved field is not zero
}

// MigrateState moves one SA to other addresses, with its keys, sequence
// numbers and counters (XFRM_MSG_MIGRATE_STATE, Linux 7.2).
func (db *DB) MigrateState(cause Cause, r *MigrateStateRequest) error {
	if err := checkMigrateState(r); err != nil {
		return err
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	old := db.named(&r.SA)
	if old == nil {
		return rules.Refuse(syscall.ESRCH, "Can not find state")
	}
	c, err := migratedConf(old.Conf(), r)
	if err != nil {
		return err
	}
	if err := db.checkMove(old, c, r); err != nil {
		return err
	}
	db.sas.Move(old, c)
	db.sas.Remove(old)
	if db.bus.Hears(netlinkx.GroupMigrate) {
		e := r.MigrateState
		e.NewSelector, e.OutputMark, e.Offload = c.Selector, c.OutputMark, nil
		if r.Encap == nil {
			e.Encap = c.Encap
		}
		e.MTimerThresh, e.NATKeepalive = netlinkx.Some(c.MTimerThresh), netlinkx.Some(c.NATKeepalive)
		db.bus.Emit(cause, &netlinkx.MigrateStateEvent{Migrate: e})
	}
	return nil
}

// checkMigrateState checks what needs no SA.
func checkMigrateState(r *MigrateStateRequest) *Refusal {
	const known = netlinkx.MigrateClearOffload | netlinkx.MigrateUpdateH2HSel
	switch {
	case r.SA.SPI == 0:
		return rules.Refuse(syscall.EINVAL, "Invalid SPI 0x0")
	case r.Reserved:
		return rules.Refuse(syscall.EINVAL, "Reserved field must be zero")
	case r.Flags&^known != 0:
		return rules.Refuse(syscall.EINVAL, fmt.Sprintf("Unknown flags: 0x%x", uint32(r.Flags&^known)))
	case familyOr(r.NewFamily, r.NewDst).Bits() == 0:
		return rules.Refuse(syscall.EINVAL, "Invalid address family")
	}
	if r.Flags&netlinkx.MigrateUpdateH2HSel != 0 {
		return nil
	}
	return rules.CheckSelector(&r.NewSelector)
}

// migratedConf is what the SA will be.
func migratedConf(old *netlinkx.SA, r *MigrateStateRequest) (*netlinkx.SA, *Refusal) {
	c := *old
	c.Dst, c.Src, c.Family, c.ReqID = r.NewDst, r.NewSrc, familyOr(r.NewFamily, r.NewDst), r.NewReqID
	c.Selector = r.NewSelector
	if r.Flags&netlinkx.MigrateUpdateH2HSel != 0 {
		if !isHostToHost(old) {
			return nil, rules.Refuse(syscall.EINVAL, "SA selector is not a single-host match for SA addresses")
		}
		c.Selector = old.Selector
		c.Selector.Family = c.Family
		c.Selector.Dst = netip.PrefixFrom(r.NewDst, c.Family.Bits())
		c.Selector.Src = netip.PrefixFrom(r.NewSrc, c.Family.Bits())
	}
	rules.FillPrefixes(&c.Selector)
	if err := migratedEncap(&c, old, r); err != nil {
		return nil, err
	}
	c.Mark = r.SA.Mark
	if r.Mark.Valid {
		c.Mark = r.Mark.V
	}
	c.Mark.Value &= c.Mark.Mask
	if m := r.OutputMark; r.Attrs.Has(netlinkx.AttrSetMark) || r.Attrs == 0 && m != (netlinkx.Mark{}) {
		if r.Attrs != 0 && !r.Attrs.Has(netlinkx.AttrSetMarkMask) {
			m.Mask = ^uint32(0)
		}
		c.OutputMark = m
	}
	return &c, nil
}

// migratedEncap sets the encapsulation and what depends on it.
func migratedEncap(c, old *netlinkx.SA, r *MigrateStateRequest) *Refusal {
	if e := r.Encap; e != nil {
		switch e.Type {
		case 0:
			c.Encap = nil
		case netlinkx.EncapESPinUDP:
			encap := *e
			c.Encap = &encap
		default:
			return rules.Refuse(syscall.EINVAL, "Unsupported encapsulation type")
		}
	}
	if r.MTimerThresh.Valid {
		if err := rules.CheckMTimer(c.Encap != nil, old.Dir); err != nil {
			return err
		}
		c.MTimerThresh = r.MTimerThresh.V
	}
	if r.NATKeepalive.V != 0 && c.Encap == nil {
		return rules.Refuse(syscall.EINVAL, "NAT_KEEPALIVE_INTERVAL requires encapsulation")
	}
	if r.NATKeepalive.Valid {
		c.NATKeepalive = r.NATKeepalive.V
	}
	if c.Encap == nil {
		c.MTimerThresh, c.NATKeepalive = 0, 0
	}
	return nil
}

// isHostToHost reports whether the SA's selector is for its own addresses.
func isHostToHost(c *netlinkx.SA) bool {
	s, n := &c.Selector, c.Family.Bits()
	return s.Src.Bits() == n && s.Dst.Bits() == n && xaddr.Of(s.Dst.Addr()) == xaddr.Of(c.Dst) && xaddr.Of(s.Src.Addr()) == xaddr.Of(c.Src)
}

// checkMove checks that the place is free, and the rest as for a new SA.
func (db *DB) checkMove(old *SA, c *netlinkx.SA, r *MigrateStateRequest) *Refusal {
	if o := old.Conf(); o.Dst != c.Dst || o.Family != c.Family {
		if db.sas.Locate(c) != nil {
			return rules.Refuse(syscall.EEXIST, "New SA tuple already occupied")
		}
	}
	if _, err := rules.CheckTransform(c); err != nil {
		return &Refusal{Errno: syscall.EINVAL, Text: err.Text}
	}
	if r.Offload != nil {
		c := *c
		c.Offload = r.Offload
		if err := rules.CheckOffload(&c); err != nil {
			if err.Text == "" {
				return rules.Refuse(syscall.EINVAL, "State migration clone failed")
			}
			return err
		}
	}
	if old.State() != sad.Valid {
		return rules.Refuse(syscall.ESRCH, "State already deleted")
	}
	return nil
}
