package apply

import (
	"fmt"
	"strings"

	"github.com/xfrmctl/xfrmctl/provision"
	"github.com/xfrmctl/xfrmctl/provision/rotate"
)

// stepJSON is a step as scripts see it.
type stepJSON struct {
	Event  string `json:"event"` // step, undone
	Verb   string `json:"verb"`
	Object string `json:"object"`
	Why    string `json:"why,omitempty"`
	Loss   string `json:"loss,omitempty"`
	// Placement is of SAs that a device shall carry.
	Placement *placementJSON `json:"placement,omitempty"`
}

// placementJSON says where an SA shall be and why.
type placementJSON struct {
	Want   string `json:"want"` // auto, prefer, require
	Rung   string `json:"rung"`
	NIC    string `json:"nic,omitempty"`
	Reason string `json:"reason,omitempty"`
	Fix    string `json:"fix,omitempty"`
}

// endJSON is what comes last.
type endJSON struct {
	Event string         `json:"event"` // planned, applied, failed
	Steps int            `json:"steps"`
	Left  []provision.ID `json:"left,omitempty"`
	Notes []string       `json:"notes,omitempty"`
}

func jsonStep(event string, s *provision.Step) *stepJSON {
	out := &stepJSON{Event: event, Verb: string(s.Verb), Object: string(s.ID), Why: s.Why, Loss: s.Loss}
	if p := s.Placement; p != nil {
		out.Placement = &placementJSON{string(p.Want), string(p.Rung), p.NIC, p.Reason, p.Fix}
	}
	return out
}

// counts are the steps that were carried out, by verb.
type counts struct {
	verbs map[provision.Verb]int
	all   int
	// written are the objects of the steps, in order; only while it stays.
	written []provision.ID
	err     error // of printing
}

// onStep tells of a step that was carried out: at once to scripts and with
// --verbose, else in the summary.
func (c *command) onStep(e provision.Event) {
	n := &c.count
	if n.verbs == nil {
		n.verbs = map[provision.Verb]int{}
	}
	event, prefix := "step", ""
	switch {
	case e.Undone:
		event, prefix = "undone", "undone: "
		n.verbs[e.Step.Verb]--
		n.all--
		c.progress.step(-1)
	default:
		n.verbs[e.Step.Verb]++
		n.all++
		c.progress.step(1)
		if c.again {
			n.written = append(n.written, e.Step.ID)
		}
	}
	var err error
	switch {
	case c.env.JSON:
		err = c.env.Encode(jsonStep(event, e.Step))
	case c.env.Verbose:
		_, err = fmt.Fprintf(c.env.Stdout, "%s%s\n", prefix, e.Step)
	}
	if n.err == nil {
		n.err = err
	}
}

// takenJSON is a step of a change of keys as scripts see it.
type takenJSON struct {
	Event  string `json:"event"` // rotation
	Tunnel string `json:"tunnel"`
	Step   string `json:"step"`
	Epoch  uint64 `json:"epoch"` // of the new keys
}

// onTaken tells of a step of a change of keys by the clock.
func (c *command) onTaken(o rotate.Outcome) {
	epoch := o.Is.Next
	var err error
	if c.env.JSON {
		err = c.env.Encode(&takenJSON{"rotation", o.Tunnel, string(o.Step), epoch})
	} else {
		_, err = fmt.Fprintf(c.env.Stdout, "%s: tunnel %s, epoch %d: %s\n", c.words.As, o.Tunnel, epoch, o.Step)
	}
	if c.count.err == nil {
		c.count.err = err
	}
}

// summary prints what apply or delete did.
func (c *command) summary(res *provision.Result, ok bool) error {
	if c.count.err != nil {
		return c.count.err
	}
	if res == nil {
		return nil // refused before anything was begun
	}
	if c.again && ok && c.count.all == 0 {
		return nil
	}
	if c.env.JSON {
		event := "applied"
		if !ok {
			event = "failed"
		}
		return c.env.Encode(&endJSON{event, c.count.all, res.Left, res.Notes})
	}
	var parts []string
	for _, v := range []provision.Verb{provision.Create, provision.NewSPI, provision.Change, provision.Replace, provision.Delete} {
		if n := c.count.verbs[v]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", v, n))
		}
	}
	text := fmt.Sprintf("%d writes", c.count.all)
	if parts != nil {
		text += ": " + strings.Join(parts, ", ")
	}
	if _, err := fmt.Fprintf(c.env.Stdout, "%s: %s\n", c.words.As, text); err != nil {
		return err
	}
	return c.left(res)
}

// print prints a plan.
func (c *command) print(res *provision.Result) error {
	if c.env.JSON {
		for _, s := range res.Steps {
			if err := c.env.Encode(jsonStep("step", s)); err != nil {
				return err
			}
		}
		return c.env.Encode(&endJSON{"planned", len(res.Steps), res.Left, res.Notes})
	}
	for _, s := range res.Steps {
		line := s.String()
		if c.verb == "diff" {
			line = diffLine(s)
		}
		if _, err := fmt.Fprintln(c.env.Stdout, line); err != nil {
			return err
		}
	}
	if c.verb != "diff" {
		text := fmt.Sprintf("%d steps", len(res.Steps))
		if len(res.Steps) == 0 {
			text = "nothing to do"
		}
		if _, err := fmt.Fprintf(c.env.Stdout, "%s: %s\n", c.words.As, text); err != nil {
			return err
		}
	}
	return c.left(res)
}

// diffLine shows what is missing with +, what is too much with - and what is
// otherwise with ~.
func diffLine(s *provision.Step) string {
	switch s.Verb {
	case provision.Delete:
		return "- " + string(s.ID)
	case provision.Change, provision.Replace:
		if s.Why != "" {
			return "~ " + string(s.ID) + ": " + s.Why
		}
		return "~ " + string(s.ID)
	}
	return "+ " + string(s.ID)
}

// left says what stays, and notes: of a run, not of one that had nothing to do.
func (c *command) left(res *provision.Result) error {
	for _, note := range res.Notes {
		if c.writes() && c.count.all == 0 {
			break
		}
		if _, err := fmt.Fprintf(c.env.Stdout, "note: %s\n", note); err != nil {
			return err
		}
	}
	if len(res.Left) == 0 {
		return nil
	}
	_, err := fmt.Fprintf(c.env.Stdout, "%d objects of ours are not in the document and stay, the first: %s; --prune removes them\n", len(res.Left), res.Left[0])
	return err
}
