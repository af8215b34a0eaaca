package apply

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/provision"
	"github.com/xfrmctl/xfrmctl/provision/document"
	"github.com/xfrmctl/xfrmctl/provision/keys"
	"github.com/xfrmctl/xfrmctl/provision/rotate"
)

// Node says which document a command is about, and which of its nodes this
// machine is.
type Node struct {
	File, As string
	StateDir string
	Boots    map[string]string // boot identifiers of other nodes
	NoWait   bool              // for the lock
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

// Read reads the document.
func (n *Node) Read(env *Env) (*document.Document, error) {
	file, in := n.File, env.Stdin
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
	return document.Read(file, b)
}

// Runner reads the document and finds out what the node shall have.
func (n *Node) Runner(env *Env, cfg *rotate.Config) (*rotate.Runner, error) {
	userspace, err := env.Userspace()
	if err != nil {
		return nil, err
	}
	if cfg.Document, err = n.Read(env); err != nil {
		return nil, err
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, err
	}
	mtus := map[string]int{}
	cfg.Node, cfg.StateDir, cfg.Now = n.As, n.StateDir, time.Now
	cfg.Surroundings = document.Surroundings{
		Keys: &keys.Source{Getenv: env.Getenv}, BootID: strings.TrimSpace(string(boot)), BootIDs: n.Boots, Userspace: userspace,
		UnderlayMTU: func(_ context.Context, name string) (int, error) {
			if mtus[name] != 0 {
				return mtus[name], nil
			}
			mtu, err := provision.DeviceMTU(env.NetNS, name)
			mtus[name] = mtu
			return mtu, err
		},
	}
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
