package main

import (
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/apply"
	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/documents"
	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/gro"
	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/ipxfrm"
	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/keycmd"
	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/nicoffload"
	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/vticmd"
)

// command is one object word of the program.
type command struct {
	name    string
	alias   string
	args    string
	usage   string
	hidden  bool
	exact   bool // no prefix of the name stands for it
	grammar bool // its words are those of `ip xfrm`
	// usageInMan: the man page has its help, because it has no grammar that would describe it.
	usageInMan bool
	// complete returns what the last of the words may become, nil for anything.
	complete func(words []string) []string
	// help returns the usage of its words.
	help func() string
	run  func(e *env, args []string) error
}

// commands is in the order in which prefixes are compared: those of `ip xfrm`
// come first.
func commands() []command {
	return []command{
		grammarCommand(command{name: "state", alias: "sa", args: "[COMMAND ARGS]", usage: "security associations"}),
		grammarCommand(command{name: "policy", args: "[COMMAND ARGS]", usage: "security policies"}),
		grammarCommand(command{name: "monitor", args: "[OPTIONS] [OBJECTS]", usage: "print events as they come"}),
		{name: "xfrm", args: "OBJECT [COMMAND ARGS]", usage: "the same three, for those who are used to `ip xfrm`",
			grammar: true, complete: ipxfrm.Complete, help: func() string { return ipxfrm.Usage("") }, run: (*env).xfrm},
		{name: "iface", args: "COMMAND ARGS", usage: "XFRM interfaces", complete: ifaceComplete, help: ifaceUsage, run: (*env).iface},
		{name: "vti", args: "COMMAND ARGS", usage: "virtual tunnel interfaces: look at them, and replace them by XFRM interfaces", exact: true,
			complete: func(words []string) []string { return vticmd.Complete(words, deviceNames) }, help: vticmd.Usage, run: (*env).vti},
		{name: "offload", args: "COMMAND ARGS", usage: "where an SA's cryptography runs, and why: NIC, kernel or userspace",
			complete: func(words []string) []string { return nicoffload.Complete(words, deviceNames) }, help: nicoffload.Usage, run: (*env).offload},
		{name: "check", usage: "what this kernel and its devices can do for IPsec, and what to do about the rest",
			usageInMan: true, help: nicoffload.CapabilitiesUsage, run: (*env).check},
		{name: "gro", alias: "gso", args: "COMMAND ARGS", usage: "GRO, GSO and their like: show and set what decides the size of packets",
			complete: func(words []string) []string { return gro.Complete(words, deviceNames) }, help: gro.Usage, run: (*env).gro},
		{name: "esp", args: "[OPTIONS] | status | stats", usage: "the userspace ESP engine: run it, ask how it is",
			usageInMan: true, complete: espComplete, help: espUsage, run: (*env).esp},
		{name: "demo", args: "[-j] [--engine ENGINE | --offload DEV]", usage: "show it at work in namespaces that are thrown away",
			usageInMan: true, complete: demoComplete, help: demoUsage, run: (*env).demo},
		documentCommand("plan", "what apply would do: each step, in place or not, and the traffic that it loses"),
		documentCommand("apply", "bring this machine to what a document says; twice is the same as once"),
		documentCommand("diff", "what differs from a document; exit code 1 when anything does"),
		documentCommand("delete", "remove all that apply made for a document"),
		{name: "keys", args: "COMMAND ARGS", usage: "keys of documents: make them, replace them without loss", usageInMan: true,
			complete: keycmd.Complete, help: keycmd.Usage, run: func(e *env, args []string) error { return applyError(keycmd.Run(e.applyEnv(), args)) }},
		{name: "link-mtu", args: "{ DEV | BYTES } [WORDS]", usage: "the largest packet that fits through an SA", exact: true,
			usageInMan: true, complete: apply.LinkComplete, help: apply.LinkUsage, run: (*env).linkMTU},
		{name: "export", args: "[OPTIONS]", usage: "the document of what this machine has, for apply",
			usageInMan: true, complete: documents.ExportComplete, help: documents.ExportUsage, run: (*env).export},
		{name: "networkd", args: "FILE --as NODE [--to DIR]", usage: "files for systemd-networkd: what it can carry of a document",
			usageInMan: true, complete: afterFile(documents.NetworkdComplete), help: documents.NetworkdUsage, run: (*env).networkd},
		{name: "schema", usage: "print the JSON Schema of documents", exact: true, usageInMan: true, help: documents.SchemaUsage, run: (*env).schema},
		{name: "completion", args: "bash|zsh|fish", usage: "print a completion script",
			complete: func([]string) []string { return []string{"bash", "zsh", "fish"} }, run: (*env).completion},
		{name: "man", usage: "print the man page (roff)", run: (*env).man},
		{name: "version", usage: "print the version", run: func(e *env, _ []string) error { return e.version(nil) }},
		documentCommand("verify", "check that all is as a document says; exit code 1 when not"),
		{name: "help", args: "[OBJECT]", usage: "print help", complete: func([]string) []string { return objectNames() }, run: (*env).help},
		{name: "__complete", hidden: true, run: (*env).complete},
	}
}

// grammarCommand fills in what the objects of `ip xfrm` have in common.
func grammarCommand(c command) command {
	object := []string{c.name}
	c.grammar = true
	c.complete = func(words []string) []string { return ipxfrm.Complete(append(object[:1:1], words...)) }
	c.help = func() string { return ipxfrm.Usage(c.name) }
	c.run = func(e *env, args []string) error { return e.xfrm(append(object[:1:1], args...)) }
	return c
}

// findCommand resolves an object word: a name, or the first one it begins.
func findCommand(word string) *command {
	if word == "" {
		return nil
	}
	all := commands()
	for i := range all {
		c := &all[i]
		if (c.hidden || c.exact) && word != c.name {
			continue
		}
		if isPrefix(word, c.name) || word == c.alias {
			return c
		}
	}
	return nil
}

// dispatch runs the words of one command.
func (e *env) dispatch(words []string) error {
	c := findCommand(words[0])
	if c == nil {
		return unknownObject(words[0])
	}
	if c.asksHelp(words[1:]) {
		return e.help(words[:1])
	}
	if !c.grammar {
		e.catchInterrupts()
	}
	return c.run(e, words[1:])
}

// object runs the words after the global options.
func (e *env) object(words []string) error {
	if len(words) == 0 {
		_ = e.printHelp(e.stderr)
		return &exitError{code: exitArgument}
	}
	return e.dispatch(words)
}

func unknownObject(word string) error {
	err := &exitError{code: exitArgument, msg: fmt.Sprintf("object %q is unknown, try \"xfrmctl help\"", word)}
	var names []string
	for _, c := range commands() {
		if !c.hidden {
			names = append(names, c.name)
		}
	}
	switch word {
	case "link", "address", "addr", "route", "rule", "neigh", "netns", "tunnel":
		err.hint = fmt.Sprintf("xfrmctl takes the words of `ip xfrm` only; for this run: ip %s", word)
		return err
	}
	if near := ipxfrm.Nearest(word, names); near != "" {
		err.hint = fmt.Sprintf("did you mean %q?", near)
	}
	return err
}

// app is the command tree for the library that prints help and the manual's
// options. It runs nothing: the words of commands are the grammar's business,
// and to build the tree costs more than most commands.
func (e *env) app(out io.Writer) *cli.App {
	app := &cli.App{
		Name:            "xfrmctl",
		Usage:           "IPsec on Linux: SAs, policies, events and XFRM interfaces",
		UsageText:       "xfrmctl [OPTIONS] OBJECT [COMMAND ARGS]\nxfrmctl [--force] -batch FILE",
		Version:         version(),
		HideHelpCommand: true,
		HideHelp:        true,
		HideVersion:     true,
		Writer:          out,
		ErrWriter:       e.stderr,
		ExitErrHandler:  func(*cli.Context, error) {},
		Flags:           appFlags(),
	}
	for _, c := range commands() {
		cc := &cli.Command{
			Name:            c.name,
			Usage:           c.usage,
			ArgsUsage:       c.args,
			Hidden:          c.hidden,
			HideHelp:        true,
			HideHelpCommand: true,
		}
		if c.alias != "" {
			cc.Aliases = []string{c.alias}
		}
		app.Commands = append(app.Commands, cc)
	}
	return app
}

// shortOptions are the forms in which options are mostly written.
func shortOptions() map[string]string {
	return map[string]string{
		"family": "f", "stats": "s", "oneline": "o", "timestamp": "t", "tshort": "ts", "batch": "b", "json": "j",
		"pretty": "p", "netns": "n", "rcvbuf": "rc", "verbose": "v", "Version": "V",
	}
}

// appFlags shows the global options in help and man page. They are parsed by
// parseOptions before the library sees any word.
func appFlags() []cli.Flag {
	short := shortOptions()
	var flags []cli.Flag
	for _, o := range optionTable {
		if o.usage == "" || o.name == "v" || o.name == "version" {
			continue
		}
		var aliases []string
		if s := short[o.name]; s != "" {
			aliases = []string{s}
		}
		if o.arg != "" {
			flags = append(flags, &cli.StringFlag{Name: o.name, Aliases: aliases, Usage: o.usage})
			continue
		}
		flags = append(flags, &cli.BoolFlag{Name: o.name, Aliases: aliases, Usage: o.usage, DisableDefaultText: true})
	}
	return flags
}

// version is that of the module, or of the commit it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && (v == "" || v == "(devel)") {
			v = s.Value
		}
	}
	if v == "" {
		return "(devel)"
	}
	return strings.TrimSpace(v)
}

func (e *env) version([]string) error {
	_, err := fmt.Fprintf(e.stdout, "xfrmctl %s\n", version())
	return err
}
