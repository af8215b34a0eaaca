// Package gro is the commands `xfrmctl gro` and `xfrmctl gso`, which are one:
// words in, package gsogro, text or JSON out.
package gro

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/ipxfrm"
	"github.com/xfrmctl/xfrmctl/gsogro"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Env is what the program gives a command. It is borrowed for one Run.
type Env struct {
	Ctx    context.Context
	Stdin  io.Reader
	Stdout io.Writer
	NetNS  netlinkx.NetNS
	JSON   bool
	DryRun bool
	// Encode prints one JSON value.
	Encode func(any) error
}

// WordError is a mistake in the words. Hint may be empty.
type WordError struct{ Msg, Hint string }

// Error returns one line.
func (e *WordError) Error() string { return e.Msg }

func wordError(format string, args ...any) error {
	return &WordError{Msg: fmt.Sprintf(format, args...)}
}

// verb is one command word.
type verb struct {
	name, args, help string
	run              func(*command) error
}

func verbs() []verb {
	return []verb{
		{"show", "[ DEV ] [ recursive ]", "settings that matter to ESP: a line per device, or all of DEV; recursive: and of the devices below it", (*command).show},
		{"set", "DEV { FEATURE { on | off } | SETTING NUMBER }... [ recursive ]", "change, read back, and take all of it back when a part is refused", (*command).set},
		{"snapshot", "[ DEV... ]", "print the settings as JSON, to restore them later", (*command).snapshot},
		{"restore", "{ FILE | - }", "go back to a snapshot", (*command).restore},
		{"auto", "DEV { run COMMAND | for SECONDS }", "try what the fast path wants, one feature at a time: measure, keep or take back. run: how fast a command ends (a bounded transfer); for: the bytes that pass DEV", (*command).auto},
		{"help", "", "print this", nil},
	}
}

// command is one run.
type command struct {
	env  *Env
	conn *gsogro.Conn
	args []string
}

// Run runs the words after "gro". Errors are *WordError, or what package gsogro
// returns.
func Run(env *Env, args []string) error {
	word := "show"
	if len(args) > 0 {
		word, args = args[0], args[1:]
	}
	v := find(word)
	if v == nil {
		return unknownVerb(word)
	}
	if v.run == nil {
		_, err := io.WriteString(env.Stdout, Usage())
		return err
	}
	conn, err := gsogro.Dial(&gsogro.Config{NetNS: env.NetNS})
	if err != nil {
		return err
	}
	return errors.Join(v.run(&command{env: env, conn: conn, args: args}), conn.Close())
}

func find(word string) *verb {
	for _, v := range verbs() {
		if word != "" && strings.HasPrefix(v.name, word) {
			return &v
		}
	}
	return nil
}

func unknownVerb(word string) error {
	e := &WordError{Msg: fmt.Sprintf("command %q is unknown, try \"xfrmctl gro help\"", word)}
	if near := ipxfrm.Nearest(word, Verbs()); near != "" {
		e.Hint = fmt.Sprintf("did you mean %q?", near)
	}
	return e
}

// Verbs returns the command words.
func Verbs() []string {
	names := []string{"explain"}
	for _, v := range verbs() {
		names = append(names, v.name)
	}
	return names
}

// Complete returns what the last of the words after "gro" may become, nil for
// anything.
func Complete(words []string) []string {
	if len(words) <= 1 {
		return Verbs()
	}
	if v := find(words[0]); v == nil || v.name != "set" || len(words) < 3 {
		return nil
	}
	if len(words)%2 == 0 { // the value of what is before
		if _, number := settings()[words[len(words)-2]]; number {
			return nil
		}
		return []string{"on", "off"}
	}
	return slices.Concat(relevant(), gsogro.SizeNames(), gsogro.NAPINames())
}

// Usage returns the words of all verbs.
func Usage() string {
	var b strings.Builder
	all := slices.Insert(verbs(), 4, verb{name: "explain", args: "ID [ dev DEV ]"}) // package nicoffload's
	for i, v := range all {
		lead := "Usage: "
		if i > 0 {
			lead = "       "
		}
		fmt.Fprintf(&b, "%sxfrmctl { gro | gso } %s\n", lead, strings.TrimSpace(v.name+" "+v.args))
	}
	b.WriteString("FEATURE := a name of ethtool -k, for example rx-gro, tx-tcp-segmentation, esp-hw-offload\nSETTING := ")
	b.WriteString(strings.Join(append(gsogro.SizeNames(), gsogro.NAPINames()...), " | ") + "\n")
	return b.String()
}

// settings are the names that take a number.
func settings() map[string]bool {
	m := map[string]bool{gsogro.TSOMaxSize: true, gsogro.TSOMaxSegs: true}
	for _, n := range append(gsogro.SizeNames(), gsogro.NAPINames()...) {
		m[n] = true
	}
	return m
}

// parseChange reads FEATURE on|off and SETTING NUMBER.
func parseChange(words []string) (gsogro.Change, error) {
	c := gsogro.Change{Features: map[string]bool{}, Numbers: map[string]uint64{}}
	numbers := settings()
	for ; len(words) > 0; words = words[2:] {
		name := words[0]
		if len(words) < 2 {
			return c, wordError("command line is not complete: a value must follow %q", name)
		}
		value := words[1]
		if numbers[name] {
			v, err := strconv.ParseUint(value, 0, 64)
			if err != nil {
				return c, wordError("%s takes a number, not %q", name, value)
			}
			c.Numbers[name] = v
			continue
		}
		switch value {
		case "on", "off":
			c.Features[name] = value == "on"
		default:
			return c, wordError("%s is on or off, not %q", name, value)
		}
	}
	if c.Empty() {
		return c, wordError("set: nothing to set: name a feature or a setting, try \"xfrmctl gro help\"")
	}
	return c, nil
}

// recursive takes the word off the end of the arguments.
func (c *command) recursive() bool {
	n := len(c.args)
	if n == 0 || c.args[n-1] != "recursive" && c.args[n-1] != "--recursive" {
		return false
	}
	c.args = c.args[:n-1]
	return true
}

// stack returns the device's name and, when deep, those below it.
func (c *command) stack(device string, deep bool) ([]string, error) {
	if !deep {
		return []string{device}, nil
	}
	links, err := c.conn.Links(c.env.Ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, l := range gsogro.NewTopology(links).Below(device) {
		names = append(names, l.Link.Name)
	}
	if len(names) == 0 {
		_, err := c.conn.Link(c.env.Ctx, device) // says that it does not exist
		return []string{device}, err
	}
	return names, nil
}
