package documents

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/xfrmctl/xfrmctl/provision"
	"github.com/xfrmctl/xfrmctl/provision/document"
	"github.com/xfrmctl/xfrmctl/provision/export"
	"github.com/xfrmctl/xfrmctl/provision/keys"
)

// exportWords are the options of export.
type exportWords struct {
	node, owner, root, keyFile string
	names                      map[netip.Addr]string
}

func newExportWords() *exportWords {
	return &exportWords{node: "here", owner: "exported", names: map[netip.Addr]string{}}
}

func (w *exportWords) options() []option {
	return []option{
		{"--as", "NODE", "what this machine is called in the document (here)", toName("--as", &w.node)},
		{"--name", "ADDRESS=NODE", "what the machine with that endpoint is called; may be given again", w.setName},
		{"--owner", "NAME", "in whose name apply will make objects (exported)", toName("--owner", &w.owner)},
		{"--root", "REFERENCE", "where new keys come from (file:/etc/xfrmctl/OWNER.root)", w.setRoot},
		{"--with-keys-to", "FILE", "write the keys that may be used again to a new file, mode 0600", toString(&w.keyFile)},
	}
}

func (w *exportWords) setName(v string) error {
	text, name, ok := strings.Cut(v, "=")
	addr, err := netip.ParseAddr(text)
	if !ok || err != nil || name == "" {
		return wordError("--name takes ADDRESS=NODE, not %q", v)
	}
	w.names[addr], err = document.Name(name)
	if err != nil {
		return wordError("--name: %v", err)
	}
	return nil
}

// toName returns the setter of an option that is a name of documents.
func toName(option string, to *string) func(string) error {
	return func(v string) (err error) {
		if *to, err = document.Name(v); err != nil {
			return wordError("%s: %v", option, err)
		}
		return nil
	}
}

func (w *exportWords) setRoot(v string) error {
	w.root = v
	if err := keys.Check(v); err != nil {
		return wordError("--root: %v", err)
	}
	return nil
}

// ExportUsage returns the words of export.
func ExportUsage() string {
	return usage("export [ --as NODE ] [ --name ADDRESS=NODE ] [ --owner NAME ] [ --root REFERENCE ]\n                      [ --with-keys-to FILE ]", "Prints the document of what is here: XFRM interfaces with their addresses, SAs, policies\n"+
		"and routes, as tunnels. Lines with #! tell what it cannot say, and why. Keys are not printed.", newExportWords().options())
}

// ExportComplete returns the options of export.
func ExportComplete([]string) []string { return names(newExportWords().options()) }

// Export prints the document of what is here.
func Export(env *Env, args []string) error {
	w := newExportWords()
	rest, err := parse("export", w.options(), args)
	switch {
	case err != nil:
		return err
	case len(rest) > 0:
		return &WordError{Msg: fmt.Sprintf("export takes no document; %q is one word too many", rest[0]), Hint: "xfrmctl export > FILE"}
	}
	if w.root == "" {
		w.root = "file:/etc/xfrmctl/" + w.owner + ".root"
	}
	if w.keyFile != "" {
		if w.keyFile, err = filepath.Abs(w.keyFile); err != nil {
			return err
		}
		if _, err := os.Lstat(w.keyFile); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s: keys are written to a new file only (%w)", w.keyFile, errors.Join(err, fs.ErrExist))
		}
	}
	state, unseen, err := look(env)
	if err != nil {
		return err
	}
	res, err := w.export(env, state, unseen)
	if err != nil {
		return err
	}
	if err := w.writeKeys(env, res.Keys); err != nil {
		return err
	}
	if len(res.Lost) > 0 {
		fmt.Fprintf(env.Stderr, "xfrmctl: %d things are here otherwise than the document says, or not in it: lines with #!\n", len(res.Lost))
	}
	return env.print(res.Document)
}

func look(env *Env) (state *provision.State, unseen []string, err error) {
	xfrm, err := env.XFRM()
	if err != nil {
		return nil, nil, err
	}
	links, err := env.Links()
	if err != nil {
		return nil, nil, err
	}
	state, unseen, err = provision.Look(env.Ctx, &provision.Config{XFRM: xfrm, Links: links, NetNS: env.NetNS})
	return state, unseen, errors.Join(err, links.Close())
}

func (w *exportWords) export(env *Env, state *provision.State, unseen []string) (*export.Result, error) {
	userspace, err := env.Userspace()
	if err != nil {
		return nil, err
	}
	local, err := provision.LocalAddresses(env.NetNS)
	if err != nil {
		return nil, err
	}
	return export.Export(env.Ctx, state, &export.Options{
		Node: w.node, Owner: w.owner, Names: w.names, Root: w.root, KeyFile: w.keyFile, Userspace: userspace, Unseen: unseen,
		Local: func(a netip.Addr) bool { return local[a] }, UnderlayMTU: env.underlayMTU(), Device: env.Device,
	})
}

// writeKeys writes the keys to a file that was not there. They are nowhere else.
func (w *exportWords) writeKeys(env *Env, keys []byte) error {
	switch {
	case w.keyFile == "":
		return nil
	case keys == nil:
		fmt.Fprintf(env.Stderr, "xfrmctl: no keys were written: none here may be used again, or the engine does not show them\n")
		return nil
	case env.DryRun:
		return nil
	}
	f, err := os.OpenFile(w.keyFile, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(keys)
	return errors.Join(err, f.Sync(), f.Close())
}

// print prints a document, as JSON where that is asked for.
func (env *Env) print(doc []byte) error {
	if !env.JSON {
		_, err := env.Stdout.Write(doc)
		return err
	}
	var v any
	if err := yaml.Unmarshal(doc, &v); err != nil {
		return err
	}
	return env.Encode(v)
}
