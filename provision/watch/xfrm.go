package watch

import (
	"context"
	"errors"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// listenXFRM takes in what happens to SAs and policies, until ctx ends.
func (w *Watcher) listenXFRM(ctx context.Context) error {
	for {
		n, err := w.monitor.Next(ctx)
		var bad *netlinkx.DecodeError
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &bad):
			w.note(Change{Drift: true, What: "an object that is not understood"})
			continue
		case err != nil:
			return err
		}
		w.mu.Lock()
		c := xfrmChange(w.interest, n.Event)
		w.mu.Unlock()
		if c.Drift || c.Lost {
			w.note(c)
		}
	}
}

// xfrmChange is what an event means for what counts.
func xfrmChange(i *Interest, e netlinkx.Event) Change {
	switch e := e.(type) {
	case *netlinkx.LostEvent:
		return Change{Lost: true}
	case *netlinkx.SAEvent:
		return Change{Drift: i.sa(&e.SA), What: e.SA.ID().String()}
	case *netlinkx.ExpireEvent:
		return Change{Drift: e.Hard && i.sa(&e.SA), What: e.SA.ID().String()}
	case *netlinkx.PolicyEvent:
		return Change{Drift: i.policy(&e.Policy), What: "a policy"}
	case *netlinkx.PolicyExpireEvent:
		return Change{Drift: e.Hard && i.policy(&e.Policy), What: "a policy"}
	case *netlinkx.FlushSAEvent:
		return Change{Drift: true, What: "all SAs"}
	case *netlinkx.FlushPolicyEvent:
		return Change{Drift: true, What: "all policies"}
	case *netlinkx.DefaultsEvent:
		return Change{Drift: true, What: "the default policy"}
	}
	return Change{}
}
