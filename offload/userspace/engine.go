package userspace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/confine"
	"github.com/xfrmctl/xfrmctl/offload/userspace/journal"
	"github.com/xfrmctl/xfrmctl/offload/userspace/nlsock"
	"github.com/xfrmctl/xfrmctl/offload/userspace/sadb"
	"github.com/xfrmctl/xfrmctl/offload/userspace/server"
)

// Config says how an engine works. Only Socket is necessary.
type Config struct {
	Socket string // path of the socket on which it answers
	// Journal is where used keys are remembered. Nil: they are forgotten with
	// the engine, for keys that are made for one run and never used again.
	Journal *journal.Config
	// Confine drops all privileges and system calls that are not needed, for
	// the whole process: not for programs that do something else as well.
	Confine bool
	Path    PathConfig
	Version string // for Status
	// Logf gets what an operator should know, a line each; nil drops it.
	// Packet threads call it too: it must not wait for anything.
	Logf func(format string, args ...any)
}

// Engine is a userspace ESP engine. It is safe for concurrent use.
type Engine struct {
	cfg       Config
	listener  *nlsock.Listener
	journal   *journal.Journal
	plane     plane
	links     *server.Links
	db        *sadb.DB
	server    *server.Server
	namespace *os.File
	inode     uint64
	confined  *confine.Result
	started   time.Time
	headroom  atomic.Uint64

	closing sync.Once
	closed  error
}

// Open makes an engine and everything that it needs: when it returns, clients
// may connect, and Serve answers them. It fails with a line that says what is
// missing: the socket is in use (syscall.EADDRINUSE), there are no TUN devices, a
// privilege is missing, or the journal's directory cannot be written. A journal that
// is lost is no such failure: it is logged, and keys are refused.
func Open(cfg *Config) (*Engine, error) { return open(cfg, newPlane, checkMachine) }

func open(cfg *Config, newPlane func(*Config) (plane, error), check func() error) (_ *Engine, err error) {
	e := &Engine{cfg: *cfg, started: time.Now()}
	if e.cfg.Logf == nil {
		e.cfg.Logf = func(string, ...any) {}
	}
	defer func() {
		if err != nil {
			_ = e.Close() // the other error is the news
		}
	}()
	if err := check(); err != nil {
		return nil, err
	}
	if e.namespace, e.inode, err = ownNamespace(); err != nil {
		return nil, err
	}
	if e.listener, err = nlsock.Listen(cfg.Socket); err != nil {
		return nil, err
	}
	if err := e.openJournal(); err != nil {
		return nil, err
	}
	if e.plane, err = newPlane(&e.cfg); err != nil { // opens packet sockets, which a confined process may not
		return nil, err
	}
	// before there are packet threads, which give up more
	if cfg.Confine {
		e.confine()
	}
	return e, e.compose()
}

func (e *Engine) openJournal() error {
	if e.cfg.Journal == nil {
		e.journal = journal.Volatile()
		return nil
	}
	var err error
	e.journal, err = journal.Open(e.cfg.Journal)
	var lost *journal.LostError
	switch {
	case errors.As(err, &lost):
		e.cfg.Logf("%v", lost)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w (the engine must be able to write there: --state-dir names another place)", err)
	case err != nil:
		return err
	}
	return nil
}

func (e *Engine) confine() {
	e.confined = confine.Process()
	for _, what := range e.confined.Missing {
		e.cfg.Logf("not confined: %s", what)
	}
}

// compose ties the parts together.
func (e *Engine) compose() error {
	e.links = server.NewLinks(e.plane, e.namespace)
	e.server = server.New(server.Config{
		Links:    e.links,
		Status:   func() any { return e.Status() },
		Headroom: e.noteHeadroom,
	})
	e.db = sadb.New(sadb.Config{
		Listener:   e.server,
		Key:        e.key,
		SAChanged:  e.plane.saChanged,
		SourceAddr: e.plane.sourceAddr,
	})
	e.server.Attach(e.db)
	return e.plane.start(e.db)
}

// key implements sadb.Config's.
func (e *Engine) key(algorithm string, key netlinkx.Key) (sadb.IVCounter, error) {
	c, err := e.journal.Key(algorithm, key.Reveal())
	if err != nil {
		return nil, err // a nil *Counter would not be a nil IVCounter
	}
	return c, nil
}

func (e *Engine) noteHeadroom(h sadb.Headroom) {
	e.headroom.Add(1)
	e.cfg.Logf("%s: %d of %d sequence numbers are used: time for a new key", h.SA, h.Used, h.Limit)
}

// Serve answers clients until Close.
func (e *Engine) Serve() error { return e.listener.Serve(e.server.Handle) }

// Socket returns the path on which it answers.
func (e *Engine) Socket() string { return e.listener.Path() }

// Status returns what there is to tell now.
func (e *Engine) Status() *Status {
	sad, spd := e.db.SADInfo(), e.db.SPDInfo()
	s := &Status{
		Version: e.cfg.Version, PID: os.Getpid(), Socket: e.listener.Path(), NetNS: e.inode,
		Started: e.started.Round(0).UTC(), UptimeSeconds: time.Since(e.started).Seconds(),
		SAs: sad.Count, Policies: PolicyCount{spd.Counts.In, spd.Counts.Out, spd.Counts.Fwd},
		Confined: e.confined, Headroom: e.headroom.Load(),
		Counters: map[string]uint64{}, Own: map[string]uint64{}, Devices: []DeviceStatus{},
	}
	if e.cfg.Journal != nil {
		j := e.journal.Stats()
		s.Journal = &j
	}
	e.plane.stats(s)
	s.Law.check()
	return s
}

// Close ends the engine: clients are disconnected, interfaces deleted, the
// socket removed, and what of the journal's leases was not used is given back.
func (e *Engine) Close() error {
	e.closing.Do(func() { e.closed = e.close() })
	return e.closed
}

// close goes from the outside in; any part may be missing.
func (e *Engine) close() error {
	var errs []error
	if e.listener != nil {
		errs = append(errs, e.listener.Close())
	}
	if e.links != nil {
		e.links.Close()
	}
	if e.plane != nil {
		errs = append(errs, e.plane.close())
	}
	if e.db != nil {
		e.db.Close()
	}
	if e.journal != nil {
		errs = append(errs, e.journal.Close())
	}
	if e.namespace != nil {
		errs = append(errs, e.namespace.Close())
	}
	return errors.Join(errs...)
}
