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
	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/verbs"
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

func table() *verbs.Table[*command] {
	return &verbs.Table[*command]{Program: "xfrmctl gro", Verbs: []verbs.Verb[*command]{
		{Name: "show", Args: "[ DEV ] [ recursive ]", Help: "settings that matter to ESP: a line per device, or all of DEV; recursive: and of the devices below it", Run: (*command).show},
		{Name: "set", Args: "DEV { FEATURE { on | off } | SETTING NUMBER }... [ recursive ]", Help: "change, read back, and take all of it back when a part is refused", Run: (*command).set},
		{Name: "snapshot", Args: "[ DEV... ]", Help: "print the settings as JSON, to restore them later", Run: (*command).snapshot},
		{Name: "restore", Args: "{ FILE | - }", Help: "go back to a snapshot", Run: (*command).restore},
		{Name: "auto", Args: "DEV { run COMMAND | for SECONDS }", Help: "try what the fast path wants, one feature at a time: measure, keep or take back. run: how fast a command ends (a bounded transfer); for: the bytes that pass DEV", Run: (*command).auto},
		{Name: "explain", Args: "ID [ dev DEV ]", Help: "the kernel's own test whether an installed SA may see large packets whole, clause by clause, and what to do about the first that fails", Run: notHere},
		{Name: "help", Help: "print this"},
	}, Tail: "gso is the same command.\nFEATURE := a name of ethtool -k, for example rx-gro, tx-tcp-segmentation, esp-hw-offload\nSETTING := " +
		strings.Join(append(gsogro.SizeNames(), gsogro.NAPINames()...), " | ") + "\n"}
}

// notHere: SAs are the business of package nicoffload, to which the program
// hands explain.
func notHere(*command) error {
	return errors.New("explain is not run by this package")
}

// command is one run.
type command struct {
	env  *Env
	conn *gsogro.Conn
	args []string
}

// Run runs the words after "gro". Errors are *verbs.Error, or what package gsogro
// returns.
func Run(env *Env, args []string) error {
	v, args, err := table().Choose(args, env.Stdout)
	if v == nil {
		return err
	}
	conn, err := gsogro.Dial(&gsogro.Config{NetNS: env.NetNS})
	if err != nil {
		return err
	}
	return errors.Join(v.Run(&command{env: env, conn: conn, args: args}), conn.Close())
}

// IsExplain reports whether a word is explain, which package nicoffload runs.
func IsExplain(word string) bool { return table().Is(word, "explain") }

// ManSection returns what the manual says of the command.
func ManSection() ipxfrm.ManSection { return table().ManSection("gro, gso") }

// Complete returns what the last of the words after "gro" may become, nil for
// anything; devices returns the names of devices.
func Complete(words []string, devices func() []string) []string {
	if len(words) <= 1 {
		return table().Names()
	}
	verb := func(name string) bool { return table().Is(words[0], name) }
	switch {
	case verb("snapshot") || len(words) == 2 && (verb("show") || verb("set") || verb("auto")):
		return devices()
	case verb("show"):
		return []string{"recursive"}
	case verb("auto") && len(words) == 3:
		return []string{"run", "for"}
	case verb("explain"):
		return ipxfrm.Complete(append([]string{"state", "get"}, words[1:]...))
	case !verb("set"):
		return nil
	}
	if len(words)%2 == 0 { // the value of what is before
		if settings()[words[len(words)-2]] {
			return nil
		}
		return []string{"on", "off"}
	}
	return append(slices.Concat(relevant(), gsogro.SizeNames(), gsogro.NAPINames()), "recursive")
}

// Usage returns the words of all verbs.
func Usage() string { return table().Usage() }

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
			return c, verbs.Errorf("command line is not complete: a value must follow %q", name)
		}
		value := words[1]
		if numbers[name] {
			v, err := strconv.ParseUint(value, 0, 64)
			if err != nil {
				return c, verbs.Errorf("%s takes a number, not %q", name, value)
			}
			c.Numbers[name] = v
			continue
		}
		switch value {
		case "on", "off":
			c.Features[name] = value == "on"
		default:
			e := &verbs.Error{Msg: fmt.Sprintf("%s is on or off, not %q", name, value)}
			if near := nearest(name); near != "" {
				e.Hint = fmt.Sprintf("did you mean %q?", near)
			}
			return c, e
		}
	}
	if c.Empty() {
		return c, verbs.Errorf("set: nothing to set: name a feature or a setting, try \"xfrmctl gro help\"")
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
