package gsogro

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// snapshotVersion is that of the document; it changes when its meaning does.
const snapshotVersion = 1

// Snapshot is the settings of devices at one time, to go back to. It holds no
// addresses and no keys.
type Snapshot struct {
	Version int              `json:"version"`
	Devices []DeviceSnapshot `json:"devices"`
}

// DeviceSnapshot is the settings of one device: what was asked for, not what
// became of it, because that is what one sets.
type DeviceSnapshot struct {
	Device   string            `json:"device"`
	Kind     string            `json:"kind,omitempty"`
	Features map[string]bool   `json:"features"`
	Numbers  map[string]uint64 `json:"numbers"`
}

// SnapshotOf makes a snapshot of states: of all features that can be changed
// and all numbers that can be set.
func SnapshotOf(states ...*State) *Snapshot {
	s := &Snapshot{Version: snapshotVersion, Devices: []DeviceSnapshot{}}
	for _, st := range states {
		d := DeviceSnapshot{Device: st.Link.Name, Kind: st.Link.Kind, Features: map[string]bool{}, Numbers: map[string]uint64{}}
		for name, f := range st.Features {
			if !f.Fixed {
				d.Features[name] = f.Wanted
			}
		}
		for name, v := range st.Numbers {
			if settable(name) {
				d.Numbers[name] = v
			}
		}
		s.Devices = append(s.Devices, d)
	}
	return s
}

// ReadSnapshot reads what encoding/json made of a Snapshot.
func ReadSnapshot(r io.Reader) (*Snapshot, error) {
	dec := json.NewDecoder(r)
	dec.DisallowUnknownFields()
	s := &Snapshot{}
	if err := dec.Decode(s); err != nil {
		return nil, fmt.Errorf("read snapshot: %w", err)
	}
	if s.Version != snapshotVersion {
		return nil, fmt.Errorf("read snapshot: version %d, this program reads %d", s.Version, snapshotVersion)
	}
	return s, nil
}

// Restore brings devices back to a snapshot. What a device no longer has, or
// what has become fixed, is left alone. All devices must exist, and be of the
// kind that they were, before anything changes. It returns what changed, by device.
func (c *Conn) Restore(ctx context.Context, s *Snapshot) (map[string]Change, error) {
	plan := map[string]Change{}
	for i := range s.Devices {
		d := &s.Devices[i]
		now, err := c.State(ctx, d.Device)
		if err != nil {
			return nil, err
		}
		if now.Link.Kind != d.Kind {
			return nil, fmt.Errorf("restore %s: it is a device of kind %q, the snapshot is of one of kind %q", d.Device, now.Link.Kind, d.Kind)
		}
		plan[d.Device] = Back(d.state(), now)
	}
	done := map[string]Change{}
	var errs []error
	for _, device := range sortedKeys(plan) {
		if plan[device].Empty() {
			continue
		}
		if _, err := c.apply(ctx, device, plan[device], unrestored); err != nil {
			errs = append(errs, err)
			continue
		}
		done[device] = plan[device]
	}
	return done, errors.Join(errs...)
}

// unrestored compares what is asked for, because that is what a snapshot holds:
// what depends on another feature may have been off when it was taken.
func unrestored(_, after *State, change Change) []Refusal {
	var out []Refusal
	for _, name := range sortedKeys(change.Features) {
		if want, have := change.Features[name], after.Features[name].Wanted; want != have {
			out = append(out, Refusal{Name: name, Want: onOff(want), Have: onOff(have), Because: "the driver refused it"})
		}
	}
	for _, name := range sortedKeys(change.Numbers) {
		if want, have := change.Numbers[name], after.Numbers[name]; want != have {
			out = append(out, Refusal{Name: name, Want: decimal(want), Have: decimal(have), Because: "the kernel took another value"})
		}
	}
	return out
}

// state makes a state to go back to.
func (d *DeviceSnapshot) state() *State {
	s := &State{Link: &Link{Name: d.Device, Kind: d.Kind}, Features: FeatureSet{}, Numbers: d.Numbers}
	for name, v := range d.Features {
		s.Features[name] = Feature{Name: name, Wanted: v}
	}
	return s
}
