package apply

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/provision"
	"github.com/xfrmctl/xfrmctl/provision/document"
	"github.com/xfrmctl/xfrmctl/provision/rotate"
)

// Node says which document a command is about, and which of its nodes this
// machine is.
type Node struct {
	File, As string
	StateDir string
	Boots    map[string]string // boot identifiers of other nodes
	NoWait   bool              // for the lock

	input []byte // what came from standard input, which can be read once
}

// SetBoot reads NODE=ID into Boots. Errors are *WordError.
func (n *Node) SetBoot(v string) error {
	node, id, ok := strings.Cut(v, "=")
	if !ok || node == "" || id == "" {
		return wordError("--boot-id takes NODE=ID, not %q", v)
	}
	n.Boots[node] = id
	return nil
}

// Read reads the document, and makes the engine that it names that of the run.
func (n *Node) Read(env *Env) (*document.Document, error) {
	file, b, err := n.text(env)
	if err != nil {
		return nil, err
	}
	d, err := document.Read(file, b)
	if err != nil {
		return nil, err
	}
	return d, env.Engine(d.EngineFor)
}

func (n *Node) text(env *Env) (name string, b []byte, err error) {
	if n.File != "-" {
		b, err = os.ReadFile(n.File)
		return n.File, b, err
	}
	name = "standard input"
	if n.input == nil {
		if n.input, err = io.ReadAll(env.Stdin); err != nil {
			return name, nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return name, n.input, nil
}

// Runner reads the document and finds out what the node shall have.
func (n *Node) Runner(env *Env, cfg *rotate.Config) (*rotate.Runner, error) {
	var err error
	if cfg.Document, err = n.Read(env); err != nil {
		return nil, err
	}
	in, err := n.surroundings(env)
	if err != nil {
		return nil, err
	}
	cfg.Node, cfg.StateDir, cfg.Now, cfg.Surroundings = n.As, n.StateDir, time.Now, *in
	return rotate.New(env.Ctx, cfg)
}

// Open connects to the engine. cfg says what shall be special.
func (n *Node) Open(env *Env, links *ifaces.Conn, cfg *provision.Config) (*provision.Session, error) {
	userspace, err := env.Userspace()
	if err != nil {
		return nil, err
	}
	if cfg.XFRM, err = env.XFRM(); err != nil {
		return nil, err
	}
	cfg.StateDir, cfg.Links, cfg.NetNS, cfg.Engine = n.StateDir, links, env.NetNS, "kernel"
	if userspace {
		cfg.Engine, cfg.OwnCounters = "userspace", true
	}
	if !n.NoWait {
		cfg.OnWait = func(holder string) { fmt.Fprintf(env.Stderr, "xfrmctl: waiting for %s\n", holder) }
	}
	return provision.Open(env.Ctx, cfg)
}
