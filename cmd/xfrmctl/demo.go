package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/demo"
	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/nicoffload"
)

const demoText = `Usage: xfrmctl demo [ -j ] [ -p ] [ --engine auto|kernel|userspace ]
       xfrmctl demo [ -j ] [ -p ] --offload DEV
Shows IPsec at work in two network namespaces that are thrown away afterwards, and that
nothing else of the system sees. With -j the result is one JSON object.
The kernel does the IPsec if it can, else the userspace engine; --engine demands one of them.
With --offload: shows on a device of yours which SAs its driver takes, which end in software,
and why. It adds SAs that no policy uses, and removes each before the next.
Exit code: 0 it worked, 1 it did not (or was interrupted, or lacks privilege),
2 this machine lacks what the demo needs: it says what.
`

// demoComplete returns what the last word after "demo" may become.
func demoComplete(words []string) []string {
	if len(words) > 1 {
		switch strings.TrimLeft(words[len(words)-2], "-") {
		case "engine":
			return []string{"auto", "kernel", "userspace"}
		case "offload":
			return deviceNames()
		}
	}
	return []string{"-j", "-p", "--engine", "--offload"}
}

func demoUsage() string { return demoText }

// demo runs the words after "demo".
func (e *env) demo(args []string) error {
	device, help, err := e.demoWords(args)
	if err != nil || help {
		return err
	}
	if device != "" {
		return nicError(nicoffload.Demo(e.nicEnv(), device))
	}
	if e.opts.netns != "" {
		return argError("demo makes its own namespaces: -netns has no meaning for it")
	}
	var out io.Writer = flusher{e}
	if e.opts.json {
		out = io.Discard
	}
	engines, err := e.demoEngines()
	if err != nil {
		return err
	}
	report, err := demo.Run(e.ctx, &demo.Config{Engines: engines, Out: out})
	if e.opts.json {
		if perr := e.printJSON(report); perr != nil {
			return perr
		}
	}
	return demoError(err)
}

// demoWords reads the words after "demo", and prints the usage if that is asked.
// device is that of --offload, "" none.
func (e *env) demoWords(args []string) (device string, help bool, err error) {
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		name, value, hasValue := strings.Cut(strings.TrimLeft(word, "-"), "=")
		switch {
		case word == "help" || word == "-h" || word == "-help" || word == "--help":
			_, err := e.stdout.WriteString(demoText)
			return "", true, err
		case word == "-j" || word == "-json" || word == "--json":
			e.opts.json = true
		case word == "-p" || word == "-pretty" || word == "--pretty":
			e.opts.pretty = true
		case name == "engine" && word != name:
			if !hasValue && len(args) > 0 {
				value, args = args[0], args[1:]
			}
			if err := setEngine(&e.opts, value); err != nil {
				return "", false, err
			}
		case name == "offload" && word != name:
			if !hasValue && len(args) > 0 {
				value, args = args[0], args[1:]
			}
			if device = value; device == "" {
				return "", false, argError("demo: --offload needs a device: xfrmctl offload show")
			}
		default:
			return "", false, argError("demo takes no %q, try \"xfrmctl demo help\"", word)
		}
	}
	return device, false, nil
}

// demoEngines returns the engines to be tried.
func (e *env) demoEngines() ([]demo.Engine, error) {
	if e.opts.engine == "kernel" {
		return []demo.Engine{demo.Kernel()}, nil
	}
	self, err := os.Executable()
	if err != nil {
		return nil, &exitError{code: exitCheck, msg: fmt.Sprintf("find this program: %v", err), err: err}
	}
	if e.opts.engine == "userspace" {
		return []demo.Engine{demo.Userspace(self)}, nil
	}
	return []demo.Engine{demo.Kernel(), demo.Userspace(self)}, nil
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
