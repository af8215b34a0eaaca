package flow

import (
	"errors"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Why Add refuses a fragment, built once.
var (
	ErrNotFragment = errors.New("flow: not a fragment")
	ErrFragment    = errors.New("flow: malformed fragment")
	ErrOverlap     = errors.New("flow: fragments overlap")
	ErrTooLong     = errors.New("flow: datagram too long")
	ErrECN         = errors.New("flow: ECN fields of the fragments contradict each other")
)

// ReassemblerConfig bounds a Reassembler. The zero value is ready for use.
type ReassemblerConfig struct {
	// Datagrams is how many datagrams may be incomplete at a time; 0 means 64.
	// Memory is at most Datagrams times 68 KiB, and is taken only as needed.
	Datagrams int
	// Timeout is how long a datagram is waited for after its first fragment.
	// 0 means 30 s for IPv4 (net.ipv4.ipfrag_time) and 60 s for IPv6 (RFC 8200).
	Timeout time.Duration
}

// ReassemblerStats counts fragments and datagrams. Every fragment that was
// handed to Add is in one of Refused, Used, Dropped and Held.
type ReassemblerStats struct {
	Fragments uint64 // handed to Add
	Refused   uint64 // Add returned an error
	Used      uint64 // part of a datagram that was returned, duplicates included
	Dropped   uint64 // had been taken, but their datagram timed out, was pushed out by newer ones, or had overlaps
	Held      uint64 // waiting
	Datagrams uint64 // returned
}

// Reassembler puts the fragments of IPv4 and IPv6 datagrams together. The
// oldest incomplete datagram gives way when there is no room. Overlapping
// fragments condemn their datagram, and what comes of it later (RFC 5722; for
// IPv4 as well, as in Linux since 4.19); exact duplicates are ignored. Not safe
// for concurrent use.
type Reassembler struct {
	cfg   ReassemblerConfig
	slots []*partial // those in use come first, in no order
	used  int
	stats ReassemblerStats
}

// NewReassembler makes a Reassembler that holds no memory yet.
func NewReassembler(cfg ReassemblerConfig) *Reassembler {
	if cfg.Datagrams <= 0 {
		cfg.Datagrams = 64
	}
	return &Reassembler{cfg: cfg, slots: make([]*partial, 0, cfg.Datagrams)}
}

// Stats returns the counters so far.
func (r *Reassembler) Stats() ReassemblerStats { return r.stats }

// Add takes one fragment, of which f is the Flow by Dissect, and copies what it
// needs. It returns the whole datagram, without any trace of fragmentation,
// when this was the last that was missing; it is borrowed until the next call.
// It returns nothing and no error when fragments are still missing. now is the
// time since any fixed instant; it must not run backwards.
//
// Errors are ErrNotFragment, ErrFragment, ErrOverlap, ErrTooLong, ErrECN and
// ErrHeaders (more than 1 KiB before the fragment header).
func (r *Reassembler) Add(pkt []byte, f *Flow, now time.Duration) ([]byte, error) {
	r.stats.Fragments++
	out, err := r.add(pkt, f, now)
	if err != nil {
		r.stats.Refused++
	}
	return out, err
}

func (r *Reassembler) add(pkt []byte, f *Flow, now time.Duration) ([]byte, error) {
	if err := checkFragment(pkt, f); err != nil {
		return nil, err
	}
	r.Expire(now)
	i := r.find(f)
	if i < 0 {
		i = r.take(f, now)
	}
	p := r.slots[i]
	if p.condemned {
		return nil, ErrOverlap
	}
	if err := p.insert(pkt[:f.TotalLen], f); err != nil {
		if err != errDuplicate {
			r.condemn(p)
			return nil, err
		}
	}
	p.fragments++
	r.stats.Held++
	if !p.complete() {
		return nil, nil
	}
	out, err := p.finish()
	if err != nil {
		// the last fragment is refused, the others are dropped
		p.fragments--
		r.stats.Held--
		r.drop(i)
		return nil, err
	}
	r.stats.Datagrams++
	r.stats.Used += p.fragments
	r.stats.Held -= p.fragments
	p.fragments = 0
	r.drop(i)
	return out, nil
}

// checkFragment refuses what can be part of no datagram (RFC 8200 section 4.5).
func checkFragment(pkt []byte, f *Flow) error {
	if !f.Fragment {
		return ErrNotFragment
	}
	if f.TotalLen > uint32(len(pkt)) || uint32(f.HeaderLen) > f.TotalLen {
		return ErrFragment
	}
	n := f.TotalLen - uint32(f.HeaderLen)
	if n == 0 || f.MF && n%8 != 0 {
		return ErrFragment
	}
	if f.FragHeader > headerRoom {
		return ErrHeaders
	}
	if uint32(f.FragOffset)+n > maxPayload {
		return ErrTooLong
	}
	return nil
}

// Expire drops the datagrams that have waited too long. Add does so by itself;
// call it when no fragments come, so that the counters are right.
func (r *Reassembler) Expire(now time.Duration) {
	for i := 0; i < r.used; {
		if p := r.slots[i]; now-p.since >= r.timeout(p.family) {
			r.drop(i)
			continue
		}
		i++
	}
}

func (r *Reassembler) timeout(f netlinkx.Family) time.Duration {
	switch {
	case r.cfg.Timeout > 0:
		return r.cfg.Timeout
	case f == netlinkx.FamilyIPv6:
		return 60 * time.Second
	}
	return 30 * time.Second
}

func (r *Reassembler) find(f *Flow) int {
	for i, p := range r.slots[:r.used] {
		if p.id == f.FragID && p.dst == f.Dst && p.src == f.Src && p.family == f.Family && p.ifIndex == f.IfIndex &&
			(p.proto == f.Proto || f.Family == netlinkx.FamilyIPv6) {
			return i
		}
	}
	return -1
}

// take starts a datagram, at the cost of the oldest if there is no room.
func (r *Reassembler) take(f *Flow, now time.Duration) int {
	if r.used == r.cfg.Datagrams {
		oldest := 0
		for i, p := range r.slots[:r.used] {
			if p.since < r.slots[oldest].since {
				oldest = i
			}
		}
		r.drop(oldest)
	}
	if r.used == len(r.slots) {
		r.slots = append(r.slots, new(partial))
	}
	p := r.slots[r.used]
	p.start(f, now)
	r.used++
	return r.used - 1
}

// drop frees the slot; its memory is kept for the next datagram.
func (r *Reassembler) drop(i int) {
	p := r.slots[i]
	r.stats.Dropped += p.fragments
	r.stats.Held -= p.fragments
	p.fragments = 0
	r.used--
	r.slots[i], r.slots[r.used] = r.slots[r.used], r.slots[i]
}

// condemn lets go of what has come, but remembers the datagram.
func (r *Reassembler) condemn(p *partial) {
	p.condemned = true
	r.stats.Dropped += p.fragments
	r.stats.Held -= p.fragments
	p.fragments = 0
}
