package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/ipxfrm"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// batchChunk is how many commands are sent before their answers are looked at:
// what may still be applied after a failing line when there is no --force.
const batchChunk = 128

// batchRun is a batch file under way. Memory does not grow with the file.
type batchRun struct {
	e       *env
	name    string
	r       *batchReader
	src     io.Reader
	parser  *ipxfrm.Parser
	pending *netlinkx.Batch // refers to commands of parser
	lines   []int           // of the requests in pending

	applied int  // commands that took effect
	failed  int  // lines
	code    int  // exit code of the first failure
	last    int  // line of the last command that was looked at
	ended   bool // everything has been read
	broken  bool // the connection failed: --force cannot go on
}

// batch runs the commands of a file, or of standard input for "-".
func (e *env) batch(name string) error {
	e.catchInterrupts()
	src, label := e.stdin, name
	if name == "-" {
		e.keys.stdinTaken = true
		label = "-"
	} else {
		f, err := os.Open(name)
		if err != nil {
			return &exitError{code: exitCheck, msg: fmt.Sprintf("cannot open batch file %q: %v", name, bareError(err))}
		}
		defer f.Close()
		src = f
	}
	b := &batchRun{e: e, name: label, r: newBatchReader(src), src: src, parser: ipxfrm.NewParser(e.grammar())}
	err := b.run()
	if !e.opts.quiet {
		for _, s := range e.warnings.summary() {
			e.warnf("%s", s)
		}
	}
	return b.finish(err)
}

// run reads to the end, or to the first failure that ends the batch. The error
// is one of reading, not of a line.
func (b *batchRun) run() error {
	for {
		if !b.r.ready() && wouldBlock(b.src) && !b.pause() {
			return nil
		}
		if b.pendingLen() == 0 { // nothing refers to earlier commands and their words
			b.parser.Reset()
			b.r.reset()
		}
		words, line, err := b.r.next()
		if errors.Is(err, io.EOF) {
			b.ended = true
			b.flush()
			return nil
		}
		b.last = line
		var bad *lineError
		if errors.As(err, &bad) {
			err = &exitError{code: exitCheck, msg: bad.text}
			if !b.flushThenFail(line, err) {
				return nil
			}
			continue
		}
		if err != nil {
			b.flush()
			return err
		}
		if !b.line(words, line) {
			return nil
		}
	}
}

// line runs one command, and reports whether to go on.
func (b *batchRun) line(words []string, line int) bool {
	if ipxfrmWords(words) {
		if isPrefix(words[0], "xfrm") {
			words = words[1:]
		}
		cmd, err := b.parser.Parse(words)
		if err != nil {
			return b.flushThenFail(line, err)
		}
		for _, w := range cmd.Warnings {
			b.warn(line, w)
		}
		if batchable(cmd) {
			return b.add(cmd, line)
		}
		return b.direct(line, func() error { return b.e.execute(cmd) })
	}
	return b.direct(line, func() error {
		b.e.devices.forget()
		return b.e.dispatch(words)
	})
}

// batchable reports whether consecutive commands of this kind are sent together.
func batchable(cmd *ipxfrm.Command) bool {
	if cmd.Object != "state" && cmd.Object != "policy" || cmd.Wish != "" {
		return false
	}
	return cmd.Verb == "add" || cmd.Verb == "update" || cmd.Verb == "delete"
}

// add puts a request into the chunk.
func (b *batchRun) add(cmd *ipxfrm.Command, line int) bool {
	if b.e.opts.dryRun {
		if err := b.e.dryRun(b.where(line), cmd); err != nil {
			return b.fail(line, err)
		}
		return true
	}
	if b.pending == nil {
		c, err := b.e.connection()
		if err != nil {
			return b.fail(line, err)
		}
		b.pending = c.NewBatch()
	}
	r, _ := request(cmd)
	b.pending.Add(r)
	b.lines = append(b.lines, line)
	if b.pending.Len() < batchChunk {
		return true
	}
	return b.flush()
}

// pause does what must not wait for whoever writes to standard input: commands
// that are pending, and output that they may be waiting for.
func (b *batchRun) pause() bool {
	if !b.flush() {
		return false
	}
	if err := b.e.stdout.Flush(); err != nil {
		return b.fail(b.last, err)
	}
	return true
}

func (b *batchRun) pendingLen() int { return len(b.lines) }

// direct runs one command by itself, after what is pending.
func (b *batchRun) direct(line int, do func() error) bool {
	if !b.flush() {
		return false
	}
	if err := do(); err != nil {
		return b.fail(line, err)
	}
	b.applied++
	return true
}

// flush sends what is pending and reports every line that failed. It returns
// whether to go on.
func (b *batchRun) flush() bool {
	if b.pendingLen() == 0 {
		return true
	}
	b.e.committing = true
	res, err := b.pending.Commit(b.e.ctx)
	b.e.committing = false
	lines := b.lines
	b.pending.Reset()
	b.lines = b.lines[:0]
	b.applied += res.Applied
	for _, w := range res.Warnings {
		b.e.kernelWarning(b.where(lines[w.Index]), w.Warning.Text)
	}
	goOn := true
	for _, f := range res.Failed {
		goOn = b.fail(lines[f.Index], f.Err) && goOn
	}
	for _, i := range res.Unknown {
		goOn = b.fail(lines[i], &exitError{code: exitCheck, msg: "may have been applied or not: the kernel's answer was lost"}) && goOn
	}
	if err == nil {
		return goOn
	}
	b.broken = true
	if res.Unsent < len(lines) {
		b.last = lines[res.Unsent]
		b.fail(b.last, err)
	} else {
		b.e.report(b.name, err)
	}
	return false
}

// flushThenFail reports an error of a line after those of the lines before it.
func (b *batchRun) flushThenFail(line int, err error) bool {
	if !b.flush() {
		return false
	}
	return b.fail(line, err)
}

// fail reports a line's error, and whether to go on.
func (b *batchRun) fail(line int, err error) bool {
	b.e.report(b.where(line), err)
	if b.failed++; b.failed == 1 {
		b.code = exitCode(err)
	}
	return b.e.opts.force && b.e.ctx.Err() == nil
}

func (b *batchRun) where(line int) string { return fmt.Sprintf("%s:%d", b.name, line) }

// warn prints a line's warning unless the same came before.
func (b *batchRun) warn(line int, text string) {
	if !b.e.opts.quiet && b.e.warnings.first(text) {
		b.e.warnf("%s: %s", b.where(line), text)
	}
}

// finish says what became of the batch.
func (b *batchRun) finish(err error) error {
	if err != nil {
		return &exitError{code: exitCheck, msg: fmt.Sprintf("%s: %v", b.name, bareError(err)), err: err}
	}
	if b.failed == 0 {
		if b.e.opts.verbose && !b.e.opts.dryRun {
			fmt.Fprintf(b.e.stderr, "%s: %d %s done\n", b.name, b.applied, plural(b.applied, "command", "commands"))
		}
		return nil
	}
	msg := fmt.Sprintf("%s: %d %s done, %d failed", b.name, b.applied, plural(b.applied, "command", "commands"), b.failed)
	if !b.ended && (!b.e.opts.force || b.broken) {
		msg += fmt.Sprintf("; stopped: the lines after %d were not tried (--force goes on)", b.last)
	}
	return &exitError{code: b.code, msg: msg}
}

// ipxfrmWords reports whether the words are for the grammar of `ip xfrm`: what
// findCommand would say, for each line and without a table.
func ipxfrmWords(words []string) bool {
	w := words[0]
	return w == "sa" || isPrefix(w, "state") || isPrefix(w, "policy") || isPrefix(w, "monitor") || isPrefix(w, "xfrm")
}

func isPrefix(word, of string) bool { return word != "" && strings.HasPrefix(of, word) }

// wouldBlock reports whether a read of r would wait for whoever writes to it.
// Then commands that are pending should not wait too.
func wouldBlock(r io.Reader) bool {
	f, ok := r.(*os.File)
	if !ok {
		return false
	}
	fds := []unix.PollFd{{Fd: int32(f.Fd()), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n == 0
}
