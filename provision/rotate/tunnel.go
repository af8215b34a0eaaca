package rotate

import (
	"fmt"
	"slices"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Phase is how far a rotation has come at one end of a tunnel.
type Phase string

// Phases, in order.
const (
	Settled   Phase = "settled"
	Inbound   Phase = "inbound"
	Confirmed Phase = "confirmed"
	Outbound  Phase = "outbound"
	Drained   Phase = "drained"
	Deleting  Phase = "deleting"
)

// Step leads from one phase to the next.
type Step string

// Steps, in order.
const (
	StepInbound  Step = "inbound"
	StepConfirm  Step = "confirm"
	StepOutbound Step = "outbound"
	StepDrain    Step = "drain"
	StepDelete   Step = "delete"
)

// Steps returns all steps in order.
func Steps() []Step { return []Step{StepInbound, StepConfirm, StepOutbound, StepDrain, StepDelete} }

// Basis is what a step rests on that the machine itself cannot know.
type Basis string

// Bases of steps.
const (
	ByPackets Basis = "packets" // they came on the new inbound SA
	ByWord    Basis = "word"    // the operator's
	ByClock   Basis = "clock"   // both clocks are as near to each other as was promised
)

// SA names an SA of the keys that are about to go.
type SA struct {
	ID netlinkx.SAID `json:"id"`
	In bool          `json:"in"`
}

// Tunnel is how the keys of one tunnel stand at one end. The zero value has no
// epoch yet. It is a value: methods that go on return the next one.
type Tunnel struct {
	// Epoch is in force: that of the outbound SA until step outbound.
	Epoch uint64 `json:"epoch"`
	// Said is the epoch that the document named when Epoch came into force:
	// while it names that one, Epoch counts; another one is new and counts itself.
	Said  uint64 `json:"said,omitempty"`
	Clock bool   `json:"clock,omitempty"` // the document has a clock instead
	Phase Phase  `json:"phase,omitempty"` // "" is Settled
	Next  uint64 `json:"next,omitempty"`  // the epoch that comes; 0 when settled
	// Basis is what the peer's inbound SA was taken from.
	Basis Basis `json:"basis,omitempty"`
	// Old are the SAs that go: from step outbound on those of Epoch, and those of
	// rotations that were given up. Skip is the last epoch of these.
	Old  []SA   `json:"old,omitempty"`
	Skip uint64 `json:"skip,omitempty"`
	// At is when both ends send with the new keys, Slack how far their clocks are
	// apart at most; both zero in a rotation step by step.
	At    time.Time     `json:"at,omitzero"`
	Slack time.Duration `json:"slack,omitempty"`
	Drain Drain         `json:"drain,omitzero"`
	// SPIs are those of earlier SAs, the newest last, up to keptSPIs.
	SPIs []netlinkx.SPI `json:"spis,omitempty"`
}

// Drain is what was last seen of the old inbound SA.
type Drain struct {
	Packets uint64    `json:"packets"`
	Since   time.Time `json:"since"` // it has carried nothing since then
}

// keptSPIs bounds the SPIs that are remembered: those of some hundred
// rotations.
const keptSPIs = 256

// In returns the epochs to receive with.
func (t *Tunnel) In() []uint64 {
	switch t.Phase {
	case Inbound, Confirmed, Outbound, Drained:
		return []uint64{t.Epoch, t.Next}
	}
	return []uint64{t.Out()}
}

// Out returns the epoch to send with.
func (t *Tunnel) Out() uint64 {
	switch t.Phase {
	case Outbound, Drained, Deleting:
		return t.Next
	}
	return t.Epoch
}

// Settled reports whether no rotation is under way.
func (t *Tunnel) Settled() bool { return t.Phase == Settled || t.Phase == "" }

// NextStep returns the step that comes next.
func (t *Tunnel) NextStep() Step {
	switch t.Phase {
	case Inbound:
		return StepConfirm
	case Confirmed:
		return StepOutbound
	case Outbound:
		return StepDrain
	case Drained, Deleting:
		return StepDelete
	}
	return StepInbound
}

// Facts are what Take decides by.
type Facts struct {
	Now time.Time
	// Target is the epoch that StepInbound begins, At and Slack its schedule.
	Target uint64
	At     time.Time
	Slack  time.Duration
	// Coming are the SPIs of the SAs that come, for StepInbound.
	Coming []netlinkx.SPI
	// Old are the SAs in force, for StepInbound and StepOutbound.
	Old []SA
	// NewIn is how many packets the new inbound SA has carried, OldIn the old
	// one; OldGone: it is not there any more.
	NewIn, OldIn uint64
	OldGone      bool
	// Quiet is how long the old inbound SA must have carried nothing.
	Quiet time.Duration
	// PeerReady is the operator's word that the peer has taken the step that
	// this one waits for.
	PeerReady bool
}

// OrderError is a step that is not the next one.
type OrderError struct {
	Step, Next Step
	Phase      Phase
}

// Error says which step is next, and why.
func (e *OrderError) Error() string {
	why := map[Step]string{
		StepInbound:  "no rotation is under way: it begins with the new inbound SA",
		StepConfirm:  "it is not known yet that the peer can receive with the new keys",
		StepOutbound: "this end still sends with the old keys",
		StepDrain:    "the peer may still send with the old keys",
		StepDelete:   "the old SAs are still there",
	}
	return fmt.Sprintf("step %s is not allowed now: %s; step %s is next", e.Step, why[e.Next], e.Next)
}

// WaitError is a step that is not allowed yet.
type WaitError struct {
	Step   Step
	Reason string
}

// Error returns the reason.
func (e *WaitError) Error() string { return fmt.Sprintf("step %s: %s", e.Step, e.Reason) }

// RefusedError is a rotation that must not begin.
type RefusedError struct{ Reason string }

// Error returns the reason.
func (e *RefusedError) Error() string { return e.Reason }

// Take returns the tunnel after a step. It changes nothing else: what the phase
// asks for is to be made afterwards. Errors: *OrderError, *WaitError,
// *RefusedError.
func (t Tunnel) Take(s Step, f *Facts) (Tunnel, error) {
	if next := t.NextStep(); s != next {
		return t, &OrderError{s, next, t.Phase}
	}
	switch s {
	case StepInbound:
		return t.begin(f)
	case StepConfirm:
		return t.confirm(f)
	case StepOutbound:
		t.Phase, t.Old = Outbound, slices.Concat(t.Old, f.Old)
		t.Drain = Drain{Packets: f.OldIn, Since: f.Now}
	case StepDrain:
		return t.drain(f)
	case StepDelete:
		t.Phase = Deleting
	}
	return t, nil
}

func (t Tunnel) begin(f *Facts) (Tunnel, error) {
	switch {
	case f.Target <= t.Epoch:
		return t, &RefusedError{fmt.Sprintf("epoch %d does not come after epoch %d, which is in force", f.Target, t.Epoch)}
	case f.Target <= t.Skip:
		return t, &RefusedError{fmt.Sprintf("the rotation to epoch %d was given up: its keys may have been used; take epoch %d", t.Skip, t.Skip+1)}
	}
	earlier := slices.Clone(t.SPIs)
	for _, sa := range f.Old {
		if !slices.Contains(earlier, sa.ID.SPI) {
			earlier = append(earlier, sa.ID.SPI)
		}
	}
	for _, spi := range f.Coming {
		if slices.Contains(earlier, spi) {
			return t, &RefusedError{fmt.Sprintf("spi %s of epoch %d is that of an earlier SA of this tunnel: the same key or SPI is given again; take new keys", spi, f.Target)}
		}
	}
	t.Phase, t.Next, t.At, t.Slack, t.Basis, t.Drain = Inbound, f.Target, f.At, f.Slack, "", Drain{}
	earlier = append(earlier, f.Coming...)
	t.SPIs = earlier[max(0, len(earlier)-keptSPIs):]
	return t, nil
}

// confirm: whoever sends with the new keys has taken its own step inbound
// before.
func (t Tunnel) confirm(f *Facts) (Tunnel, error) {
	switch {
	case f.NewIn > 0:
		t.Basis = ByPackets
	case f.PeerReady:
		t.Basis = ByWord
	case t.scheduled() && !f.Now.Before(t.At):
		t.Basis = ByClock
	case t.scheduled():
		return t, &WaitError{StepConfirm, "it is taken at " + t.At.UTC().Format(time.RFC3339)}
	default:
		return t, &WaitError{StepConfirm, "nothing has come on the new inbound SA, so it is not known whether the peer has its own; the first of both ends needs your word for it"}
	}
	t.Phase = Confirmed
	return t, nil
}

// drain: by the clock both ends send with the new keys after At and Slack, and
// for another Slack the old inbound SA is waited for. Step by step it takes a
// sign of the peer, because silence alone says nothing.
func (t Tunnel) drain(f *Facts) (Tunnel, error) {
	quiet := f.OldGone || f.OldIn == t.Drain.Packets && f.Now.Sub(t.Drain.Since) >= f.Quiet
	if t.scheduled() {
		switch {
		case f.Now.Before(t.At.Add(2 * t.Slack)):
			return t, &WaitError{StepDrain, "it is taken at " + t.At.Add(2*t.Slack).UTC().Format(time.RFC3339) + " or later"}
		case !quiet && f.Now.Before(t.bound()):
			return t, &WaitError{StepDrain, "the old inbound SA still carries packets"}
		}
		t.Phase = Drained
		return t, nil
	}
	switch {
	case !quiet && f.OldIn != t.Drain.Packets:
		return t, &WaitError{StepDrain, fmt.Sprintf("the old inbound SA still carries packets (%d so far): the peer has not taken step outbound, or they are under way", f.OldIn)}
	case !quiet:
		return t, &WaitError{StepDrain, fmt.Sprintf("the old inbound SA has carried nothing for %s, less than %s", f.Now.Sub(t.Drain.Since).Round(time.Millisecond), f.Quiet)}
	case f.NewIn == 0 && !f.PeerReady && !f.OldGone:
		return t, &WaitError{StepDrain, "nothing comes on the old inbound SA, and nothing has come on the new one: whether the peer has taken step outbound is not known; it needs your word for it"}
	}
	t.Phase = Drained
	return t, nil
}

// Observe notes what the old inbound SA has carried. It reports whether that
// is new.
func (t *Tunnel) Observe(f *Facts) bool {
	if t.Phase != Outbound || f.OldGone || f.OldIn == t.Drain.Packets {
		return false
	}
	t.Drain = Drain{Packets: f.OldIn, Since: f.Now}
	return true
}

// GiveUp returns to the keys in force, from a rotation that cannot go on: its
// keys cannot be had, or may have been used already. The peer may have gone on,
// so those of its SAs that are there stay until the next rotation ends. It takes
// that this end does not send with the new keys.
func (t Tunnel) GiveUp(there []SA) (Tunnel, error) {
	sends := slices.ContainsFunc(there, func(sa SA) bool { return !sa.In })
	switch {
	case t.Settled():
		return t, &RefusedError{"no rotation is under way"}
	case t.Phase == Deleting || sends:
		return t, &RefusedError{fmt.Sprintf("this end sends with epoch %d already: the rotation can only go on", t.Next)}
	}
	return Tunnel{Epoch: t.Epoch, Said: t.Said, Clock: t.Clock, Old: slices.Concat(old(t), there), Skip: t.Next, SPIs: t.SPIs}, nil
}

// old are the SAs of rotations that were given up before.
func old(t Tunnel) []SA {
	if t.Out() == t.Epoch {
		return t.Old
	}
	return nil // those in force are among them, and they stay anyway
}

// Finish is called when the old SAs are gone.
func (t Tunnel) Finish() Tunnel {
	t.Epoch, t.Phase, t.Next, t.Old, t.Skip, t.Basis, t.Drain = t.Next, Settled, 0, nil, 0, "", Drain{}
	t.At, t.Slack = time.Time{}, 0
	return t
}

func (t *Tunnel) scheduled() bool { return !t.At.IsZero() }

// bound is when the old SAs go at the latest.
func (t *Tunnel) bound() time.Time { return t.At.Add(3 * t.Slack) }
