package provision

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"syscall"

	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// run carries out the steps of one plan.
type run struct {
	s        *Session
	observed *State
	done     []*Step
	// made are objects that were made, or may have been.
	made map[ID]bool
}

// together returns how many SAs and policies at the beginning of steps may go
// out together. The engine carries out what follows a refusal in a batch, so a
// batch holds nothing that relies on what is in front of it: steps of one
// stage.
func together(steps []*Step) int {
	n := 0
	for n < len(steps) && (steps[n].SA != nil || steps[n].Policy != nil) && steps[n].at == steps[0].at {
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
		var err error
		if n > i {
			err = r.batch(ctx, steps[i:n])
		} else {
			n = i + 1
			if err = r.one(ctx, steps[i]); err == nil {
				r.finished(steps[i])
			}
		}
		if err != nil {
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

// batch sends SAs and policies.
func (r *run) batch(ctx context.Context, steps []*Step) error {
	b := r.s.cfg.XFRM.NewBatch()
	b.StopOnError = true
	for _, s := range steps {
		b.Add(request(s))
	}
	res, err := b.Commit(ctx)
	failed := map[int]error{}
	for _, f := range res.Failed {
		if steps[f.Index].Verb == Delete && errors.Is(f.Err, fs.ErrNotExist) {
			continue // gone already: it expired, or another deleted it
		}
		failed[f.Index] = f.Err
		if err == nil {
			err = f.Err
		}
	}
	if err == nil && len(res.Unknown) > 0 {
		err = fmt.Errorf("the answers to %d requests were lost", len(res.Unknown))
	}
	for _, i := range res.Unknown {
		r.made[steps[i].ID] = true
	}
	var used []string
	for i, s := range steps[:res.Unsent] {
		if failed[i] != nil {
			continue
		}
		r.finished(s)
		if s.SA != nil && s.Verb != Delete && CounterMode(s.SA) {
			used = append(used, r.s.store.use(s.SA))
		}
	}
	if len(failed) == 0 && err == nil && res.Unsent < len(steps) {
		return r.rest(ctx, steps[res.Unsent:], used)
	}
	return errors.Join(err, r.s.store.mark(keySpent, used))
}

// rest goes on behind a chunk in which nothing but deletions of what was gone
// was refused.
func (r *run) rest(ctx context.Context, steps []*Step, used []string) error {
	if err := r.s.store.mark(keySpent, used); err != nil {
		return err
	}
	return r.batch(ctx, steps)
}

// request is the message for an SA or policy. An update of an SA leaves its
// counters as they are.
func request(s *Step) netlinkx.Request {
	switch {
	case s.SA != nil && s.Verb == Delete:
		id := s.SA.ID()
		return netlinkx.DeleteSA(&id)
	case s.SA != nil && s.Verb == Change:
		return netlinkx.UpdateSA(s.SA)
	case s.SA != nil:
		return netlinkx.AddSA(s.SA)
	case s.Verb == Delete:
		id := s.Policy.ID()
		return netlinkx.DeletePolicy(&id)
	case s.Verb == Change:
		return netlinkx.UpdatePolicy(s.Policy)
	}
	return netlinkx.AddPolicy(s.Policy)
}

// one carries out a step that is not a message of XFRM.
func (r *run) one(ctx context.Context, s *Step) error {
	var err error
	switch {
	case s.Interface != nil:
		err = r.linkStep(ctx, s)
	case s.Address != nil:
		err = r.addressStep(ctx, s)
	default:
		err = r.routeStep(ctx, s)
	}
	if err == nil || s.Verb == Delete && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fmt.Errorf("%s %s: %w", s.Verb, s.ID, err)
}

func (r *run) linkStep(ctx context.Context, s *Step) error {
	links, i := r.s.cfg.Links, s.Interface
	switch {
	case s.Verb == Delete:
		delete(r.s.index, i.Name)
		return links.Delete(ctx, i.Name)
	case s.Up:
		index, err := r.device(ctx, i.Name)
		if err != nil {
			return err
		}
		return r.s.routes.up(index)
	case s.Verb == Change:
		return r.changeLink(ctx, i, s.WasInterface)
	}
	l, err := links.Create(ctx, &ifaces.Spec{Name: i.Name, IfID: i.IfID, Underlay: i.Underlay, MTU: i.MTU})
	if err == nil {
		r.s.index[i.Name] = uint32(l.Index)
	}
	return err
}

func (r *run) changeLink(ctx context.Context, to, from *Interface) error {
	ch := &ifaces.Change{}
	if to.IfID != from.IfID {
		ch.IfID = netlinkx.Some(to.IfID)
	}
	if to.MTU != 0 && to.MTU != from.MTU {
		ch.MTU = netlinkx.Some(to.MTU)
	}
	_, err := r.s.cfg.Links.Change(ctx, to.Name, ch)
	return err
}

func (r *run) addressStep(ctx context.Context, s *Step) error {
	if s.Verb == Delete {
		err := r.s.cfg.Links.DeleteAddress(ctx, s.Address.Dev, s.Address.Prefix)
		if errors.Is(err, syscall.EADDRNOTAVAIL) {
			return nil // it went with the primary address of its subnet
		}
		return err
	}
	err := r.s.cfg.Links.AddAddress(ctx, s.Address.Dev, s.Address.Prefix)
	if errors.Is(err, fs.ErrExist) {
		return nil // the kernel promoted it to a primary one
	}
	return err
}

func (r *run) routeStep(ctx context.Context, s *Step) error {
	if s.Verb == Delete {
		err := r.s.routes.delete(s.Route)
		if errors.Is(err, syscall.ESRCH) {
			return nil
		}
		return err
	}
	var hops []uint32
	for _, dev := range s.Route.devices() {
		if s.Route.Guard() {
			break
		}
		index, err := r.device(ctx, dev)
		if err != nil {
			return err
		}
		hops = append(hops, index)
	}
	return r.s.routes.add(s.Route, hops, s.Verb == Change || s.Verb == Replace)
}

// device returns the ifindex of an XFRM interface.
func (r *run) device(ctx context.Context, name string) (uint32, error) {
	if n := r.s.index[name]; n != 0 {
		return n, nil
	}
	l, err := r.s.cfg.Links.Get(ctx, name)
	if err != nil {
		return 0, err
	}
	r.s.index[name] = uint32(l.Index)
	return uint32(l.Index), nil
}

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
	return fmt.Errorf("%w (%d steps before it were taken back)", cause, len(done))
}

func (r *run) takeBack(ctx context.Context, s *Step) error {
	back := *s
	back.Verb = Delete
	switch {
	case s.Up && s.WasInterface == nil:
		return nil // the interface goes anyway
	case s.Up:
		_, err := r.s.cfg.Links.Change(ctx, s.Interface.Name, &ifaces.Change{Up: netlinkx.Some(false)})
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
		return r.s.cfg.XFRM.UpdateSA(ctx, back.SA)
	case s.Policy != nil:
		return r.s.cfg.XFRM.UpdatePolicy(ctx, s.WasPolicy)
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
