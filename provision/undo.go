package provision

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// undo takes back what was done, also when ctx has ended.
func (r *run) undo(ctx context.Context, cause error) error {
	if slices.ContainsFunc(r.done, func(s *Step) bool { return s.Verb == Delete }) {
		return fmt.Errorf("%w (stopped after %d steps; apply again to go on)", cause, len(r.done))
	}
	ctx = context.WithoutCancel(ctx)
	done := r.done
	r.done = nil
	for _, s := range slices.Backward(done) {
		if err := r.takeBack(ctx, s); err != nil {
			return errors.Join(fmt.Errorf("%w (and not all could be taken back)", cause), err)
		}
		if r.s.cfg.OnStep != nil {
			r.s.cfg.OnStep(Event{Step: s, Undone: true})
		}
	}
	switch len(done) {
	case 0:
		return fmt.Errorf("%w (it was the first step: nothing was changed)", cause)
	case 1:
		return fmt.Errorf("%w (the step before it was taken back)", cause)
	}
	return fmt.Errorf("%w (%d steps before it were taken back)", cause, len(done))
}

// one sends one step.
func (r *run) one(ctx context.Context, s *Step) error {
	out, err := r.send(ctx, []*Step{s})
	switch cause := out.failed[0]; {
	case cause != nil && !settled(s, cause):
		return cause
	case err == nil && len(out.unknown) > 0:
		return fmt.Errorf("%s %s: the answer was lost", s.Verb, s.ID)
	}
	return err
}

func (r *run) takeBack(ctx context.Context, s *Step) error {
	back := *s
	back.Verb = Delete
	switch {
	case s.Up && s.WasInterface == nil:
		return nil // the interface goes anyway
	case s.Up:
		p, err := r.s.place(s.Interface.NetNS)
		if err == nil {
			_, err = p.links.Change(ctx, s.Interface.Name, &ifaces.Change{Up: netlinkx.Some(false)})
		}
		return err
	case s.SA != nil && s.Verb != Change:
		return r.takeBackSA(ctx, s)
	case s.Policy != nil && s.Verb != Change:
		id := s.Policy.ID()
		id.Index, id.Selector = 0, s.Policy.Selector // the kernel may have chosen another index
		return gone(r.s.cfg.XFRM.DeletePolicy(ctx, id))
	case s.Verb != Change:
		return r.one(ctx, &back)
	}
	back.Verb = Change
	switch {
	case s.SA != nil:
		back.SA = restoredSA(s)
	case s.Policy != nil:
		back.Policy = s.WasPolicy
	case s.Settings != nil:
		back.Settings = s.WasSettings
	case s.Interface != nil:
		back.Interface, back.WasInterface = s.WasInterface, s.Interface
	default:
		back.Route = s.WasRoute
	}
	return r.one(ctx, &back)
}

// restoredSA is the SA with what an update may change as it was before. Its
// keys are those that were asked for, which are the same: the kernel's are not
// at hand, and an update does not take over keys.
func restoredSA(s *Step) *netlinkx.SA {
	sa := *s.SA
	sa.Limits, sa.OutputMark, sa.IfID, sa.Encap = s.WasSA.Limits, s.WasSA.OutputMark, s.WasSA.IfID, s.WasSA.Encap
	return &sa
}

// takeBackSA deletes an SA that was just made. Its key may be used again when
// it has carried nothing and nothing could send with it meanwhile: no policy asks
// for it any more.
func (r *run) takeBackSA(ctx context.Context, s *Step) error {
	asked := slices.ContainsFunc(r.observed.Policies, func(p *netlinkx.Policy) bool {
		return slices.ContainsFunc(p.Templates, func(t netlinkx.Template) bool { return t.ReqID == s.SA.ReqID || t.ReqID == 0 })
	})
	sa, err := r.s.cfg.XFRM.GetSA(ctx, s.SA.ID())
	if err != nil {
		return gone(err)
	}
	if err := gone(r.s.cfg.XFRM.DeleteSA(ctx, s.SA.ID())); err != nil {
		return err
	}
	if CounterMode(s.SA) && !asked && sa.Usage.Packets == 0 {
		return r.s.store.mark(keyFree, []string{r.s.store.use(s.SA)})
	}
	return nil
}

// gone is err unless it tells that something is not there.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
