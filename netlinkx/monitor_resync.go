package netlinkx

import (
	"context"
	"errors"
	"iter"
	"time"
)

// quiet is how long nothing comes before the queue counts as empty.
const quiet = 50 * time.Millisecond

// resync is what a monitor does after events were lost:
//
//	        ENOBUFS                queue empty, or all of it
//	        (LostEvent)            that was there then is read
//	follow -----------> draining ----------------------------> listing
//	   ^                    ^   |  ENOBUFS (LostEvent)            |  |
//	   |                    |<--'                                 |  |
//	   |                    `--- list failed, or ctx ended -------'  |
//	   `------------------------ end mark ---------------------------'
//
// Draining comes first: an event that was queued before the list was made but
// is delivered after it could bring back an object that is gone.
type resync struct {
	draining bool
	drained  int // bytes of events since the last ENOBUFS
	next     func() (*Notice, error, bool)
	stop     func()
	cancel   context.CancelFunc
}

func (s *resync) listing() bool { return s.next != nil }

// end ends the list.
func (s *resync) end() {
	if s.listing() {
		s.cancel()
		s.stop()
		s.next, s.stop, s.cancel = nil, nil, nil
	}
}

func (m *Monitor) beginList() {
	ctx, cancel := context.WithCancel(m.ctx)
	s := &m.sync
	s.draining, s.cancel = false, cancel
	s.next, s.stop = iter.Pull2(m.objects(ctx))
}

// nextObject returns the next object of the list, or its end mark; neither when
// the list has to begin again.
func (m *Monitor) nextObject(ctx context.Context) (*Notice, error) {
	s := &m.sync
	defer context.AfterFunc(ctx, s.cancel)()
	n, err, ok := s.next()
	switch {
	case err != nil:
		s.end()
		s.draining, s.drained = true, 0
		if errors.Is(err, context.Canceled) && ctx.Err() == nil && m.ctx.Err() == nil {
			return nil, nil // the ctx of an earlier Next ended as that returned
		}
		return nil, err
	case !ok:
		s.end()
		return &Notice{Event: &ResyncEvent{}}, nil
	}
	return n, nil
}

// objects lists all SAs and policies. A list that was interrupted is made
// again: what it left out would be missed.
func (m *Monitor) objects(ctx context.Context) iter.Seq2[*Notice, error] {
	return func(yield func(*Notice, error) bool) {
		var err error
		for range dumpRetries {
			var more bool
			if more, err = m.list(ctx, yield); !more {
				return
			}
			if !errors.Is(err, ErrDumpInterrupted) {
				break
			}
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

// list yields all SAs and policies; more is false when the receiver left.
func (m *Monitor) list(ctx context.Context, yield func(*Notice, error) bool) (more bool, err error) {
	c := m.lister()
	for sa, err := range c.SAs(ctx, nil) {
		if err != nil {
			return true, err
		}
		if !yield(&Notice{Event: &ResyncEvent{SA: sa}, Type: MsgNewSA}, nil) {
			return false, nil
		}
	}
	for p, err := range c.Policies(ctx) {
		if err != nil {
			return true, err
		}
		if !yield(&Notice{Event: &ResyncEvent{Policy: p}, Type: MsgNewPolicy}, nil) {
			return false, nil
		}
	}
	return true, nil
}

// lister returns a Conn for dumps, which open their own sockets.
func (m *Monitor) lister() *Conn {
	c := &Conn{cfg: Config{NetNS: m.cfg.NetNS}}
	if m.cfg.Dial != nil {
		c.cfg.Dial = func() (Transport, error) { return m.cfg.Dial(nil) }
	}
	return c
}
