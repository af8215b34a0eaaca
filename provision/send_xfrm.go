package provision

import (
	"context"
	"errors"
	"io/fs"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// sendXFRM sends SAs and policies. Counter-mode keys are noted as sent right
// before, those of some SAs at a time.
func (r *run) sendXFRM(ctx context.Context, steps []*Step) (outcome, error) {
	out := outcome{failed: map[int]error{}}
	for out.unsent < len(steps) {
		part := steps[out.unsent:]
		if len(part) > markedMax && len(r.uses(part)) > 0 {
			part = part[:markedMax]
		}
		if err := r.sendPart(ctx, part, &out); err != nil || len(out.failed)+len(out.unknown) > 0 {
			return out, err
		}
	}
	return out, nil
}

// sendPart sends steps behind those that were sent, and completes the outcome.
func (r *run) sendPart(ctx context.Context, part []*Step, out *outcome) error {
	m, err := r.s.announce(ctx, r.uses(part))
	if err != nil {
		return stepError(part[0], err)
	}
	b, before := r.s.cfg.XFRM.NewBatch(), 0
	b.StopOnError = true
	if m != nil {
		id := m.id()
		b.Add(netlinkx.DeletePolicy(&id)) // in front of the SAs
		before = 1
	}
	for _, s := range part {
		b.Add(r.s.request(s))
	}
	res, err := b.Commit(ctx)
	stays := m != nil && res.Unsent == 0 // nothing was sent
	if stays {
		err = errors.Join(err, r.s.store.note(keyIntended, m.name, r.uses(part), false))
	}
	at := out.unsent - before // of the batch's first
	for _, f := range res.Failed {
		if f.Index >= before {
			out.failed[at+f.Index] = f.Err
		} else if !errors.Is(f.Err, fs.ErrNotExist) { // another may have deleted it
			stays, err = true, errors.Join(err, stepError(part[0], f.Err))
		}
	}
	for _, i := range res.Unknown {
		if i >= before {
			out.unknown = append(out.unknown, at+i)
		}
	}
	out.unsent = max(out.unsent, at+res.Unsent)
	if stays {
		err = errors.Join(err, r.s.clear(context.WithoutCancel(ctx), m))
	}
	return err
}
