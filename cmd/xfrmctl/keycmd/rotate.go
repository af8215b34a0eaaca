package keycmd

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/apply"
	"github.com/xfrmctl/xfrmctl/provision"
	"github.com/xfrmctl/xfrmctl/provision/rotate"
)

// UntakenError tells that steps of some tunnels were not taken.
type UntakenError struct {
	Tunnels int
	Err     error // that of the first
}

// Error returns one line.
func (e *UntakenError) Error() string {
	if e.Tunnels == 1 {
		return "tunnel " + e.Err.Error()
	}
	return fmt.Sprintf("%d tunnels did not go on, the first: tunnel %v", e.Tunnels, e.Err)
}

// Unwrap returns the error of the first tunnel.
func (e *UntakenError) Unwrap() error { return e.Err }

// report prints an outcome, and counts it when the step was not taken.
func (c *command) report(o rotate.Outcome, untaken *UntakenError) error {
	if o.Err != nil {
		if untaken.Tunnels++; untaken.Tunnels == 1 {
			untaken.Err = fmt.Errorf("%s: %w", o.Tunnel, o.Err)
		}
	}
	return c.tell(o)
}

// verdict is the error of a command that has reported everything.
func (e *UntakenError) verdict() error {
	if e.Tunnels == 0 {
		return nil
	}
	return e
}

// poll is how often a step that has to wait is tried again at most.
const poll = 20 * time.Millisecond

// rotate takes a step of each tunnel, and tries those again for a while that
// have to wait. The lock is free meanwhile.
func (c *command) rotate() error {
	req := &rotate.Request{Tunnels: c.words.tunnels, Step: c.words.step, Target: c.words.epoch, Quiet: c.words.quiet, PeerReady: c.words.ready}
	untaken := &UntakenError{}
	for end := time.Now().Add(c.words.wait); ; {
		begun := time.Now()
		all, err := c.take(req)
		if err != nil {
			return err
		}
		req.Tunnels = nil
		for _, o := range all {
			var wait *rotate.WaitError
			if begun.Before(end) && errors.As(o.Err, &wait) {
				req.Tunnels = append(req.Tunnels, o.Tunnel)
				continue
			}
			if err := c.report(o, untaken); err != nil {
				return err
			}
		}
		if req.Tunnels == nil {
			return untaken.verdict()
		}
		if err := c.sleep(max(poll, c.words.quiet/2, time.Since(begun))); err != nil {
			return err
		}
	}
}

func (c *command) sleep(d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-c.env.Ctx.Done():
		return c.env.Ctx.Err()
	case <-t.C:
		return nil
	}
}

// take takes one step of tunnels.
func (c *command) take(req *rotate.Request) (all []rotate.Outcome, err error) {
	err = c.with(false, nil, func(r *rotate.Runner) error {
		all, err = r.Step(c.env.Ctx, req)
		return err
	})
	return all, err
}

// with opens a session for as long as do takes.
func (c *command) with(readOnly bool, onTaken func(rotate.Outcome), do func(*rotate.Runner) error) error {
	r, err := c.runner(onTaken)
	if err != nil {
		return err
	}
	links, err := c.env.Links()
	if err != nil {
		return err
	}
	s, err := c.words.Open(c.env, links, &provision.Config{Owner: r.Owner(), ReadOnly: readOnly})
	if err != nil {
		return errors.Join(err, links.Close())
	}
	if err = r.Use(c.env.Ctx, s); err == nil {
		err = do(r)
	}
	return errors.Join(err, s.Close(), links.Close())
}

// giveUp returns to the keys in force.
func (c *command) giveUp() error {
	return c.with(false, nil, func(r *rotate.Runner) error {
		all, err := r.GiveUp(c.env.Ctx, c.words.tunnels)
		untaken := &UntakenError{}
		for _, o := range all {
			err = errors.Join(err, c.report(o, untaken))
		}
		return errors.Join(err, untaken.verdict())
	})
}

// status prints how the keys of all tunnels stand.
func (c *command) status() error {
	return c.with(true, nil, func(r *rotate.Runner) error {
		for _, o := range r.Status(c.env.Ctx) {
			if !c.asked(o.Tunnel) {
				continue
			}
			if err := c.show(o); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *command) asked(tunnel string) bool {
	return len(c.words.tunnels) == 0 || slices.Contains(c.words.tunnels, tunnel)
}

// byClock begins a rotation, and stays until its last step has been taken. One
// that is under way is gone on with.
func (c *command) byClock() error {
	if err := c.begin(); err != nil {
		return err
	}
	var failed error
	taken := func(o rotate.Outcome) { failed = errors.Join(failed, c.tell(o)) }
	for {
		var wake time.Time
		under := false
		err := c.with(false, taken, func(r *rotate.Runner) error {
			_, err := r.Apply(c.env.Ctx, provision.Options{})
			wake, _ = r.Wake()
			for _, o := range r.Status(c.env.Ctx) {
				under = under || c.asked(o.Tunnel) && !o.Is.Settled()
			}
			return err
		})
		if err := errors.Join(err, failed, c.env.Flush()); err != nil || !under {
			return err
		}
		if err := c.sleep(max(time.Until(wake), poll)); err != nil {
			return err
		}
	}
}

// begin takes step inbound of the tunnels that are settled.
func (c *command) begin() error {
	return c.with(false, nil, func(r *rotate.Runner) error {
		var begin []string
		for _, o := range r.Status(c.env.Ctx) {
			switch {
			case !c.asked(o.Tunnel):
			case o.Is.Settled():
				begin = append(begin, o.Tunnel)
			case o.Is.At.IsZero():
				return fmt.Errorf("tunnel %s is rotating step by step: finish that first, xfrmctl keys rotate without --at takes the next step", o.Tunnel)
			}
		}
		if begin == nil {
			return nil
		}
		if left := time.Until(c.words.at); left < c.words.slack {
			return &apply.WordError{Msg: fmt.Sprintf("--at %s is too near: both ends begin at least the slack, %s, before it", c.words.at.Format(time.RFC3339), c.words.slack),
				Hint: "xfrmctl keys rotate without --at goes step by step"}
		}
		all, err := r.Step(c.env.Ctx, &rotate.Request{Tunnels: begin, Step: rotate.StepInbound, Target: c.words.epoch, At: c.words.at, Slack: c.words.slack})
		for _, o := range all {
			if err == nil {
				err = errors.Join(c.tell(o), o.Err)
			}
		}
		return err
	})
}
