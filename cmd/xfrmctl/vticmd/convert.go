package vticmd

import (
	"errors"
	"fmt"
	"time"

	"github.com/xfrmctl/xfrmctl/provision/vti"
)

// convert converts, undoes or finishes.
func (c *command) convert() error {
	if c.dryRun {
		return c.session(false, c.plan)
	}
	return c.session(true, func(s *vti.Session) error {
		var done []*vti.Done
		var err error
		switch {
		case c.undo:
			done, err = s.Undo(c.env.Ctx, c.devs)
		case c.finish:
			done, err = s.Finish(c.env.Ctx)
		default:
			done, err = s.Convert(c.env.Ctx, c.devs, c.opts)
		}
		return errors.Join(err, c.report(done, s, err == nil))
	})
}

// way is the direction of a plan that is printed.
type way struct {
	word  string
	steps func(*vti.Move) []*vti.Step
}

// plan prints what convert would do. Moves in the journal go first, as they
// would.
func (c *command) plan(s *vti.Session) error {
	forward := way{"convert", (*vti.Move).Steps}
	back := way{"undo", (*vti.Move).UndoSteps}
	finish := way{"finish", (*vti.Move).FinishSteps}
	switch {
	case c.undo:
		return c.printMoves(s.Moves(), func(*vti.Move) *way { return &back })
	case c.finish:
		return c.printMoves(s.Moves(), func(*vti.Move) *way { return &finish })
	}
	p, err := s.Plan(c.env.Ctx, c.devs, c.opts)
	if err != nil {
		return err
	}
	moves := append(s.Moves(), p.Moves...)
	err = c.printMoves(moves, func(m *vti.Move) *way {
		return map[vti.Phase]*way{"": &forward, vti.Converting: &forward, vti.Undoing: &back, vti.Finishing: &finish}[m.Phase]
	})
	if err != nil || c.env.JSON {
		return err
	}
	for _, n := range p.Notes {
		if _, err := fmt.Fprintf(c.env.Stdout, "note: %s\n", n); err != nil {
			return err
		}
	}
	return nil
}

// moveJSON is a planned move as scripts see it.
type moveJSON struct {
	Way     string     `json:"way"` // convert, undo, finish
	Name    string     `json:"name"`
	IfID    uint32     `json:"if_id"`
	Sources []string   `json:"vtis"`
	Steps   []stepJSON `json:"steps"`
	LossMS  int64      `json:"loss_ms_at_most"`
}

type stepJSON struct {
	Text        string `json:"text"`
	Interrupted bool   `json:"interrupted"`
}

func (c *command) printMoves(moves []*vti.Move, choose func(*vti.Move) *way) error {
	n := 0
	for _, m := range moves {
		w := choose(m)
		if w == nil {
			continue // converted: nothing is left to do
		}
		n++
		if err := c.printMove(m, w); err != nil {
			return err
		}
	}
	if n == 0 && !c.env.JSON {
		_, err := fmt.Fprintln(c.env.Stdout, "nothing to do")
		return err
	}
	return nil
}

func (c *command) printMove(m *vti.Move, w *way) error {
	steps := w.steps(m)
	j := moveJSON{Way: w.word, Name: m.Name, IfID: m.IfID}
	for _, s := range m.Sources {
		j.Sources = append(j.Sources, s.Name)
	}
	loss := false
	for _, s := range steps {
		j.Steps = append(j.Steps, stepJSON{s.Text, s.Cut})
		loss = loss || s.Cut
	}
	if loss {
		j.LossMS = m.Lossy().Milliseconds()
	}
	if c.env.JSON {
		return c.env.Encode(&j)
	}
	fmt.Fprintf(c.env.Stdout, "%s %s, XFRM interface with if_id %#x:\n", w.word, m.Name, m.IfID)
	for _, s := range j.Steps {
		mark := " "
		if s.Interrupted {
			mark = "*"
		}
		fmt.Fprintf(c.env.Stdout, "%s %s\n", mark, s.Text)
	}
	if !loss {
		return nil
	}
	_, err := fmt.Fprintf(c.env.Stdout, "loss: what is sent and received during the steps marked *; at most %s, normally some milliseconds. Nothing leaves in clear\n", m.Lossy())
	return err
}

// onStep tells of a step that was taken.
func (c *command) onStep(m *vti.Move, s *vti.Step) {
	var err error
	switch {
	case c.env.JSON:
		err = c.env.Encode(map[string]any{"event": "step", "name": m.Name, "text": s.Text})
	case c.env.Verbose:
		_, err = fmt.Fprintf(c.env.Stdout, "%s: %s\n", m.Name, s)
	}
	if c.printErr == nil {
		c.printErr = err
	}
}

// doneJSON is the outcome of a move.
type doneJSON struct {
	Event         string  `json:"event"` // converted, undone, finished
	Name          string  `json:"name"`
	IfID          uint32  `json:"if_id"`
	InterruptedMS float64 `json:"interrupted_ms"`
	LossMS        int64   `json:"loss_ms_at_most"`
}

// report prints what became of each move.
func (c *command) report(done []*vti.Done, s *vti.Session, ok bool) error {
	if c.printErr != nil {
		return c.printErr
	}
	for _, d := range done {
		m := d.Move
		event := map[vti.Phase]string{vti.Converted: "converted", vti.Undoing: "undone", vti.Finishing: "finished"}[m.Phase]
		var err error
		if c.env.JSON {
			err = c.env.Encode(&doneJSON{event, m.Name, m.IfID, float64(d.Interrupted.Microseconds()) / 1000, m.Lossy().Milliseconds()})
		} else {
			_, err = fmt.Fprintf(c.env.Stdout, "%s: %s\n", m.Name, outcome(event, d))
		}
		if err != nil {
			return err
		}
	}
	if c.env.JSON || !ok {
		return nil
	}
	if len(done) == 0 {
		_, err := fmt.Fprintln(c.env.Stdout, "nothing to do")
		return err
	}
	if !c.undo && !c.finish && len(s.Moves()) > 0 {
		_, err := fmt.Fprintln(c.env.Stdout, "xfrmctl vti convert --undo goes back; --finish deletes the old VTIs, their policies and the way back")
		return err
	}
	return nil
}

func outcome(event string, d *vti.Done) string {
	took := fmt.Sprintf("interrupted for %s of at most %s", d.Interrupted.Round(100*time.Microsecond), d.Move.Lossy())
	switch event {
	case "converted":
		return fmt.Sprintf("an XFRM interface now, if_id %#x; %s", d.Move.IfID, took)
	case "undone":
		return "a VTI again; " + took
	}
	return "the VTI is deleted"
}
