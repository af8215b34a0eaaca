package apply

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/provision"
	"github.com/xfrmctl/xfrmctl/provision/watch"
)

// defaultEvery is how often --watch looks when nothing tells it to: what it is
// not told of are namespaces that interfaces live in, and keys that are in no file.
const defaultEvery = 5 * time.Minute

// stay applies again and again until the program is told to end. Only the first
// round may fail: what goes wrong later is said once, and tried again. The lock
// is free between rounds.
func (c *command) stay(links *ifaces.Conn) error {
	every := c.words.every
	if every == 0 {
		every = defaultEvery
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	s := &stayer{c: c, every: every, hup: hup}
	if c.words.watch {
		if err := s.watch(); err != nil {
			return err
		}
	}
	err := s.rounds(links)
	c.env.Tell("STOPPING=1")
	if s.watcher != nil {
		err = errors.Join(err, s.watcher.Close())
	}
	return err
}

// stayer is a command that stays.
type stayer struct {
	c       *command
	every   time.Duration
	hup     chan os.Signal
	watcher *watch.Watcher // nil: only the time tells
	quarrel quarrel
	said    string // what went wrong last
}

func (s *stayer) watch() error {
	listen, err := s.c.env.Listen()
	if err != nil {
		return err
	}
	s.watcher, err = watch.New(&watch.Config{NetNS: s.c.env.NetNS, XFRM: listen, Files: []string{s.c.words.File}})
	s.c.onRead = func(owner provision.Owner, wanted *provision.State) { s.watcher.Look(watch.InterestIn(owner, wanted)) }
	return err
}

// rounds is the first round and all others. SIGHUP makes one, which systemd is
// told of.
func (s *stayer) rounds(links *ifaces.Conn) error {
	if err := s.c.run(links); err != nil {
		return err
	}
	s.follow()
	s.c.env.Tell("READY=1", s.status())
	for hold := time.Duration(0); ; {
		if err := s.c.env.Flush(); err != nil {
			return err
		}
		change, err := s.wait(hold)
		if s.c.env.Ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if change.Files {
			s.c.env.Tell("RELOADING=1", monotonic())
		}
		s.round(links)
		s.follow()
		hold = s.holdBack(change)
		s.c.env.Tell("READY=1", s.status())
	}
}

// follow has the files with keys watched that the last round read.
func (s *stayer) follow() {
	if source := s.c.words.source; s.watcher != nil && source != nil {
		s.watcher.Follow(source.Files())
	}
}

// wait waits for a reason to look again. Drift is heeded not before hold is over.
func (s *stayer) wait(hold time.Duration) (watch.Change, error) {
	ctx, cancel := context.WithCancel(s.c.env.Ctx)
	defer cancel()
	told := make(chan struct{})
	go func() {
		defer close(told)
		select {
		case <-s.hup:
			cancel()
		case <-ctx.Done():
		}
	}()
	var change watch.Change
	var err error
	if s.watcher != nil {
		change, err = s.watcher.Wait(ctx, s.next(), hold)
	} else {
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case <-time.After(s.next()):
		}
	}
	if hup := ctx.Err() != nil && s.c.env.Ctx.Err() == nil; hup {
		change, err = watch.Change{Files: true}, nil
	}
	cancel()
	<-told
	return change, err
}

// next is how long a round is waited for when nothing happens: until the clock
// asks for a step of a change of keys, if that is sooner than the next look.
func (s *stayer) next() time.Duration {
	if s.c.wake.IsZero() {
		return s.every
	}
	least := 10 * time.Millisecond
	if s.said != "" { // a step that fails is due all the time
		least = time.Second
	}
	return min(s.every, max(least, time.Until(s.c.wake)))
}

// round applies once more.
func (s *stayer) round(links *ifaces.Conn) {
	s.c.count, s.c.again = counts{}, true
	text := ""
	if err := s.c.run(links); err != nil && s.c.env.Ctx.Err() == nil {
		text = err.Error()
	}
	if text != "" && text != s.said {
		s.c.say("%s", text)
	}
	s.said = text
}

// holdBack returns how long drift shall wait after a round, because another puts
// back what we put right.
func (s *stayer) holdBack(change watch.Change) time.Duration {
	if change.Files {
		s.quarrel = quarrel{} // what is wanted is another thing now
		return 0
	}
	hold, about := s.quarrel.wrote(s.c.count.written, time.Now())
	if about != "" {
		s.c.say("%s is changed again and again by another process; it is put right now and then, at most once in %v", about, maxHold)
	}
	return hold
}

// say tells people, behind what was told before.
func (c *command) say(format string, args ...any) {
	_ = c.env.Flush() // what cannot be written shows in the end
	fmt.Fprintf(c.env.Stderr, "xfrmctl: "+format+"\n", args...)
}

// status is a line for systemctl status.
func (s *stayer) status() string {
	if s.said != "" {
		return "STATUS=" + s.said
	}
	how := fmt.Sprintf("looking every %v", s.every)
	if s.watcher != nil {
		how = "watching"
	}
	return fmt.Sprintf("STATUS=%s: %s, as %s; last round: %d writes", s.c.words.File, how, s.c.words.As, s.c.count.all)
}

// monotonic is what RELOADING=1 goes with.
func monotonic() string {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // every kernel has it
	return fmt.Sprintf("MONOTONIC_USEC=%d", ts.Nano()/1000)
}
