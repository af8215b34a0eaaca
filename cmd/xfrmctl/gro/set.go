package gro

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/ipxfrm"
	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/verbs"
	"github.com/xfrmctl/xfrmctl/gsogro"
)

// setJSON is the result of set for one device.
type setJSON struct {
	Device string        `json:"device"`
	Set    gsogro.Change `json:"set"`
	Moved  []gsogro.Drop `json:"moved"`
	DryRun bool          `json:"dry_run,omitempty"`
}

// set changes one device, or a stack from the lowest device up: what is below
// must be able to carry what is above. When one refuses, those that were
// changed before it go back too.
func (c *command) set() error {
	deep := c.recursive()
	if len(c.args) == 0 {
		return verbs.Errorf("set: the name of a device is required")
	}
	change, err := parseChange(c.args[1:])
	if err != nil {
		return err
	}
	names, err := c.stack(c.args[0], deep)
	if err != nil {
		return err
	}
	slices.Reverse(names)
	results := []setJSON{}
	var before []*gsogro.State
	for _, name := range names {
		r, state, err := c.setOne(name, change)
		if err != nil {
			return errors.Join(err, c.takeBack(before))
		}
		results, before = append(results, *r), append(before, state)
	}
	if c.env.JSON {
		return c.env.Encode(results)
	}
	for _, r := range results {
		for _, m := range r.Moved {
			if _, err := fmt.Fprintf(c.env.Stdout, "%s: %s is %s\n", r.Device, m.Feature, m.Because); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *command) setOne(device string, change gsogro.Change) (*setJSON, *gsogro.State, error) {
	if c.env.DryRun {
		s, err := c.conn.State(c.env.Ctx, device)
		if err != nil {
			return nil, nil, err
		}
		return &setJSON{Device: device, Set: change, Moved: gsogro.Predict(s.Features, change.Features), DryRun: true}, s, nil
	}
	out, err := c.conn.Apply(c.env.Ctx, device, change)
	if err != nil {
		return nil, nil, err
	}
	r := &setJSON{Device: device, Set: change, Moved: out.Moved}
	if r.Moved == nil {
		r.Moved = []gsogro.Drop{}
	}
	return r, out.Before, nil
}

func (c *command) takeBack(before []*gsogro.State) error {
	if c.env.DryRun || len(before) == 0 {
		return nil
	}
	_, err := c.conn.Restore(c.env.Ctx, gsogro.SnapshotOf(before...))
	return err
}

// snapshot prints the settings of the named devices, or of all.
func (c *command) snapshot() error {
	names := c.args
	if len(names) == 0 {
		links, err := c.conn.Links(c.env.Ctx)
		if err != nil {
			return err
		}
		for _, l := range links {
			names = append(names, l.Name)
		}
	}
	var states []*gsogro.State
	for _, n := range names {
		s, err := c.conn.State(c.env.Ctx, n)
		if err != nil {
			return err
		}
		states = append(states, s)
	}
	return c.env.Encode(gsogro.SnapshotOf(states...))
}

func (c *command) restore() error {
	if c.env.DryRun {
		return verbs.Errorf("restore has no dry run: compare the file with `xfrmctl gro snapshot`")
	}
	if len(c.args) != 1 {
		return verbs.Errorf("restore takes one file, or - for standard input")
	}
	in := c.env.Stdin
	if c.args[0] != "-" {
		f, err := os.Open(c.args[0])
		if err != nil {
			return err
		}
		defer f.Close() // opened for reading: nothing is lost
		in = f
	}
	s, err := gsogro.ReadSnapshot(in)
	if err != nil {
		return err
	}
	done, err := c.conn.Restore(c.env.Ctx, s)
	if c.env.JSON {
		return errors.Join(c.env.Encode(done), err)
	}
	return errors.Join(printRestored(c.env.Stdout, done), err)
}

func printRestored(w io.Writer, done map[string]gsogro.Change) error {
	var err error
	for device, ch := range done {
		_, perr := fmt.Fprintf(w, "%s: %d features and %d settings restored\n", device, len(ch.Features), len(ch.Numbers))
		err = errors.Join(err, perr)
	}
	return err
}

// Hint names the feature or setting that was meant, when a change was refused
// for a name that nobody knows; else it is "".
func Hint(r *gsogro.RefusedError) string {
	for _, one := range r.Refusals {
		if near := nearest(one.Name); near != "" && one.Have == "unknown" {
			return fmt.Sprintf("did you mean %q?", near)
		}
	}
	return ""
}

func nearest(name string) string {
	return ipxfrm.Nearest(name, slices.Concat(relevant(), gsogro.SizeNames(), gsogro.NAPINames()))
}
