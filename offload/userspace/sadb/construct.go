package sadb

import (
	"fmt"
	"syscall"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/rules"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/sad"
)

// construct checks a request and makes an SA of it, which nobody can find yet
// (xfrm_state_construct). Its counter is not taken: see takeCounter.
func (db *DB) construct(r *SARequest) (*SA, *Refusal) {
	if err := rules.CheckSA(r); err != nil {
		return nil, err
	}
	c, err := db.configure(r)
	if err != nil {
		return nil, err
	}
	cipher, err := rules.CheckTransform(c)
	if err != nil {
		return nil, err
	}
	if err := rules.CheckReplayInit(c, r.Attrs); err != nil {
		return nil, err
	}
	if err := rules.CheckOffload(r.SA); err != nil {
		return nil, err
	}
	sa, bad := db.sas.NewValid(c, sad.Transform{Cipher: cipher, AuthBit: rules.AuthBit(c.AuthTrunc)}, r.SA)
	if bad != nil {
		return nil, badReplay(bad)
	}
	return sa, nil
}

// configure makes what is reported of the SA out of the request, which is
// borrowed.
func (db *DB) configure(r *SARequest) (*netlinkx.SA, *Refusal) {
	c := *r.SA
	if err := rules.Algorithms(r.SA, &c); err != nil {
		return nil, err
	}
	if err := rules.CheckTFC(c.TFCPad); err != nil {
		return nil, err
	}
	if err := rules.CheckCPU(c.PCPU, db.cfg.CPUs, syscall.ERANGE); err != nil {
		return nil, err
	}
	if c.Encap != nil {
		e := *c.Encap
		c.Encap = &e
	}
	c.Mark.Value &= c.Mark.Mask
	c.OutputMark = rules.OutputMark(r)
	fixSelector(&c)
	if db.cfg.NoPMTUDisc && c.Family == netlinkx.FamilyIPv4 && c.Dir != netlinkx.DirIn {
		c.Flags |= netlinkx.FlagNoPMTUDisc
	}
	c.Usage, c.Stats, c.LastUsed, c.SetUsage = netlinkx.Usage{}, netlinkx.SAStats{}, 0, nil
	c.ReplayThresh, c.ETimerThresh = netlinkx.Opt[uint32]{}, netlinkx.Opt[uint32]{}
	c.Replay, c.Offload, c.Comp, c.SecCtx = nil, nil, nil, nil
	c.ReplayESN, c.ReplayWindow = rules.ReplayForm(r)
	return &c, nil
}

// fixSelector gives a selector without a family that of the SA, and one
// without prefixes empty ones.
func fixSelector(c *netlinkx.SA) {
	s := &c.Selector
	if s.Family == netlinkx.FamilyUnspec && c.Flags&netlinkx.FlagAFUnspec == 0 {
		s.Family = c.Family
	}
	rules.FillPrefixes(s)
}

// takeCounter gets the counter of the SA's key, if the SA may send with it,
// and raises the sequence number above what the key has used. On success the
// SA owns one use of the counter.
func (db *DB) takeCounter(sa *SA) *Refusal {
	c := sa.Conf()
	if c.Dir == netlinkx.DirIn || !sa.Cipher().Counter() {
		return nil
	}
	name, key := counterKey(c)
	counter, err := db.cfg.Key(name, key)
	if err != nil {
		return rules.Refuse(syscall.EINVAL, fmt.Sprintf("key of %s refused: %v", name, err))
	}
	if !sa.UseCounter(counter) {
		return rules.Refuse(syscall.EINVAL, fmt.Sprintf("key of %s has used up its sequence numbers: give the SA a new key", name))
	}
	return nil
}

// counterKey is the key under which IVs must never repeat.
func counterKey(c *netlinkx.SA) (name string, key netlinkx.Key) {
	if c.AEAD != nil {
		return c.AEAD.Name, c.AEAD.Key
	}
	return c.Crypt.Name, c.Crypt.Key
}
