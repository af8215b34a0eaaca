package rotate

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/provision"
)

// Request asks for a step of some tunnels.
type Request struct {
	Tunnels []string // names; none: all of the node
	Step    Step     // "" the next one of each
	Target  uint64   // the epoch to go to; 0: the next one, or that of the document
	At      time.Time
	Slack   time.Duration
	// Quiet and PeerReady: see Facts.
	Quiet     time.Duration
	PeerReady bool
}

// Outcome is what became of a step of one tunnel.
type Outcome struct {
	Tunnel string
	Step   Step
	// Was and Is are the tunnel before and after; equal when Err is set.
	Was, Is Tunnel
	// Facts are what was known.
	Facts Facts
	// Err is *OrderError, *WaitError, *RefusedError, or of the engine.
	Err error
}

// Step completes what was cut off, and takes a step of each tunnel that can.
// The error is that of making what the steps ask for; what keeps single
// tunnels from going on is in the outcomes. A tunnel that is where the target
// is has none.
func (r *Runner) Step(ctx context.Context, req *Request) ([]Outcome, error) {
	names, err := r.stepwise(req.Tunnels)
	if err != nil {
		return nil, err
	}
	if _, err := r.settle(ctx, provision.Options{}); err != nil {
		return nil, err
	}
	now := r.cfg.Now()
	wish := map[string]*Facts{}
	var all []Outcome
	for _, name := range names {
		t := r.tunnels[name]
		f := &Facts{Now: now, Target: r.targets[name], At: req.At, Slack: req.Slack, Quiet: req.Quiet, PeerReady: req.PeerReady}
		if req.Target != 0 {
			f.Target = req.Target
		}
		next := t.NextStep()
		switch {
		case t.Settled() && t.Epoch == req.Target:
		case req.Step != "" && req.Step != next:
			all = append(all, Outcome{name, req.Step, t, t, *f, &OrderError{req.Step, next, t.Phase}})
		default:
			wish[name] = f
		}
	}
	taken, err := r.take(ctx, wish)
	if err == nil && slices.ContainsFunc(taken, func(o Outcome) bool { return o.Err == nil }) {
		_, err = r.settle(ctx, provision.Options{})
		for i := range taken {
			taken[i].Is = r.tunnels[taken[i].Tunnel]
		}
	}
	return append(all, taken...), err
}

// stepwise returns the tunnels to take steps of: the named ones, else those of
// the node that no clock of the document looks after.
func (r *Runner) stepwise(names []string) (all []string, err error) {
	if err := r.known(names); err != nil {
		return nil, err
	}
	named := len(names) > 0
	if !named {
		names = r.names
	}
	for _, name := range names {
		clock := r.docs[name].Keys.Clock()
		if clock && (named || len(names) == 1) {
			return nil, fmt.Errorf("the keys of tunnel %s follow the clock of the document: xfrmctl apply takes the steps, with --watch when their time has come", name)
		}
		if !clock {
			all = append(all, name)
		}
	}
	return all, nil
}

func (r *Runner) known(names []string) error {
	for _, name := range names {
		if r.docs[name] == nil {
			return fmt.Errorf("%s has no tunnel %q", r.cfg.Node, name)
		}
	}
	return nil
}

// GiveUp gives up rotations, by the tunnels' names; none: all of the node. Their
// outcomes have no step.
func (r *Runner) GiveUp(ctx context.Context, tunnels []string) (all []Outcome, err error) {
	if err := r.known(tunnels); err != nil {
		return nil, err
	}
	if len(tunnels) == 0 {
		tunnels = r.names
	}
	for _, name := range tunnels {
		o := Outcome{Tunnel: name, Was: r.tunnels[name]}
		o.Err = r.giveUp(ctx, name)
		o.Is = r.tunnels[name]
		all = append(all, o)
	}
	if err := r.save(); err != nil {
		return all, err
	}
	if r.wanted, err = r.resolve(ctx, r.tunnels); err == nil {
		_, err = r.settle(ctx, provision.Options{})
	}
	return all, err
}

func (r *Runner) giveUp(ctx context.Context, name string) error {
	t := r.tunnels[name]
	var there []SA
	for _, sa := range named(sas(r.wanted, name, t.Next)) {
		_, is, err := r.session.Packets(ctx, sa.ID)
		if err != nil {
			return err
		}
		if is {
			there = append(there, sa)
		}
	}
	t, err := t.GiveUp(there)
	r.tunnels[name] = t
	return err
}

// take takes the next step of tunnels, by name, and notes it on disk. What the
// phases ask for then is not made yet.
func (r *Runner) take(ctx context.Context, wish map[string]*Facts) (all []Outcome, err error) {
	coming, err := r.rehearse(ctx, wish)
	if err != nil {
		return nil, err
	}
	for _, name := range r.names {
		f := wish[name]
		if f == nil {
			continue
		}
		t := r.tunnels[name]
		o := Outcome{Tunnel: name, Step: t.NextStep(), Was: t, Is: t}
		if o.Err = r.look(ctx, name, f); o.Err == nil {
			f.Coming = coming[name]
			o.Is, o.Err = t.Take(o.Step, f)
			switch {
			case o.Err != nil:
				o.Is.Observe(f)
			case o.Step == StepInbound && !r.docs[name].Keys.Clock():
				o.Is.Said = r.docs[name].Keys.Epoch.V
			}
			r.tunnels[name] = o.Is
		}
		o.Facts = *f
		all = append(all, o)
	}
	if err := r.save(); err != nil {
		return all, err
	}
	r.wanted, err = r.resolve(ctx, r.tunnels)
	return all, err
}

// look finds out what the SAs of a tunnel have carried.
func (r *Runner) look(ctx context.Context, name string, f *Facts) error {
	t := r.tunnels[name]
	old := t.Old
	if t.Out() == t.Epoch {
		old = named(sas(r.wanted, name, t.Epoch))
	}
	f.Old, f.OldGone = old, true
	if t.Settled() {
		return r.docs[name].Rotates()
	}
	for _, sa := range old {
		if !sa.In {
			continue
		}
		n, there, err := r.session.Packets(ctx, sa.ID)
		if err != nil {
			return err
		}
		if there {
			f.OldIn, f.OldGone = f.OldIn+n, false
		}
	}
	for _, sa := range sas(r.wanted, name, t.Next) {
		if sa.Dir != netlinkx.DirIn {
			continue
		}
		n, _, err := r.session.Packets(ctx, sa.ID())
		if err != nil {
			return err
		}
		f.NewIn = n
	}
	return nil
}

// named is SAs as a Tunnel keeps them.
func named(sas []*netlinkx.SA) (all []SA) {
	for _, sa := range sas {
		all = append(all, SA{sa.ID(), sa.Dir == netlinkx.DirIn})
	}
	return all
}

// rehearse plans the rotations that are about to begin as far as their new
// keys: a key or SPI that cannot be had is found before anything is noted. It
// returns the SPIs that come.
func (r *Runner) rehearse(ctx context.Context, wish map[string]*Facts) (map[string][]netlinkx.SPI, error) {
	trial, begins := map[string]Tunnel{}, false
	for name, t := range r.tunnels {
		if f := wish[name]; f != nil && t.Settled() && f.Target > t.Epoch && r.docs[name].Rotates() == nil {
			t.Old = slices.Concat(t.Old, named(sas(r.wanted, name, t.Epoch)))
			t.Phase, t.Next, begins = Outbound, f.Target, true
		}
		trial[name] = t
	}
	if !begins {
		return nil, nil
	}
	w, err := r.resolve(ctx, trial)
	if err != nil {
		return nil, err
	}
	if _, err := r.session.Plan(ctx, w.State, options(trial, provision.Options{})); err != nil {
		return nil, err
	}
	coming := map[string][]netlinkx.SPI{}
	for name, t := range trial {
		if r.tunnels[name].Phase != t.Phase {
			for _, sa := range sas(w, name, t.Next) {
				coming[name] = append(coming[name], sa.SPI)
			}
		}
	}
	return coming, nil
}
