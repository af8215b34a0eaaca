package main

import (
	"fmt"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/ipxfrm"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// dryRun prints the request that a command would send; with --verbose also its
// bytes, the keys blanked.
func (e *env) dryRun(where string, cmd *ipxfrm.Command) error {
	r := changing(cmd)
	if err := e.printRequest(where, r); err != nil || !e.opts.verbose {
		return err
	}
	// Encoded twice with different keys, what differs is key.
	a, err := netlinkx.AppendRequest(nil, changing(withKeys(cmd, 0x00)), 1, 0)
	if err != nil {
		return err
	}
	b, err := netlinkx.AppendRequest(nil, changing(withKeys(cmd, 0xff)), 1, 0)
	if err != nil {
		return err
	}
	_, err = e.stdout.Write(appendHex(nil, a, b))
	return err
}

// changing returns the request of a command for which isChange holds.
func changing(cmd *ipxfrm.Command) netlinkx.Request {
	if cmd.Range != nil {
		return netlinkx.AllocSPI(cmd.Range)
	}
	r, _ := request(cmd)
	return r
}

func (e *env) printRequest(where string, r netlinkx.Request) error {
	if where != "" {
		where += ": "
	}
	// The name that an error about it would have.
	what := &netlinkx.Error{Op: r.Op(), Object: r.Object()}
	_, err := fmt.Fprintf(e.stdout, "%swould %v\n", where, what)
	return err
}

// withKeys returns a copy of cmd whose keys hold the same number of bytes of
// value fill.
func withKeys(cmd *ipxfrm.Command, fill byte) *ipxfrm.Command {
	if cmd.SA == nil {
		return cmd
	}
	out, sa := *cmd, *cmd.SA
	if a := sa.Auth; a != nil {
		sa.Auth = &netlinkx.Algo{Name: a.Name, Key: filled(a.Key, fill)}
	}
	if a := sa.AuthTrunc; a != nil {
		sa.AuthTrunc = &netlinkx.AuthTrunc{Name: a.Name, Key: filled(a.Key, fill), ICVBits: a.ICVBits}
	}
	if a := sa.Crypt; a != nil {
		sa.Crypt = &netlinkx.Algo{Name: a.Name, Key: filled(a.Key, fill)}
	}
	if a := sa.AEAD; a != nil {
		sa.AEAD = &netlinkx.AEAD{Name: a.Name, Key: filled(a.Key, fill), ICVBits: a.ICVBits}
	}
	out.SA = &sa
	return &out
}

func filled(k netlinkx.Key, fill byte) netlinkx.Key {
	b := make([]byte, k.Len())
	for i := range b {
		b[i] = fill
	}
	return netlinkx.NewKey(b)
}

// appendHex appends 16 bytes per line; where a and b differ, "**".
func appendHex(out, a, b []byte) []byte {
	for i := range a {
		if i%16 == 0 {
			out = fmt.Appendf(out, "    %04x ", i)
		}
		if i < len(b) && a[i] == b[i] {
			out = fmt.Appendf(out, " %02x", a[i])
		} else {
			out = append(out, " **"...)
		}
		if i%16 == 15 || i == len(a)-1 {
			out = append(out, '\n')
		}
	}
	return out
}
