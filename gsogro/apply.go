package gsogro

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Refusal is one setting that did not become what was asked.
type Refusal struct {
	Name    string `json:"name"`
	Want    string `json:"want"`
	Have    string `json:"have"`
	Because string `json:"because"`
}

// String returns one line.
func (r Refusal) String() string {
	return fmt.Sprintf("%s is %s, not %s: %s", r.Name, r.Have, r.Want, r.Because)
}

// RefusedError tells that a change was refused in part, and that the whole of
// it was taken back; Left lists what could not be taken back.
type RefusedError struct {
	Device   string
	Refusals []Refusal
	Left     []Refusal
}

// Error returns one line.
func (e *RefusedError) Error() string {
	var parts []string
	for _, r := range e.Refusals {
		parts = append(parts, r.String())
	}
	s := fmt.Sprintf("set %s: %s; nothing is changed", e.Device, strings.Join(parts, "; "))
	if len(e.Left) == 0 {
		return s
	}
	parts = parts[:0]
	for _, r := range e.Left {
		parts = append(parts, r.String())
	}
	return strings.TrimSuffix(s, "; nothing is changed") + "; and taking it back failed: " + strings.Join(parts, "; ")
}

// Outcome is what a change came to.
type Outcome struct {
	Before, After *State
	// Moved are features that changed without being named: the kernel ties
	// them to those that were.
	Moved []Drop
}

// Apply makes a change, reads it back, and takes all of it back when any part
// is not as asked: the error is then a *RefusedError. Words that this device
// does not know are refused before anything changes.
func (c *Conn) Apply(ctx context.Context, device string, change Change) (*Outcome, error) {
	return c.apply(ctx, device, change, Unfulfilled)
}

// comparison says what of a change did not become.
type comparison func(before, after *State, change Change) []Refusal

func (c *Conn) apply(ctx context.Context, device string, change Change, compare comparison) (*Outcome, error) {
	before, err := c.State(ctx, device)
	if err != nil {
		return nil, err
	}
	if r := unknown(before, change); len(r) > 0 {
		return nil, &RefusedError{Device: device, Refusals: r}
	}
	setErr := c.set(ctx, before.Link, change)
	after, err := c.State(ctx, device)
	if err != nil {
		return nil, errors.Join(setErr, err)
	}
	refusals := compare(before, after, change)
	if setErr == nil && len(refusals) == 0 {
		return &Outcome{Before: before, After: after, Moved: moved(before, after, change)}, nil
	}
	left := c.takeBack(ctx, before, after)
	if setErr != nil && len(left) == 0 {
		return nil, setErr
	}
	return nil, errors.Join(setErr, &RefusedError{Device: device, Refusals: refusals, Left: left})
}

// takeBack restores before and returns what is still different. The context of
// the failed change may have ended: the way back does not depend on it.
func (c *Conn) takeBack(ctx context.Context, before, after *State) []Refusal {
	ctx = context.WithoutCancel(ctx)
	err := c.set(ctx, before.Link, Back(before, after))
	now, rerr := c.State(ctx, before.Link.Name)
	if err = errors.Join(err, rerr); rerr != nil {
		return []Refusal{{Name: "the device", Want: "as before", Have: "unknown", Because: err.Error()}}
	}
	left := Back(before, now)
	var out []Refusal
	for _, name := range sortedKeys(left.Features) {
		out = append(out, Refusal{Name: name, Want: onOff(left.Features[name]), Have: onOff(now.Features[name].Active), Because: reasonText(err)})
	}
	for _, name := range sortedKeys(left.Numbers) {
		out = append(out, Refusal{Name: name, Want: decimal(left.Numbers[name]), Have: decimal(now.Numbers[name]), Because: reasonText(err)})
	}
	return out
}

func reasonText(err error) string {
	if err == nil {
		return "the kernel kept it"
	}
	return err.Error()
}

// unknown refuses names that the device does not have.
func unknown(s *State, change Change) []Refusal {
	var out []Refusal
	for _, name := range sortedKeys(change.Features) {
		if _, ok := s.Features[name]; !ok {
			out = append(out, Refusal{Name: name, Want: onOff(change.Features[name]), Have: "unknown", Because: "this kernel has no such feature"})
		}
	}
	for _, name := range sortedKeys(change.Numbers) {
		_, ok := s.Numbers[name]
		switch {
		case !ok:
			out = append(out, Refusal{Name: name, Want: decimal(change.Numbers[name]), Have: "unknown", Because: "this kernel or device has no such setting"})
		case !settable(name):
			out = append(out, Refusal{Name: name, Want: decimal(change.Numbers[name]), Have: decimal(s.Numbers[name]), Because: "the driver decides it; it can only be read"})
		}
	}
	return out
}

// Unfulfilled compares what was asked with what is, and says why they differ.
// It is pure.
func Unfulfilled(before, after *State, change Change) []Refusal {
	drops := Predict(before.Features, change.Features)
	var out []Refusal
	for _, name := range sortedKeys(change.Features) {
		want, f := change.Features[name], after.Features[name]
		if f.Active == want {
			continue
		}
		why := "the driver refused it"
		if i := slices.IndexFunc(drops, func(d Drop) bool { return d.Feature == name }); i >= 0 {
			why = drops[i].Because
		} else if f.Fixed {
			why = "it is fixed on this device"
		}
		out = append(out, Refusal{Name: name, Want: onOff(want), Have: onOff(f.Active), Because: why})
	}
	for _, name := range sortedKeys(change.Numbers) {
		if want, have := change.Numbers[name], after.Numbers[name]; want != have {
			out = append(out, Refusal{Name: name, Want: decimal(want), Have: decimal(have), Because: "the kernel took another value"})
		}
	}
	return out
}

// moved lists features that changed along with those that were named.
func moved(before, after *State, change Change) []Drop {
	drops := Predict(before.Features, change.Features)
	var out []Drop
	for _, name := range sortedKeys(after.Features) {
		if _, asked := change.Features[name]; asked || before.Features[name].Active == after.Features[name].Active {
			continue
		}
		why := "follows another feature"
		if i := slices.IndexFunc(drops, func(d Drop) bool { return d.Feature == name }); i >= 0 {
			why = drops[i].Because
		}
		out = append(out, Drop{Feature: name, Because: "now " + onOff(after.Features[name].Active) + ": " + why})
	}
	return out
}

// set sends a change: numbers first, because large packets shall not be
// switched on before their size is bounded. It stops at the first refusal.
func (c *Conn) set(ctx context.Context, l *Link, change Change) error {
	for _, s := range sizeAttrs() {
		v, ok := change.Numbers[s.name]
		if !ok {
			continue
		}
		if err := c.setSize(ctx, l, s, v); err != nil {
			return err
		}
	}
	for _, name := range NAPINames() {
		if v, ok := change.Numbers[name]; ok {
			if err := c.files.write(l.Name, name, decimal(v)); err != nil {
				return refused("set "+name+" "+decimal(v)+" of", l.Name, err)
			}
		}
	}
	if len(change.Features) == 0 {
		return nil
	}
	payload, err := encodeChange(l.Name, change.Features)
	if err != nil {
		return err
	}
	if _, err := c.askEthtool(ctx, msgFeaturesSet, 0, payload); err != nil {
		return refused("set features of", l.Name, err)
	}
	return nil
}

func (c *Conn) setSize(ctx context.Context, l *Link, s sizeAttr, v uint64) error {
	op := "set " + s.name + " " + decimal(v) + " of"
	if v > 1<<32-1 {
		return &netlinkx.Error{Op: op, Object: l.Name, Text: "the number does not fit 32 bits"}
	}
	payload, err := encodeSize(l.Index, s.attr, uint32(v))
	if err != nil {
		return err
	}
	if _, err := c.askRoute(ctx, rtmNewLink, 0, payload); err != nil {
		return refused(op, l.Name, err)
	}
	return nil
}

func onOff(v bool) string {
	if v {
		return "on"
	}
	return "off"
}

func decimal(v uint64) string { return strconv.FormatUint(v, 10) }
