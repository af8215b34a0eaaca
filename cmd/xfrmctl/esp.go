package main

import (
	"strconv"
	"strings"

	"github.com/xfrmctl/xfrmctl/offload/userspace"
)

const espText = `Usage: xfrmctl esp [ OPTIONS ]
       xfrmctl esp status [ -j ] [ -p ] [ --socket PATH ]
       xfrmctl esp stats [ -j ] [ -p ] [ --socket PATH ]
Runs the userspace ESP engine of this network namespace, or that of -netns, until a signal
ends it. It answers what the kernel would: xfrmctl --engine userspace state|policy|monitor|iface.
  --socket PATH      where it answers; also $XFRMCTL_ESP_SOCKET
                     (/run/xfrmctl/esp.sock; in other namespaces than the first, esp-INODE.sock)
  --state-dir DIR    where it remembers which keys were used (/var/lib/xfrmctl, or $STATE_DIRECTORY)
  --new-journal      begin to remember anew: for when the old memory is lost and all keys are new
  --forget-keys      remember nothing: for keys that are made for this run alone
  --queues N         packet threads (one for two CPUs)
  --no-gso, --no-gro, --no-tso, --no-uso, --no-direct
                     do without something that this kernel or its network cards get wrong
  --unconfined       keep all privileges and system calls, to debug it
status prints how it is, stats the counters of packets, SAs and devices.
`

func espUsage() string { return espText }

// espRequest is what the words after "esp" ask for.
type espRequest struct {
	show       string // "status", "stats", or "" to run an engine
	stateDir   string
	newJournal bool
	forget     bool
	unconfined bool
	path       userspace.PathConfig
}

// espOption is one of the command's own options.
type espOption struct {
	arg bool
	set func(r *espRequest, o *options, v string) error
}

func espSwitch(p func(*espRequest) *bool) espOption {
	return espOption{set: func(r *espRequest, _ *options, _ string) error { *p(r) = true; return nil }}
}

// espOptions are those of running an engine; of showing, the first three.
func espOptions() map[string]espOption {
	return map[string]espOption{
		"json":        {set: func(_ *espRequest, o *options, _ string) error { o.json = true; return nil }},
		"pretty":      {set: func(_ *espRequest, o *options, _ string) error { o.pretty = true; return nil }},
		"socket":      {arg: true, set: func(_ *espRequest, o *options, v string) error { o.socket = v; return nil }},
		"state-dir":   {arg: true, set: func(r *espRequest, _ *options, v string) error { r.stateDir = v; return nil }},
		"queues":      {arg: true, set: setQueues},
		"new-journal": espSwitch(func(r *espRequest) *bool { return &r.newJournal }),
		"forget-keys": espSwitch(func(r *espRequest) *bool { return &r.forget }),
		"unconfined":  espSwitch(func(r *espRequest) *bool { return &r.unconfined }),
		"no-gso":      espSwitch(func(r *espRequest) *bool { return &r.path.NoGSO }),
		"no-gro":      espSwitch(func(r *espRequest) *bool { return &r.path.NoGRO }),
		"no-tso":      espSwitch(func(r *espRequest) *bool { return &r.path.NoTSO }),
		"no-uso":      espSwitch(func(r *espRequest) *bool { return &r.path.NoUSO }),
		"no-direct":   espSwitch(func(r *espRequest) *bool { return &r.path.NoDirect }),
	}
}

// maxQueues is what a TUN device can have (MAX_TAP_QUEUES of the kernel).
const maxQueues = 256

func setQueues(r *espRequest, _ *options, v string) error {
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > maxQueues {
		return argError("esp: --queues %q is not a number from 1 to %d", v, maxQueues)
	}
	r.path.Queues = n
	return nil
}

// espComplete completes the command's words.
func espComplete(words []string) []string {
	if len(words) == 1 && !strings.HasPrefix(words[0], "-") {
		return []string{"help", "stats", "status"}
	}
	var out []string
	for name := range espOptions() {
		out = append(out, "--"+name)
	}
	return out
}

// parseESP reads the words after "esp". Options of the program may stand there
// too, since that is where one looks for them.
func (e *env) parseESP(args []string) (*espRequest, error) {
	r := &espRequest{}
	all := espOptions()
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		if !strings.HasPrefix(word, "-") {
			if r.show != "" || word != "status" && word != "stats" && word != "help" {
				return nil, argError("esp takes no %q, try \"xfrmctl esp help\"", word)
			}
			r.show = word
			continue
		}
		name, value, hasValue := strings.Cut(strings.TrimLeft(word, "-"), "=")
		switch name {
		case "j", "p":
			name = map[string]string{"j": "json", "p": "pretty"}[name]
		case "h", "help":
			r.show = "help"
			continue
		}
		o, known := all[name]
		if !known || hasValue && !o.arg {
			return nil, argError("esp takes no %q, try \"xfrmctl esp help\"", word)
		}
		if o.arg && !hasValue {
			if len(args) == 0 {
				return nil, argError("esp: %s needs a value", word)
			}
			value, args = args[0], args[1:]
		}
		if err := o.set(r, &e.opts, value); err != nil {
			return nil, err
		}
	}
	return r, r.check()
}

// check refuses options that do not go together.
func (r *espRequest) check() error {
	own := *r
	own.show = ""
	switch {
	case r.show != "" && r.show != "help" && own != (espRequest{}):
		return argError("esp %s takes only -j, -p and --socket", r.show)
	case r.forget && (r.newJournal || r.stateDir != ""):
		return argError("esp: --forget-keys needs no journal: it does not go with --state-dir or --new-journal")
	}
	return nil
}

// esp runs the words after "esp".
func (e *env) esp(args []string) error {
	r, err := e.parseESP(args)
	if err != nil {
		return err
	}
	switch r.show {
	case "help":
		_, err := e.stdout.WriteString(espText)
		return err
	case "status":
		return e.espStatus()
	case "stats":
		return e.espStats()
	}
	if e.opts.json {
		return argError("esp -j: an engine prints nothing; esp status -j and esp stats -j do")
	}
	return e.espServe(args, r)
}
