package provision

import (
	"context"
	"errors"
	"net/netip"
	"syscall"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Kernels before 6.10 have no direction of SAs. They would not say so: they skip
// what they do not know. There it is left out, and what depends on it: an
// outbound SA with extended sequence numbers gets a replay window, without which
// such a kernel refuses ESN. Which of our SAs are inbound then stands in the
// ledger.

// leastWindow is the replay window of an outbound SA, where it means nothing and
// has to be there.
const leastWindow = 32

// probeDirection sends an SA whose direction is none. A kernel that knows
// directions refuses it for that, before it looks at anything else
// (nlmsg_parse); one that does not refuses the protocol 0. No kernel makes it.
func (s *Session) probeDirection(ctx context.Context) error {
	if s.probed {
		return nil
	}
	sa := netlinkx.NewSA()
	sa.Src, sa.Dst = netip.AddrFrom4([4]byte{192, 0, 2, 1}), netip.AddrFrom4([4]byte{192, 0, 2, 2})
	sa.Family, sa.SPI, sa.Dir = netlinkx.FamilyIPv4, 0xfffffff0, netlinkx.Dir(7)
	err := s.cfg.XFRM.AddSA(ctx, sa)
	var refused *netlinkx.Error
	if !errors.As(err, &refused) && err != nil {
		return err
	}
	s.probed = true
	s.undirected = refused != nil && errors.Is(refused.Errno, syscall.EINVAL)
	if s.undirected && s.cfg.OnRemark != nil {
		s.cfg.OnRemark("this kernel has no direction of SAs (Linux 6.10 has): it is left out; outbound SAs with ESN get a replay window, which means nothing there")
	}
	return nil
}

// sendable is the SA as this kernel takes it.
func (s *Session) sendable(sa *netlinkx.SA) *netlinkx.SA {
	if !s.undirected || sa.Dir == netlinkx.DirUnset {
		return sa
	}
	out := *sa
	out.Dir = netlinkx.DirUnset
	if sa.Dir == netlinkx.DirOut && sa.Flags&netlinkx.FlagESN != 0 && sa.ReplayWindow == 0 {
		out.ReplayWindow = leastWindow
	}
	return &out
}

// direct gives an SA that was read the direction that it has in the ledger.
func (s *Session) direct(sa *netlinkx.SA) {
	if sa.Dir != netlinkx.DirUnset {
		return
	}
	dir := s.store.dirs[saID(sa)]
	sa.Dir = dir
	if dir == netlinkx.DirOut {
		sa.ReplayWindow = 0
	}
}
