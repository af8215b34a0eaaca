// Package documents is the commands around documents that change nothing:
// schema, export and networkd. Words in, packages below provision, text out.
package documents

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/ipxfrm"
	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/provision"
	"github.com/xfrmctl/xfrmctl/provision/document"
)

// Env is what the program gives a command. It is borrowed for one call.
type Env struct {
	Ctx    context.Context
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	NetNS  netlinkx.NetNS
	JSON   bool
	DryRun bool
	// Encode prints one JSON value.
	Encode func(any) error
	// XFRM and Links connect to the engine of this run; the program closes XFRM.
	XFRM  func() (*netlinkx.Conn, error)
	Links func() (*ifaces.Conn, error)
	// Userspace reports whether that engine is the userspace one.
	Userspace func() (bool, error)
	// Device names a device by its index.
	Device func(index int32) string
}

// WordError is a mistake in the words. Hint may be empty.
type WordError struct{ Msg, Hint string }

// Error returns one line.
func (e *WordError) Error() string { return e.Msg }

func wordError(format string, args ...any) error {
	return &WordError{Msg: fmt.Sprintf(format, args...)}
}

// option is a word of a command; all take a value.
type option struct {
	name, arg, help string
	set             func(string) error
}

// parse follows the options, and returns the other words.
func parse(verb string, options []option, args []string) (rest []string, err error) {
	for i := 0; i < len(args); i++ {
		if !strings.HasPrefix(args[i], "-") || args[i] == "-" {
			rest = append(rest, args[i])
			continue
		}
		o := find(options, args[i])
		if o == nil {
			e := &WordError{Msg: fmt.Sprintf("%s has no option %q", verb, args[i])}
			if near := ipxfrm.Nearest(args[i], names(options)); near != "" {
				e.Hint = fmt.Sprintf("did you mean %q?", near)
			}
			return nil, e
		}
		if i++; i == len(args) {
			return nil, wordError("%s needs %s", o.name, o.arg)
		}
		if err := o.take(args[i]); err != nil {
			return nil, err
		}
	}
	return rest, nil
}

// take sets an option. What it is given is printed, so a key is refused that
// came into the place of a name.
func (o *option) take(v string) error {
	if o.arg != "FILE" && o.arg != "DIR" && netlinkx.HideKeys(v) != v {
		return wordError("%s takes %s, and this looks like a key: it would be printed", o.name, o.arg)
	}
	return o.set(v)
}

func find(options []option, name string) *option {
	for k := range options {
		if options[k].name == name {
			return &options[k]
		}
	}
	return nil
}

func names(options []option) (all []string) {
	for _, o := range options {
		all = append(all, o.name)
	}
	return all
}

// usage describes a command with its options.
func usage(synopsis, text string, options []option) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Usage: xfrmctl %s\n\n%s\n", synopsis, text)
	for _, o := range options {
		fmt.Fprintf(&b, "  %-24s %s\n", o.name+" "+o.arg, o.help)
	}
	return b.String()
}

// toString returns the setter of an option that is text.
func toString(to *string) func(string) error {
	return func(v string) error { *to = v; return nil }
}

// SchemaUsage returns the words of schema.
func SchemaUsage() string {
	return "Usage: xfrmctl schema\n\nPrints the JSON Schema (draft 2020-12) of documents, for editors and for checks\nbefore a document reaches a machine. See docs/provisioning.md.\n"
}

// Schema prints the schema of documents.
func Schema(env *Env, args []string) error {
	if len(args) > 0 {
		return wordError("schema takes no words; %q is one too many", args[0])
	}
	_, err := env.Stdout.Write(document.Schema())
	return err
}

// underlayMTU asks for the MTU of each device once.
func (env *Env) underlayMTU() func(context.Context, string) (int, error) {
	known := map[string]int{}
	return func(_ context.Context, name string) (int, error) {
		if known[name] != 0 {
			return known[name], nil
		}
		n, err := provision.DeviceMTU(env.NetNS, name)
		known[name] = n
		return n, err
	}
}
