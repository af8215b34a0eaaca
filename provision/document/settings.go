package document

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/xfrmctl/xfrmctl/gsogro"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/provision"
)

// settings adds what the node's devices and its default policy shall be;
// underlays are the devices that its tunnels use.
func (d *Document) settings(ctx context.Context, n *Node, in *Surroundings, underlays []Value[string], s *provision.State) {
	n.Default.resolve(in, s)
	g := &n.GRO
	if in.NoKeys || len(g.Values) == 0 && g.Profile.V != "fast" {
		return
	}
	if len(underlays) == 0 {
		d.r.fail(g.at, "node %s has no underlay whose gro could be set", n.Name)
	}
	done := map[string]bool{}
	for _, dev := range underlays {
		if done[dev.V] {
			continue
		}
		done[dev.V] = true
		st, err := in.Device(ctx, dev.V)
		if err != nil {
			d.r.fail(dev.at, "underlay %s: %v", dev.V, err)
			continue
		}
		if values := d.gro(g, dev.V, st); len(values) > 0 {
			s.Settings = append(s.Settings, &provision.Settings{Device: dev.V, Values: values})
		}
	}
}

// gro returns the values of a device: those of the profile as far as the device
// can have them, or those that are named, which it must be able to have.
func (d *Document) gro(g *GRO, dev string, st *gsogro.State) map[string]uint64 {
	out := map[string]uint64{}
	if g.Profile.V == "fast" {
		for _, r := range gsogro.RelevantFeatures() {
			if f, known := st.Features[r.Name]; known && !f.Fixed && r.Fast != nil {
				out[r.Name] = truth(*r.Fast)
			}
		}
		return out
	}
	for _, name := range slices.Sorted(maps.Keys(g.Values)) {
		v := g.Values[name]
		f, feature := st.Features[name]
		_, number := st.Numbers[name]
		switch {
		case !feature && !number:
			d.r.fail(v.at, "%s has no setting %q; xfrmctl gro show %s lists those that matter", dev, name, dev)
		case feature && f.Fixed && truth(f.Active) != v.V:
			d.r.fail(v.at, "%s of %s is fixed: the driver does not let it be changed", name, dev)
		default:
			out[name] = v.V
		}
	}
	return out
}

func truth(v bool) uint64 {
	if v {
		return 1
	}
	return 0
}

// resolve says what a default that blocks does, because it does it to all of
// the namespace.
func (p *DefaultPolicy) resolve(in *Surroundings, s *provision.State) {
	values := map[string]uint64{}
	for _, x := range []struct {
		name string
		v    Value[string]
		note string
	}{
		{"in", p.In, "is dropped: ssh to this machine, IPv6 neighbour discovery, answers to its own requests"},
		{"fwd", p.Fwd, "is not forwarded"},
		{"out", p.Out, "is refused, answers of this machine too. What goes to interfaces of tunnels has policies that allow it: by other routes it would leave in clear, and guard routes alone keep it in"},
	} {
		switch {
		case !x.v.Set:
			continue
		case x.v.V == "accept":
			values[x.name] = uint64(netlinkx.DefaultAccept)
		default:
			values[x.name] = uint64(netlinkx.DefaultBlock)
			if !in.Userspace {
				s.Notes = append(s.Notes, fmt.Sprintf("default policy %s block: what no policy allows %s", x.name, x.note))
			}
		}
	}
	if len(values) == 0 {
		return
	}
	if in.Userspace {
		s.Notes = append(s.Notes, "the default policy is the userspace engine's: it is for what goes through its interfaces, and not for the namespace")
	}
	s.Settings = append(s.Settings, &provision.Settings{Values: values})
}
