package export

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/provision"
)

// explain turns what differs into comments, at the tunnel that it belongs to.
func (w *writer) explain(all []provision.Difference) {
	f := w.finder(all)
	alike := map[*tunnel]map[string][]string{} // policies by what differs
	var order []*tunnel
	for k := range all {
		d := &all[k]
		t := f.tunnel(d)
		text := w.difference(d, f)
		if text == "" {
			continue
		}
		if t != nil && d.WantPolicy != nil && d.GotPolicy != nil {
			if alike[t] == nil {
				alike[t] = map[string][]string{}
				order = append(order, t)
			}
			alike[t][text] = append(alike[t][text], string(d.ID))
			continue
		}
		w.note(t, string(d.ID)+": "+text)
	}
	for _, t := range order {
		for text, ids := range alike[t] {
			if len(ids) == 1 {
				t.notes = append(t.notes, ids[0]+": "+text)
				continue
			}
			t.notes = append(t.notes, fmt.Sprintf("%d policies: %s", len(ids), text))
		}
		slices.Sort(t.notes)
	}
}

func (w *writer) note(t *tunnel, line string) {
	if t == nil {
		w.rest = append(w.rest, line)
		return
	}
	t.notes = append(t.notes, line)
}

// finder knows to which tunnel an object belongs.
type finder struct {
	sas      map[provision.ID]*tunnel
	traffic  map[pair]*tunnel // without interface
	guarded  map[pair]*tunnel
	ifIDs    map[uint32]*tunnel
	ifaces   map[place]*tunnel
	prefixes map[string]*tunnel
	// added and gone are routes that only the document, or only the machine, has.
	added map[netip.Prefix]*provision.Route
	gone  map[netip.Prefix]bool
}

func (w *writer) finder(all []provision.Difference) *finder {
	f := &finder{sas: map[provision.ID]*tunnel{}, traffic: map[pair]*tunnel{}, guarded: map[pair]*tunnel{}, ifIDs: map[uint32]*tunnel{},
		ifaces: map[place]*tunnel{}, prefixes: map[string]*tunnel{}, added: map[netip.Prefix]*provision.Route{}, gone: map[netip.Prefix]bool{}}
	for _, t := range w.tunnels {
		f.sas[saID(t.in)], f.sas[saID(t.out)] = t, t
		for _, x := range t.pairs {
			for _, y := range []pair{x, {x.peer, x.own}} {
				f.guarded[y] = t
				if t.iface == nil {
					f.traffic[y] = t
				}
			}
			f.prefixes[x.peer.String()] = t
		}
		if t.iface != nil {
			f.ifIDs[t.iface.IfID], f.ifaces[place{t.iface.NetNS, t.iface.Name}] = t, t
		}
	}
	for _, d := range all {
		switch {
		case d.WantRoute != nil && d.GotRoute == nil && !d.WantRoute.Guard():
			f.added[d.WantRoute.Dst] = d.WantRoute
		case d.GotRoute != nil && d.WantRoute == nil && !d.GotRoute.Guard():
			f.gone[d.GotRoute.Dst] = true
		}
	}
	return f
}

func (f *finder) tunnel(d *provision.Difference) *tunnel {
	switch {
	case d.WantInterface != nil:
		return f.ifaces[place{d.WantInterface.NetNS, d.WantInterface.Name}]
	case d.GotSA != nil:
		return f.sas[d.ID]
	case d.WantRoute != nil || d.GotRoute != nil:
		r := d.WantRoute
		if r == nil {
			r = d.GotRoute
		}
		if t := f.ifaces[place{r.NetNS, r.Dev}]; t != nil {
			return t
		}
		return f.prefixes[r.Dst.String()]
	case d.WantPolicy != nil || d.GotPolicy != nil:
		return f.policy(d)
	}
	return nil
}

func (f *finder) policy(d *provision.Difference) *tunnel {
	p := d.WantPolicy
	if p == nil {
		p = d.GotPolicy
	}
	x := pair{p.Selector.Src, p.Selector.Dst}
	switch {
	case p.IfID != 0:
		return f.ifIDs[p.IfID]
	case p.Action == netlinkx.ActionBlock:
		return f.guarded[x]
	}
	return f.traffic[x]
}

const elsewhere = "it belongs to no tunnel of the document"

// difference says in words how an object differs, and why; "" nothing that has
// to be said.
func (w *writer) difference(d *provision.Difference, f *finder) string {
	switch {
	case d.GotRoute != nil && d.WantRoute == nil:
		return f.lostRoute(d.GotRoute)
	case d.WantRoute != nil && d.GotRoute == nil && !d.WantRoute.Guard() && f.gone[d.WantRoute.Dst]:
		return "" // said of the other one
	case d.GotPolicy != nil && d.WantPolicy == nil:
		return lostPolicy(d.GotPolicy)
	case len(d.Words) == 0 && d.GotSA != nil:
		return cmp.Or(w.why[d.ID], elsewhere)
	case len(d.Words) == 0 && d.GotInterface != nil:
		return cmp.Or(w.unused[place{d.GotInterface.NetNS, d.GotInterface.Name}], elsewhere)
	case len(d.Words) == 0:
		return "not here, and made by the document"
	}
	var parts []string
	for _, word := range d.Words {
		parts = append(parts, detail(d, word))
	}
	return strings.Join(parts, ", ")
}

func (f *finder) lostRoute(r *provision.Route) string {
	if r.Guard() {
		return "it guards no prefix of the document"
	}
	if want := f.added[r.Dst]; want != nil {
		return fmt.Sprintf("metric (%d here, %d by the document)", r.Metric, want.Metric)
	}
	return "it leads to no prefix for which the document makes routes"
}

func lostPolicy(p *netlinkx.Policy) string {
	s := &p.Selector
	switch {
	case s.Proto != 0 || s.SrcPort.Mask != 0 || s.DstPort.Mask != 0:
		return "documents protect all protocols and ports of a prefix"
	case s.IfIndex != 0:
		return "documents bind no policy to a device"
	case len(p.Templates) > 1:
		return "documents ask for one transformation, not several"
	case len(p.Templates) == 1 && p.Templates[0].Optional:
		return "documents require protection (level required)"
	case len(p.Templates) == 0 && p.Action == netlinkx.ActionBlock:
		return "documents block only what tunnels protect (guard), and by default (default_policy)"
	case len(p.Templates) == 0:
		return "documents let nothing out in clear by policies"
	}
	return elsewhere
}
