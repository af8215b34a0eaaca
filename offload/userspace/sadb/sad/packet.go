package sad

import (
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/replay"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/lifetime"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/notice"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xfrmstat"
)

// maxReserve is the most that is reserved at once.
const maxReserve = 1 << 14

// Grant is what Reserve gives for a batch of packets.
type Grant struct {
	N    int              // packets from the front of the batch that may be sealed
	Seq  uint64           // sequence number of the first; the others follow
	IV   uint64           // counter for the IV of the first, with counter-mode suites; modulo 2^64
	Drop xfrmstat.Counter // why the packets beyond N are to be dropped
}

// Reserve takes sequence numbers and IVs for n packets and charges them,
// before they are sealed. bytes is the sum of their lengths as the kernel
// counts them: the inner packet with the outer header that tunnel and BEET
// mode put in front, without ESP. Where a limit of the SA falls into the batch
// the packets are taken to be of equal length.
//
// The order of refusals is the kernel's: not valid, expired, out of sequence
// numbers. A packet that was granted and is not sent leaves a gap, which is
// harmless. Numbers never repeat.
func (sa *SA) Reserve(n int, bytes uint64) Grant {
	switch {
	case sa.State() != Valid:
		return Grant{Drop: xfrmstat.OutStateInvalid}
	case sa.counter == nil && sa.cipher.Counter(): // it may not send: its IVs are nobody's
		return Grant{Drop: xfrmstat.OutStateDirError}
	case n <= 0: // a Grant without numbers always has a reason
		return Grant{Drop: xfrmstat.OutError}
	}
	n = min(n, maxReserve)
	g := Grant{}
	ok, expired := sa.admit(n, bytes)
	if expired {
		g.Drop = xfrmstat.OutStateExpired
	}
	if g.N, g.Seq = sa.takeSeq(ok); g.N < ok {
		g.Drop = xfrmstat.OutStateSeqError
	}
	if g.N == 0 {
		return g
	}
	if sa.counter != nil {
		iv, err := sa.counter.Reserve(g.N)
		if err != nil {
			return Grant{Drop: xfrmstat.OutStateProtoError}
		}
		g.IV = iv
	}
	sa.charge(g.N, bytes*uint64(g.N)/uint64(n))
	sa.noteHeadroom(g.Seq + uint64(g.N) - 1)
	sa.noteReplay()
	return g
}

// takeSeq takes up to n consecutive numbers: fewer at the end of all numbers,
// which never come again.
func (sa *SA) takeSeq(n int) (got int, first uint64) {
	limit := sa.maxSeq()
	for {
		last := sa.oseq.Load()
		if last >= limit || n == 0 {
			return 0, 0
		}
		got = int(min(uint64(n), limit-last))
		if sa.oseq.CompareAndSwap(last, last+uint64(got)) {
			return got, last + 1
		}
	}
}

// noteHeadroom tells once that three quarters of the numbers are used.
func (sa *SA) noteHeadroom(last uint64) {
	limit := sa.maxSeq()
	if last < limit-limit/4 || sa.mayWrap() || !sa.warned.CompareAndSwap(false, true) {
		return
	}
	sa.table.bus.Headroom(sa.Headroom())
}

// admit returns how many of n packets are within the hard limits
// (xfrm_state_check_expire, which looks before a packet is counted): the packet
// that reaches a limit passes, and the next one meets it. So does the event of
// a soft limit.
func (sa *SA) admit(n int, bytes uint64) (ok int, expired bool) {
	l := &sa.conf.Load().Limits
	b, p := sa.bytes.Load(), sa.packets.Load()
	if within(b, bytes, min(l.HardBytes, l.SoftBytes)) && within(p, uint64(n), min(l.HardPackets, l.SoftPackets)) {
		return n, false
	}
	each := bytes / uint64(max(n, 1))
	for ok < n && p < l.HardPackets && b < l.HardBytes {
		if p >= l.SoftPackets || b >= l.SoftBytes {
			sa.softExpire()
		}
		ok, p, b = ok+1, p+1, b+each
	}
	if ok < n {
		sa.expire()
	}
	return ok, ok < n
}

// within reports whether used+more stays below the limit.
func within(used, more, limit uint64) bool {
	return limit == netlinkx.Inf || used < limit && limit-used > more
}

// softExpire tells once that a soft limit was reached.
func (sa *SA) softExpire() {
	if sa.dying.CompareAndSwap(false, true) {
		sa.table.changed() // another SA is preferred now
		sa.TellExpired(notice.Cause{}, false)
	}
}

// expire makes the SA refuse packets, and has it removed.
func (sa *SA) expire() {
	if sa.state.CompareAndSwap(uint32(Valid), uint32(Expired)) {
		sa.table.changed()
		time.AfterFunc(0, sa.onTimer) // packet threads do not wait for the lock
	}
}

// charge counts packets that pass.
func (sa *SA) charge(n int, bytes uint64) {
	t := lifetime.Now()
	if sa.useTime.Load() == 0 {
		sa.useTime.CompareAndSwap(0, t)
	}
	if sa.lastUsed.Load() != t {
		sa.lastUsed.Store(t)
	}
	sa.bytes.Add(bytes)
	sa.packets.Add(uint64(n))
}

// Receivable says whether a packet may be opened with the SA that Inbound
// found: its direction, its state, its encapsulation (0 for none) and its
// limits, in the kernel's order. Anything but xfrmstat.None drops the packet.
func (sa *SA) Receivable(encap netlinkx.EncapType) xfrmstat.Counter {
	c := sa.conf.Load()
	if c.Dir == netlinkx.DirOut {
		return xfrmstat.InStateDirError
	}
	switch sa.State() {
	case Valid:
	case Larval:
		return xfrmstat.AcquireError
	default:
		return xfrmstat.InStateInvalid
	}
	var own netlinkx.EncapType
	if c.Encap != nil {
		own = c.Encap.Type
	}
	if own != encap {
		return xfrmstat.InStateMismatch
	}
	return xfrmstat.None
}

// CheckReplay judges a packet's sequence number before it is opened, and
// whether the SA's limits let it in. It returns the whole number. Anything but
// xfrmstat.None drops the packet.
func (sa *SA) CheckReplay(seq uint32) (seq64 uint64, why xfrmstat.Counter) {
	var full [1]uint64
	var verdict [1]xfrmstat.Counter
	sa.CheckBatch([]uint32{seq}, full[:], verdict[:])
	return full[0], verdict[0]
}

// CheckBatch is CheckReplay for many packets under one lock: full gets the
// whole numbers, verdicts a Counter for each of seqs. Limits in packets are
// never exceeded if the packets are committed and charged before the next call.
// Nothing is verified yet: only packets charged before make the SA expire.
func (sa *SA) CheckBatch(seqs []uint32, full []uint64, verdicts []xfrmstat.Counter) {
	room := sa.room()
	sa.mu.Lock()
	defer sa.mu.Unlock()
	for i, s := range seqs {
		var v replay.Verdict
		full[i], v = sa.window.Check(s)
		switch {
		case v != replay.OK:
			verdicts[i] = sa.refusedReplay(v)
		case room == 0:
			verdicts[i] = xfrmstat.InStateExpired
		default:
			verdicts[i] = xfrmstat.None
			room--
		}
	}
}

// room is how many received packets the limits let in, and the place where their
// events come from.
func (sa *SA) room() uint64 {
	if _, expired := sa.admit(1, 0); expired {
		return 0
	}
	used, limit := sa.packets.Load(), sa.conf.Load().Limits.HardPackets
	return max(limit, used) - used
}

// CommitReplay records a packet that was verified, and charges it: bytes is
// the length of what was in it, without padding. Anything but xfrmstat.None
// drops the packet: another with its number was faster.
func (sa *SA) CommitReplay(seq64 uint64, bytes int) xfrmstat.Counter {
	var verdict [1]xfrmstat.Counter
	sa.Charge(sa.CommitBatch([]uint64{seq64}, verdict[:]), uint64(bytes))
	return verdict[0]
}

// CommitBatch records packets that were verified, under one lock. verdicts
// gets a Counter for each of seqs. It returns how many pass, and leaves it to
// the caller to Charge those.
func (sa *SA) CommitBatch(seqs []uint64, verdicts []xfrmstat.Counter) (ok int) {
	sa.mu.Lock()
	defer sa.mu.Unlock()
	for i, s := range seqs {
		verdicts[i] = xfrmstat.None
		if v := sa.window.Commit(s); v != replay.OK {
			verdicts[i] = sa.refusedReplay(v)
			continue
		}
		ok++
	}
	return ok
}

// Charge counts packets that were received and passed.
func (sa *SA) Charge(n int, bytes uint64) {
	if n == 0 {
		return
	}
	sa.charge(n, bytes)
	sa.noteReplay()
}

// refusedReplay counts a number that the window refuses.
func (sa *SA) refusedReplay(v replay.Verdict) xfrmstat.Counter {
	switch v {
	case replay.Old:
		sa.outside.Add(1)
	case replay.Duplicate:
		sa.replayed.Add(1)
	}
	return xfrmstat.InStateSeqError
}

// NoteIntegrity counts packets whose ICV was wrong (XfrmInStateProtoError).
func (sa *SA) NoteIntegrity(n int) { sa.failed.Add(uint32(n)) }
