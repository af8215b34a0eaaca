package main

import (
	"fmt"
	"os"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/ipxfrm"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// xfrm runs the words that follow `ip xfrm`.
func (e *env) xfrm(words []string) error {
	cmd, err := e.parse(words)
	if err != nil {
		return err
	}
	if cmd.KeyOnArgv {
		e.warnf("a key on the command line shows in the process list; use @FILE, @- or env:NAME")
	}
	for _, w := range cmd.Warnings {
		e.warnf("%s", w)
	}
	return e.execute(cmd)
}

func (e *env) parse(words []string) (*ipxfrm.Command, error) {
	return ipxfrm.Parse(words, e.grammar())
}

// grammar returns what parsing asks for from outside.
func (e *env) grammar() *ipxfrm.Context {
	if e.context == nil {
		e.context = &ipxfrm.Context{
			Family:    e.opts.family,
			Device:    e.devices.index,
			Key:       e.keys.key,
			Protocols: e.protocols,
		}
	}
	return e.context
}

// protocols returns the names of upper-layer protocols: those of this system,
// or the built-in ones where it has no file of them. They are read when the
// first of them is needed, which is seldom.
func (e *env) protocols() *ipxfrm.Protocols {
	if e.protos != nil {
		return e.protos
	}
	e.protos = ipxfrm.BuiltinProtocols()
	if f, err := os.Open("/etc/protocols"); err == nil {
		defer f.Close()
		if p, err := ipxfrm.ReadProtocols(f); err == nil {
			e.protos = p
		}
	}
	return e.protos
}

// request returns the one request that a changing command is, answered by an
// acknowledgement alone.
func request(cmd *ipxfrm.Command) (netlinkx.Request, bool) {
	switch cmd.Object + " " + cmd.Verb {
	case "state add":
		return netlinkx.AddSA(cmd.SA), true
	case "state update":
		return netlinkx.UpdateSA(cmd.SA), true
	case "state delete":
		return netlinkx.DeleteSA(&cmd.SAID), true
	case "state flush":
		return netlinkx.FlushSAs(cmd.FlushProto), true
	case "state migrate":
		return netlinkx.MigrateSA(cmd.MigrateState), true
	case "state ae set":
		return netlinkx.SetAE(cmd.AE), true
	case "policy add":
		return netlinkx.AddPolicy(cmd.Policy), true
	case "policy update":
		return netlinkx.UpdatePolicy(cmd.Policy), true
	case "policy delete":
		return netlinkx.DeletePolicy(&cmd.PolicyID), true
	case "policy flush":
		return netlinkx.FlushPolicies(cmd.FlushType), true
	case "policy migrate":
		return netlinkx.MigratePolicy(cmd.Migrate), true
	case "policy set":
		return netlinkx.SetSPDInfo(cmd.SPDInfo), true
	case "policy setdefault":
		return netlinkx.SetDefaults(cmd.Defaults), true
	}
	return netlinkx.Request{}, false
}

// execute runs a command.
func (e *env) execute(cmd *ipxfrm.Command) error {
	if cmd.Object == "monitor" {
		return e.monitor(cmd)
	}
	if err := e.inherit(cmd); err != nil {
		return err
	}
	if e.opts.dryRun && isChange(cmd) {
		return e.dryRun("", cmd)
	}
	if cmd.Wish != "" {
		return e.placeSA(cmd)
	}
	if r, ok := request(cmd); ok {
		c, err := e.connection()
		if err != nil {
			return err
		}
		if err := c.Do(e.ctx, r); err != nil {
			return e.withoutESP(cmd, e.offloadRefusal(cmd, err))
		}
		e.readBack(c, cmd)
		return nil
	}
	switch cmd.Object + " " + cmd.Verb {
	case "state list":
		return e.listSAs(cmd)
	case "state deleteall":
		return e.deleteAllSAs(cmd)
	case "policy list":
		return e.listPolicies(cmd)
	case "policy deleteall":
		return e.deleteAllPolicies(cmd)
	}
	return e.show(cmd)
}

// isChange reports whether the command is sent as one changing request.
func isChange(cmd *ipxfrm.Command) bool {
	_, ok := request(cmd)
	return ok || cmd.Range != nil
}

// show runs the commands whose answer is one record.
func (e *env) show(cmd *ipxfrm.Command) error {
	c, err := e.connection()
	if err != nil {
		return err
	}
	p := e.printer(cmd)
	switch cmd.Object + " " + cmd.Verb {
	case "state get":
		sa, err := c.GetSA(e.ctx, cmd.SAID)
		return one(e, sa, err, p.AppendSA, p.JSONSA)
	case "state allocspi":
		sa, err := c.AllocSPI(e.ctx, cmd.Range)
		return one(e, sa, err, p.AppendSA, p.JSONSA)
	case "state count":
		info, err := c.SADInfo(e.ctx)
		return one(e, &info, err, p.AppendSADInfo, p.JSONSADInfo)
	case "state ae get":
		p.Extensions = true // `ip` has no text of its own for the answer
		ae, err := c.GetAE(e.ctx, cmd.AEID)
		return one(e, ae, err, p.AppendAE, p.JSONAE)
	case "policy get":
		pol, err := c.GetPolicy(e.ctx, cmd.PolicyID)
		return one(e, pol, err, p.AppendPolicy, p.JSONPolicy)
	case "policy count":
		info, err := c.SPDInfo(e.ctx)
		return one(e, &info, err, p.AppendSPDInfo, p.JSONSPDInfo)
	case "policy getdefault":
		d, err := c.Defaults(e.ctx)
		return one(e, &d, err, p.AppendDefaults, p.JSONDefaults)
	}
	return fmt.Errorf("internal error: nothing is done for %s %s", cmd.Object, cmd.Verb)
}

// one prints one record, or passes the error on.
func one[T any](e *env, v *T, err error, text func([]byte, *T) []byte, js func(*T) any) error {
	if err != nil {
		return err
	}
	if e.opts.json {
		return e.printJSON(js(v))
	}
	_, err = e.stdout.Write(text(nil, v))
	return err
}

// printer returns the renderer that the options and the command ask for.
func (e *env) printer(cmd *ipxfrm.Command) *ipxfrm.Printer {
	return &ipxfrm.Printer{
		Stats:      e.opts.stats,
		OneLine:    e.opts.oneline,
		ShowKeys:   e.opts.showKeys,
		NoKeys:     cmd.NoKeys,
		Extensions: e.opts.verbose,
		Family:     e.opts.family,
		DeviceName: e.devices.name,
		ProtoName:  func(n uint8) string { return e.protocols().Name(n) },
	}
}
