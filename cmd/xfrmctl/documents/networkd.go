package documents

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/xfrmctl/xfrmctl/provision/document"
	"github.com/xfrmctl/xfrmctl/provision/networkd"
)

// networkdWords are the options of networkd.
type networkdWords struct{ node, dir string }

func (w *networkdWords) options() []option {
	return []option{
		{"--as", "NODE", "the node of the document that the files are for", toString(&w.node)},
		{"--to", "DIR", "write them into a folder, like /etc/systemd/network, instead of printing them", toString(&w.dir)},
	}
}

// NetworkdUsage returns the words of networkd.
func NetworkdUsage() string {
	return usage("networkd FILE --as NODE [ --to DIR ]", "Prints .netdev and .network files for what systemd-networkd can carry of a document:\n"+
		"interfaces, addresses, routes. The rest is for `xfrmctl apply`.", (&networkdWords{}).options())
}

// NetworkdComplete returns the options of networkd.
func NetworkdComplete([]string) []string { return names((&networkdWords{}).options()) }

// networkdJSON is what networkd can carry, for scripts.
type networkdJSON struct {
	Files    map[string]string   `json:"files"`
	Underlay map[string][]string `json:"underlay,omitempty"`
	Left     []string            `json:"left,omitempty"`
}

// Networkd prints or writes the files for systemd-networkd.
func Networkd(env *Env, args []string) error {
	w := &networkdWords{}
	rest, err := parse("networkd", w.options(), args)
	switch {
	case err != nil:
		return err
	case len(rest) != 1:
		return &WordError{Msg: "networkd takes one document", Hint: "xfrmctl networkd FILE --as NODE"}
	case w.node == "":
		return &WordError{Msg: "networkd needs to know which node the files are for", Hint: "xfrmctl networkd " + rest[0] + " --as NODE"}
	}
	wanted, err := resolve(env, rest[0], w.node)
	if err != nil {
		return err
	}
	res := networkd.Snippets(wanted.State)
	switch {
	case w.dir != "" && !env.DryRun:
		err = writeFiles(w.dir, res.Files)
	case env.JSON:
		out := &networkdJSON{Files: map[string]string{}, Underlay: res.Underlay, Left: res.Left}
		for _, f := range res.Files {
			out.Files[f.Name] = f.Text
		}
		return env.Encode(out)
	default:
		err = printFiles(env.Stdout, res.Files)
	}
	for _, dev := range slices.Sorted(maps.Keys(res.Underlay)) {
		fmt.Fprintf(env.Stderr, "xfrmctl: the .network file of %s needs in section [Network]: %s\n", dev, strings.Join(res.Underlay[dev], " "))
	}
	for _, line := range res.Left {
		fmt.Fprintf(env.Stderr, "xfrmctl: not in the files: %s\n", line)
	}
	return err
}

// resolve reads a document without following references to keys.
func resolve(env *Env, file, node string) (*document.Wanted, error) {
	in := env.Stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close() // read only
		in = f
	} else {
		file = "standard input"
	}
	b, err := io.ReadAll(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	d, err := document.Read(file, b)
	if err != nil {
		return nil, err
	}
	userspace, err := env.Userspace()
	if err != nil {
		return nil, err
	}
	return d.Resolve(env.Ctx, node, &document.Surroundings{NoKeys: true, UnderlayMTU: env.underlayMTU(), Userspace: userspace})
}

func printFiles(out io.Writer, files []networkd.File) error {
	for k, f := range files {
		gap := "\n"
		if k == 0 {
			gap = ""
		}
		if _, err := fmt.Fprintf(out, "%s# %s\n%s", gap, f.Name, f.Text); err != nil {
			return err
		}
	}
	return nil
}

// writeFiles writes the files whole or not at all, each, and takes away those of
// interfaces that the document has no more.
func writeFiles(dir string, files []networkd.File) error {
	var current []string
	for _, f := range files {
		path := filepath.Join(dir, f.Name)
		current = append(current, path)
		if old, err := os.ReadFile(path); err == nil && string(old) == f.Text {
			continue
		}
		part := path + ".new"
		err := os.WriteFile(part, []byte(f.Text), 0o644)
		if err == nil {
			err = os.Rename(part, path)
		}
		if err != nil {
			return errors.Join(err, os.RemoveAll(part))
		}
	}
	old, err := filepath.Glob(filepath.Join(dir, networkd.Prefix+"*.net*"))
	if err != nil {
		return err
	}
	for _, path := range old {
		if !slices.Contains(current, path) {
			err = errors.Join(err, os.Remove(path))
		}
	}
	return err
}
