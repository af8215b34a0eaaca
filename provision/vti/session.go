package vti

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/ifaces/rtnl"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/provision"
)

// Config says where a Session works.
type Config struct {
	// StateDir holds the journal. It is made, with mode 0700, unless ReadOnly.
	StateDir string
	// XFRM and Links are the kernel's, in the namespace NetNS, borrowed until
	// Close.
	XFRM  *netlinkx.Conn
	Links *ifaces.Conn
	NetNS netlinkx.NetNS
	// ReadOnly takes no lock and changes nothing.
	ReadOnly bool
	// OnWait is called once when another process holds the lock, which is then
	// waited for; nil: Open fails with *provision.LockedError.
	OnWait func(holder string)
	// OnStep is called after each step, OnNote with what is worth knowing; calls
	// are synchronous. Both may be nil.
	OnStep func(*Move, *Step)
	OnNote func(string)
	// Dial, if not nil, connects to rtnetlink in place of a socket in NetNS.
	Dial func() (netlinkx.Transport, error)
}

func (c *Config) dial() (netlinkx.Transport, error) {
	if c.Dial != nil {
		return c.Dial()
	}
	return rtnl.Dial(c.NetNS)
}

// Session works on the VTIs of one namespace. It serves one goroutine.
type Session struct {
	cfg     Config
	lock    io.Closer
	kernel  *kernel
	journal *journal
}

// Open takes the lock and reads the journal. Errors: *provision.LockedError, and
// what the files or the routing socket say.
func Open(ctx context.Context, cfg *Config) (*Session, error) {
	s := &Session{cfg: *cfg}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Session) open(ctx context.Context) (err error) {
	if !s.cfg.ReadOnly {
		if s.lock, err = provision.LockDir(ctx, s.cfg.StateDir, s.cfg.OnWait); err != nil {
			return err
		}
	}
	boot, inode, err := provision.Whereabouts(s.cfg.NetNS)
	if err != nil {
		return err
	}
	if s.journal, err = openJournal(s.cfg.StateDir, boot, inode); err != nil {
		return err
	}
	t, err := s.cfg.dial()
	if err != nil {
		return err
	}
	s.kernel = &kernel{rtnl.New(t)}
	return s.forget(ctx)
}

// forget drops moves of a namespace that is no more.
func (s *Session) forget(ctx context.Context) error {
	for _, m := range s.Moves() {
		stale, err := s.stale(ctx, m)
		if err != nil {
			return err
		}
		if !stale {
			continue
		}
		s.note("%s: what the state directory tells of it is not in this namespace: forgotten", m.sourceNames())
		s.journal.saved.Moves = slices.DeleteFunc(s.journal.saved.Moves, func(o *Move) bool { return o == m })
	}
	return nil
}

// Close gives the lock back. The connections of Config stay open.
func (s *Session) Close() error {
	var errs []error
	if s.kernel != nil {
		errs = append(errs, s.kernel.close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}

// Audit inspects the namespace.
func (s *Session) Audit(ctx context.Context) (*Report, error) {
	state, err := s.observe(ctx)
	if err != nil {
		return nil, err
	}
	return Inspect(state, s.journal.saved.Moves), nil
}

// Moves returns what the journal holds: conversions that were not finished, or
// not completed.
func (s *Session) Moves() []*Move { return slices.Clone(s.journal.saved.Moves) }

// Plan plans the conversion of the VTIs of those names, of all when there are
// none. Those that were converted before are left out. It writes nothing.
// Errors: *RefusedError.
func (s *Session) Plan(ctx context.Context, names []string, opts Options) (*Plan, error) {
	state, err := s.observe(ctx)
	if err != nil {
		return nil, err
	}
	moved := func(name string) bool {
		return slices.ContainsFunc(s.journal.saved.Moves, func(m *Move) bool { return m.has(name) })
	}
	all := len(names) == 0
	names = slices.DeleteFunc(slices.Clone(names), moved)
	state.VTIs = slices.DeleteFunc(state.VTIs, func(v *ifaces.VTI) bool { return movedIn(s.journal.saved.Moves, v) })
	if !all && len(names) == 0 {
		return &Plan{}, nil
	}
	return NewPlan(state, names, opts)
}

func (m *Move) has(name string) bool {
	return slices.ContainsFunc(m.Sources, func(src *Source) bool { return src.Name == name })
}

// Done is what became of one move.
type Done struct {
	Move *Move
	// Interrupted is for how long its traffic was.
	Interrupted time.Duration
}

// Convert completes what was begun and then converts the VTIs of those names;
// without names, all. When a step is refused, its move is undone, and the error
// tells of it. Errors: *RefusedError when nothing was begun.
func (s *Session) Convert(ctx context.Context, names []string, opts Options) ([]*Done, error) {
	done, err := s.Resume(ctx)
	if err != nil {
		return done, err
	}
	plan, err := s.Plan(ctx, names, opts)
	if err != nil {
		return done, err
	}
	for _, n := range plan.Notes {
		s.note("%s", n)
	}
	for _, m := range plan.Moves {
		if err := ctx.Err(); err != nil {
			return done, err
		}
		d, err := s.convert(ctx, m)
		if err != nil {
			return done, err
		}
		done = append(done, d)
	}
	return done, nil
}

// Resume completes what a run that was killed had begun, in the direction in
// which it went.
func (s *Session) Resume(ctx context.Context) (done []*Done, err error) {
	for _, m := range s.Moves() {
		var d *Done
		switch m.Phase {
		case Converting:
			d, err = s.convert(ctx, m)
		case Undoing:
			d, err = s.undo(ctx, m)
		case Finishing:
			d, err = s.finish(ctx, m)
		default:
			continue
		}
		if err != nil {
			return done, err
		}
		done = append(done, d)
	}
	return done, nil
}

func (s *Session) convert(ctx context.Context, m *Move) (*Done, error) {
	if err := s.journal.begin(m, Converting); err != nil {
		return nil, err
	}
	d, err := s.walk(ctx, m, m.Steps())
	if err != nil {
		back := context.WithoutCancel(ctx)
		if _, uerr := s.undo(back, m); uerr != nil {
			return nil, fmt.Errorf("%w; and it could not be undone: %w", err, uerr)
		}
		return nil, fmt.Errorf("%w (%s was not converted: all was put back)", err, m.sourceNames())
	}
	return d, s.journal.begin(m, Converted)
}

// Undo brings back the VTIs of those names, all without names, from wherever
// their conversion has come to. A conversion that is being finished is
// finished.
func (s *Session) Undo(ctx context.Context, names []string) (done []*Done, err error) {
	for _, n := range names {
		if !slices.ContainsFunc(s.journal.saved.Moves, func(m *Move) bool { return m.has(n) }) {
			return nil, &RefusedError{[]Refusal{{n, []string{"no conversion of it is in the state directory"}}}}
		}
	}
	for _, m := range slices.Backward(s.Moves()) {
		if len(names) > 0 && !slices.ContainsFunc(names, m.has) {
			continue
		}
		var d *Done
		if m.Phase == Finishing {
			s.note("%s: too late to undo: finishing it had begun", m.Name)
			d, err = s.finish(ctx, m)
		} else {
			d, err = s.undo(ctx, m)
		}
		if err != nil {
			return done, err
		}
		done = append(done, d)
	}
	return done, nil
}

func (s *Session) undo(ctx context.Context, m *Move) (*Done, error) {
	if m.Phase == Converted {
		if err := s.latecomers(ctx, m); err != nil {
			return nil, err
		}
	}
	if err := s.journal.begin(m, Undoing); err != nil {
		return nil, err
	}
	d, err := s.walk(ctx, m, m.UndoSteps())
	if err != nil {
		return nil, err
	}
	return d, s.journal.drop(m)
}

// Finish deletes what converted VTIs left behind; they cannot be undone then.
// What was begun is completed first.
func (s *Session) Finish(ctx context.Context) ([]*Done, error) {
	done, err := s.Resume(ctx)
	if err != nil {
		return done, err
	}
	for _, m := range s.Moves() {
		d, err := s.finish(ctx, m)
		if err != nil {
			return done, err
		}
		done = append(done, d)
	}
	return done, nil
}

func (s *Session) finish(ctx context.Context, m *Move) (*Done, error) {
	if err := s.journal.begin(m, Finishing); err != nil {
		return nil, err
	}
	d, err := s.walk(ctx, m, m.FinishSteps())
	if err != nil {
		return nil, err
	}
	return d, s.journal.drop(m)
}

func (m *Move) sourceNames() string {
	var names []string
	for _, src := range m.Sources {
		names = append(names, src.Name)
	}
	return strings.Join(names, ", ")
}

func (s *Session) note(format string, args ...any) {
	if s.cfg.OnNote != nil {
		s.cfg.OnNote(fmt.Sprintf(format, args...))
	}
}
