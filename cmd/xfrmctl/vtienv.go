package main

import (
	"errors"
	"strings"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/apply"
	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/verbs"
	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/vticmd"
	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/provision/vti"
)

// vti runs the words after "vti".
func (e *env) vti(args []string) error {
	err := vticmd.Run(&vticmd.Env{
		Ctx: e.ctx, Stdout: e.stdout, Stderr: e.stderr, NetNS: e.netns,
		JSON: e.opts.json, Verbose: e.opts.verbose, DryRun: e.opts.dryRun, Encode: e.printJSON,
		XFRM:  e.connection,
		Links: func() (*ifaces.Conn, error) { return e.dialIfaces(e.netns) },
		Userspace: func() (bool, error) {
			by, err := e.engineFor(aboutIPsec)
			return err == nil && by.path != "", err
		},
		StateDir: apply.StateDir,
	}, args)
	var words *verbs.Error
	var refused *vti.RefusedError
	var faults *vticmd.FaultsError
	switch {
	case errors.As(err, &words):
		return &exitError{code: exitArgument, msg: words.Msg, hint: words.Hint, err: err}
	case errors.As(err, &refused):
		return &exitError{code: exitCheck, msg: strings.Join(refused.Lines(), "\n"), hint: "nothing was changed", err: err}
	case errors.As(err, &faults), errors.Is(err, vticmd.EngineError{}):
		return &exitError{code: exitCheck, msg: err.Error(), hint: engineHint(err), err: err}
	}
	return ifaceError(err)
}

func engineHint(err error) string {
	if errors.Is(err, vticmd.EngineError{}) {
		return "--engine kernel has them"
	}
	return ""
}
