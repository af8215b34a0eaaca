// Package apply is the commands that bring a machine to what a document says:
// plan, apply, diff, verify and delete; and link-mtu. Words in, package
// provision, text or JSON out.
package apply

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/ipxfrm"
	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/provision"
	"github.com/xfrmctl/xfrmctl/provision/rotate"
	"github.com/xfrmctl/xfrmctl/provision/stamp"
)

// Env is what the program gives a command. It is borrowed for one Run.
type Env struct {
	Ctx    context.Context
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	// Flush sends on what was written to Stdout.
	Flush   func() error
	NetNS   netlinkx.NetNS
	JSON    bool
	Verbose bool
	DryRun  bool
	// Encode prints one JSON value.
	Encode func(any) error
	Getenv func(string) string
	// XFRM and Links connect to the engine of this run; the program closes XFRM.
	XFRM  func() (*netlinkx.Conn, error)
	Links func() (*ifaces.Conn, error)
	// Listen connects to the events of this run's engine, nil when that is the
	// kernel.
	Listen func() (func([]netlinkx.Group) (netlinkx.Transport, error), error)
	// Tell tells the service manager, if there is one (sd_notify(3)).
	Tell func(assignments ...string)
	// Terminal: Stderr is one.
	Terminal bool
	// Engine makes the engine that choose returns, of which it is told what was
	// asked for, that of the run: auto, kernel or userspace. It comes before the
	// three above and Userspace.
	Engine func(choose func(asked string) (string, error)) error
	// Userspace reports whether that engine is the userspace one. Kernel reports
	// whether both SAs and interfaces are the kernel's.
	Userspace func() (bool, error)
	Kernel    func() (bool, error)
	// Tap is for the connections that XFRM and Links are going to make.
	Tap func(xfrm, routes netlinkx.Tap)
}

// WordError is a mistake in the words. Hint may be empty.
type WordError struct{ Msg, Hint string }

// Error returns one line.
func (e *WordError) Error() string { return e.Msg }

func wordError(format string, args ...any) error {
	return &WordError{Msg: fmt.Sprintf(format, args...)}
}

// DifferError tells that a namespace is not what its document says.
type DifferError struct{ Steps int }

// Error returns one line.
func (e *DifferError) Error() string { return fmt.Sprintf("%d differences", e.Steps) }

// StateDir is where ledgers are kept when nothing else is said.
const StateDir = "/var/lib/xfrmctl/provision"

// words are the options of one run.
type words struct {
	Node
	prune, inbound bool
	every          time.Duration // 0 once, or with watch defaultEvery
	watch          bool
}

// option is a word of these commands. Those without set take no value.
type option struct {
	name, arg, help string
	only            string // the commands that have it, "" all
	set             func(*words, string) error
}

func options() []option {
	return []option{
		{"--as", "NODE", "the node of the document that this machine is", "", func(w *words, v string) error { w.As = v; return nil }},
		{"--prune", "", "also remove what is ours and not in the document any more", "plan apply diff verify", func(w *words, _ string) error { w.prune = true; return nil }},
		{"--inbound", "", "new inbound SAs only: the first half of a change of keys, done at both ends", "plan apply", func(w *words, _ string) error { w.inbound = true; return nil }},
		{"--boot-id", "NODE=ID", "boot identifier of another node, for derived keys", "", func(w *words, v string) error { return w.SetBoot(v) }},
		{"--state-dir", "DIR", "where it is noted what is ours (" + StateDir + ")", "", func(w *words, v string) error { w.StateDir = v; return nil }},
		{"--every", "SECONDS", "stay, and look that often whether the document or this machine has changed (with --watch: 300)", "apply", setEvery},
		{"--watch", "", "stay, and apply again as soon as the document or this machine has changed", "apply", func(w *words, _ string) error { w.watch = true; return nil }},
		{"--no-wait", "", "fail when another xfrmctl holds the lock, and say which", "apply delete", func(w *words, _ string) error { w.NoWait = true; return nil }},
	}
}

func setEvery(w *words, v string) error {
	n, err := strconv.ParseUint(v, 10, 20)
	if err != nil || n == 0 {
		return wordError("--every takes a number of seconds, not %q", v)
	}
	w.every = time.Duration(n) * time.Second
	return nil
}

// has reports whether a command knows the option.
func (o *option) has(verb string) bool {
	return o.only == "" || strings.Contains(" "+o.only+" ", " "+verb+" ")
}

func parse(verb string, args []string) (*words, error) {
	w := &words{Node: Node{StateDir: StateDir, Boots: map[string]string{}}}
	for i := 0; i < len(args); i++ {
		if !strings.HasPrefix(args[i], "-") || args[i] == "-" {
			if w.File != "" {
				return nil, wordError("%s takes one document; %q is one more word", verb, args[i])
			}
			w.File = args[i]
			continue
		}
		o := findOption(verb, args[i])
		if o == nil {
			return nil, unknownOption(verb, args[i])
		}
		v := ""
		if o.arg != "" {
			if i++; i == len(args) {
				return nil, wordError("%s needs %s", o.name, o.arg)
			}
			v = args[i]
		}
		if err := o.set(w, v); err != nil {
			return nil, err
		}
	}
	switch {
	case w.File == "":
		return nil, &WordError{Msg: verb + " needs a document", Hint: "xfrmctl " + verb + " FILE --as NODE"}
	case w.As == "":
		return nil, &WordError{Msg: verb + " needs to know which node this is", Hint: "xfrmctl " + verb + " " + w.File + " --as NODE"}
	case (w.every != 0 || w.watch) && w.File == "-":
		return nil, wordError("--every and --watch read the document again: it cannot be standard input")
	}
	return w, nil
}

func findOption(verb, word string) *option {
	for _, o := range options() {
		if o.name == word && o.has(verb) {
			return &o
		}
	}
	return nil
}

func unknownOption(verb, word string) error {
	e := &WordError{Msg: fmt.Sprintf("%s has no option %q", verb, word)}
	if near := ipxfrm.Nearest(word, Complete(verb, nil)); near != "" {
		e.Hint = fmt.Sprintf("did you mean %q?", near)
	} else if !strings.HasPrefix(word, "--") {
		e.Hint = fmt.Sprintf("options of the program stand in front: xfrmctl %s %s FILE", word, verb)
	}
	return e
}

// Complete returns the options of a command.
func Complete(verb string, _ []string) (names []string) {
	for _, o := range options() {
		if o.has(verb) {
			names = append(names, o.name)
		}
	}
	return names
}

// Usage returns the words of a command.
func Usage(verb string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Usage: xfrmctl %s FILE --as NODE", verb)
	for _, o := range options()[1:] {
		if o.has(verb) {
			fmt.Fprintf(&b, " [ %s ]", strings.TrimSpace(o.name+" "+o.arg))
		}
	}
	b.WriteString("\n\nFILE is a document, YAML or JSON; - is standard input. See docs/provisioning.md.\n")
	for _, o := range options() {
		if o.has(verb) {
			fmt.Fprintf(&b, "  %-20s %s\n", strings.TrimSpace(o.name+" "+o.arg), o.help)
		}
	}
	return b.String()
}

// Run runs one of the commands that take a document. Errors are *WordError,
// *DifferError, and those of packages document and provision.
func Run(env *Env, verb string, args []string) error {
	w, err := parse(verb, args)
	if err != nil {
		return err
	}
	c := &command{env: env, verb: verb, words: w}
	if env.Terminal && !env.JSON && !env.Verbose {
		c.progress = &progress{out: env.Stderr, now: time.Now}
	}
	w.Brief = !c.writes()
	if res := c.remembered(); res != nil {
		return c.summary(res, true)
	}
	if err := w.ReadAhead(env); err != nil { // it may name the engine
		return err
	}
	if err := c.follow(); err != nil {
		return err
	}
	links, err := env.Links()
	if err != nil {
		return err
	}
	work := c.run
	if (w.every != 0 || w.watch) && c.writes() {
		work = c.stay
	}
	return errors.Join(work(links), links.Close())
}

// command is one run.
type command struct {
	env   *Env
	verb  string
	words *words
	count counts
	again bool // a later round: nothing is said when there was nothing to do
	// onRead is Config.OnRead, for an owner.
	onRead   func(provision.Owner, *provision.State)
	progress *progress // nil without a terminal
	wake     time.Time // when the clock asks for the next step of a change of keys; zero: never
	// recorder follows what is read, nil when nobody will want to know.
	recorder *stamp.Recorder
}

func (c *command) run(links *ifaces.Conn) error {
	if c.verb == "delete" { // keys may be gone by now
		return c.delete(links)
	}
	c.wake = time.Time{}
	begun := time.Now()
	r, err := c.words.Runner(c.env, &rotate.Config{OnTaken: c.onTaken})
	if err != nil {
		return err
	}
	s, err := c.open(links, r.Owner())
	if err != nil {
		return err
	}
	if err = r.Use(c.env.Ctx, s); err == nil {
		err = c.with(r, s, begun)
	}
	return errors.Join(err, s.Close())
}

func (c *command) open(links *ifaces.Conn, owner provision.Owner) (*provision.Session, error) {
	cfg := &provision.Config{Owner: owner, ReadOnly: !c.writes(), OnStep: c.onStep, OnPlan: func(res *provision.Result) { c.progress.begin(len(res.Steps)) }}
	if c.env.Verbose {
		cfg.OnRemark = func(text string) { c.say("%s", text) }
	}
	if c.onRead != nil {
		cfg.OnRead = func(wanted *provision.State) { c.onRead(owner, wanted) }
	}
	if c.recorder != nil {
		cfg.OnRead = func(*provision.State) { c.recorder.Begin() }
		cfg.Routes = c.tappedRoutes
	}
	return c.words.Open(c.env, links, cfg)
}

func (c *command) delete(links *ifaces.Conn) error {
	d, err := c.words.Read(c.env)
	if err != nil {
		return err
	}
	owner, err := d.OwnerOf(c.words.As)
	if err != nil {
		return err
	}
	s, err := c.open(links, owner)
	if err != nil {
		return err
	}
	if c.writes() {
		res, err := s.Delete(c.env.Ctx)
		c.progress.end()
		return errors.Join(err, c.summary(res, err == nil), s.Close())
	}
	res, err := s.Plan(c.env.Ctx, &provision.State{}, provision.Options{Prune: true})
	if err == nil {
		err = c.print(res)
	}
	return errors.Join(err, s.Close())
}

// writes reports whether the command changes anything.
func (c *command) writes() bool { return !c.env.DryRun && (c.verb == "apply" || c.verb == "delete") }

// with does the work of the commands that want a state.
func (c *command) with(r *rotate.Runner, s *provision.Session, begun time.Time) error {
	opts := provision.Options{Prune: c.words.prune, InboundOnly: c.words.inbound}
	if c.writes() {
		res, err := r.Apply(c.env.Ctx, opts)
		c.wake, _ = r.Wake()
		c.progress.end()
		if err == nil && c.recorder != nil {
			c.remember(r, s, res, begun)
		}
		return errors.Join(err, c.summary(res, err == nil))
	}
	res, err := r.PlanLast(c.env.Ctx, opts)
	if err != nil {
		return err
	}
	if err := c.print(res); err != nil {
		return err
	}
	if (c.verb == "diff" || c.verb == "verify") && len(res.Steps) > 0 {
		return &DifferError{len(res.Steps)}
	}
	return nil
}
