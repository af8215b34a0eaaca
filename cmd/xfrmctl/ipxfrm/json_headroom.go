package ipxfrm

import (
	"math"
	"strings"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Headroom is how much of an outbound SA's sequence numbers is left, for JSON.
// At the limit the SA sends nothing more (RFC 4303 section 3.3.3), or, with
// oseq-may-wrap and a counter-mode key in the kernel, nothing that is safe.
type Headroom struct {
	Used  uint64 `json:"used"`
	Limit uint64 `json:"limit"`
	// LeftPercent is rounded down to a thousandth.
	LeftPercent float64 `json:"left_percent"`
}

// NewHeadroom returns nil for an SA that has sent nothing, or whose numbers
// begin anew without harm.
func NewHeadroom(sa *netlinkx.SA) *Headroom {
	h := &Headroom{Limit: math.MaxUint32}
	switch {
	case wraps(sa):
		return nil
	case sa.ReplayESN != nil:
		h.Used = uint64(sa.ReplayESN.OSeq)
		if sa.Flags&netlinkx.FlagESN != 0 {
			h.Used |= uint64(sa.ReplayESN.OSeqHi) << 32
			h.Limit = math.MaxUint64
		}
	case sa.Replay != nil:
		h.Used = uint64(sa.Replay.OSeq)
	}
	if h.Used == 0 {
		return nil
	}
	left := float64(h.Limit-h.Used) / float64(h.Limit) * 100
	h.LeftPercent = math.Floor(left*1000) / 1000
	return h
}

// wraps reports whether sequence numbers may begin anew. The flag says so for
// those of 32 bits; but a counter-mode key is used up with them: the engine ends
// the SA there, and the kernel uses IVs again (RFC 4106 section 3.1).
func wraps(sa *netlinkx.SA) bool {
	counter := sa.AEAD != nil || sa.Crypt != nil && strings.Contains(sa.Crypt.Name, "(ctr(")
	return sa.ExtraFlags&netlinkx.ExtraOSeqMayWrap != 0 && sa.Flags&netlinkx.FlagESN == 0 && !counter
}
