package apply

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math"
	"os"
	"runtime/debug"
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
	// Brief: nothing will be written, and the document is looked at once.
	Brief bool

	input []byte             // what came from standard input, which can be read once
	ahead *document.Document // read by ReadAhead, and not asked for since

	// What the last run went by.
	sum      [sha256.Size]byte // of the document
	askedFor string            // the engine, before the document said its word
	source   *keys.Source
	around   *surroundings
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

// digest is that of the document's bytes. A file is not kept.
func (n *Node) digest(env *Env) (sum [sha256.Size]byte, err error) {
	if n.File == "-" {
		_, b, err := n.text(env)
		return sha256.Sum256(b), err
	}
	f, err := os.Open(n.File)
	if err != nil {
		return sum, err
	}
	defer f.Close() // read only
	h := sha256.New()
	_, err = io.Copy(h, f)
	h.Sum(sum[:0])
	return sum, err
}

// ReadAhead does what Read does, for the next Read.
func (n *Node) ReadAhead(env *Env) (err error) {
	n.ahead, err = n.Read(env)
	return err
}

// Read reads the document, and makes the engine that it names that of the run.
func (n *Node) Read(env *Env) (*document.Document, error) {
	if d := n.ahead; d != nil {
		n.ahead = nil
		return d, nil
	}
	file, b, err := n.text(env)
	if err != nil {
		return nil, err
	}
	if n.Brief {
		limitMemory(b)
	}
	d, err := document.Read(file, b)
	if err != nil {
		return nil, err
	}
	n.sum = sha256.Sum256(b)
	return d, env.Engine(func(asked string) (string, error) {
		n.askedFor = asked
		return d.EngineFor(asked)
	})
}

// limitMemory makes the collector hurry from a size on: else as much garbage again
// as a command needs waits to be collected. 256 MiB is enough for a document of ten
// thousand tunnels and as many that are there; beyond, the size goes with what the
// document says. What counts are letters and digits: the same in JSON has half as
// many bytes again, and needs no more. Such a document has 2 to 3 million; what is
// read of it, what shall be and the plan for that take 50 to 60 bytes for each.
// GOMEMLIMIT in the environment is left alone. Not for who writes: that takes more
// memory, and the time of a collector that cannot find what it looks for.
func limitMemory(document []byte) {
	const enough, base, each = 256 << 20, 64 << 20, 68
	if debug.SetMemoryLimit(-1) != math.MaxInt64 {
		return
	}
	words := int64(0)
	for _, c := range document {
		if c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' {
			words++
		}
	}
	debug.SetMemoryLimit(max(enough, base+each*words))
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
