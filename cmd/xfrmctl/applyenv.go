package main

import (
	"errors"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/apply"
	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/keycmd"
	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/provision"
	"github.com/xfrmctl/xfrmctl/provision/document"
)

// documentCommand is a command that takes a document.
func documentCommand(verb, usage string) command {
	return command{
		name: verb, args: "FILE --as NODE [OPTIONS]", usage: usage, usageInMan: true,
		complete: func(words []string) []string {
			if len(words) <= 1 {
				return nil // a file
			}
			return apply.Complete(verb, words)
		},
		help: func() string { return apply.Usage(verb) },
		run: func(e *env, args []string) error {
			return applyError(apply.Run(e.applyEnv(), verb, args))
		},
	}
}

func (e *env) linkMTU(args []string) error { return applyError(apply.LinkMTU(e.applyEnv(), args)) }

// applyEnv is what package apply needs of a run.
func (e *env) applyEnv() *apply.Env {
	return &apply.Env{
		Ctx: e.ctx, Stdin: e.stdin, Stdout: e.stdout, Stderr: e.stderr, Flush: e.stdout.Flush, NetNS: e.netns,
		JSON: e.opts.json, Verbose: e.opts.verbose, DryRun: e.opts.dryRun, Encode: e.printJSON, Getenv: e.getenv,
		XFRM:  e.connection,
		Links: func() (*ifaces.Conn, error) { return e.dialIfaces(e.netns) },
		Listen: func() (func([]netlinkx.Group) (netlinkx.Transport, error), error) {
			by, err := e.engineFor(aboutIPsec)
			if err != nil || by.path == "" {
				return nil, err
			}
			return by.dialMonitor, nil
		},
		Tell:      e.tellManager,
		Terminal:  isTerminal(e.stderr),
		Userspace: e.userspace,
		Kernel:    e.kernelAlone,
		Tap:       func(xfrm, routes netlinkx.Tap) { e.xfrmTap, e.routesTap = xfrm, routes },
		Engine: func(choose func(string) (string, error)) (err error) {
			e.opts.engine, err = choose(e.opts.engine)
			return err
		},
	}
}

func applyError(err error) error {
	var words *apply.WordError
	var differ *apply.DifferError
	var problems *document.ProblemsError
	var refused *provision.RefusedError
	var untaken *keycmd.UntakenError
	switch {
	case errors.As(err, &words):
		return &exitError{code: exitArgument, msg: words.Msg, hint: words.Hint, err: err}
	case errors.As(err, &problems):
		return &exitError{code: exitCheck, msg: problems.Error(), hint: "nothing was changed", err: err}
	case errors.As(err, &refused):
		hint := "nothing was changed"
		if refused.Foreign() {
			hint += "; what xfrmctl apply made before its state directory was lost is another's to it: remove that by hand"
		}
		return &exitError{code: exitCheck, msg: strings.Join(refused.Lines(), "\n"), hint: hint, err: err}
	case errors.As(err, &untaken):
		return &exitError{code: exitCheck, msg: err.Error(), hint: keycmd.Hint(err), err: err}
	case errors.As(err, &differ):
		return &exitError{code: exitCheck, msg: differ.Error(), hint: "xfrmctl plan shows the steps, xfrmctl apply takes them", err: err}
	}
	return err
}

// tellManager tells systemd, if that has started us, how a command that stays is
// doing. Without it nothing is missed.
func (e *env) tellManager(assignments ...string) {
	m, err := connectServiceManager(e.getenv, os.Getpid())
	if err != nil {
		e.warnOnce("%v", err)
		return
	}
	m.tell(assignments...)
	m.close()
}

// isTerminal reports whether what is written to w is seen by somebody.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
