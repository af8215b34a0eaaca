package main

import (
	"errors"
	"fmt"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/ipxfrm"
	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/nicoffload"
	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/verbs"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload"
)

// nicEnv is what package nicoffload needs of a run, the same for all lines of a
// batch.
func (e *env) nicEnv() *nicoffload.Env {
	if e.nic != nil {
		e.nic.Ctx = e.ctx
		return e.nic
	}
	path, err := e.runningEngine()
	e.nic = &nicoffload.Env{
		Ctx: e.ctx, Stdin: e.stdin, Stdout: e.stdout, NetNS: e.netns, JSON: e.opts.json, DryRun: e.opts.dryRun, Encode: e.printJSON,
		Parse: e.parse, Conn: e.kernelConnection, Device: e.devices.name,
		Namespace: netnsOf,
		Engine:    err == nil && path != "",
	}
	return e.nic
}

// offload runs the words after "offload".
func (e *env) offload(args []string) error { return nicError(nicoffload.Run(e.nicEnv(), args)) }

// check runs the words after "check".
func (e *env) check(args []string) error { return nicError(nicoffload.Capabilities(e.nicEnv(), args)) }

func nicError(err error) error {
	var words *verbs.Error
	var refused *nicoffload.RefusedError
	switch {
	case errors.As(err, &words):
		return &exitError{code: exitArgument, msg: words.Msg, hint: words.Hint, err: err}
	case errors.As(err, &refused):
		return &exitError{code: exitCheck, msg: refused.Msg, hint: refused.Hint, err: err}
	}
	return err
}

// placeSA adds an SA with a wish for offload, and says in one line why it is
// not where it was wished.
func (e *env) placeSA(cmd *ipxfrm.Command) error {
	p, err := e.place(cmd)
	if err != nil {
		return err
	}
	if p.Reason != "" {
		e.warnf("offload: %s: %s: %s (%s)", p.SA, p.Where(), p.Reason, p.Fix)
	}
	switch {
	case e.opts.json:
		return e.printJSON(p)
	case e.opts.verbose:
		_, err := fmt.Fprintf(e.stdout, "%s: %s %s\n", p.SA, p.Rung, p.NIC)
		return err
	}
	return nil
}

// place adds the SA on the rung that it can have. Where the userspace engine does
// the work there is no other one.
func (e *env) place(cmd *ipxfrm.Command) (*nicoffload.Placement, error) {
	by, err := e.engineFor(aboutIPsec)
	if err != nil {
		return nil, err
	}
	if by.path == "" {
		p, err := nicoffload.Add(e.nicEnv(), cmd)
		return p, nicError(err)
	}
	p := &nicoffload.Placement{
		SA: cmd.SA.String(), Dir: cmd.SA.Dir.String(), Wish: string(cmd.Wish), Rung: offload.RungUserspace,
		Reason: by.why, Fix: "NICs work for the kernel alone: xfrmctl check tells what that lacks",
	}
	if cmd.Wish == ipxfrm.OffloadRequire {
		return nil, &exitError{code: exitCheck, msg: fmt.Sprintf("%s is not added: the userspace engine does the work: %s", p.SA, p.Reason), hint: p.Fix}
	}
	c, err := e.connection()
	if err != nil {
		return nil, err
	}
	sa := *cmd.SA
	sa.Offload = nil
	return p, c.AddSA(e.ctx, &sa)
}

// offloadRefusal puts what is known of the device's driver in the place of the
// hint, when the kernel refused something with an offload.
func (e *env) offloadRefusal(cmd *ipxfrm.Command, err error) error {
	var o *netlinkx.Offload
	switch {
	case cmd.SA != nil:
		o = cmd.SA.Offload
	case cmd.Policy != nil:
		o = cmd.Policy.Offload
	}
	var kernel *netlinkx.Error
	if o == nil || !errors.As(err, &kernel) {
		return err
	}
	if hint := nicoffload.Refusal(e.nicEnv(), e.devices.name(o.IfIndex), err); hint != "" {
		kernel.Hint = hint
	}
	return err
}
