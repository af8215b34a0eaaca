package differ

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/nlsock"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb"
	"github.com/xfrmctl/xfrmctl/offload/userspace/server"
)

// userspace is a userspace engine without a data path: its database and its
// netlink server, in this process.
type userspace struct {
	dir  string
	path string // of its socket
	db   *sadb.DB
	l    *nlsock.Listener
	done chan error
}

func startEngine(cpus uint32) (*userspace, error) {
	dir, err := os.MkdirTemp("", "differ")
	if err != nil {
		return nil, err
	}
	u := &userspace{dir: dir, path: filepath.Join(dir, "esp.sock"), done: make(chan error, 1)}
	s := server.New(server.Config{})
	u.db = sadb.New(sadb.Config{Listener: s, Key: unusedKey, CPUs: cpus})
	s.Attach(u.db)
	if u.l, err = nlsock.Listen(u.path); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	go func() { u.done <- u.l.Serve(s.Handle) }()
	return u, nil
}

func (u *userspace) stop() error {
	err := errors.Join(u.l.Close(), <-u.done)
	u.db.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return errors.Join(err, os.RemoveAll(u.dir))
}

// unusedKey is the counter of a key that nothing is ever sealed with.
func unusedKey(string, netlinkx.Key) (sadb.IVCounter, error) { return noCounter{}, nil }

type noCounter struct{}

func (noCounter) Reserve(int) (uint64, error) { return 0, errors.New("no packets here") }
func (noCounter) Prepare()                    {}
func (noCounter) Seq() uint64                 { return 0 }
func (noCounter) Raise(uint64)                {}
func (noCounter) Release()                    {}

// enginePair is a namespace whose kernel does the work, and one with a
// userspace engine.
type enginePair struct {
	*pair
	engine *userspace
}

// newEnginePair makes fresh namespaces and a fresh engine, with this machine's
// number of CPUs if cpus is 0. Both run xfrmctl.
func newEnginePair(xfrmctl, ip program, cpus uint32) (*enginePair, error) {
	u, err := startEngine(cpus)
	if err != nil {
		return nil, err
	}
	left, right := xfrmctl, xfrmctl
	left.args = append(append([]string(nil), xfrmctl.args...), "--engine", "kernel")
	right.args = append(append([]string(nil), xfrmctl.args...), "--engine", "userspace", "--socket", u.path)
	p, err := newPair(left, right, ip)
	if err != nil {
		return nil, errors.Join(err, u.stop())
	}
	t, err := nlsock.DialXFRM(u.path)
	if err != nil {
		p.close()
		return nil, errors.Join(err, u.stop())
	}
	p.right.dump.close()
	p.right.dump = newSocket(t)
	return &enginePair{pair: p, engine: u}, nil
}

func (p *enginePair) close() error {
	p.pair.close()
	return p.engine.stop()
}

// compare runs a command on both engines and compares what came of it: exit
// code, tables, and everything that was printed.
func (p *enginePair) compare(c command) (outcome, error) {
	o, err := p.step(c)
	if err != nil || o.kind != same && o.kind != differError {
		return o, err
	}
	o.kind, o.detail = same, ""
	if left, right := maskError(o.left.err), maskError(o.right.err); left != right {
		o.kind, o.detail = differError, textDifference(left, right)
	}
	return o, nil
}

// maskError hides what two runs cannot have in common: to load modules is advice
// about the kernel alone.
func maskError(s string) string { return maskText(moduleHint.ReplaceAllString(s, ""), nil) }

var moduleHint = regexp.MustCompile(`(?m)^hint: .*(CONFIG_|modprobe|the userspace engine does not do this).*\n?`)

// engineFinding is a difference with what led to it.
func engineFinding(before []command, c command, o outcome) string {
	return fmt.Sprintf("%v", finding{before, c, o})
}
