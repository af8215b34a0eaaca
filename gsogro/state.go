package gsogro

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
)

// Names of what decides how a device's receive queues are polled, files of
// /sys/class/net/DEV.
const (
	GROFlushTimeout   = "gro_flush_timeout"    // ns that packets wait to be joined by more
	NAPIDeferHardIRQs = "napi_defer_hard_irqs" // polls without packets until interrupts are on again
	Threaded          = "threaded"             // 1: kernel threads poll, which can be moved to other CPUs
)

// NAPINames returns the names of those settings.
func NAPINames() []string { return []string{GROFlushTimeout, NAPIDeferHardIRQs, Threaded} }

// State is everything about a device that this package sets, as it is now. It
// is a value of the caller.
type State struct {
	Link     *Link
	Driver   string // of hardware, "" for virtual devices
	Features FeatureSet
	// Numbers has the sizes and the NAPI settings by name; what this kernel or
	// device lacks is absent.
	Numbers map[string]uint64
}

// State reads a device. It fails with fs.ErrNotExist.
func (c *Conn) State(ctx context.Context, device string) (*State, error) {
	l, err := c.Link(ctx, device)
	if err != nil {
		return nil, err
	}
	features, err := c.Features(ctx, l.Name)
	if err != nil {
		return nil, err
	}
	s := &State{Link: l, Features: features, Numbers: map[string]uint64{}}
	for name, v := range l.Sizes {
		s.Numbers[name] = uint64(v)
	}
	if s.Driver, err = c.files.driver(l.Name); err != nil {
		return nil, fmt.Errorf("find the driver of %s: %w", l.Name, err)
	}
	return s, c.readNAPI(s)
}

// readNAPI reads the files that are there. A device without a queue to poll
// answers EINVAL or EOPNOTSUPP for threaded.
func (c *Conn) readNAPI(s *State) error {
	for _, name := range NAPINames() {
		text, err := c.files.read(s.Link.Name, name)
		if err != nil {
			var path *fs.PathError
			if errors.Is(err, fs.ErrNotExist) || errors.As(err, &path) && path.Op == "read" {
				continue
			}
			return fmt.Errorf("read %s of %s: %w", name, s.Link.Name, err)
		}
		v, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return fmt.Errorf("read %s of %s: %q is no number", name, s.Link.Name, text)
		}
		s.Numbers[name] = v
	}
	return nil
}

// Change is what shall be different: features by name, and numbers (sizes and
// NAPI settings) by name. What is not named stays.
type Change struct {
	Features map[string]bool   `json:"features,omitempty"`
	Numbers  map[string]uint64 `json:"numbers,omitempty"`
}

// Empty reports whether nothing shall change.
func (c Change) Empty() bool { return len(c.Features) == 0 && len(c.Numbers) == 0 }

// Back returns the change that leads from now to the state before: the features
// that are asked for otherwise, and the numbers that differ. A feature that is
// off only because another one is comes back with that. It is pure.
func Back(before, now *State) Change {
	back := Change{Features: map[string]bool{}, Numbers: map[string]uint64{}}
	for name, f := range before.Features {
		if n, ok := now.Features[name]; ok && !n.Fixed && f.Wanted != n.Wanted {
			back.Features[name] = f.Wanted
		}
	}
	for name, v := range before.Numbers {
		if n, ok := now.Numbers[name]; ok && n != v && settable(name) {
			back.Numbers[name] = v
		}
	}
	return back
}

func settable(name string) bool {
	for _, s := range sizeAttrs() {
		if s.name == name {
			return !s.readOnly
		}
	}
	return true
}
