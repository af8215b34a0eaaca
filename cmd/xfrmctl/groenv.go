package main

import (
	"cmp"
	"errors"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/gro"
	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/nicoffload"
	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/verbs"
	"github.com/xfrmctl/xfrmctl/gsogro"
)

// gro runs the words after "gro" or "gso".
func (e *env) gro(args []string) error {
	if len(args) > 0 && gro.IsExplain(args[0]) {
		return nicError(nicoffload.ExplainGSO(e.nicEnv(), args[1:]))
	}
	err := gro.Run(&gro.Env{
		Ctx: e.ctx, Stdin: e.stdin, Stdout: e.stdout, NetNS: e.netns,
		JSON: e.opts.json, DryRun: e.opts.dryRun, Encode: e.printJSON,
	}, args)
	var words *verbs.Error
	var refused *gsogro.RefusedError
	switch {
	case errors.As(err, &words):
		return &exitError{code: exitArgument, msg: words.Msg, hint: words.Hint, err: err}
	case errors.As(err, &refused):
		return &exitError{code: exitKernel, msg: err.Error(), hint: cmp.Or(hintOf(err), gro.Hint(refused)), err: err}
	}
	return err
}
