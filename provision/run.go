package provision

import (
	"context"
	"errors"
	"fmt"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// run carries out the steps of one plan.
type run struct {
	s        *Session
	observed *State
	done     []*Step
	// made are objects that were made, or may have been.
	made map[ID]bool
	// refused is the step that ended the run, nil when something else did.
	refused *Step
}

// groupMax bounds how many steps go out together, and so how long nothing is
// heard of them.
const groupMax = 512

// together returns how many steps at the beginning may go out together. The
// engine carries out what follows a refusal in a batch, so a batch holds nothing
// that relies on what is in front of it: steps of one stage and of one kind.
func together(steps []*Step) int {
	n, kind := 1, kindOf(steps[0])
	for kind.batched() && n < len(steps) && n < groupMax && kindOf(steps[n]) == kind && steps[n].at == steps[0].at && steps[n].ID.netnsOf() == steps[0].ID.netnsOf() {
		n++
	}
	return n
}

// all carries out the steps in order. After a refusal it takes back what it did, in reverse order:
// what holds for every prefix of a plan holds on the way back too. Once
// something has been deleted there is no way back.
func (r *run) all(ctx context.Context, steps []*Step) error {
	for i := 0; i < len(steps); {
		if err := ctx.Err(); err != nil {
			return r.undo(ctx, err)
		}
		n := i + together(steps[i:])
		if err := r.group(ctx, steps[i:n]); err != nil {
			return r.undo(ctx, err)
		}
		i = n
	}
	return nil
}

func (r *run) finished(s *Step) {
	r.done = append(r.done, s)
	r.made[s.ID] = true
	if r.s.cfg.OnStep != nil {
		r.s.cfg.OnStep(Event{Step: s})
	}
}

// outcome says what became of the steps of a group, by index.
type outcome struct {
	failed  map[int]error
	unknown []int // their refusals may have been lost
	unsent  int   // the first that was not sent
}

// group carries out steps that go out together. Counter-mode keys are noted as
// used before anything else is done.
func (r *run) group(ctx context.Context, steps []*Step) error {
	for len(steps) > 0 {
		out, err := r.send(ctx, steps)
		var taken, not []*Step
		for i, s := range steps[:out.unsent] {
			if cause := out.failed[i]; cause != nil && !settled(s, cause) {
				if err == nil {
					err, r.refused = cause, s
				}
				not = append(not, s)
				continue
			}
			r.finished(s)
			taken = append(taken, s)
		}
		not = append(not, steps[out.unsent:]...)
		for _, i := range out.unknown {
			r.made[steps[i].ID] = true
		}
		if err == nil && len(out.unknown) > 0 {
			err = fmt.Errorf("the answers to %d requests were lost", len(out.unknown))
		}
		if err := errors.Join(err, r.s.store.mark(keySpent, r.uses(taken)), r.s.store.unsent(r.uses(not))); err != nil {
			return err
		}
		steps = steps[out.unsent:] // nothing but what is settled was refused
	}
	return nil
}

// uses are the counter-mode keys of SAs that steps make.
func (r *run) uses(steps []*Step) (all []string) {
	for _, s := range steps {
		if s.SA != nil && s.Verb != Delete && s.Verb != Change && CounterMode(s.SA) {
			all = append(all, r.s.store.use(s.SA))
		}
	}
	return all
}

// request is the message for an SA or policy. An update of an SA leaves its
// counters as they are.
func (s *Session) request(st *Step) netlinkx.Request {
	switch {
	case st.SA != nil && st.Verb == Delete:
		id := st.SA.ID()
		return netlinkx.DeleteSA(&id)
	case st.SA != nil && st.Verb == Change:
		return netlinkx.UpdateSA(s.sendable(st.SA))
	case st.SA != nil:
		return netlinkx.AddSA(s.sendable(st.SA))
	case st.Verb == Delete:
		id := st.Policy.ID()
		return netlinkx.DeletePolicy(&id)
	case st.Verb == Change:
		return netlinkx.UpdatePolicy(st.Policy)
	}
	made := *st.Policy
	made.Index = st.index
	return netlinkx.AddPolicy(&made)
}
