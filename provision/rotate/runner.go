package rotate

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/provision"
	"github.com/xfrmctl/xfrmctl/provision/document"
)

// Config says whose keys a Runner looks after.
type Config struct {
	Document *document.Document
	Node     string
	// Surroundings are those of the node; their Epochs are the Runner's affair.
	Surroundings document.Surroundings
	StateDir     string
	Now          func() time.Time
	// Rotating: an epoch that the document names for the first time is one to
	// rotate to, and not one to have at once.
	Rotating bool
	// OnTaken is called with each step by the clock, when it has been carried
	// out. It may be nil.
	OnTaken func(Outcome)
}

// Session is what a Runner does things with: a *provision.Session.
type Session interface {
	ReadRotation() ([]byte, error)
	WriteRotation([]byte) error
	Plan(context.Context, *provision.State, provision.Options) (*provision.Result, error)
	Apply(context.Context, *provision.State, provision.Options) (*provision.Result, error)
	Packets(context.Context, netlinkx.SAID) (n uint64, there bool, err error)
}

var _ Session = (*provision.Session)(nil)

// Runner brings a node to what its document and the rotations of its keys say.
// It serves one goroutine.
type Runner struct {
	cfg     Config
	session Session
	owner   provision.Owner
	docs    map[string]*document.Tunnel
	names   []string // of the node's tunnels, in the document's order
	raw     []byte
	rec     *record
	tunnels map[string]Tunnel
	targets map[string]uint64 // where a rotation would lead
	wanted  *document.Wanted
}

// New reads the document and what is recorded of its rotations, and follows the
// references to keys. It writes nothing. Errors: *document.ProblemsError and
// those of files.
func New(ctx context.Context, cfg *Config) (*Runner, error) {
	owner, err := cfg.Document.OwnerOf(cfg.Node)
	if err != nil {
		return nil, err
	}
	r := &Runner{cfg: *cfg, owner: owner, docs: map[string]*document.Tunnel{}}
	for _, t := range cfg.Document.Tunnels {
		if t.Has(cfg.Node) {
			r.docs[t.Name.V] = t
			r.names = append(r.names, t.Name.V)
		}
	}
	raw, err := provision.ReadRotation(cfg.StateDir, owner.Name)
	if err != nil {
		return nil, err
	}
	return r, r.load(ctx, raw)
}

// Owner is in whose name the node makes objects.
func (r *Runner) Owner() provision.Owner { return r.owner }

// Wanted is what the node shall have now; borrowed.
func (r *Runner) Wanted() *provision.State { return r.wanted.State }

// Use gives the Runner a session of its owner, borrowed. Another process may
// have gone on with a rotation until the session had the lock.
func (r *Runner) Use(ctx context.Context, s Session) error {
	r.session = s
	raw, err := s.ReadRotation()
	if err != nil || bytes.Equal(raw, r.raw) {
		return err
	}
	return r.load(ctx, raw)
}

func (r *Runner) load(ctx context.Context, raw []byte) (err error) {
	if r.rec, err = decode(raw); err != nil {
		return err
	}
	now := r.cfg.Now()
	r.raw, r.tunnels, r.targets = raw, map[string]Tunnel{}, map[string]uint64{}
	for name, doc := range r.docs {
		t := r.rec.Tunnels[name]
		if r.cfg.Rotating {
			if r.tunnels[name], r.targets[name], err = target(t, doc, now); err != nil {
				return err
			}
			continue
		}
		r.tunnels[name] = adopt(t, doc, now)
	}
	r.wanted, err = r.resolve(ctx, r.tunnels)
	return err
}

func (r *Runner) resolve(ctx context.Context, tunnels map[string]Tunnel) (*document.Wanted, error) {
	in := r.cfg.Surroundings
	in.Epochs = map[string]document.Epochs{}
	for name, t := range tunnels {
		in.Epochs[name] = document.Epochs{In: t.In(), Out: t.Out()}
	}
	return r.cfg.Document.Resolve(ctx, r.cfg.Node, &in)
}

// save writes the record, unless it is there already.
func (r *Runner) save() error {
	maps.Copy(r.rec.Tunnels, r.tunnels)
	raw, err := r.rec.encode()
	if err != nil || bytes.Equal(raw, r.raw) {
		return err
	}
	r.raw = raw
	return r.session.WriteRotation(raw)
}

// options adds to a plan's which SAs stay or go because of rotations.
func options(tunnels map[string]Tunnel, opts provision.Options) provision.Options {
	opts.Keep, opts.Retire = map[provision.ID]bool{}, map[provision.ID]bool{}
	for _, t := range tunnels {
		for _, sa := range t.Old {
			if t.Phase == Deleting {
				opts.Retire[provision.SAObject(sa.ID)] = true
			} else {
				opts.Keep[provision.SAObject(sa.ID)] = true
			}
		}
	}
	return opts
}

// Plan returns the steps to what the node shall have now.
func (r *Runner) Plan(ctx context.Context, opts provision.Options) (*provision.Result, error) {
	return r.session.Plan(ctx, r.wanted.State, options(r.tunnels, opts))
}

// PlanLast is Plan for a Runner of which nothing else is asked any more: it lets
// go of the document first, which takes a third of the memory that a plan does.
func (r *Runner) PlanLast(ctx context.Context, opts provision.Options) (*provision.Result, error) {
	r.cfg.Document, r.docs, r.wanted.SAs = nil, nil, nil
	return r.Plan(ctx, opts)
}

// Apply brings the node to what it shall have, and takes the steps of rotations
// whose time has come. Errors are those of provision.Session.Apply.
func (r *Runner) Apply(ctx context.Context, opts provision.Options) (*provision.Result, error) {
	all, err := r.settle(ctx, opts)
	var refused *provision.RefusedError
	if errors.As(err, &refused) && r.overtaken(ctx) {
		all, err = r.settle(ctx, opts)
	}
	for err == nil && !opts.InboundOnly {
		var taken []Outcome
		if taken, err = r.follow(ctx); err != nil || len(taken) == 0 {
			break
		}
		var res *provision.Result
		if res, err = r.settle(ctx, opts); res != nil {
			all = &provision.Result{Steps: slices.Concat(all.Steps, res.Steps), Left: res.Left, Notes: res.Notes}
		}
		if err == nil && r.cfg.OnTaken != nil {
			for _, o := range taken {
				r.cfg.OnTaken(o)
			}
		}
	}
	return all, err
}

// Wake returns when the next step by a clock may be due; ok is false, and the
// time zero, when none will be.
func (r *Runner) Wake() (at time.Time, ok bool) {
	now := r.cfg.Now()
	for name, t := range r.tunnels {
		if x, due := t.wake(clockOf(r.docs[name]), now); due && (!ok || x.Before(at)) {
			at, ok = x, true
		}
	}
	return at, ok
}

// Steady reports whether no change of keys is under way.
func (r *Runner) Steady() bool {
	for _, t := range r.tunnels {
		if !t.Settled() {
			return false
		}
	}
	return true
}

// Status returns how the keys of the node's tunnels stand, in the document's
// order, without a step taken.
func (r *Runner) Status(ctx context.Context) (all []Outcome) {
	for _, name := range r.names {
		t := r.tunnels[name]
		o := Outcome{Tunnel: name, Step: t.NextStep(), Was: t, Is: t, Facts: Facts{Now: r.cfg.Now()}}
		o.Err = r.look(ctx, name, &o.Facts)
		all = append(all, o)
	}
	return all
}

// overtaken gives up rotations that cannot go on and whose time is over, because
// the clock asks for the next one. It reports whether there were any.
func (r *Runner) overtaken(ctx context.Context) (any bool) {
	for _, name := range r.names {
		clock := clockOf(r.docs[name])
		if t := r.tunnels[name]; clock != nil && !t.Settled() && clock.Epoch(r.cfg.Now().Add(2*clock.Slack)) > t.Next {
			any = r.giveUp(ctx, name) == nil || any
		}
	}
	if !any || r.save() != nil {
		return false
	}
	w, err := r.resolve(ctx, r.tunnels)
	if err == nil {
		r.wanted = w
	}
	return err == nil
}

// settle makes what all phases ask for. A rotation whose old SAs are gone has
// ended.
func (r *Runner) settle(ctx context.Context, opts provision.Options) (*provision.Result, error) {
	res, err := r.session.Apply(ctx, r.wanted.State, options(r.tunnels, opts))
	if err != nil || opts.InboundOnly {
		return res, err
	}
	for name, t := range r.tunnels {
		if t.Phase == Deleting {
			r.tunnels[name] = t.Finish()
		}
	}
	return res, r.save()
}

// follow notes the steps whose time has come, on disk when it returns.
func (r *Runner) follow(ctx context.Context) (taken []Outcome, err error) {
	now := r.cfg.Now()
	due := map[string]*Facts{}
	for _, name := range r.names {
		t := r.tunnels[name]
		if _, f, ok := t.Due(clockOf(r.docs[name]), now); ok {
			due[name] = &f
		}
	}
	if len(due) == 0 {
		return nil, nil
	}
	all, err := r.take(ctx, due)
	var wait *WaitError
	for _, o := range all {
		switch {
		case o.Err == nil:
			taken = append(taken, o)
		case !errors.As(o.Err, &wait):
			err = errors.Join(err, o.Err)
		}
	}
	return taken, err
}

// sas returns the SAs of a tunnel with keys of an epoch.
func sas(w *document.Wanted, tunnel string, epoch uint64) (all []*netlinkx.SA) {
	for _, x := range w.SAs[tunnel] {
		if x.Epoch == epoch {
			all = append(all, x.SA)
		}
	}
	return all
}
