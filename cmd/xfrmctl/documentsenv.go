package main

import (
	"errors"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/documents"
	"github.com/xfrmctl/xfrmctl/ifaces"
)

func (e *env) schema(args []string) error   { return e.documents(documents.Schema, args) }
func (e *env) export(args []string) error   { return e.documents(documents.Export, args) }
func (e *env) networkd(args []string) error { return e.documents(documents.Networkd, args) }

// afterFile completes options behind the name of a file.
func afterFile(complete func([]string) []string) func([]string) []string {
	return func(words []string) []string {
		if len(words) <= 1 {
			return nil
		}
		return complete(words)
	}
}

// documents runs a command of package documents.
func (e *env) documents(run func(*documents.Env, []string) error, args []string) error {
	err := run(&documents.Env{
		Ctx: e.ctx, Stdin: e.stdin, Stdout: e.stdout, Stderr: e.stderr, NetNS: e.netns, JSON: e.opts.json, DryRun: e.opts.dryRun,
		Encode: e.printJSON, XFRM: e.connection,
		Links:     func() (*ifaces.Conn, error) { return e.dialIfaces(e.netns) },
		Userspace: e.userspace, Device: e.devices.name,
	}, args)
	var words *documents.WordError
	if errors.As(err, &words) {
		return &exitError{code: exitArgument, msg: words.Msg, hint: words.Hint, err: err}
	}
	return applyError(err)
}

// userspace reports whether the userspace engine has the SAs.
func (e *env) userspace() (bool, error) {
	by, err := e.engineFor(aboutIPsec)
	return err == nil && by.path != "", err
}
