package provision

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/xfrmctl/xfrmctl/gsogro"
	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Config says where a Session works and in whose name.
type Config struct {
	// StateDir holds what outlives a run: which objects are ours and which keys
	// were used. It is made, with mode 0700, unless ReadOnly.
	StateDir string
	Owner    Owner
	// XFRM and Links are borrowed until Close. They reach the same engine, in
	// the namespace NetNS.
	XFRM  *netlinkx.Conn
	Links *ifaces.Conn
	NetNS netlinkx.NetNS
	// Routes, if not nil, connects to another kernel's routing than that of
	// NetNS, such as a fake one.
	Routes func() (netlinkx.Transport, error)
	// Engine names the engine in the state directory: "kernel" or another.
	Engine string
	// OwnCounters: the engine itself sees to it that a counter-mode key that
	// comes again never repeats an IV, so such keys need not be refused.
	OwnCounters bool
	// ReadOnly takes no lock and writes nothing; Apply is an error.
	ReadOnly bool
	// OnWait is called once when another process holds the lock, which is then
	// waited for; nil: Open fails with *LockedError.
	OnWait func(holder string)
	// OnRead is called before everything is read: what others change from then
	// on may be missed. It may be nil.
	OnRead func(wanted *State)
	// OnRemark is called with what is worth knowing about the engine. It may be
	// nil.
	OnRemark func(text string)
	// OnPlan is called with what is going to be done, before it is. It may be
	// nil.
	OnPlan func(*Result)
	// OnStep is called after each step that was carried out or taken back;
	// calls are synchronous. It may be nil.
	OnStep func(Event)
}

// Event tells of one step.
type Event struct {
	Step *Step
	// Undone: the step was taken back.
	Undone bool
}

// Session plans and applies for one owner in one namespace. It serves one
// goroutine.
type Session struct {
	cfg    Config
	lock   *os.File
	store  *store
	places map[string]*place // by name; "" is the session's own namespace
	gro    *gsogro.Conn      // nil: not needed yet
	// undirected: the engine has no direction of SAs. It is known when probed.
	undirected, probed bool
	// alone: see Alone.
	alone bool
}

// errReadOnly is the answer to writes in a session that only reads.
var errReadOnly = errors.New("the session was opened for reading")

// Open takes the lock and reads the ledger. Errors: *LockedError, and what the
// files or the routing socket say.
func Open(ctx context.Context, cfg *Config) (*Session, error) {
	s := &Session{cfg: *cfg, places: map[string]*place{}}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Session) open(ctx context.Context) error {
	if s.cfg.Owner.Name == "" || strings.ContainsAny(s.cfg.Owner.Name, "/\x00") {
		return fmt.Errorf("owner %q: its name is part of a file's", s.cfg.Owner.Name)
	}
	if !s.cfg.ReadOnly {
		if err := os.MkdirAll(s.cfg.StateDir, 0o700); err != nil {
			return fmt.Errorf("the state directory %s cannot be made, name another one: %w", s.cfg.StateDir, err)
		}
		f, err := lock(ctx, s.cfg.StateDir, s.cfg.OnWait)
		if err != nil {
			return err
		}
		s.lock = f
	}
	boot, err := bootID()
	if err != nil {
		return err
	}
	inode, err := netnsInode(s.cfg.NetNS)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%s-%s-%d", s.cfg.Owner.Name, s.cfg.Engine, inode)
	if s.store, err = openStore(s.cfg.StateDir, name, boot, s.cfg.ReadOnly); err != nil {
		return err
	}
	_, err = s.place("")
	return err
}

// Close gives the lock back. The connections of Config stay open.
func (s *Session) Close() error {
	var errs []error
	for _, p := range s.places {
		errs = append(errs, p.close())
	}
	if s.gro != nil {
		errs = append(errs, s.gro.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}

// Plan observes and plans; it writes nothing.
func (s *Session) Plan(ctx context.Context, wanted *State, opts Options) (*Result, error) {
	_, res, err := s.plan(ctx, index(wanted), opts)
	return res, err
}

func (s *Session) plan(ctx context.Context, wanted *indexed, opts Options) (*indexed, *Result, error) {
	observed, err := s.read(ctx, wanted.State)
	if err != nil {
		return nil, nil, err
	}
	o := index(observed)
	res, err := plan(wanted, o, &s.cfg.Owner, s.store.ledger(s.cfg.OwnCounters), opts)
	return o, res, err
}

// read is observe, announced.
func (s *Session) read(ctx context.Context, wanted *State) (*State, error) {
	if s.cfg.OnRead != nil {
		s.cfg.OnRead(wanted)
	}
	return s.observe(ctx, wanted)
}

// Alone reports whether what was read last went over XFRM, Links and Routes
// alone, and decided, with the state directory, what there was to do: nothing was
// read in other namespaces or of the settings of devices, and no device shall carry
// SAs.
func (s *Session) Alone() bool { return s.alone }

// UnreachedError tells that all steps were carried out and the state is not
// what was wanted: the engine left something out, or another changed it.
type UnreachedError struct{ Steps []*Step }

// Error names the first difference.
func (e *UnreachedError) Error() string {
	s := e.Steps[0]
	return fmt.Sprintf("%d differences remain after all writes, the first: %s; the engine ignored a part of it, or another process changes the same objects",
		len(e.Steps), strings.Join(strings.Fields(s.String()), " "))
}

// Apply brings the namespace to the wanted state, reads back, and returns what
// it did. When a step is refused, those before it are taken back, and the error
// tells of both. Steps that delete come last; when one of them is refused,
// nothing is taken back and a later Apply goes on. Errors: *RefusedError when
// nothing was begun, *UnreachedError, and what the engine says.
func (s *Session) Apply(ctx context.Context, wanted *State, opts Options) (*Result, error) {
	if s.cfg.ReadOnly {
		return nil, errReadOnly
	}
	for try := 0; ; try++ {
		res, again, err := s.apply(ctx, wanted, opts)
		if !again || try == lateTries {
			return res, err
		}
		select {
		case <-ctx.Done():
			return res, err
		case <-time.After(latePause):
		}
	}
}

// A run that was killed may have left the userspace engine with requests that
// it still carries out. What is then found otherwise than it was just read is
// looked at again.
const (
	lateTries = 20
	latePause = 100 * time.Millisecond
)

// apply is one try. again tells that an object of ours, made or deleted by none
// of these steps, came or went meanwhile.
func (s *Session) apply(ctx context.Context, wanted *State, opts Options) (res *Result, again bool, err error) {
	w := index(wanted)
	observed, res, err := s.plan(ctx, w, opts)
	if err != nil {
		return nil, false, err
	}
	if err := s.clearMarkers(ctx); err != nil {
		return nil, false, err
	}
	if len(res.Steps) == 0 {
		return res, false, s.settle(observed, wanted)
	}
	if err := s.probeDirection(ctx); err != nil {
		return nil, false, err
	}
	if s.cfg.OnPlan != nil {
		s.cfg.OnPlan(res)
	}
	fresh, err := s.intend(res.Steps)
	if err != nil {
		return nil, false, err
	}
	run := &run{s: s, observed: observed.State, made: map[ID]bool{}}
	if err := run.all(ctx, res.Steps); err != nil {
		for _, id := range fresh {
			if !run.made[id] {
				delete(s.store.objects, id) // if it is there now, another made it
			}
		}
		late := run.refused != nil && !slices.Contains(fresh, run.refused.ID) && (errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist))
		return res, late, errors.Join(err, s.record(context.WithoutCancel(ctx), wanted))
	}
	res.Notes, err = s.confirm(ctx, w, opts)
	return res, false, err
}

// Delete removes all that is ours.
func (s *Session) Delete(ctx context.Context) (*Result, error) {
	return s.Apply(ctx, &State{}, Options{Prune: true})
}

// confirm reads everything back, and returns what is worth knowing of it.
func (s *Session) confirm(ctx context.Context, wanted *indexed, opts Options) (notes []string, err error) {
	observed, err := s.read(ctx, wanted.State)
	if err != nil {
		return nil, err
	}
	o := index(observed)
	if err := s.settle(o, wanted.State); err != nil {
		return nil, err
	}
	res, err := plan(wanted, o, &s.cfg.Owner, s.store.ledger(s.cfg.OwnCounters), opts)
	if err != nil {
		return nil, fmt.Errorf("read back: %w", err)
	}
	if len(res.Steps) > 0 {
		return res.Notes, &UnreachedError{res.Steps}
	}
	return res.Notes, nil
}

func (s *Session) record(ctx context.Context, wanted *State) error {
	observed, err := s.observe(ctx, wanted)
	if err != nil {
		return err
	}
	if err := s.clearMarkers(ctx); err != nil {
		return err
	}
	if err := s.settle(index(observed), wanted); err != nil {
		return err
	}
	return s.store.save()
}
