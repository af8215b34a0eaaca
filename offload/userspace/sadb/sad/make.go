package sad

import (
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/esp"
	"github.com/xfrmctl/xfrmctl/offload/userspace/replay"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb/lifetime"
	"github.com/xfrmctl/xfrmctl/offload/userspace/xaddr"
)

// Transform is what an SA does with packets.
type Transform struct {
	Cipher  *esp.Cipher
	AuthBit uint32 // of the integrity algorithm in a template's mask; 0 without one
}

// NewLarval makes a larval SA of c, which becomes the SA's. It is not in the
// Table yet.
func (t *Table) NewLarval(c *netlinkx.SA) *SA {
	sa := t.blank(c)
	sa.state.Store(uint32(Larval))
	return sa
}

// NewValid makes an SA of c, which becomes the SA's, with the replay state, the
// counters and the thresholds of r. It is not in the Table yet and has no
// counter: see UseCounter. It fails if r's replay state is not of c's form.
func (t *Table) NewValid(c *netlinkx.SA, x Transform, r *netlinkx.SA) (*SA, error) {
	sa := t.blank(c)
	sa.cipher, sa.authBit = x.Cipher, x.AuthBit
	if err := sa.startReplay(r); err != nil {
		return nil, err
	}
	sa.notify.configure(r, &t.cfg)
	if u := r.SetUsage; u != nil {
		sa.setUsage(u)
		sa.aged = true
	}
	sa.state.Store(uint32(Valid))
	return sa, nil
}

// blank is an SA without a state and a transform.
func (t *Table) blank(c *netlinkx.SA) *SA {
	sa := &SA{table: t, dst: xaddr.Of(c.Dst), mark: c.Mark, family: c.Family, proto: c.Proto, sequence: &sequence{}}
	sa.spi.Store(uint32(c.SPI))
	sa.want = wantOf(c)
	sa.conf.Store(c)
	sa.addTime.Store(lifetime.Now())
	return sa
}

// startReplay makes the window and sets the numbers that the request gives.
func (sa *SA) startReplay(r *netlinkx.SA) error {
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

func (sa *SA) setExtended(r *netlinkx.ReplayESN) error {
	if err := sa.window.SetExtended(r); err != nil {
		return err
	}
	oseq := uint64(r.OSeq)
	if sa.esn() {
		oseq |= uint64(r.OSeqHi) << 32
	}
	sa.oseq.Store(oseq)
	return nil
}
