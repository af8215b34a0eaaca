package main

import (
	"slices"
	"strconv"
	"strings"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/ipxfrm"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// options are the global options, before the object word.
type options struct {
	family    netlinkx.Family
	stats     int
	oneline   bool
	json      bool
	pretty    bool
	timestamp bool // -t
	tshort    bool // -ts
	showKeys  bool
	quiet     bool
	verbose   bool
	dryRun    bool
	force     bool
	all       bool
	help      bool
	version   bool
	netns     string
	batch     string
	engine    string // auto, kernel, userspace
	socket    string // of the userspace engine, "" the default
	rcvbuf    int    // bytes, 0 the default
}

// option is one global option. Long names match by prefix, the first in the
// table wins, with one dash or two, as `ip` has it.
type option struct {
	name  string
	exact bool   // no prefixes
	arg   string // name of the value, "" for none
	usage string // "" hides it from help: accepted and without effect
	set   func(o *options, v string) error
}

// Address families that `ip` accepts as -0, -B and -M. XFRM has no objects of
// these, so that lists come out empty.
const (
	familyBridge netlinkx.Family = 7
	familyPacket netlinkx.Family = 17
	familyMPLS   netlinkx.Family = 28
)

func family(f netlinkx.Family) func(*options, string) error {
	return func(o *options, _ string) error { o.family = f; return nil }
}

func flag(p func(*options) *bool) func(*options, string) error {
	return func(o *options, _ string) error { *p(o) = true; return nil }
}

func text(p func(*options) *string) func(*options, string) error {
	return func(o *options, v string) error { *p(o) = v; return nil }
}

func ignored(*options, string) error { return nil }

// optionTable is in the order in which `ip` compares; ours come last.
var optionTable = []option{
	{name: "loops", arg: "COUNT", set: ignored},
	{name: "family", arg: "FAMILY", usage: "address `FAMILY`: inet, inet6, bridge, mpls, link", set: setFamily},
	{name: "4", exact: true, usage: "short for -family inet", set: family(netlinkx.FamilyIPv4)},
	{name: "6", exact: true, usage: "short for -family inet6", set: family(netlinkx.FamilyIPv6)},
	{name: "0", exact: true, set: family(familyPacket)},
	{name: "M", exact: true, set: family(familyMPLS)},
	{name: "B", exact: true, set: family(familyBridge)},
	{name: "human-readable", set: ignored},
	{name: "iec", set: ignored},
	{name: "stats", usage: "more output; twice for still more", set: addStats},
	{name: "statistics", set: addStats},
	{name: "details", set: ignored},
	{name: "resolve", set: ignored},
	{name: "oneline", usage: "one line per record", set: flag(func(o *options) *bool { return &o.oneline })},
	{name: "timestamp", usage: "monitor: time of each event on a line of its own", set: flag(func(o *options) *bool { return &o.timestamp })},
	{name: "tshort", usage: "monitor: time of each event in front of it", set: setTimeShort},
	{name: "Version", usage: "print the version", set: flag(func(o *options) *bool { return &o.version })},
	{name: "force", usage: "batch: go on after a failing line", set: flag(func(o *options) *bool { return &o.force })},
	{name: "batch", arg: "FILE", usage: "take commands from `FILE`, - for standard input", set: text(func(o *options) *string { return &o.batch })},
	{name: "brief", set: ignored},
	{name: "json", usage: "JSON output", set: flag(func(o *options) *bool { return &o.json })},
	{name: "pretty", usage: "with -json: indented", set: flag(func(o *options) *bool { return &o.pretty })},
	{name: "rcvbuf", arg: "BYTES", usage: "receive buffer of the netlink socket, in `BYTES`", set: setReadBuffer},
	{name: "color", set: ignored},
	{name: "help", usage: "print help", set: flag(func(o *options) *bool { return &o.help })},
	{name: "netns", arg: "NETNS", usage: "work in another network namespace: `NETNS` is a name, a path, or pid:N", set: setNetNS},
	{name: "Numeric", set: ignored},
	{name: "all", set: flag(func(o *options) *bool { return &o.all })},
	{name: "echo", exact: true, set: ignored},
	{name: "show-keys", usage: "print keys instead of hiding them", set: flag(func(o *options) *bool { return &o.showKeys })},
	{name: "quiet", usage: "no warnings", set: flag(func(o *options) *bool { return &o.quiet })},
	{name: "dry-run", usage: "print the changes that would be sent, and send none", set: flag(func(o *options) *bool { return &o.dryRun })},
	{name: "v", exact: true, usage: "short for --verbose", set: flag(func(o *options) *bool { return &o.verbose })},
	{name: "verbose", usage: "say what was done; with --dry-run also the bytes", set: flag(func(o *options) *bool { return &o.verbose })},
	{name: "version", usage: "print the version", set: flag(func(o *options) *bool { return &o.version })},
	{name: "engine", arg: "ENGINE", usage: "`ENGINE` that does the work: auto, kernel or userspace", set: setEngine},
	{name: "socket", arg: "PATH", usage: "socket of the userspace engine, instead of the namespace's own: `PATH`", set: text(func(o *options) *string { return &o.socket })},
}

// parseOptions takes the options off the front of args.
func parseOptions(args []string) (options, []string, error) {
	o := options{engine: "auto"}
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		word := args[0]
		args = args[1:]
		if word == "--" {
			break
		}
		opt, value, hasValue := findOption(word)
		if opt == nil {
			return o, nil, unknownOption(word)
		}
		if opt.arg != "" && !hasValue {
			if len(args) == 0 {
				return o, nil, argError("option %s needs a value: %s", word, opt.arg)
			}
			value, args = args[0], args[1:]
		}
		if err := opt.set(&o, value); err != nil {
			return o, nil, err
		}
	}
	return o, args, nil
}

// findOption looks up -name, --name or --name=value.
func findOption(word string) (opt *option, value string, hasValue bool) {
	name := strings.TrimPrefix(strings.TrimPrefix(word, "-"), "-")
	name, value, hasValue = strings.Cut(name, "=")
	if name == "" {
		return nil, "", false
	}
	for i := range optionTable {
		o := &optionTable[i]
		if name == o.name || !o.exact && strings.HasPrefix(o.name, name) {
			if hasValue && o.arg == "" && o.name != "color" {
				return nil, "", false
			}
			return o, value, hasValue
		}
	}
	return nil, "", false
}

func unknownOption(word string) error {
	names := make([]string, 0, len(optionTable))
	for _, o := range optionTable {
		if !o.exact {
			names = append(names, "-"+o.name)
		}
	}
	name, _, _ := strings.Cut(word, "=")
	err := &exitError{code: exitArgument, msg: "option " + strconv.Quote(word) + ` is unknown, try "xfrmctl help"`}
	name = "-" + strings.TrimLeft(name, "-")
	near := ipxfrm.Nearest(name, names)
	if slices.Contains(names, name) { // an option that takes no value, with one
		near = name
	}
	if near != "" {
		err.hint = "did you mean " + near + "?"
	}
	return err
}

func setFamily(o *options, v string) error {
	families := map[string]netlinkx.Family{
		"inet": netlinkx.FamilyIPv4, "inet6": netlinkx.FamilyIPv6,
		"bridge": familyBridge, "mpls": familyMPLS, "link": familyPacket,
	}
	f, ok := families[v]
	if !ok {
		return argError("option -family: %q is none of inet, inet6, bridge, mpls, link", v)
	}
	o.family = f
	return nil
}

func addStats(o *options, _ string) error { o.stats++; return nil }

func setTimeShort(o *options, _ string) error {
	o.timestamp, o.tshort = true, true
	return nil
}

func setReadBuffer(o *options, v string) error {
	n, err := strconv.ParseUint(v, 0, 31)
	if err != nil {
		return argError("option -rcvbuf: %q is not a number of bytes", v)
	}
	o.rcvbuf = int(n)
	return nil
}

func setNetNS(o *options, v string) error {
	if v == "" {
		return argError("option -netns needs a name")
	}
	o.netns = v
	return nil
}

func setEngine(o *options, v string) error {
	switch v {
	case "auto", "kernel", "userspace":
		o.engine = v
		return nil
	}
	return argError("option --engine: %q is none of auto, kernel, userspace", v)
}

// netnsOf turns the value of -n into a namespace.
func netnsOf(v string) (netlinkx.NetNS, error) {
	if strings.Contains(v, "/") {
		return netlinkx.NetNSAt(v), nil
	}
	if pid, ok := strings.CutPrefix(v, "pid:"); ok {
		if n, err := strconv.ParseUint(pid, 10, 31); err != nil || n == 0 {
			return netlinkx.NetNS{}, argError("option -netns: %q is not a process id", pid)
		}
		return netlinkx.NetNSAt("/proc/" + pid + "/ns/net"), nil
	}
	return netlinkx.NamedNetNS(v), nil
}
