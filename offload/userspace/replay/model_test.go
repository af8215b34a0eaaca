package replay

import "github.com/xfrmctl/xfrmctl/netlinkx"

// model is the window of RFC 4303 the slow and obvious way: a set of all
// numbers seen, and a search over all candidates for the high half.
type model struct {
	size uint32
	esn  bool
	top  uint64
	seen map[uint64]bool
}

// infer tries every number with the low half seq: the one in the window, else
// the lowest above it.
func (m *model) infer(seq uint32) (uint64, bool) {
	if !m.esn {
		return uint64(seq), true
	}
	bottom := int64(m.top) - int64(m.size) + 1 // below 0 while the window is young
	hi := int64(m.top>>32) - 1
	for n := hi<<32 | int64(seq); ; n += 1 << 32 {
		if n >= bottom {
			return uint64(n), n >= 0
		}
	}
}

func (m *model) verdict(n uint64) Verdict {
	switch {
	case m.size == 0:
		return OK
	case n == 0:
		return Zero
	case n > m.top:
		return OK
	case n+uint64(m.size) <= m.top:
		return Old
	case m.seen[n]:
		return Duplicate
	}
	return OK
}

func (m *model) check(seq uint32) (uint64, Verdict) {
	n, ok := m.infer(seq)
	if !ok {
		return n, Old
	}
	return n, m.verdict(n)
}

func (m *model) commit(n uint64) Verdict {
	v := m.verdict(n)
	if v != OK || m.size == 0 {
		return v
	}
	m.top = max(m.top, n)
	m.seen[n] = true
	if len(m.seen) > 4*int(m.size)+64 {
		for old := range m.seen {
			if old+uint64(m.size) <= m.top {
				delete(m.seen, old)
			}
		}
	}
	return OK
}

// linuxBitmap writes the window as Linux keeps it, from its rule of places:
// number n at (n-1) mod size, counted back from the top.
func (m *model) linuxBitmap() []uint32 {
	b := make([]uint32, (m.size+31)/32)
	pos := int64((uint32(m.top) - 1) % m.size)
	for n := range m.seen {
		if back := m.top - n; back < uint64(m.size) {
			at := (pos - int64(back) + int64(m.size)) % int64(m.size)
			b[at/32] |= 1 << (at % 32)
		}
	}
	return b
}

func (m *model) legacy() netlinkx.ReplayState {
	r := netlinkx.ReplayState{Seq: uint32(m.top)}
	for n := range m.seen {
		if back := m.top - n; back < uint64(min(m.size, 32)) {
			r.Bitmap |= 1 << back
		}
	}
	return r
}
