package sadb

import (
	"fmt"
	"math"
	"net/netip"
	"syscall"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/replay"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/rules"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xaddr"
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
	sa := db.newSA(c)
	sa.cipher, sa.authBit = cipher, rules.AuthBit(c.AuthTrunc)
	if err := sa.startReplay(r.SA); err != nil {
		return nil, err
	}
	sa.notify.configure(r.SA, db.cfg.Sysctls)
	if u := r.SA.SetUsage; u != nil {
		sa.setUsage(u)
		sa.aged = true
	}
	sa.state.Store(uint32(Valid))
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
	any := netip.PrefixFrom(s.Family.Unspecified(), 0)
	if !s.Dst.IsValid() {
		s.Dst = any
	}
	if !s.Src.IsValid() {
		s.Src = any
	}
}

// newSA makes an SA without a transform.
func (db *DB) newSA(c *netlinkx.SA) *SA {
	sa := &SA{db: db, dst: xaddr.Of(c.Dst), mark: c.Mark, family: c.Family, proto: c.Proto, sequence: &sequence{}}
	sa.spi.Store(uint32(c.SPI))
	sa.want = wantOf(c)
	sa.conf.Store(c)
	sa.addTime.Store(now())
	return sa
}

// wantOf is what a template must want to find the SA.
func wantOf(c *netlinkx.SA) want {
	return want{dst: xaddr.Of(c.Dst), src: xaddr.Of(c.Src), reqID: c.ReqID, ifID: c.IfID, family: c.Family, mode: c.Mode, proto: c.Proto}
}

// startReplay makes the window and sets the numbers that the request gives.
func (sa *SA) startReplay(r *netlinkx.SA) *Refusal {
	c := sa.conf.Load()
	sa.window = replay.New(c.ReplayWindow, sa.esn())
	switch {
	case c.ReplayESN != nil && r.ReplayESN != nil:
		return sa.setExtended(r.ReplayESN)
	case c.ReplayESN == nil && r.Replay != nil:
		sa.setLegacy(r.Replay)
	}
	return nil
}

func (sa *SA) setLegacy(r *netlinkx.ReplayState) {
	sa.window.SetLegacy(*r)
	sa.oseq.Store(uint64(r.OSeq))
}

func (sa *SA) setExtended(r *netlinkx.ReplayESN) *Refusal {
	if err := sa.window.SetExtended(r); err != nil {
		return rules.Refuse(syscall.EINVAL, "ESN attribute is too short")
	}
	oseq := uint64(r.OSeq)
	if sa.esn() {
		oseq |= uint64(r.OSeqHi) << 32
	}
	sa.oseq.Store(oseq)
	return nil
}

// takeCounter gets the counter of the SA's key, if the SA may send with it,
// and raises the sequence number above what the key has used. On success the
// SA owns one use of the counter.
func (db *DB) takeCounter(sa *SA) *Refusal {
	c := sa.conf.Load()
	if c.Dir == netlinkx.DirIn || !sa.cipher.Counter() {
		return nil
	}
	name, key := counterKey(c)
	counter, err := db.cfg.Key(name, key)
	if err != nil {
		return rules.Refuse(syscall.EINVAL, fmt.Sprintf("key of %s refused: %v", name, err))
	}
	seq, asked := counter.Seq(), sa.oseq.Load()
	switch {
	case asked > seq:
		counter.Raise(asked)
	case seq > sa.lastUsable():
		counter.Release()
		return rules.Refuse(syscall.EINVAL, fmt.Sprintf("key of %s has used up its sequence numbers: give the SA a new key", name))
	default:
		sa.oseq.Store(seq)
	}
	sa.counter = counter
	if c.Dir == netlinkx.DirOut {
		counter.Prepare()
	}
	return nil
}

// lastUsable is the highest number after which there is another one.
func (sa *SA) lastUsable() uint64 {
	if m := sa.maxSeq(); m < math.MaxUint64 {
		return m - 1
	}
	return math.MaxUint64 - 1
}

// dropCounter gives back what takeCounter got.
func (sa *SA) dropCounter() {
	if sa.counter != nil && !sa.gaveAway {
		sa.counter.Release()
	}
}

// counterKey is the key under which IVs must never repeat.
func counterKey(c *netlinkx.SA) (name string, key netlinkx.Key) {
	if c.AEAD != nil {
		return c.AEAD.Name, c.AEAD.Key
	}
	return c.Crypt.Name, c.Crypt.Key
}
