package export

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/provision"
	"github.com/xfrmctl/xfrmctl/provision/document"
)

// shape decides what of a tunnel is a choice of the document: routes, guards,
// and whether the MTU is what fits. Of the ways that there are it takes the one
// that comes nearest to what is there.
func (w *writer) shape(ctx context.Context) {
	policies, routes := map[pair][]*netlinkx.Policy{}, map[netip.Prefix][]*provision.Route{}
	for _, p := range w.state.Policies {
		x := pair{p.Selector.Src, p.Selector.Dst}
		policies[x] = append(policies[x], p)
	}
	for _, r := range w.state.Routes {
		routes[r.Dst] = append(routes[r.Dst], r)
	}
	kept := w.tunnels[:0]
	for _, t := range w.tunnels {
		around := &provision.State{SAs: []*netlinkx.SA{t.in, t.out}}
		if t.iface != nil {
			around.Interfaces = []*provision.Interface{t.iface}
		}
		for _, x := range t.pairs {
			around.Policies = append(append(around.Policies, policies[x]...), policies[pair{x.peer, x.own}]...)
			for _, r := range routes[x.peer] {
				if t.iface == nil || r.NetNS == t.iface.NetNS {
					around.Routes = append(around.Routes, r)
				}
			}
		}
		t.routed(around.Routes)
		if err := w.guard(ctx, t, around); err != nil {
			w.exclude(t, err)
			continue
		}
		kept = append(kept, t)
	}
	w.tunnels = kept
}

// routed says what routes a tunnel has.
func (t *tunnel) routed(there []*provision.Route) {
	t.routes = "false"
	if t.iface == nil {
		return
	}
	for _, x := range t.pairs {
		if x.peer.Contains(t.local) || x.peer.Contains(t.far) || x.own.Contains(t.local) || x.own.Contains(t.far) {
			return // a document has no such routes
		}
	}
	for _, r := range there {
		switch {
		case r.Dev != t.iface.Name && !slices.Contains(r.More, t.iface.Name):
		case len(r.More) > 0:
			t.routes = "multipath"
		case t.routes == "false":
			t.routes = "true"
		}
	}
}

// guard tries all ways to guard a tunnel against what is around it.
func (w *writer) guard(ctx context.Context, t *tunnel, around *provision.State) error {
	best, least := "", 0
	for _, way := range []string{"true", "routes", "false", "policies"} {
		if way == "routes" && t.routes == "false" || t.iface == nil && (way == "routes" || way == "policies") {
			continue // a document that says so is refused: there is nothing to guard
		}
		t.guard = way
		wanted, err := w.resolve(ctx, []*tunnel{t})
		if err != nil {
			return err
		}
		all := provision.Differences(wanted, around)
		for _, d := range all {
			if d.WantInterface != nil && d.GotInterface != nil && slices.Contains(d.Words, "mtu") {
				t.mtu, t.fits = d.GotInterface.MTU, d.WantInterface.MTU
			}
		}
		if best == "" || len(all) < least {
			best, least = way, len(all)
		}
		if least == 0 {
			break
		}
	}
	t.guard = best
	return nil
}

// exclude takes a tunnel out of the document.
func (w *writer) exclude(t *tunnel, err error) {
	why := err.Error()
	var problems *document.ProblemsError
	if errors.As(err, &problems) {
		why = problems.Problems[0].Msg
	}
	w.why[saID(t.in)], w.why[saID(t.out)] = why, why
	if t.iface != nil {
		w.unused[place{t.iface.NetNS, t.iface.Name}] = why
	}
}

// drop excludes the tunnels whose lines a document may not have together with
// the others. When there are none, it returns the error.
func (w *writer) drop(err error) error {
	var problems *document.ProblemsError
	if !errors.As(err, &problems) {
		return err
	}
	if w.share(problems) {
		return nil
	}
	n := len(w.tunnels)
	w.tunnels = slices.DeleteFunc(w.tunnels, func(t *tunnel) bool {
		p := t.problem(problems)
		if p != nil {
			w.exclude(t, &document.ProblemsError{Problems: []document.Problem{*p}})
		}
		return p != nil
	})
	if len(w.tunnels) == n {
		return err
	}
	return nil
}

// problem returns the first one that lies in a tunnel's lines, nil if none does.
func (t *tunnel) problem(all *document.ProblemsError) *document.Problem {
	for k := range all.Problems {
		if p := &all.Problems[k]; p.Line >= t.line && p.Line < t.line+t.lines {
			return p
		}
	}
	return nil
}

// share lets tunnels to one peer share routes: where this machine has several
// prefixes behind the peer, the peer has one behind this machine, and a
// document is for both. It reports whether that is new.
func (w *writer) share(problems *document.ProblemsError) (changed bool) {
	peers := map[*node]bool{}
	for _, t := range w.tunnels {
		if t.problem(problems) != nil {
			peers[t.peer] = true
		}
	}
	for _, t := range w.tunnels {
		if peers[t.peer] && t.routes == "true" {
			t.routes, changed = "multipath", true
		}
	}
	return changed
}
