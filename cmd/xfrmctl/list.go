package main

import (
	"errors"
	"fmt"
	"iter"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/ipxfrm"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// listSAs prints the SAs that match, in the kernel's order, as they arrive.
func (e *env) listSAs(cmd *ipxfrm.Command) error {
	c, err := e.connection()
	if err != nil {
		return err
	}
	f, p := cmd.StateFilter, e.printer(cmd)
	return listAll(e, c.ScanSAs(e.ctx, f.Kernel()), f.Match, p.AppendSA, p.JSONSA)
}

// listPolicies prints the policies that match, as they arrive.
func (e *env) listPolicies(cmd *ipxfrm.Command) error {
	c, err := e.connection()
	if err != nil {
		return err
	}
	f, p := cmd.PolicyFilter, e.printer(cmd)
	return listAll(e, c.Policies(e.ctx), f.Match, p.AppendPolicy, p.JSONPolicy)
}

func listAll[T any](e *env, dump iter.Seq2[*T, error], match func(*T) bool, text func([]byte, *T) []byte, js func(*T) any) error {
	l := &list{e: e}
	var failed error
	for v, err := range dump {
		if err != nil {
			failed = err
			break
		}
		if !match(v) {
			continue
		}
		err := l.item(func(b []byte) []byte { return text(b, v) }, func() any { return js(v) })
		if err != nil {
			return err
		}
	}
	if err := l.end(); err != nil {
		return err
	}
	if errors.Is(failed, netlinkx.ErrDumpInterrupted) {
		_ = e.stdout.Flush()
		fmt.Fprintln(e.stderr, "Dump was interrupted and may be inconsistent.")
		return nil
	}
	return dumpError(failed)
}
