package vti

import (
	"context"
	"fmt"
	"slices"
	"time"
)

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
