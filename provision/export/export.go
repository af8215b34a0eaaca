// Package export writes the document of what a machine has: XFRM interfaces
// with their addresses, SAs, policies and routes, grouped into tunnels. It is
// pure. What a document cannot say stands in it as comments with the reason: to
// find it, the document is read and resolved again, and compared with what is
// there. Export is its entry.
package export

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/provision"
	"github.com/xfrmctl/xfrmctl/provision/document"
)

// Options say how the document is written.
type Options struct {
	Node  string // names this machine
	Owner string // names the owner
	// Names are those of nodes, by endpoint. A peer that has none is called peer
	// with a number.
	Names map[netip.Addr]string
	// Root is the reference that derived keys come from.
	Root string
	// KeyFile is the path by which the document refers to exported keys, "" none
	// are exported.
	KeyFile string
	// Local reports whether an address is one of this machine.
	Local func(netip.Addr) bool
	// UnderlayMTU returns the MTU of a device.
	UnderlayMTU func(ctx context.Context, name string) (int, error)
	// Device names a device by its index; nil when no device carries SAs.
	Device func(index int32) string
	// Unseen are lines about what could not be looked at.
	Unseen []string
	// Userspace: the SAs are the userspace engine's.
	Userspace bool
}

// Result is a document and what belongs to it.
type Result struct {
	Document []byte
	// Keys are lines of a name and a key each, for the file that KeyFile names;
	// nil when there are none.
	Keys []byte
	// Lost tells, a line each, what is there and not in the document, or there
	// otherwise. The document has the same lines as comments.
	Lost []string
}

// Export writes down what is there. state is borrowed. Routes are looked at
// where they lead to XFRM interfaces, or guard.
func Export(ctx context.Context, state *provision.State, o *Options) (*Result, error) {
	w := &writer{o: o, state: relevant(state), why: map[provision.ID]string{}, unused: map[place]string{}, defaults: defaults(state), rest: slices.Clone(o.Unseen)}
	w.group()
	w.nameAll()
	w.shape(ctx)
	wanted, err := w.resolve(ctx, w.tunnels)
	for err != nil {
		if err = w.drop(err); err != nil {
			return nil, err
		}
		wanted, err = w.resolve(ctx, w.tunnels)
	}
	w.explain(provision.Differences(wanted, w.state))
	lines := w.keyLines()
	w.introduce(lines != nil)
	res := &Result{Document: []byte(w.text(w.reference)), Keys: lines}
	for line := range strings.Lines(string(res.Document)) {
		if note, ok := strings.CutPrefix(strings.TrimSpace(line), strings.TrimSpace(lostMark)); ok {
			res.Lost = append(res.Lost, strings.TrimSpace(note))
		}
	}
	return res, nil
}

// lostMark begins a comment that tells of a difference.
const lostMark = "#! "

// writer holds what one call of Export works on.
type writer struct {
	o       *Options
	state   *provision.State
	tunnels []*tunnel
	nodes   []*node                 // the own one first
	why     map[provision.ID]string // SAs that are in no tunnel
	unused  map[place]string        // and interfaces
	// defaults is the default policy as documents have it, "" that it accepts all.
	defaults string
	head     []string // comments at the top
	rest     []string // lines about what belongs to no tunnel
}

// relevant leaves out routes that have nothing to do with tunnels, and those
// that the kernel makes with addresses.
func relevant(s *provision.State) *provision.State {
	out := *s
	out.Interfaces, out.Routes, out.Settings, out.Placements = nil, nil, nil, nil
	ifaces := map[place]*provision.Interface{}
	for _, i := range s.Interfaces {
		if i.NetNS == "" || i.IfID != 0 { // else another namespace's
			ifaces[place{i.NetNS, i.Name}] = i
			out.Interfaces = append(out.Interfaces, i)
		}
	}
	for _, r := range s.Routes {
		leads := func(dev string) bool {
			i := ifaces[place{r.NetNS, dev}]
			connected := func(a netip.Prefix) bool { return a.Masked() == r.Dst }
			return i != nil && !slices.ContainsFunc(i.Addresses, connected) && !r.Dst.Addr().IsLinkLocalUnicast() && !r.Dst.Addr().IsMulticast()
		}
		if r.Guard() || leads(r.Dev) || slices.ContainsFunc(r.More, leads) {
			out.Routes = append(out.Routes, r)
		}
	}
	return &out
}

// place is a name in a namespace.
type place struct{ netns, name string }

// defaults returns the default policy as documents have it.
func defaults(s *provision.State) string {
	var parts []string
	for _, x := range s.Settings {
		for _, dir := range []string{"in", "fwd", "out"} {
			if x.Device == "" && x.Values[dir] == uint64(netlinkx.DefaultBlock) {
				parts = append(parts, dir+": block")
			}
		}
	}
	return strings.Join(parts, ", ")
}

// resolve reads the document of some tunnels and returns what this machine
// would have by it. Keys are others, and SPIs those that are there.
func (w *writer) resolve(ctx context.Context, tunnels []*tunnel) (*provision.State, error) {
	if len(tunnels) == 0 {
		return &provision.State{}, nil
	}
	probe := &writer{o: w.o, tunnels: tunnels, nodes: w.nodes, defaults: w.defaults}
	if len(tunnels) == 1 {
		probe.nodes = []*node{tunnels[0].near, tunnels[0].peer}
	}
	d, err := document.Read("export", []byte(probe.text(func(t *tunnel) (keys, spi string) {
		return `{derive: "env:ROOT"}`, t.spis()
	})))
	if err != nil {
		return nil, err
	}
	out, err := d.Resolve(ctx, w.o.Node, &document.Surroundings{
		NoKeys: true, UnderlayMTU: w.o.UnderlayMTU, Userspace: w.o.Userspace,
	})
	if err != nil {
		return nil, err
	}
	carried(out.State, w.state, tunnels)
	return out.State, nil
}

func sameAlgorithms(s *document.Suite, sa *netlinkx.SA) bool {
	if sa.AEAD != nil {
		return s.AEAD == sa.AEAD.Name && s.Key == sa.AEAD.Key.Len() && s.ICVBits == sa.AEAD.ICVBits
	}
	return sa.Crypt != nil && sa.AuthTrunc != nil && s.Crypt == sa.Crypt.Name && s.Key == sa.Crypt.Key.Len() &&
		s.Auth == sa.AuthTrunc.Name && s.AuthKey == sa.AuthTrunc.Key.Len() && s.ICVBits == sa.AuthTrunc.ICVBits
}
