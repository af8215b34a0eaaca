package vti

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/ifaces/rtnl"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/provision"
)

// Config says where a Session works.
type Config struct {
	// StateDir holds the journal. It is made, with mode 0700, unless ReadOnly.
	StateDir string
	// XFRM and Links are the kernel's, in the namespace NetNS, borrowed until
	// Close.
	XFRM  *netlinkx.Conn
	Links *ifaces.Conn
	NetNS netlinkx.NetNS
	// ReadOnly takes no lock and changes nothing.
	ReadOnly bool
	// OnWait is called once when another process holds the lock, which is then
	// waited for; nil: Open fails with *provision.LockedError.
	OnWait func(holder string)
	// OnStep is called after each step, OnNote with what is worth knowing; calls
	// are synchronous. Both may be nil.
	OnStep func(*Move, *Step)
	OnNote func(string)
	// Dial, if not nil, connects to rtnetlink in place of a socket in NetNS.
	Dial func() (netlinkx.Transport, error)
}

func (c *Config) dial() (netlinkx.Transport, error) {
	if c.Dial != nil {
		return c.Dial()
	}
	return rtnl.Dial(c.NetNS)
}

// Session works on the VTIs of one namespace. It serves one goroutine.
type Session struct {
	cfg     Config
	lock    io.Closer
	kernel  *kernel
	journal *journal
}

// Open takes the lock and reads the journal. Errors: *provision.LockedError, and
// what the files or the routing socket say.
func Open(ctx context.Context, cfg *Config) (*Session, error) {
	s := &Session{cfg: *cfg}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Session) open(ctx context.Context) (err error) {
	if !s.cfg.ReadOnly {
		if s.lock, err = provision.LockDir(ctx, s.cfg.StateDir, s.cfg.OnWait); err != nil {
			return err
		}
	}
	boot, inode, err := provision.Whereabouts(s.cfg.NetNS)
	if err != nil {
		return err
	}
	if s.journal, err = openJournal(s.cfg.StateDir, boot, inode); err != nil {
		return err
	}
	t, err := s.cfg.dial()
	if err != nil {
		return err
	}
	s.kernel = &kernel{rtnl.New(t)}
	return s.forget(ctx)
}

// forget drops moves of a namespace that is no more.
func (s *Session) forget(ctx context.Context) error {
	for _, m := range s.Moves() {
		stale, err := s.stale(ctx, m)
		if err != nil {
			return err
		}
		if !stale {
			continue
		}
		s.note("%s: what the state directory tells of it is not in this namespace: forgotten", m.sourceNames())
		s.journal.saved.Moves = slices.DeleteFunc(s.journal.saved.Moves, func(o *Move) bool { return o == m })
	}
	return nil
}

// Close gives the lock back. The connections of Config stay open.
func (s *Session) Close() error {
	var errs []error
	if s.kernel != nil {
		errs = append(errs, s.kernel.close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}

// Audit inspects the namespace.
func (s *Session) Audit(ctx context.Context) (*Report, error) {
	state, err := s.observe(ctx)
	if err != nil {
		return nil, err
	}
	return Inspect(state, s.journal.saved.Moves), nil
}

// Moves returns what the journal holds: conversions that were not finished, or
// not completed.
func (s *Session) Moves() []*Move { return slices.Clone(s.journal.saved.Moves) }

// Plan plans the conversion of the VTIs of those names, of all when there are
// none. Those that were converted before are left out. It writes nothing.
// Errors: *RefusedError.
func (s *Session) Plan(ctx context.Context, names []string, opts Options) (*Plan, error) {
	state, err := s.observe(ctx)
	if err != nil {
		return nil, err
	}
	moved := func(name string) bool {
		return slices.ContainsFunc(s.journal.saved.Moves, func(m *Move) bool { return m.has(name) })
	}
	all := len(names) == 0
	names = slices.DeleteFunc(slices.Clone(names), moved)
	state.VTIs = slices.DeleteFunc(state.VTIs, func(v *ifaces.VTI) bool { return movedIn(s.journal.saved.Moves, v) })
	if !all && len(names) == 0 {
		return &Plan{}, nil
	}
	return NewPlan(state, names, opts)
}

func (m *Move) has(name string) bool {
	return slices.ContainsFunc(m.Sources, func(src *Source) bool { return src.Name == name })
}

func (m *Move) sourceNames() string {
	var names []string
	for _, src := range m.Sources {
		names = append(names, src.Name)
	}
	return strings.Join(names, ", ")
}

func (s *Session) note(format string, args ...any) {
	if s.cfg.OnNote != nil {
		s.cfg.OnNote(fmt.Sprintf(format, args...))
	}
}
