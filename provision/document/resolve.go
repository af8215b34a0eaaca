package document

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/xfrmctl/xfrmctl/gsogro"
	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/provision"
	"github.com/xfrmctl/xfrmctl/provision/keys"
)

// Surroundings is what Resolve asks about the node that it runs on.
type Surroundings struct {
	Keys *keys.Source
	// BootID is that of this boot. BootIDs are those of other nodes, by name;
	// they come before what the document says.
	BootID  string
	BootIDs map[string]string
	// UnderlayMTU returns the MTU of a device.
	UnderlayMTU func(ctx context.Context, name string) (int, error)
	// Device returns the GRO and GSO settings of a device, Namespace an error
	// unless there is a network namespace of that name.
	Device    func(ctx context.Context, name string) (*gsogro.State, error)
	Namespace func(name string) error
	// Place decides where an SA shall be, and says in the SA that a device shall
	// carry it.
	Place func(ctx context.Context, sa *netlinkx.SA, wish *Wish) (*provision.Placement, error)
	// Userspace: the userspace engine will have the SAs.
	Userspace bool
	// NoKeys follows no references and looks at no devices and namespaces: keys
	// are zeros, and what comes from keys is not what it will be.
	NoKeys bool
	// Epochs are those of tunnels, by name, where they are not the number that
	// the document says; package rotate knows them.
	Epochs map[string]Epochs
}

// Wanted is what a node shall have.
type Wanted struct {
	Owner provision.Owner
	State *provision.State
	// SAs are those of State, by tunnel.
	SAs map[string][]EpochSA
}

// EpochSA is an SA with keys of an epoch.
type EpochSA struct {
	Epoch uint64
	SA    *netlinkx.SA
}

// Resolve returns what the node of that name shall have. It follows the
// references to keys. What is wrong with them, or with the node's surroundings,
// is named at its place in the document: *ProblemsError.
func (d *Document) Resolve(ctx context.Context, node string, in *Surroundings) (*Wanted, error) {
	owner, err := d.OwnerOf(node)
	if err != nil {
		return nil, err
	}
	w := &Wanted{Owner: owner, State: &provision.State{}, SAs: map[string][]EpochSA{}}
	reqIDs := d.allocate(d.Owner.ReqID.V, func(t *Tunnel) Value[uint32] { return t.ReqID })
	ifIDs := d.allocate(d.Owner.IfID.V, func(t *Tunnel) Value[uint32] { return t.IfID })
	d.r.problems = nil
	made, named := map[routeKey]*provision.Route{}, map[netlinkx.SAID]*Tunnel{}
	var ends []*end
	for k, t := range d.Tunnels {
		peer := t.Between[0].V
		switch node {
		case t.Between[0].V:
			peer = t.Between[1].V
		case t.Between[1].V:
		default:
			continue
		}
		e := &end{d: d, t: t, self: d.at(t, node), peer: d.at(t, peer), in: in, reqID: reqIDs[k], made: made, named: named, carried: map[netlinkx.Dir]*netlinkx.Offload{}}
		if t.Interface.Set {
			e.ifID = ifIDs[k]
		}
		e.resolve(ctx, w)
		ends = append(ends, e)
	}
	d.complete(ctx, node, ends, w.State)
	return w, d.r.err()
}

// complete adds what depends on all tunnels of the node.
func (d *Document) complete(ctx context.Context, node string, ends []*end, s *provision.State) {
	add := adderTo(s)
	underlays := []Value[string]{}
	if v := d.Nodes[node].Underlay; v.Set {
		underlays = append(underlays, v)
	}
	for _, e := range ends {
		e.guards(s, add)
		if e.self.Underlay.Set {
			underlays = append(underlays, e.self.Underlay)
		}
	}
	for _, e := range ends {
		e.forwards(add) // behind the guards of all
	}
	passGuards(s)
	if len(ends) > 0 {
		d.settings(ctx, d.Nodes[node], ends[0].in, underlays, s)
	}
}

// OwnerOf returns in whose name the node of that name makes objects.
func (d *Document) OwnerOf(node string) (provision.Owner, error) {
	if d.Nodes[node] == nil {
		names := strings.Join(slices.Sorted(maps.Keys(d.Nodes)), ", ")
		return provision.Owner{}, fmt.Errorf("%s has no node %q; it has %s", d.r.file, node, cmp.Or(names, "none"))
	}
	return provision.Owner{Name: d.Owner.Name.V + "." + node, ReqID: d.Owner.ReqID.V, IfID: d.Owner.IfID.V}, nil
}

// allocate chooses ids for tunnels that name none: by a hash of the name, so
// that they are spread over the range and not in step with addresses, which
// would put many SAs into one bucket of the kernel's table. A tunnel that comes
// later gives way, so those before it keep theirs.
func (d *Document) allocate(r provision.Range, given func(*Tunnel) Value[uint32]) []uint32 {
	taken, out := map[uint32]bool{}, make([]uint32, len(d.Tunnels))
	for k, t := range d.Tunnels {
		if v := given(t); v.Set {
			out[k], taken[v.V] = v.V, true
		}
	}
	for k, t := range d.Tunnels {
		if out[k] != 0 {
			continue
		}
		h := fnv.New64a()
		_, _ = h.Write([]byte(t.Name.V)) // a hash takes everything
		n := h.Sum64() % r.Len()
		for taken[r.First+uint32(n)] {
			n = (n + 1) % r.Len()
		}
		out[k] = r.First + uint32(n)
		taken[out[k]] = true
	}
	return out
}

// end is one node's end of a tunnel.
type end struct {
	d           *Document
	t           *Tunnel
	self, peer  *Node
	in          *Surroundings
	reqID, ifID uint32
	made        map[routeKey]*provision.Route // by all tunnels of the node
	named       map[netlinkx.SAID]*Tunnel     // SAs of all tunnels of the node
	epoch       uint64                        // of the SA that is being made
	carried     map[netlinkx.Dir]*netlinkx.Offload
}

func (e *end) resolve(ctx context.Context, w *Wanted) {
	if e.t.EncapPort.Set && !e.in.Userspace {
		e.d.r.fail(e.t.EncapPort.at, "the kernel receives ESP in UDP only while a process holds the port open for it, which xfrmctl does not; this needs the userspace engine")
	}
	if e.in.Userspace && !e.t.Interface.Set {
		e.d.r.fail(e.t.at, "tunnel %s has no interface: the userspace engine protects only what is routed to one, and the kernel would send the rest in clear", e.t.Name.V)
	}
	outbound := e.sas(ctx, w)
	if outbound == nil {
		return
	}
	s := w.State
	e.surrounded()
	for _, x := range e.selectors() {
		s.Policies = append(s.Policies, e.policies(x[0], x[1])...)
	}
	if !e.t.Interface.Set {
		return
	}
	s.Interfaces = append(s.Interfaces, e.iface(ctx, outbound, s))
	if e.t.routed() {
		e.routes(s)
	}
}

// sas makes the SAs of all epochs, and returns the outbound one; nil when
// something is wrong with a key.
func (e *end) sas(ctx context.Context, w *Wanted) *netlinkx.SA {
	epochs, ok := e.in.Epochs[e.t.Name.V]
	if !ok {
		epochs = Epochs{In: []uint64{e.t.Keys.Epoch.V}, Out: e.t.Keys.Epoch.V}
	}
	all := true
	add := func(epoch uint64, from, to *Node) *netlinkx.SA {
		e.epoch = epoch
		sa := e.sa(ctx, from, to)
		if all = all && sa != nil; all {
			e.alone(sa)
			e.place(ctx, sa, w.State)
			w.State.SAs = append(w.State.SAs, sa)
			w.SAs[e.t.Name.V] = append(w.SAs[e.t.Name.V], EpochSA{epoch, sa})
		}
		return sa
	}
	for _, epoch := range epochs.In {
		add(epoch, e.peer, e.self)
	}
	if outbound := add(epochs.Out, e.self, e.peer); all {
		return outbound
	}
	return nil
}

// alone looks whether another SA has this one's SPI, which is derived from a key:
// of 10,000 tunnels two may have the same.
func (e *end) alone(sa *netlinkx.SA) {
	id := netlinkx.SAID{Dst: sa.Dst, SPI: sa.SPI, Mark: sa.Mark}
	if other := e.named[id]; other != nil && !e.in.NoKeys {
		e.problem(fmt.Sprintf("tunnels %s and %s have the same SPI, %s to %s, by chance: one of the two takes another epoch or SPI, at both ends", other.Name.V, e.t.Name.V, sa.SPI, sa.Dst), e.t.Keys.at)
	}
	e.named[id] = e.t
}

// selectors returns pairs of own and peer's prefixes.
func (e *end) selectors() (all [][2]netip.Prefix) {
	for _, x := range e.t.Traffic {
		all = append(all, [2]netip.Prefix{x.Prefix[e.self.Name].V, x.Prefix[e.peer.Name].V})
	}
	if len(all) == 0 { // transport mode
		all = append(all, [2]netip.Prefix{host(e.self.Endpoint.V), host(e.peer.Endpoint.V)})
	}
	return all
}

func (e *end) iface(ctx context.Context, sa *netlinkx.SA, s *provision.State) *provision.Interface {
	i := &provision.Interface{Name: e.t.Interface.V, IfID: e.ifID, Underlay: e.self.Underlay.V, MTU: e.t.MTU.V,
		NetNS: e.t.NetNS[e.self.Name].V}
	for _, a := range e.t.Addresses[e.self.Name] {
		i.Addresses = append(i.Addresses, a.V)
	}
	fits, err := e.fits(ctx, sa)
	at := cmp.Or(e.self.Underlay.at, e.t.Interface.at)
	switch {
	case err != nil:
		e.d.r.fail(at, "%v", err)
	case !e.t.MTU.Set && fits < e.least():
		e.d.r.fail(at, "mtu %d is all that fits through the SA, too small for %d; the outer path needs a larger one", fits, e.least())
	case !e.t.MTU.Set:
		i.MTU = uint32(fits)
	case int(i.MTU) > fits:
		s.Notes = append(s.Notes, fmt.Sprintf("tunnel %s: mtu %d is more than the %d that fit through the SA: larger packets go out in fragments, or not at all", e.t.Name.V, i.MTU, fits))
	}
	return i
}

// least is the smallest MTU that the traffic can do with.
func (e *end) least() int {
	v6 := slices.ContainsFunc(e.selectors(), func(x [2]netip.Prefix) bool { return x[0].Addr().Is6() }) ||
		slices.ContainsFunc(e.t.Addresses[e.self.Name], func(a Value[netip.Prefix]) bool { return a.V.Addr().Is6() })
	if v6 {
		return minIPv6
	}
	return 576
}

// fits returns the largest inner packet that needs no fragments outside.
func (e *end) fits(ctx context.Context, sa *netlinkx.SA) (int, error) {
	outer, v := 1500, e.self.PathMTU
	known := e.self.Underlay.Set && !(v.Set && e.in.NoKeys) // which may be for another machine
	if known {
		var err error
		if outer, err = e.in.UnderlayMTU(ctx, e.self.Underlay.V); err != nil {
			return 0, fmt.Errorf("underlay %s: %w", e.self.Underlay.V, err)
		}
	}
	if v.Set {
		if known && int(v.V) > outer {
			e.d.r.fail(v.at, "path_mtu %d is more than underlay %s takes, %d: leave it out", v.V, e.self.Underlay.V, outer)
		}
		outer = int(v.V)
	}
	return ifaces.MTU(outer, sa)
}

// problem notes a mistake at the first node that is there.
func (e *end) problem(msg string, at ...spot) { e.d.r.fail(cmp.Or(at...), "%s", msg) }
