package keycmd

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/apply"
	"github.com/xfrmctl/xfrmctl/provision/document"
	"github.com/xfrmctl/xfrmctl/provision/keys"
	"github.com/xfrmctl/xfrmctl/provision/rotate"
)

// Env is what the program gives a command. It is borrowed for one Run.
type Env = apply.Env

// command is one run.
type command struct {
	env   *Env
	words *words
}

// Run runs the words after keys. Errors are *apply.WordError, and those of
// packages keys, document, provision and rotate.
func Run(env *Env, args []string) error {
	w, err := parse(args)
	if err != nil {
		return err
	}
	c := &command{env, w}
	switch {
	case w.root != "":
		return c.file(document.KeyFile{Path: w.root, Bytes: keys.MinRoot})
	case w.verb == "new":
		return c.newFiles()
	case w.verb == "status" || env.DryRun:
		return c.status()
	case w.giveUp:
		return c.giveUp()
	case !w.at.IsZero():
		return c.byClock()
	}
	return c.rotate()
}

// madeJSON is a file as scripts see it.
type madeJSON struct {
	Event string `json:"event"` // made, there
	Path  string `json:"path"`
	Bytes int    `json:"bytes"` // of the key
}

// file makes a file and prints its path.
func (c *command) file(f document.KeyFile) error {
	if !c.env.DryRun {
		if err := keys.New(f.Path, f.Bytes); err != nil {
			return fmt.Errorf("keys new: %w", err)
		}
	}
	if c.env.JSON {
		return c.env.Encode(&madeJSON{"made", f.Path, f.Bytes})
	}
	_, err := fmt.Fprintln(c.env.Stdout, f.Path)
	return err
}

// newFiles makes the files that tunnels need and that are not there. A document
// that names a file twice means one key.
func (c *command) newFiles() error {
	d, err := c.words.Read(c.env)
	if err != nil {
		return err
	}
	tunnels, err := c.chosen(d)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, t := range tunnels {
		epoch := t.Keys.Epoch.V
		if c.words.epoch != 0 {
			epoch = c.words.epoch
		}
		files, err := t.KeyFiles(epoch)
		if err != nil {
			return err
		}
		for _, f := range files {
			if seen[f.Path] {
				continue
			}
			seen[f.Path] = true
			if err := c.missing(f); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *command) missing(f document.KeyFile) error {
	err := c.file(f)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	if c.env.JSON {
		return c.env.Encode(&madeJSON{"there", f.Path, f.Bytes})
	}
	_, err = fmt.Fprintf(c.env.Stderr, "xfrmctl: %s is there and stays as it is\n", f.Path)
	return err
}

// chosen returns the tunnels that the words name, else all.
func (c *command) chosen(d *document.Document) ([]*document.Tunnel, error) {
	if len(c.words.tunnels) == 0 {
		return d.Tunnels, nil
	}
	var all []*document.Tunnel
	for _, name := range c.words.tunnels {
		n := len(all)
		for _, t := range d.Tunnels {
			if t.Name.V == name {
				all = append(all, t)
			}
		}
		if len(all) == n {
			return nil, fmt.Errorf("%s has no tunnel %q", c.words.File, name)
		}
	}
	return all, nil
}

// runner reads the document.
func (c *command) runner(onTaken func(rotate.Outcome)) (*rotate.Runner, error) {
	return c.words.Runner(c.env, &rotate.Config{Rotating: true, OnTaken: onTaken})
}
