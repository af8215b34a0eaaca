package main

import (
	"context"
	"errors"
	"io"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/demo"
)

const demoText = `Usage: xfrmctl demo [ -j ] [ -p ]
Shows IPsec at work in two network namespaces that are thrown away afterwards, and that
nothing else of the system sees. With -j the result is one JSON object.
Exit code: 0 it worked, 1 it did not (or was interrupted, or lacks privilege),
2 this kernel lacks what the demo needs: it says what.
`

func demoUsage() string { return demoText }

// demo runs the words after "demo".
func (e *env) demo(args []string) error {
	for _, word := range args {
		switch word {
		case "-j", "-json", "--json":
			e.opts.json = true
		case "-p", "-pretty", "--pretty":
			e.opts.pretty = true
		case "help", "-h", "-help", "--help":
			_, err := e.stdout.WriteString(demoText)
			return err
		default:
			return argError("demo takes no %q, try \"xfrmctl demo help\"", word)
		}
	}
	if e.opts.netns != "" {
		return argError("demo makes its own namespaces: -netns has no meaning for it")
	}
	var out io.Writer = flusher{e}
	if e.opts.json {
		out = io.Discard
	}
	report, err := demo.Run(e.ctx, &demo.Config{Out: out})
	if e.opts.json {
		if perr := e.printJSON(report); perr != nil {
			return perr
		}
	}
	return demoError(err)
}

// flusher shows each step of the demo when it is done.
type flusher struct{ e *env }

func (f flusher) Write(b []byte) (int, error) {
	n, err := f.e.stdout.Write(b)
	if err == nil {
		err = f.e.stdout.Flush()
	}
	return n, err
}

// demoError gives the exit codes. That of a kernel's refusal is kept for a
// kernel that cannot do it, not for one that should.
func demoError(err error) error {
	var lacks *demo.UnsupportedError
	var privilege *demo.PrivilegeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &lacks):
		return &exitError{code: exitKernel, msg: err.Error(), err: err}
	case errors.As(err, &privilege): // says itself what to do
		return &exitError{code: exitCheck, msg: privilege.Error()}
	case errors.Is(err, context.Canceled):
		return &exitError{code: exitCheck, msg: "interrupted", err: err}
	}
	return &exitError{code: exitCheck, msg: err.Error(), hint: hintOf(err), err: err}
}
