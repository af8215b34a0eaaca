package spd

import "github.com/xfrmctl/xfrmctl/netlinkx"

// Sizes of the kernel's hash tables, which it reports.
const (
	minHash = 8
	maxHash = 1 << 20
)

// hashSizes are what the kernel would have, for GETSPDINFO.
type hashSizes struct {
	dirMask    [3]uint32
	indexMask  uint32
	threshold4 netlinkx.HashThreshold
	threshold6 netlinkx.HashThreshold
}

func newHashSizes() hashSizes {
	h := hashSizes{
		indexMask:  minHash - 1,
		threshold4: netlinkx.HashThreshold{Local: 32, Remote: 32},
		threshold6: netlinkx.HashThreshold{Local: 128, Remote: 128},
	}
	for d := range h.dirMask {
		h.dirMask[d] = minHash - 1
	}
	return h
}

// grow enlarges the kernel's tables as xfrm_hash_resize would after an
// insertion that replaced nothing.
func (h *hashSizes) grow(dir netlinkx.PolicyDir, counts *[3]uint32) {
	resize := func(mask *uint32, n uint32) {
		if *mask+1 < maxHash && n > *mask {
			*mask = *mask<<1 | 1
		}
	}
	if counts[dir] <= h.dirMask[dir] {
		return
	}
	total := uint32(0)
	for d := range counts {
		resize(&h.dirMask[d], counts[d])
		total += counts[d]
	}
	resize(&h.indexMask, total)
}

// Info returns how many policies there are, the size of the kernel's hash
// table (which it reports one too low) and the thresholds. The caller holds the
// lock.
func (t *Table) Info() netlinkx.SPDInfo {
	return netlinkx.SPDInfo{
		Counts:    netlinkx.SPDCounts{In: t.counts[netlinkx.PolicyIn], Out: t.counts[netlinkx.PolicyOut], Fwd: t.counts[netlinkx.PolicyFwd]},
		HashCount: t.hash.indexMask, HashMaximum: maxHash,
		IPv4: netlinkx.Some(t.hash.threshold4), IPv6: netlinkx.Some(t.hash.threshold6),
	}
}

// SetThresholds sets the hash thresholds that are present. They change nothing
// but what Info returns: lookups here need none. The caller holds the lock.
func (t *Table) SetThresholds(i *netlinkx.SPDInfo) {
	if i.IPv4.Valid {
		t.hash.threshold4 = i.IPv4.V
	}
	if i.IPv6.Valid {
		t.hash.threshold6 = i.IPv6.V
	}
}

// Default returns what happens to packets of a direction that no policy matches.
// It takes no lock.
func (t *Table) Default(d netlinkx.PolicyDir) netlinkx.DefaultAction {
	return netlinkx.DefaultAction(t.defaults[d].Load())
}

// SetDefaults sets the actions that are block or accept; others leave a
// direction as it is. The caller holds the lock.
func (t *Table) SetDefaults(d *netlinkx.Defaults) {
	for dir, a := range map[netlinkx.PolicyDir]netlinkx.DefaultAction{netlinkx.PolicyIn: d.In, netlinkx.PolicyFwd: d.Fwd, netlinkx.PolicyOut: d.Out} {
		if a == netlinkx.DefaultBlock || a == netlinkx.DefaultAccept {
			t.defaults[dir].Store(uint32(a))
		}
	}
	t.cfg.Generation.Add(1)
}
