package provision

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload"
)

// Placement is where an SA shall be, as package offload decided before the kernel
// is asked. What it decided is in the SA: SA.Offload is nil in software.
type Placement struct {
	Want offload.Want
	offload.Choice
}

// String returns where the SA shall be and why: "nic-crypto on eth0".
func (p *Placement) String() string {
	t := "in software"
	if p.NIC != "" {
		t = fmt.Sprintf("%s on %s", p.Rung, p.NIC)
	}
	if p.Reason != "" {
		t += ": " + p.Reason
	}
	return t
}

// firm reports whether nothing may stand in for the device: the kernel would
// not send in software either, or nobody wants that.
func (p *Placement) firm(sa *netlinkx.SA) bool {
	return p.Want == offload.Require || sa.Offload != nil && sa.Offload.Flags&netlinkx.OffloadPacket != 0
}

// placed looks at where an SA of ours is, and returns what it shall be compared
// with: where software may stand in for a device, both are right.
func (p *planner) placed(id ID, want, got *netlinkx.SA) *netlinkx.SA {
	at := p.w.Placements[id]
	switch {
	case at == nil:
		return want
	case at.firm(want) && got.Offload == nil:
		p.refuse(id, "is in software, and shall be "+at.String()+": an SA cannot be moved; take another SPI and key (the next epoch)")
	case at.firm(want):
		return want
	case got.Offload == nil && want.Offload != nil:
		p.notes = append(p.notes, fmt.Sprintf("%s is in software: the kernel did not put it on %s; see xfrmctl offload explain", id, at.NIC))
	case got.Offload == nil:
		p.notes = append(p.notes, fmt.Sprintf("%s is %s", id, at))
	}
	same := *want
	same.Offload = got.Offload
	return &same
}

// putSA adds an SA that a device shall carry, and looks whether it does: the
// kernel falls back to software without a word. Where software may stand in,
// what the kernel refuses is added without the device.
func (s *Session) putSA(ctx context.Context, st *Step) error {
	err := s.cfg.XFRM.AddSA(ctx, st.SA)
	firm := st.Placement.firm(st.SA)
	var refusal *netlinkx.Error
	if err != nil && !firm && errors.As(err, &refusal) && !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrPermission) {
		plain := *st.SA
		plain.Offload = nil
		return s.cfg.XFRM.AddSA(ctx, &plain)
	}
	if err != nil || !firm {
		return err
	}
	got, err := s.cfg.XFRM.GetSA(ctx, st.SA.ID())
	if err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	if got.Offload == nil {
		return errors.Join(fmt.Errorf("the kernel took it, but %s does not carry it; see xfrmctl offload explain %s", st.Placement.NIC, st.Placement.NIC),
			gone(s.cfg.XFRM.DeleteSA(context.WithoutCancel(ctx), st.SA.ID())))
	}
	return nil
}
