// Package watch waits until a namespace may no longer be what was applied to it,
// or a document is another. It is told by the kernel: of SAs and policies by the
// XFRM groups of netlink, of interfaces, addresses and routes by those of
// rtnetlink, of files by inotify. It looks at nothing itself: whoever is woken
// reads everything, so that events that were lost only wake.
//
// Start with New.
package watch

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Config says what to watch.
type Config struct {
	NetNS netlinkx.NetNS
	// XFRM listens to another engine than the kernel; nil: the kernel.
	XFRM func([]netlinkx.Group) (netlinkx.Transport, error)
	// Routing listens to another kernel's routing than that of NetNS.
	Routing func(groups ...uint32) (netlinkx.Transport, error)
	// Files are watched for being written or replaced, also behind symbolic
	// links.
	Files []string
}

// Events come in swarms: they are told of when nothing has come for quiet, and
// at the latest after most.
const (
	quiet = 200 * time.Millisecond
	most  = 2 * time.Second
)

// Change is what has happened since the last one. Its zero value means that the
// time was up.
type Change struct {
	// Drift: an object that counts was changed, by whomever. What names the
	// first.
	Drift bool
	What  string
	// Lost: events were lost, so anything may have changed.
	Lost bool
	// Files: a file was written or replaced.
	Files bool
}

// Watcher collects events. Its methods may be called by several goroutines, Wait
// by one at a time.
type Watcher struct {
	cfg     Config
	monitor *netlinkx.Monitor
	routing *routing
	files   *files
	stop    context.CancelFunc
	done    sync.WaitGroup
	wake    chan struct{} // has one element when something came

	mu       sync.Mutex
	pending  Change
	interest *Interest
	failed   error
}

// New begins to watch. Until Look is called, every event counts.
func New(cfg *Config) (*Watcher, error) {
	ctx, stop := context.WithCancel(context.Background())
	w := &Watcher{cfg: *cfg, stop: stop, wake: make(chan struct{}, 1)}
	err := w.open()
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	for _, listen := range []func(context.Context) error{w.listenXFRM, w.routing.listen, w.files.listen} {
		w.done.Go(func() { w.fail(listen(ctx)) })
	}
	return w, nil
}

func (w *Watcher) open() (err error) {
	w.monitor, err = netlinkx.NewMonitor(&netlinkx.MonitorConfig{
		NetNS: w.cfg.NetNS, Dial: w.cfg.XFRM, Groups: []netlinkx.Group{netlinkx.GroupSA, netlinkx.GroupPolicy, netlinkx.GroupExpire},
	})
	if err != nil {
		return err
	}
	if w.routing, err = newRouting(w); err != nil {
		return err
	}
	w.files, err = newFiles(w.cfg.Files, w.note)
	return err
}

// Close ends the watch; Wait then returns.
func (w *Watcher) Close() error {
	w.stop()
	var errs []error
	if w.monitor != nil {
		errs = append(errs, w.monitor.Close())
	}
	if w.routing != nil {
		errs = append(errs, w.routing.close())
	}
	if w.files != nil {
		errs = append(errs, w.files.close())
	}
	w.done.Wait()
	return errors.Join(errs...)
}

// Look says what counts from now on, and that what has happened until now is
// known. Events that have not been received yet may still come: they wake in
// vain.
func (w *Watcher) Look(i *Interest) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.interest = i
	w.pending.Drift, w.pending.What, w.pending.Lost = false, "", false
}

// Follow says which files are watched from now on besides Config.Files, such as
// those with keys. What cannot be watched is tried again with each Wait.
func (w *Watcher) Follow(paths []string) { w.files.follow(paths) }

// Wait waits for a change, for at most as long as atMost. Drift is told not
// before hold is over, a file's change at once. Errors: that of ctx, or what
// ended one of the sources.
func (w *Watcher) Wait(ctx context.Context, atMost, hold time.Duration) (Change, error) {
	end, held := time.NewTimer(atMost), time.NewTimer(hold)
	defer end.Stop()
	defer held.Stop()
	w.files.rescan()
	for {
		c, err := w.peek()
		switch {
		case err != nil:
			return Change{}, err
		case c.Files || (c.Drift || c.Lost) && hold <= 0:
			return w.settle(ctx)
		}
		select {
		case <-ctx.Done():
			return Change{}, ctx.Err()
		case <-end.C:
			return w.take(), nil
		case <-held.C:
			hold = 0
		case <-w.wake:
		}
	}
}

// settle waits until the swarm is over.
func (w *Watcher) settle(ctx context.Context) (Change, error) {
	for last := time.After(most); ; {
		select {
		case <-ctx.Done():
			return Change{}, ctx.Err()
		case <-last:
			return w.take(), nil
		case <-time.After(quiet):
			return w.take(), nil
		case <-w.wake:
		}
	}
}

func (w *Watcher) peek() (Change, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pending, w.failed
}

func (w *Watcher) take() Change {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.pending
	w.pending = Change{}
	return c
}

// note takes an event in.
func (w *Watcher) note(c Change) {
	w.mu.Lock()
	p := &w.pending
	if p.What == "" {
		p.What = c.What
	}
	p.Drift, p.Lost, p.Files = p.Drift || c.Drift, p.Lost || c.Lost, p.Files || c.Files
	w.mu.Unlock()
	w.signal()
}

// fail ends Wait with what ended a source.
func (w *Watcher) fail(err error) {
	w.mu.Lock()
	if w.failed == nil {
		w.failed = err
	}
	w.mu.Unlock()
	w.signal()
}

func (w *Watcher) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}
