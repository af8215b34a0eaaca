package main

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"strings"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/ipxfrm"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

const (
	// deleteChunk is how many deletes are collected before they are sent.
	deleteChunk = 512
	// maxRounds ends a deleteall that someone else undoes as fast.
	maxRounds = 100
	// Protocols of the helper SAs that the kernel makes for an IPComp tunnel;
	// they go with it and cannot be deleted.
	protoIPIP, protoIPv6 netlinkx.Proto = 4, 41
)

// deleteAllSAs deletes every SA that matches, over and over until none is
// left that can be deleted.
func (e *env) deleteAllSAs(cmd *ipxfrm.Command) error {
	match, kernel := cmd.StateFilter.Match, cmd.StateFilter.Kernel()
	return deleteAll(e, deleter[netlinkx.SA]{
		noun:   "sa",
		plural: "sas",
		hint:   "`xfrmctl state flush` removes these too, with all others",
		dump: func(c *netlinkx.Conn) iter.Seq2[*netlinkx.SA, error] {
			return c.ScanSAs(e.ctx, kernel)
		},
		match: func(sa *netlinkx.SA) bool {
			return sa.Proto != protoIPIP && sa.Proto != protoIPv6 && match(sa)
		},
		stuck: func(sa *netlinkx.SA) string {
			if sa.SPI == 0 && sa.Proto.HasSPI() {
				return "no SPI to name it by (SPI 0, or larval from an acquire)"
			}
			return ""
		},
		request: func(sa *netlinkx.SA) netlinkx.Request {
			id := sa.ID()
			return netlinkx.DeleteSA(&id)
		},
	})
}

// deleteAllPolicies deletes every policy that matches but those of sockets, by
// index: the kernel walks its whole tree for each delete by selector.
func (e *env) deleteAllPolicies(cmd *ipxfrm.Command) error {
	match := cmd.PolicyFilter.Match
	return deleteAll(e, deleter[netlinkx.Policy]{
		noun:   "policy",
		plural: "policies",
		dump: func(c *netlinkx.Conn) iter.Seq2[*netlinkx.Policy, error] {
			return c.Policies(e.ctx)
		},
		match: func(p *netlinkx.Policy) bool { return !p.Dir.Socket() && match(p) },
		stuck: func(*netlinkx.Policy) string { return "" },
		request: func(p *netlinkx.Policy) netlinkx.Request {
			id := p.ID()
			return netlinkx.DeletePolicy(&id)
		},
	})
}

// deleter says what deleteAll deletes.
type deleter[T any] struct {
	noun, plural string
	hint         string // what else to do about those that stay
	dump         func(*netlinkx.Conn) iter.Seq2[*T, error]
	match        func(*T) bool
	stuck        func(*T) string // why it cannot be deleted, "" if it can
	request      func(*T) netlinkx.Request
}

// round is what one pass over the table came to.
type round struct {
	tried, deleted int
	interrupted    bool
	stuck          map[string]int // reason -> number
	failed         int
	first          *netlinkx.Error // of those that failed
}

// deleteAll deletes while it dumps, so that memory does not grow with the
// table, until a dump shows nothing more to do.
func deleteAll[T any](e *env, d deleter[T]) error {
	e.catchInterrupts()
	c, err := e.connection()
	if err != nil {
		return err
	}
	total := 0
	var r round
	for range maxRounds {
		if r, err = deleteRound(e, d, c); err != nil {
			return dumpError(err)
		}
		total += r.deleted
		if e.opts.dryRun || r.deleted == 0 && !r.interrupted {
			break
		}
	}
	if (e.opts.stats > 0 || e.opts.verbose) && !e.opts.dryRun {
		_ = e.stdout.Flush()
		fmt.Fprintf(e.stderr, "%d %s deleted\n", total, plural(total, d.noun, d.plural))
	}
	return leftOver(e, d, r)
}

func deleteRound[T any](e *env, d deleter[T], c *netlinkx.Conn) (round, error) {
	r := round{stuck: make(map[string]int)}
	b := c.NewBatch()
	for v, err := range d.dump(c) {
		// Deleting changes the table under the dump: the next round sees to it.
		if errors.Is(err, netlinkx.ErrDumpInterrupted) {
			r.interrupted = true
			break
		}
		if err != nil {
			return r, err
		}
		if !d.match(v) {
			continue
		}
		if why := d.stuck(v); why != "" {
			r.stuck[why]++
			continue
		}
		r.tried++
		if e.opts.dryRun {
			if err := e.printRequest("", d.request(v)); err != nil {
				return r, err
			}
			continue
		}
		b.Add(d.request(v))
		if b.Len() == deleteChunk {
			if err := r.commit(e, b); err != nil {
				return r, err
			}
			b.Reset()
		}
	}
	return r, r.commit(e, b)
}

// commit sends the deletes. One that is gone already is as good as deleted.
func (r *round) commit(e *env, b *netlinkx.Batch) error {
	if b.Len() == 0 {
		return nil
	}
	res, err := b.Commit(e.ctx)
	if err != nil {
		return err
	}
	r.deleted += res.Applied
	for _, f := range res.Failed {
		if !errors.Is(f.Err, fs.ErrNotExist) {
			r.failed++
			if r.first == nil {
				r.first = f.Err
			}
		}
	}
	return nil
}

// leftOver reports what the last round could not delete.
func leftOver[T any](e *env, d deleter[T], r round) error {
	if e.opts.dryRun {
		for why, n := range r.stuck {
			e.warnf("%d %s would not be deleted: %s", n, plural(n, d.noun, d.plural), why)
		}
		return nil
	}
	if r.failed > 0 {
		msg := fmt.Sprintf("%d %s not deleted: %v", r.failed, plural(r.failed, d.noun, d.plural), r.first)
		return &exitError{code: exitCheck, msg: msg, hint: r.first.Hint}
	}
	var parts []string
	for why, n := range r.stuck {
		parts = append(parts, fmt.Sprintf("%d %s not deleted: %s", n, plural(n, d.noun, d.plural), why))
	}
	if len(parts) == 0 {
		return nil
	}
	return &exitError{code: exitCheck, msg: strings.Join(parts, "; "), hint: d.hint}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
