package sad

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/esp"
	"github.com/xfrmctl/xfrmctl/offload/userspace/replay"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/dump"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/notice"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xaddr"
)

// State is where an SA is in its life (XFRM_STATE_*).
//
//	ALLOCSPI, ACQUIRE --> Larval --(UPDSA, 30 s)--> Dead
//	NEWSA, UPDSA ------------> Valid --(hard limit)--> Expired --> Dead
type State uint32

// States of SAs.
const (
	Larval State = iota + 1
	Valid
	Expired
	Dead
)

// SA is an installed security association. Packet threads may use it at any
// time, also after it has been deleted: it then refuses. All methods are safe
// for concurrent use.
type SA struct {
	// What lookups compare, in one line of the cache. Immutable once the SA can
	// be found, but for the SPI, which a larval SA gets later.
	dst    xaddr.Addr
	mark   netlinkx.Mark
	spi    atomic.Uint32
	family netlinkx.Family
	proto  netlinkx.Proto

	// conf is what is reported of the SA, counters aside. It is replaced as a
	// whole and never changed.
	conf atomic.Pointer[netlinkx.SA]

	// Plane is for the data path: what it computed for Conf of this SA.
	Plane atomic.Value

	table *Table

	// Immutable once the SA can be found.
	cipher  *esp.Cipher // nil in larval SAs
	counter IVCounter   // nil unless it is one of counter mode that may send
	authBit uint32      // see Transform

	state  atomic.Uint32
	dying  atomic.Bool // a soft limit was reached
	warned atomic.Bool // Headroom was told

	*sequence

	bytes, packets atomic.Uint64
	addTime        atomic.Int64 // Unix seconds
	useTime        atomic.Int64
	lastUsed       atomic.Int64

	replayed, outside, failed atomic.Uint32 // netlinkx.SAStats

	notify notifyState // guarded by mu
	nat    natState    // guarded by mu

	// Guarded by the Table's lock.
	want     Want // as it is in the table
	place    *dump.Entry[*SA]
	timer    *time.Timer
	soft     softMemory
	aged     bool   // its time of addition is not that of its insertion
	gaveAway bool   // counter is used by the SA that this one moved to
	acquired bool   // made for traffic, counted by Acquires
	bucket   uint32 // hash of the kernel's, for SADInfo
}

// sequence is the numbers of an SA. One that moves to other addresses takes
// them along, and shares them with its former self, so that a packet thread
// that still has that cannot take a number twice.
type sequence struct {
	oseq   atomic.Uint64 // the last number handed out
	mu     sync.Mutex
	window *replay.Window // guarded by mu; nil in larval SAs
}

// Conf returns what the SA is: algorithms, addresses, flags, limits. The
// value is immutable; an update of the SA puts another in its place, so that
// two equal pointers mean that nothing has changed. Usage, Stats and replay
// state in it are not current: see Report.
func (sa *SA) Conf() *netlinkx.SA { return sa.conf.Load() }

// Cipher returns the SA's transform, nil for a larval SA.
func (sa *SA) Cipher() *esp.Cipher { return sa.cipher }

// SPI returns the SA's SPI.
func (sa *SA) SPI() netlinkx.SPI { return netlinkx.SPI(sa.spi.Load()) }

// State returns where the SA is in its life.
func (sa *SA) State() State { return State(sa.state.Load()) }

// esn reports whether sequence numbers have 64 bits.
func (sa *SA) esn() bool { return sa.conf.Load().Flags&netlinkx.FlagESN != 0 }

// mayWrap reports whether sequence numbers of 32 bits begin anew, as the flag
// asks for (xfrm_replay_overflow). Those of a counter-mode key never do: what is
// remembered of the key ends with them. The packets of other suites can be
// replayed from then on.
func (sa *SA) mayWrap() bool {
	c := sa.conf.Load()
	return c.ExtraFlags&netlinkx.ExtraOSeqMayWrap != 0 && !sa.esn() && !(sa.cipher != nil && sa.cipher.Counter())
}

// maxSeq is the last sequence number that there is.
func (sa *SA) maxSeq() uint64 {
	if sa.esn() || sa.mayWrap() {
		return 1<<64 - 1
	}
	return 1<<32 - 1
}

// matchesMark reports whether the SA is for packets, or requests, of a mark.
func (sa *SA) matchesMark(mark uint32) bool { return mark&sa.mark.Mask == sa.mark.Value }

// Between reports whether the SA leads to dst from src.
func (sa *SA) Between(dst, src xaddr.Addr) bool { return sa.dst == dst && sa.want.Src == src }

// Dying reports whether a soft limit was reached.
func (sa *SA) Dying() bool { return sa.dying.Load() }

// AuthBit returns the bit of the integrity algorithm in a template's mask.
func (sa *SA) AuthBit() uint32 { return sa.authBit }

// Headroom returns how much of the sequence numbers is used.
func (sa *SA) Headroom() notice.Headroom {
	return notice.Headroom{SA: sa.Conf().ID(), Used: sa.oseq.Load(), Limit: sa.maxSeq()}
}

// reportBox is an SA with room for the replay state it refers to.
type reportBox struct {
	sa     netlinkx.SA
	legacy netlinkx.ReplayState
	esn    netlinkx.ReplayESN
}

// Report returns what the SA is now, counters and replay state included: what
// GETSA answers. The caller owns the value, but shares what its pointers refer
// to, replay state aside.
func (sa *SA) Report() *netlinkx.SA {
	return sa.reportInto(&reportBox{})
}

// reportInto fills the box and returns the SA in it. The bitmap's memory is
// used again.
func (sa *SA) reportInto(b *reportBox) *netlinkx.SA {
	b.sa = *sa.conf.Load()
	b.sa.Usage, b.sa.Stats = sa.usage(), sa.stats()
	b.sa.LastUsed = uint64(sa.lastUsed.Load())
	sa.mu.Lock()
	defer sa.mu.Unlock()
	if form := b.sa.ReplayESN; form != nil {
		sa.extendedLocked(form, &b.esn)
		b.sa.ReplayESN = &b.esn
	} else {
		b.legacy = sa.legacyLocked()
		b.sa.Replay = &b.legacy
	}
	return &b.sa
}

// legacyLocked is the legacy replay state as it is. The caller holds sa.mu.
func (sa *SA) legacyLocked() (r netlinkx.ReplayState) {
	if sa.window != nil {
		r = sa.window.Legacy()
	}
	r.OSeq = uint32(sa.oseq.Load())
	return r
}

// extendedLocked fills out with the large replay state as it is, in the form
// that conf has of it. The caller holds sa.mu.
func (sa *SA) extendedLocked(form, out *netlinkx.ReplayESN) {
	out.BitmapLen = form.BitmapLen
	sa.window.Extended(out)
	oseq := sa.oseq.Load()
	out.OSeq, out.OSeqHi = uint32(oseq), uint32(oseq>>32)
	if !sa.esn() {
		out.SeqHi, out.OSeqHi = form.SeqHi, form.OSeqHi
	}
}

func (sa *SA) usage() netlinkx.Usage {
	return netlinkx.Usage{
		Bytes: sa.bytes.Load(), Packets: sa.packets.Load(),
		AddTime: uint64(sa.addTime.Load()), UseTime: uint64(sa.useTime.Load()),
	}
}

func (sa *SA) setUsage(u *netlinkx.Usage) {
	sa.bytes.Store(u.Bytes)
	sa.packets.Store(u.Packets)
	sa.addTime.Store(int64(u.AddTime))
	sa.useTime.Store(int64(u.UseTime))
}

func (sa *SA) stats() netlinkx.SAStats {
	return netlinkx.SAStats{ReplayWindow: sa.outside.Load(), Replay: sa.replayed.Load(), IntegrityFailed: sa.failed.Load()}
}
