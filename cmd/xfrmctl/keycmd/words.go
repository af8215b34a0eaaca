// Package keycmd is the commands about keys of documents: keys new, keys rotate
// and keys status. Words in, packages keys and rotate, text or JSON out; never
// a key.
package keycmd

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/apply"
	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/ipxfrm"
	"github.com/xfrmctl/xfrmctl/provision/rotate"
)

// words are those of one run.
type words struct {
	apply.Node
	verb    string
	root    string
	epoch   uint64
	tunnels []string
	step    rotate.Step
	ready   bool
	giveUp  bool
	quiet   time.Duration
	wait    time.Duration
	at      time.Time
	slack   time.Duration
}

// Without other words old SAs must have been quiet for defaultQuiet, and a
// step is waited for no longer than defaultWait.
const (
	defaultQuiet = 2 * time.Second
	defaultWait  = 10 * time.Second
	defaultSlack = 60 * time.Second
)

// option is a word of these commands. Those without arg take no value.
type option struct {
	name, arg, help string
	verbs           string // the commands that have it
	set             func(*words, string) error
}

func options() []option {
	return []option{
		{"--as", "NODE", "the node of the document that this machine is", "rotate status", func(w *words, v string) error { w.As = v; return nil }},
		{"--root", "PATH", "make a root secret for derive: in this file, and read no document", "new", func(w *words, v string) error { w.root = v; return nil }},
		{"--tunnel", "NAME", "this tunnel alone; may be given again", "new rotate status", func(w *words, v string) error { w.tunnels = append(w.tunnels, v); return nil }},
		{"--epoch", "N", "new: files of that epoch of static keys; rotate: the epoch to go to", "new rotate", func(w *words, v string) error { return w.number(v) }},
		{"--step", "STEP", "this step and no other: " + stepNames(), "rotate", func(w *words, v string) error { return w.setStep(v) }},
		{"--peer-ready", "", "your word that the peer has taken the step that this one waits for", "rotate", func(w *words, _ string) error { w.ready = true; return nil }},
		{"--give-up", "", "return to the keys in force, from a rotation that cannot go on", "rotate", func(w *words, _ string) error { w.giveUp = true; return nil }},
		{"--wait", "TIME", "how long to wait for what a step needs (" + defaultWait.String() + ")", "rotate", duration(func(w *words) *time.Duration { return &w.wait })},
		{"--quiet-for", "TIME", "how long the old inbound SA must have carried nothing (" + defaultQuiet.String() + ")", "rotate", duration(func(w *words) *time.Duration { return &w.quiet })},
		{"--at", "TIME", "stay, and take all steps by the clock: both ends send with the new keys at this time, like 2026-01-31T03:00:00Z", "rotate", setAt},
		{"--slack", "TIME", "with --at: how far the clocks of both ends are apart at most (" + defaultSlack.String() + ")", "rotate", duration(func(w *words) *time.Duration { return &w.slack })},
		{"--boot-id", "NODE=ID", "boot identifier of another node, for derived keys", "rotate status", func(w *words, v string) error { return w.SetBoot(v) }},
		{"--state-dir", "DIR", "where it is noted how far rotations have come (" + apply.StateDir + ")", "rotate status", func(w *words, v string) error { w.StateDir = v; return nil }},
		{"--no-wait", "", "fail when another xfrmctl holds the lock, and say which", "rotate", func(w *words, _ string) error { w.NoWait = true; return nil }},
	}
}

func stepNames() string {
	var names []string
	for _, s := range rotate.Steps() {
		names = append(names, string(s))
	}
	return strings.Join(names, ", ")
}

func (w *words) number(v string) (err error) {
	if w.epoch, err = strconv.ParseUint(v, 10, 64); err != nil || w.epoch == 0 {
		return wordError("--epoch takes a number from 1, not %q", v)
	}
	return nil
}

func (w *words) setStep(v string) error {
	if !slices.Contains(rotate.Steps(), rotate.Step(v)) {
		return wordError("--step takes one of %s, not %q", stepNames(), v)
	}
	w.step = rotate.Step(v)
	return nil
}

func setAt(w *words, v string) (err error) {
	if w.at, err = time.Parse(time.RFC3339, v); err != nil {
		return wordError("--at takes a time like 2026-01-31T03:00:00Z, not %q", v)
	}
	return nil
}

// duration reads a length of time; a number alone is seconds.
func duration(to func(*words) *time.Duration) func(*words, string) error {
	return func(w *words, v string) error {
		text := v
		if _, err := strconv.ParseUint(v, 10, 32); err == nil {
			text += "s"
		}
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 {
			return wordError("%q is no length of time like 500ms, 10s or 1h", v)
		}
		*to(w) = d
		return nil
	}
}

func wordError(format string, args ...any) error {
	return &apply.WordError{Msg: fmt.Sprintf(format, args...)}
}

// verbs are the commands, with what they are for.
func verbs() [][2]string {
	return [][2]string{
		{"new", "make the files with keys that a document refers to and that are not there, or a root secret"},
		{"rotate", "replace the keys of tunnels without loss, step by step or by the clock"},
		{"status", "how far rotations have come, and what is known of the peer"},
	}
}

func (o *option) has(verb string) bool { return slices.Contains(strings.Fields(o.verbs), verb) }

func parse(args []string) (*words, error) {
	w := &words{Node: apply.Node{StateDir: apply.StateDir, Boots: map[string]string{}}, quiet: defaultQuiet, wait: defaultWait, slack: defaultSlack}
	for _, v := range verbs() {
		if len(args) > 0 && args[0] == v[0] {
			w.verb = v[0]
		}
	}
	if w.verb == "" {
		return nil, &apply.WordError{Msg: "keys needs new, rotate or status", Hint: "xfrmctl keys help"}
	}
	for rest := args[1:]; len(rest) > 0; rest = rest[1:] {
		if !strings.HasPrefix(rest[0], "-") || rest[0] == "-" {
			if w.File != "" {
				return nil, wordError("keys %s takes one document; %q is one more word", w.verb, rest[0])
			}
			w.File = rest[0]
			continue
		}
		used, err := w.option(rest)
		if err != nil {
			return nil, err
		}
		rest = rest[used:]
	}
	return w, w.check()
}

// option reads the option at the beginning of args, and returns how many words
// its value takes.
func (w *words) option(args []string) (used int, err error) {
	for _, o := range options() {
		if o.name != args[0] || !o.has(w.verb) {
			continue
		}
		if o.arg == "" {
			return 0, o.set(w, "")
		}
		if len(args) < 2 {
			return 0, wordError("%s needs %s", o.name, o.arg)
		}
		return 1, o.set(w, args[1])
	}
	e := &apply.WordError{Msg: fmt.Sprintf("keys %s has no option %q", w.verb, args[0])}
	if near := ipxfrm.Nearest(args[0], optionNames(w.verb)); near != "" {
		e.Hint = fmt.Sprintf("did you mean %q?", near)
	}
	return 0, e
}

func (w *words) check() error {
	switch {
	case w.root != "" && (w.File != "" || w.epoch != 0 || w.tunnels != nil):
		return wordError("--root reads no document: it stands alone")
	case w.root != "":
		return nil
	case w.File == "":
		return &apply.WordError{Msg: "keys " + w.verb + " needs a document", Hint: "xfrmctl keys help"}
	case w.verb != "new" && w.As == "":
		return &apply.WordError{Msg: "keys " + w.verb + " needs to know which node this is", Hint: "xfrmctl keys " + w.verb + " " + w.File + " --as NODE"}
	case w.verb == "rotate" && w.File == "-":
		return wordError("keys rotate may read the document again: it cannot be standard input")
	case !w.at.IsZero() && (w.step != "" || w.ready):
		return wordError("--at takes all steps by the clock, without --step and --peer-ready")
	case w.giveUp && (w.step != "" || w.ready || !w.at.IsZero() || w.epoch != 0):
		return wordError("--give-up takes no step")
	case !w.at.IsZero() && w.slack == 0:
		return wordError("--slack 0: no two clocks are the same")
	}
	return nil
}

func optionNames(verb string) (names []string) {
	for _, o := range options() {
		if o.has(verb) {
			names = append(names, o.name)
		}
	}
	return names
}

// Complete returns what the last of the words after keys may become.
func Complete(args []string) []string {
	if len(args) <= 1 {
		return []string{"new", "rotate", "status"}
	}
	last := args[len(args)-1]
	switch {
	case args[len(args)-2] == "--step":
		return strings.Split(stepNames(), ", ")
	case len(args) == 2 && !strings.HasPrefix(last, "-"):
		return nil // a file
	}
	return optionNames(args[0])
}

// Usage returns the words of all commands.
func Usage() string {
	var b strings.Builder
	b.WriteString("Usage: xfrmctl keys new { FILE | --root PATH }\n" +
		"       xfrmctl keys { rotate | status } FILE --as NODE [ OPTIONS ]\n\n" +
		"FILE is a document, see docs/provisioning.md.\n\n")
	for _, v := range verbs() {
		fmt.Fprintf(&b, "keys %-7s %s\n", v[0], v[1])
		for _, o := range options() {
			if o.has(v[0]) {
				fmt.Fprintf(&b, "  %-20s %s\n", strings.TrimSpace(o.name+" "+o.arg), o.help)
			}
		}
		b.WriteByte('\n')
	}
	return strings.TrimSuffix(b.String(), "\n")
}
