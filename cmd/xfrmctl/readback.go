package main

import (
	"strings"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/ipxfrm"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// inherit completes a migration of one SA with what its words left out: the
// kernel takes zeros for an answer.
func (e *env) inherit(cmd *ipxfrm.Command) error {
	if cmd.MigrateState == nil {
		return nil
	}
	c, err := e.connection()
	if err != nil {
		return err
	}
	sa, err := c.GetSA(e.ctx, cmd.MigrateState.SA)
	if err != nil {
		return err
	}
	cmd.Inherit(sa)
	return nil
}

// readBack warns of what the kernel did not take over of an SA although it
// reported success. An SA that can no longer be read is not an error: it may
// have expired or been moved by another.
func (e *env) readBack(c *netlinkx.Conn, cmd *ipxfrm.Command) {
	if cmd.SA == nil || e.opts.quiet || !cmd.SA.Proto.HasSPI() || cmd.SA.SPI == 0 {
		return
	}
	got, err := c.GetSA(e.ctx, cmd.SA.ID())
	if err != nil {
		return
	}
	for _, line := range ignoredLines(cmd.Verb, netlinkx.Ignored(cmd.SA, got)) {
		e.warnf("%s", line)
	}
}

// ignoredLines says why words had no effect.
func ignoredLines(verb string, words []string) (lines []string) {
	var kept []string
	for _, word := range words {
		switch {
		case word == "offload":
			lines = append(lines, "offload: the device does not carry this SA; its work is done in software")
		case verb == "update":
			kept = append(kept, word)
		case word == "replay-window":
			lines = append(lines, "replay-window: the kernel holds another one")
		default:
			lines = append(lines, word+": this kernel does not know it, and ignored it ("+since(word)+")")
		}
	}
	if kept != nil {
		lines = append(lines, "not changed: "+strings.Join(kept, ", ")+
			": an update of an installed SA takes over limits, the ports of encap, and output-mark and if_id unless they are zero")
	}
	return lines
}

// since tells which Linux knows a word.
func since(word string) string {
	for _, w := range [...]struct{ words, linux string }{
		{"dir", "6.10"}, {"nat-keepalive", "6.11"}, {"pcpu-num", "6.13"}, {"iptfs", "6.14"}, {"mapping-thresh", "5.17"},
		{"if_id output-mark", "4.19"}, {"extra-flag", "5.9 for oseq-may-wrap"},
	} {
		for _, x := range strings.Fields(w.words) {
			if x == word {
				return "Linux " + w.linux
			}
		}
	}
	return "compare with `state get`"
}
