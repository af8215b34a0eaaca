package keycmd

import (
	"errors"
	"fmt"
	"time"

	"github.com/xfrmctl/xfrmctl/provision/rotate"
)

// outcomeJSON is a step as scripts see it.
type outcomeJSON struct {
	Event  string `json:"event"` // rotation, status
	Tunnel string `json:"tunnel"`
	Step   string `json:"step,omitempty"`
	Taken  bool   `json:"taken"`
	Reason string `json:"reason,omitempty"` // why it was not taken
	Phase  string `json:"phase"`
	Epoch  uint64 `json:"epoch"`          // in force
	Coming uint64 `json:"next,omitempty"` // that comes
	Basis  string `json:"basis,omitempty"`
	// packets on both inbound SAs
	NewIn    uint64 `json:"new_in"`
	OldIn    uint64 `json:"old_in"`
	NextStep string `json:"next_step"`
}

func jsonOf(event string, o rotate.Outcome) *outcomeJSON {
	phase := o.Is.Phase
	if o.Is.Settled() {
		phase = rotate.Settled
	}
	j := &outcomeJSON{Event: event, Tunnel: o.Tunnel, Phase: string(phase), Epoch: o.Is.Epoch, Coming: o.Is.Next, Basis: string(o.Is.Basis),
		NewIn: o.Facts.NewIn, OldIn: o.Facts.OldIn, NextStep: string(o.Is.NextStep())}
	if event == "rotation" {
		j.Step, j.Taken = string(o.Step), o.Err == nil
	}
	if o.Err != nil {
		j.Reason = o.Err.Error()
	}
	return j
}

// tell prints what became of a step. Why one was not taken is the error's to
// say, but for scripts.
func (c *command) tell(o rotate.Outcome) error {
	switch {
	case c.env.JSON:
		return c.env.Encode(jsonOf("rotation", o))
	case o.Err != nil:
		return nil
	}
	what := fmt.Sprintf("step %s taken", o.Step)
	if o.Step == "" {
		what = fmt.Sprintf("rotation to epoch %d given up", o.Is.Skip)
	}
	_, err := fmt.Fprintf(c.env.Stdout, "%s: tunnel %s: %s: %s\n%s%s", c.words.As, o.Tunnel, what, phaseText(&o.Is), indent(known(&o)), indent(c.next(&o.Is)))
	return err
}

// show prints how the keys of a tunnel stand.
func (c *command) show(o rotate.Outcome) error {
	if c.env.JSON {
		return c.env.Encode(jsonOf("status", o))
	}
	text := ""
	if !o.Is.Settled() {
		text = fmt.Sprintf("%d packets came on the new inbound SA, %d on the old one", o.Facts.NewIn, o.Facts.OldIn)
		if o.Facts.OldGone {
			text = fmt.Sprintf("%d packets came on the new inbound SA; the old one is not there", o.Facts.NewIn)
		}
	}
	_, err := fmt.Fprintf(c.env.Stdout, "%s: tunnel %s: %s\n%s%s", c.words.As, o.Tunnel, phaseText(&o.Is), indent(text), indent(c.next(&o.Is)))
	return err
}

func indent(s string) string {
	if s == "" {
		return ""
	}
	return "  " + s + "\n"
}

func phaseText(t *rotate.Tunnel) string {
	if t.Settled() {
		return fmt.Sprintf("epoch %d is in force", t.Epoch)
	}
	in := t.In()
	if len(in) == 1 {
		return fmt.Sprintf("receives and sends with epoch %d", t.Out())
	}
	return fmt.Sprintf("receives with epochs %d and %d, sends with epoch %d", in[0], in[1], t.Out())
}

// known says what a step rests on, and no more than that.
func known(o *rotate.Outcome) string {
	f := &o.Facts
	switch {
	case o.Step == rotate.StepConfirm && o.Is.Basis == rotate.ByPackets:
		return fmt.Sprintf("known: %d packets came on the new inbound SA, so the peer sends with the new keys, and it has taken step inbound before", f.NewIn)
	case o.Step == rotate.StepConfirm && o.Is.Basis == rotate.ByWord:
		return "by your word: nothing has come on the new inbound SA, so nothing is known of the peer"
	case o.Step == rotate.StepConfirm:
		return "by the clock: nothing has come on the new inbound SA yet"
	case o.Step == rotate.StepDrain && f.OldGone:
		return "known: the old inbound SA is not there any more"
	case o.Step == rotate.StepDrain && f.OldIn != o.Was.Drain.Packets:
		return "by the clock: the old inbound SA still carried packets, and what the peer sends with it from now on is lost"
	case o.Step == rotate.StepDrain && f.NewIn > 0:
		return fmt.Sprintf("known: the old inbound SA has carried nothing for %s, and %d packets came on the new one", silence(o), f.NewIn)
	case o.Step == rotate.StepDrain:
		return fmt.Sprintf("known: the old inbound SA has carried nothing for %s; nothing came on the new one either", silence(o))
	}
	return ""
}

func silence(o *rotate.Outcome) time.Duration {
	return o.Facts.Now.Sub(o.Was.Drain.Since).Round(10 * time.Millisecond)
}

// next says what comes and who has to do what for it.
func (c *command) next(t *rotate.Tunnel) string {
	if !t.At.IsZero() {
		return ""
	}
	switch t.NextStep() {
	case rotate.StepConfirm:
		return "next: confirm, when the peer has taken step inbound too"
	case rotate.StepOutbound:
		return "next: outbound, now"
	case rotate.StepDrain:
		return "next: drain, when the peer has taken step outbound too"
	case rotate.StepDelete:
		return "next: delete, now"
	}
	if t.Skip != 0 {
		return fmt.Sprintf("next: give it up at the peer too, then rotate to epoch %d", t.Skip+1)
	}
	if t.Said != 0 && t.Epoch != t.Said && !t.Clock {
		return fmt.Sprintf("the document says epoch %d, from which this one was counted: write %d into it when both ends are there", t.Said, t.Epoch)
	}
	return ""
}

// Hint returns what to do about an error of these commands, "" when nothing
// more is known.
func Hint(err error) string {
	var wait *rotate.WaitError
	var order *rotate.OrderError
	switch {
	case errors.As(err, &wait) && (wait.Step == rotate.StepConfirm || wait.Step == rotate.StepDrain):
		return "--peer-ready gives your word for the peer; --wait waits longer"
	case errors.As(err, &order):
		return "xfrmctl keys status shows how far it is"
	}
	return ""
}
