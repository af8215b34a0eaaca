package vti

import (
	"context"
	"fmt"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// binding is what tells the two forms of an SA apart.
type binding struct {
	id   netlinkx.SAID
	ifID uint32
}

func (b binding) is(sa *netlinkx.SA) bool {
	id := sa.ID()
	return id.Dst == b.id.Dst && id.SPI == b.id.SPI && id.Proto == b.id.Proto && id.Mark == b.id.Mark && sa.IfID == b.ifID
}

// rebind replaces an SA by itself with another binding. An update would not do:
// the kernel takes a new if_id, but neither another mark nor if_id 0. So it is
// deleted and added, while nothing uses it, with the sequence numbers that it
// had. A copy that no packet can reach keeps its keys meanwhile: they are never
// written to a file. Whatever a killed run has left, this goes on from there.
func (r *run) rebind(ctx context.Context, rb *Rebind, from, to binding) error {
	old, err := r.get(ctx, from)
	if err != nil {
		return err
	}
	done, err := r.get(ctx, to)
	if err != nil {
		return err
	}
	copied, err := r.get(ctx, binding{rb.parked(), 0})
	if err != nil {
		return err
	}
	if done == nil && old == nil && copied == nil {
		r.s.note("%s is gone meanwhile: it ended, or another process deleted it", rb.ID)
		return nil
	}
	if done == nil {
		if err := r.replace(ctx, rb, from, to, old, copied); err != nil {
			return err
		}
		copied = &netlinkx.SA{}
	}
	if copied == nil {
		return nil
	}
	return gone(r.s.cfg.XFRM.DeleteSA(ctx, rb.parked()))
}

// get reads an SA, nil when there is none with that binding: where the mark is
// any, or there are two forms, the kernel may return another.
func (r *run) get(ctx context.Context, b binding) (*netlinkx.SA, error) {
	sa, err := r.s.cfg.XFRM.GetSA(ctx, b.id)
	if err != nil || !b.is(sa) {
		return nil, gone(err)
	}
	return sa, nil
}

func (r *run) replace(ctx context.Context, rb *Rebind, from, to binding, old, copied *netlinkx.SA) error {
	x := r.s.cfg.XFRM
	source := copied
	if old != nil {
		source = old
		rb.Replay, rb.ReplayESN, rb.Usage = old.Replay, old.ReplayESN, &old.Usage
		if err := r.s.journal.save(); err != nil {
			return err
		}
		if copied == nil {
			if err := x.AddSA(ctx, rb.made(old, binding{rb.parked(), 0})); err != nil {
				return fmt.Errorf("keep its keys: %w", err)
			}
		}
		if err := gone(x.DeleteSA(ctx, from.id)); err != nil {
			return err
		}
	}
	return x.AddSA(ctx, rb.made(source, to))
}

// made is an SA with another binding and the sequence numbers of the record.
// The cipher's IVs begin anew at random: seqiv and echainiv draw a fresh salt
// of 64 bits for each SA, under which the numbers go on.
func (rb *Rebind) made(sa *netlinkx.SA, as binding) *netlinkx.SA {
	n := *sa
	n.Dst, n.Mark, n.IfID = as.id.Dst, as.id.Mark, as.ifID
	n.Replay, n.ReplayESN, n.SetUsage = rb.Replay, rb.ReplayESN, rb.Usage
	n.Usage, n.Stats, n.LastUsed = netlinkx.Usage{}, netlinkx.SAStats{}, 0
	if n.AuthTrunc != nil {
		n.Auth = nil // the kernel shows both
	}
	return &n
}
