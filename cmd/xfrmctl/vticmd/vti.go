// Package vticmd is the command `xfrmctl vti`: words in, package
// provision/vti, text or JSON out.
package vticmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/ipxfrm"
	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/verbs"
	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/provision/vti"
)

// Env is what the program gives a command. It is borrowed for one Run.
type Env struct {
	Ctx     context.Context
	Stdout  io.Writer
	Stderr  io.Writer
	NetNS   netlinkx.NetNS
	JSON    bool
	Verbose bool
	DryRun  bool
	// Encode prints one JSON value.
	Encode func(any) error
	// XFRM and Links connect to the kernel; the program closes XFRM.
	XFRM  func() (*netlinkx.Conn, error)
	Links func() (*ifaces.Conn, error)
	// Userspace reports whether the engine of this run is the userspace one.
	Userspace func() (bool, error)
	// StateDir is where the journal is kept when nothing else is said.
	StateDir string
}

// EngineError tells that the engine of the run has no VTIs.
type EngineError struct{}

// Error returns one line.
func (EngineError) Error() string {
	return "the userspace engine has no VTIs: it has XFRM interfaces only"
}

// FaultsError tells that an audit found faults.
type FaultsError struct{ Faults int }

// Error returns one line.
func (e *FaultsError) Error() string { return fmt.Sprintf("%d faults", e.Faults) }

func table() *verbs.Table[*command] {
	return &verbs.Table[*command]{Program: "xfrmctl vti", Verbs: []verbs.Verb[*command]{
		{Name: "list", Args: "[ DEV... ]", Help: "a line per VTI: endpoints, keys, state, addresses", Run: (*command).list},
		{Name: "audit", Args: "[ DEV... ]", Help: "what is bound to each VTI, what is wrong with it, and whether it can be converted; exit code 1 when there are faults", Run: (*command).audit},
		{Name: "convert", Args: "{ DEV... | --all } [ OPTIONS ]", Help: "replace VTIs by XFRM interfaces of the same names, with their addresses, routes, policies and SAs; --dry-run prints the steps. --undo goes back, --finish deletes what it would take for that", Run: (*command).convert},
		{Name: "help", Help: "print this"},
	}, Tail: tail()}
}

func tail() string {
	var b strings.Builder
	b.WriteString("OPTIONS of convert:\n")
	for _, o := range options() {
		fmt.Fprintf(&b, "  %-18s %s\n", strings.TrimSpace(o.name+" "+o.arg), o.help)
	}
	return b.String()
}

// option is a word of convert that begins with dashes.
type option struct {
	name, arg, help string
	set             func(c *command, v string)
}

func options() []option {
	return []option{
		{"--all", "", "all VTIs", func(c *command, _ string) { c.all = true }},
		{"--dry-run", "", "print the steps, change nothing", func(c *command, _ string) { c.dryRun = true }},
		{"--undo", "", "bring VTIs back, also from a conversion that was cut off; without DEV all", func(c *command, _ string) { c.undo = true }},
		{"--finish", "", "delete the VTIs that were converted, and their policies; there is no undo then", func(c *command, _ string) { c.finish = true }},
		{"--merge", "", "give VTIs with the same keys one interface together, named after the first", func(c *command, _ string) { c.opts.Merge = true }},
		{"--static", "", "SAs are nobody else's, even when it looks as if an IKE daemon made them", func(c *command, _ string) { c.opts.Static = true }},
		{"--state-dir", "DIR", "where the journal is kept", func(c *command, v string) { c.stateDir = v }},
		{"--no-wait", "", "fail when another xfrmctl holds the lock, and say which", func(c *command, _ string) { c.noWait = true }},
	}
}

// command is one run.
type command struct {
	env  *Env
	devs []string
	opts vti.Options

	all, dryRun, undo, finish, noWait bool
	stateDir                          string
	printErr                          error
}

// Run runs the words after "vti". Errors are *verbs.Error, EngineError,
// *FaultsError, *vti.RefusedError, or what the kernel says.
func Run(env *Env, args []string) error {
	v, args, err := table().Choose(args, env.Stdout)
	if v == nil {
		return err
	}
	c := &command{env: env, dryRun: env.DryRun, stateDir: env.StateDir}
	if err := c.parse(v.Name, args); err != nil {
		return err
	}
	userspace, err := env.Userspace()
	if err != nil {
		return err
	}
	if userspace {
		return EngineError{}
	}
	return v.Run(c)
}

func (c *command) parse(verb string, args []string) error {
	for i := 0; i < len(args); i++ {
		if !strings.HasPrefix(args[i], "-") {
			c.devs = append(c.devs, args[i])
			continue
		}
		o := findOption(verb, args[i])
		if o == nil {
			return unknownOption(verb, args[i])
		}
		v := ""
		if o.arg != "" {
			if i++; i == len(args) {
				return verbs.Errorf("%s needs %s", o.name, o.arg)
			}
			v = args[i]
		}
		o.set(c, v)
	}
	if verb == "convert" {
		return c.check()
	}
	return nil
}

// findOption returns the option of a verb; only the state directory is also one
// of the others.
func findOption(verb, word string) *option {
	for _, o := range options() {
		if o.name == word && (verb == "convert" || word == "--state-dir") {
			return &o
		}
	}
	return nil
}

func unknownOption(verb, word string) error {
	e := &verbs.Error{Msg: fmt.Sprintf("vti %s has no option %q", verb, word)}
	if near := ipxfrm.Nearest(word, optionNames()); near != "" && verb == "convert" {
		e.Hint = fmt.Sprintf("did you mean %q?", near)
	}
	return e
}

func optionNames() (names []string) {
	for _, o := range options() {
		names = append(names, o.name)
	}
	return names
}

func (c *command) check() error {
	switch {
	case c.undo && c.finish:
		return verbs.Errorf("convert takes --undo or --finish, not both")
	case c.all && len(c.devs) > 0:
		return verbs.Errorf("convert takes names or --all, not both")
	case c.finish && len(c.devs) > 0:
		return verbs.Errorf("convert --finish is for all that was converted; %q is one word more", c.devs[0])
	case !c.undo && !c.finish && !c.all && len(c.devs) == 0:
		return &verbs.Error{Msg: "convert needs the names of VTIs, or --all", Hint: "xfrmctl vti audit shows them"}
	}
	return nil
}

// Complete returns what the last of the words after "vti" may become; devices
// returns the names of devices.
func Complete(words []string, devices func() []string) []string {
	switch {
	case len(words) <= 1:
		return table().Names()
	case table().Is(words[0], "convert"):
		return append(devices(), optionNames()...)
	case table().Is(words[0], "list"), table().Is(words[0], "audit"):
		return devices()
	}
	return nil
}

// Usage returns the words of all verbs.
func Usage() string { return table().Usage() }

// ManSection returns what the manual says of the command.
func ManSection() ipxfrm.ManSection {
	s := table().ManSection("vti")
	for _, o := range options() {
		s.Terms = append(s.Terms, ipxfrm.ManTerm{Term: strings.TrimSpace("convert " + o.name + " " + o.arg), Text: strings.ToUpper(o.help[:1]) + o.help[1:] + "."})
	}
	return s
}

// session opens the state directory and calls fn.
func (c *command) session(write bool, fn func(*vti.Session) error) error {
	links, err := c.env.Links()
	if err != nil {
		return err
	}
	xfrm, err := c.env.XFRM()
	if err != nil {
		return errors.Join(err, links.Close())
	}
	cfg := &vti.Config{
		StateDir: c.stateDir, XFRM: xfrm, Links: links, NetNS: c.env.NetNS, ReadOnly: !write, OnStep: c.onStep,
		OnNote: func(text string) { fmt.Fprintf(c.env.Stderr, "xfrmctl: %s\n", text) },
	}
	if !c.noWait {
		cfg.OnWait = func(holder string) { fmt.Fprintf(c.env.Stderr, "xfrmctl: waiting for %s\n", holder) }
	}
	s, err := vti.Open(c.env.Ctx, cfg)
	if err != nil {
		return errors.Join(err, links.Close())
	}
	return errors.Join(fn(s), s.Close(), links.Close())
}
