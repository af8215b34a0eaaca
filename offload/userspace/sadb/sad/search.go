package sad

import (
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/flow"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xaddr"
)

// Search is a search for the SA that a template wants (xfrm_state_find): what is
// asked, and what was found. The caller owns it.
type Search struct {
	Flow *flow.Flow
	Mark uint32       // that the SA must fit
	SPI  netlinkx.SPI // that it must have; 0: any
	CPU  uint32       // whose SAs are preferred

	Best    *SA  // nil: none
	Asked   bool // a key manager has been asked for one
	Expired bool // there is one that has expired
}

// Search looks for the best SA of a want: first with its source, then among SAs
// without one. It takes no lock and allocates nothing.
func (t *Table) Search(s *Search, w *Want) {
	t.look(s, w)
	if s.Best == nil && !s.Asked && w.Src != (xaddr.Addr{}) {
		any := *w
		any.Src = xaddr.Addr{}
		t.look(s, &any)
	}
}

// look looks at the SAs of a want, newest first.
func (t *Table) look(s *Search, w *Want) {
	exact := t.exact.Load() // look at all candidates
	for n := t.byWant.First(t.hashes.want(w)); n != nil; n = n.Next() {
		sa := n.Item
		c := sa.conf.Load()
		if sa.dst != w.Dst || !sa.matchesMark(s.Mark) || s.SPI != 0 && s.SPI != sa.SPI() ||
			!w.is(c) || c.Flags&netlinkx.FlagWildRecv != 0 {
			continue
		}
		s.consider(sa, c)
		if s.Best != nil && !exact && !s.Best.dying.Load() {
			return // the others are older
		}
	}
}

func (s *Search) consider(sa *SA, c *netlinkx.SA) {
	mine := c.PCPU == netlinkx.Some(s.CPU)
	switch sa.State() {
	case Valid:
		if !s.fits(c) || c.PCPU.Valid && !mine {
			return
		}
		if s.Best == nil || s.better(sa, mine) {
			s.Best = sa
		}
	case Larval:
		s.Asked = s.Asked || s.Best == nil || mine
	case Expired:
		s.Expired = s.Expired || s.fits(c)
	}
}

// fits reports whether the packet is in the SA's selector.
func (s *Search) fits(c *netlinkx.SA) bool {
	sel := &c.Selector
	return sel.Family == netlinkx.FamilyUnspec || sel.Family == s.Flow.Family && s.Flow.In(sel)
}

// better reports whether sa is preferred to the best so far: the CPU's own,
// else one that is not about to expire, else the younger.
func (s *Search) better(sa *SA, mine bool) bool {
	b := s.Best
	bd, d := b.dying.Load(), sa.dying.Load()
	return mine && !b.Conf().PCPU.Valid || bd && !d || bd == d && b.addTime.Load() < sa.addTime.Load()
}
