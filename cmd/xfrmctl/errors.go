package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/ipxfrm"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Exit codes, those of `ip xfrm`.
const (
	exitCheck    = 1   // a check before anything was sent; no socket; a dump or a batch that failed
	exitKernel   = 2   // the kernel refused a request
	exitArgument = 255 // words that cannot be understood
)

// exitError ends the program with a code. An empty message means that
// everything has been said already.
type exitError struct {
	code int
	msg  string
	hint string
	err  error // cause, may be nil
}

func (e *exitError) Error() string { return e.msg }
func (e *exitError) Unwrap() error { return e.err }

// argError is an error in the words of the command line.
func argError(format string, args ...any) error {
	return &exitError{code: exitArgument, msg: fmt.Sprintf(format, args...)}
}

// dumpError marks what went wrong while reading a list, which has exit code 1
// and not the 2 of other answers of the kernel.
func dumpError(err error) error {
	if err == nil {
		return nil
	}
	return &exitError{code: exitCheck, msg: err.Error(), hint: hintOf(err), err: err}
}

// exitCode returns the exit code that err stands for.
func exitCode(err error) int {
	var exit *exitError
	var words *ipxfrm.Error
	var kernel *netlinkx.Error
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.code
	case errors.As(err, &words):
		return words.Code
	case errors.As(err, &kernel):
		return exitKernel
	}
	return exitCheck
}

// hintOf returns what to do about err, or "".
func hintOf(err error) string {
	var exit *exitError
	var words *ipxfrm.Error
	var kernel *netlinkx.Error
	switch {
	case errors.As(err, &exit) && exit.hint != "":
		return exit.hint
	case errors.As(err, &words) && words.Suggest != "":
		return fmt.Sprintf("did you mean %q?", words.Suggest)
	case errors.As(err, &kernel):
		return kernel.Hint
	case errors.Is(err, context.Canceled):
		return ""
	}
	return ""
}

// report prints err on stderr: one line, and a second one with the hint. where
// is "FILE:LINE" of a batch, or empty. Errors of the grammar are printed as
// `ip` words them, usage texts included.
func (e *env) report(where string, err error) {
	_ = e.stdout.Flush()
	var words *ipxfrm.Error
	text := err.Error()
	isWords := errors.As(err, &words)
	switch {
	case isWords:
		text = words.Text
	case errors.Is(err, context.Canceled):
		text = "interrupted"
	}
	if text == "" {
		return
	}
	prefix := "xfrmctl: "
	if isWords {
		prefix = ""
	}
	if where != "" {
		prefix = where + ": "
	}
	fmt.Fprintf(e.stderr, "%s%s\n", prefix, netlinkx.HideKeys(strings.TrimSuffix(text, "\n")))
	if h := e.engineHint(hintOf(err)); h != "" {
		fmt.Fprintf(e.stderr, "hint: %s\n", netlinkx.HideKeys(h))
	}
}

// engineHint replaces a hint about the kernel when the userspace engine refused.
func (e *env) engineHint(hint string) string {
	by := e.engines[aboutIPsec]
	if by == nil || by.path == "" || !strings.Contains(hint, "CONFIG_") && !strings.Contains(hint, "modprobe") {
		return hint
	}
	return "the userspace engine does not do this: docs/engine.md has what it does; --engine kernel asks the kernel"
}

// warnf prints a warning of ours, unless --quiet.
func (e *env) warnf(format string, args ...any) {
	if e.opts.quiet {
		return
	}
	_ = e.stdout.Flush()
	fmt.Fprintf(e.stderr, "xfrmctl: warning: %s\n", netlinkx.HideKeys(fmt.Sprintf(format, args...)))
}

// warnOnce is warnf for what may come again with each line of a batch.
func (e *env) warnOnce(format string, args ...any) {
	if e.warnings.first(fmt.Sprintf(format, args...)) {
		e.warnf(format, args...)
	}
}

// kernelWarning prints what the kernel said next to a success, as `ip` does.
func (e *env) kernelWarning(where, text string) {
	if text == "" {
		return
	}
	_ = e.stdout.Flush()
	if where != "" {
		where += ": "
	}
	fmt.Fprintf(e.stderr, "%sWarning: %s.\n", where, strings.TrimSuffix(text, "."))
}

// bareError drops the operation and the path that the caller names itself.
func bareError(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
