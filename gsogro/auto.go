package gsogro

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Trial is one switch that Auto tried.
type Trial struct {
	Feature string  `json:"feature"`
	To      bool    `json:"to"`
	Before  float64 `json:"before"` // the measure, larger is better
	After   float64 `json:"after"`
	Kept    bool    `json:"kept"`
	// Refused says why it could not be tried.
	Refused string `json:"refused,omitempty"`
}

// AutoConfig says how Auto decides.
type AutoConfig struct {
	// Measure returns how well things go, in any unit; larger is better. It is
	// called several times for each switch.
	Measure func(context.Context) (float64, error)
	// Rounds is how often it is called before and after each switch, 0: 3. The
	// median counts.
	Rounds int
	// Gain is the part by which it must be better for a switch to stay, 0: 0.03.
	Gain float64
}

// Auto changes one feature of a device at a time to what the fast path wants,
// measures, and keeps or takes back. When it ends early, the trial under way is
// taken back; those that were kept stay, and are in the result.
func (c *Conn) Auto(ctx context.Context, device string, cfg *AutoConfig) ([]Trial, error) {
	a := *cfg
	if a.Rounds == 0 {
		a.Rounds = 3
	}
	if a.Gain == 0 {
		a.Gain = 0.03
	}
	trials := []Trial{}
	for _, r := range RelevantFeatures() {
		if r.Fast == nil {
			continue
		}
		now, err := c.Features(ctx, device)
		if err != nil {
			return trials, err
		}
		f, ok := now[r.Name]
		if !ok || f.Fixed || f.Active == *r.Fast {
			continue
		}
		t, err := c.try(ctx, device, r.Name, *r.Fast, &a)
		if t != nil {
			trials = append(trials, *t)
		}
		if err != nil {
			return trials, err
		}
	}
	return trials, nil
}

func (c *Conn) try(ctx context.Context, device, name string, to bool, a *AutoConfig) (*Trial, error) {
	t := &Trial{Feature: name, To: to}
	var err error
	if t.Before, err = a.median(ctx); err != nil {
		return nil, err
	}
	out, err := c.Apply(ctx, device, Change{Features: map[string]bool{name: to}})
	var refused *RefusedError
	if errors.As(err, &refused) && len(refused.Left) == 0 {
		t.Refused = refused.Error()
		return t, nil
	}
	if err != nil {
		return nil, err
	}
	t.After, err = a.median(ctx)
	if t.Kept = err == nil && t.After > t.Before*(1+a.Gain); t.Kept {
		return t, nil
	}
	if left := c.takeBack(ctx, out.Before, out.After); len(left) > 0 {
		err = errors.Join(err, fmt.Errorf("take %s of %s back: %s", name, device, left[0]))
	}
	return t, err
}

// median measures a few times.
func (a *AutoConfig) median(ctx context.Context) (float64, error) {
	var all []float64
	for range a.Rounds {
		v, err := a.Measure(ctx)
		if err != nil {
			return 0, err
		}
		all = append(all, v)
	}
	slices.Sort(all)
	return all[len(all)/2], nil
}
