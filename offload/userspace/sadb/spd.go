package sadb

import (
	"sync/atomic"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/dump"
)

// spd is the control side of the policies. It is guarded by the DB's lock,
// but for subs.
type spd struct {
	list    dump.List[*Policy]
	byIdent map[identity]*Policy
	byIndex map[uint32]*Policy
	// nextIndex makes indexes: multiples of 8, to which the direction is added.
	nextIndex uint32
	pos       uint64
	counts    [3]uint32 // by direction
	subs      atomic.Int32

	// What the kernel would have, for GETSPDINFO.
	dirMask    [3]uint32
	indexMask  uint32
	threshold4 netlinkx.HashThreshold
	threshold6 netlinkx.HashThreshold
}

func (s *spd) init() {
	s.byIdent = make(map[identity]*Policy)
	s.byIndex = make(map[uint32]*Policy)
	for d := range s.dirMask {
		s.dirMask[d] = minHash - 1
	}
	s.indexMask = minHash - 1
	s.threshold4 = netlinkx.HashThreshold{Local: 32, Remote: 32}
	s.threshold6 = netlinkx.HashThreshold{Local: 128, Remote: 128}
}

// identity is what no two policies have in common.
type identity struct {
	sel  netlinkx.Selector
	dir  netlinkx.PolicyDir
	typ  netlinkx.PolicyType
	mark netlinkx.Mark
	ifID uint32
}

func identityOf(c *netlinkx.Policy) identity {
	return identity{sel: c.Selector, dir: c.Dir, typ: c.Type.V, mark: c.Mark, ifID: c.IfID}
}

// index returns a free index for a direction, the wanted one if it is free
// (xfrm_gen_index).
func (s *spd) index(dir netlinkx.PolicyDir, wanted uint32) uint32 {
	if wanted != 0 && s.byIndex[wanted] == nil {
		return wanted
	}
	for {
		i := s.nextIndex | uint32(dir)
		s.nextIndex += 8
		if i == 0 {
			i = 8
		}
		if s.byIndex[i] == nil {
			return i
		}
	}
}

// grow enlarges the kernel's tables as xfrm_hash_resize would after an
// insertion that replaced nothing.
func (s *spd) grow(dir netlinkx.PolicyDir) {
	resize := func(mask *uint32, n uint32) bool {
		if *mask+1 >= maxHash || n <= *mask {
			return false
		}
		*mask = *mask<<1 | 1
		return true
	}
	if s.counts[dir] <= s.dirMask[dir] {
		return
	}
	total := uint32(0)
	for d := range s.counts {
		resize(&s.dirMask[d], s.counts[d])
		total += s.counts[d]
	}
	resize(&s.indexMask, total)
}
