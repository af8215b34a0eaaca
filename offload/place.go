package offload

import (
	"context"
	"errors"
	"fmt"

	"github.com/xfrmctl/xfrmctl/gsogro"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Placer finds out where SAs can be: it asks devices and the kernel, and keeps
// what they answer. It serves one goroutine.
type Placer struct {
	// NetNS is that of SAs and devices; Links reaches it. Borrowed.
	NetNS netlinkx.NetNS
	Links *gsogro.Conn
	// Userspace: an engine is running.
	Userspace bool
	// FindNIC and Probe stand in for the devices and the kernel in tests.
	FindNIC func(device string) *NIC
	Probe   func(algorithms []string) *Kernel

	packs   map[string]*Pack
	kernel  *Kernel
	devices map[string]*Device
}

// Packs returns the rules that are built in; borrowed.
func (p *Placer) Packs() (map[string]*Pack, error) {
	var err error
	if p.packs == nil {
		p.packs, err = Packs()
	}
	return p.packs, err
}

// Reach makes p use another connection, over which devices are read anew.
func (p *Placer) Reach(links *gsogro.Conn) { p.Links, p.devices = links, nil }

// NIC finds the NIC below a device; the second result says why there is none.
func (p *Placer) NIC(ctx context.Context, device string) (*NIC, string, error) {
	if p.FindNIC != nil {
		return p.FindNIC(device), "", nil
	}
	if p.devices[device] == nil {
		found, err := Inventory(ctx, p.Links, device)
		if err != nil {
			return nil, "", err
		}
		if p.devices == nil {
			p.devices = map[string]*Device{}
		}
		p.devices[device] = found[0]
		for _, n := range found[0].NICs {
			if !n.HW || n.Slot == "" {
				continue
			}
			if n.Eswitch, err = ReadEswitch(ctx, p.NetNS, n.Bus, n.Slot); err != nil {
				return nil, "", err
			}
		}
	}
	nics := p.devices[device].NICs
	for _, n := range nics {
		if n.HW {
			return n, "", nil
		}
	}
	if len(nics) > 0 {
		return nics[0], "", nil
	}
	return nil, "there is no device below " + device + " in this network namespace", nil
}

// Kernel is what the kernel can do with these algorithms. What was conclusive is
// not tried again.
func (p *Placer) Kernel(ctx context.Context, algorithms []string) (*Kernel, error) {
	if p.Probe != nil {
		return p.Probe(algorithms), nil
	}
	if p.kernel.Knows(algorithms) {
		return p.kernel, nil
	}
	k, err := Probe(ctx, algorithms)
	if err == nil && k.Knows(algorithms) {
		p.kernel = k
	}
	return k, err
}

// Decide decides about an SA on a device, "" none, for one direction; types as
// in Question.
func (p *Placer) Decide(ctx context.Context, sa *netlinkx.SA, dir netlinkx.Dir, device string, types []Type) (*Decision, error) {
	packs, err := p.Packs()
	if err != nil {
		return nil, err
	}
	q := &Question{SA: sa, Dir: dir, Types: types, Userspace: p.Userspace, NoNIC: "no device is named, and the SA is on none: add dev DEV"}
	if device != "" {
		if q.NIC, q.NoNIC, err = p.NIC(ctx, device); err != nil {
			return nil, err
		}
	}
	k, err := p.Kernel(ctx, algorithmsOf(SAFacts(sa, Crypto, netlinkx.DirOut)))
	if err != nil {
		return nil, err
	}
	return Decide(q, k, packs), nil
}

func algorithmsOf(f Facts) []string {
	var names []string
	for _, known := range KnownAlgorithms() {
		if known == f[FactAEAD] || known == f[FactCrypt] || known == f[FactAuth] {
			names = append(names, known)
		}
	}
	return names
}

// Shortfall picks the failure that matters: that of the best rung that was
// considered and not reached. Both are "" when there is none.
func (d *Decision) Shortfall(types []Type) (reason, fix string) {
	rungs := []Rung{RungPacket, RungCrypto, RungSoftware, RungUserspace}
	if len(types) == 1 && types[0] == Crypto || d.Rung != RungPacket && types == nil {
		rungs = rungs[1:] // most NICs do no packet offload: crypto's reason tells more
	}
	for _, r := range rungs {
		if r == d.Rung {
			break
		}
		l := d.FirstFailure(r)
		switch {
		case l == nil:
		case l.Rule != "":
			return l.Why + " (rule " + l.Rule + ")", l.Fix
		default:
			return l.Why, l.Fix
		}
	}
	return "", ""
}

// Types returns the types of offload that a wish is for, best first. Packet offload
// is only for those who ask for it: it needs the policies in the NIC too.
func (w Want) Types(packet bool) []Type {
	switch {
	case !packet:
		return []Type{Crypto}
	case w == Require:
		return []Type{Packet}
	}
	return []Type{Packet, Crypto}
}

// Choice is where an SA is to be.
type Choice struct {
	Rung Rung
	NIC  string // the device that carries it, "" none
	// Reason says why it is on no better rung, Fix what to do; "" it is on the best.
	Reason, Fix string
}

// Type is the type of offload that the choice is; "" none.
func (c *Choice) Type() Type {
	switch c.Rung {
	case RungPacket:
		return Packet
	case RungCrypto:
		return Crypto
	}
	return ""
}

// Try puts an SA on a device and reports whether that carries it, or why not.
type Try func(t Type) (carried bool, reason, fix string, err error)

// Climb finds the best rung for an SA: of the types that no
// rule speaks against, the first that try puts on the device; without try, the
// first. Without any the choice is software.
func (p *Placer) Climb(ctx context.Context, sa *netlinkx.SA, device string, types []Type, try Try) (*Choice, error) {
	c := &Choice{Rung: RungSoftware}
	for i, t := range types {
		d, err := p.Decide(ctx, sa, directionOf(sa), device, []Type{t})
		if err != nil {
			return nil, err
		}
		if d.Rung != rungOf(t) {
			c.Reason, c.Fix = d.Shortfall([]Type{t})
			continue
		}
		carried, reason, fix := true, "", ""
		if try != nil {
			if carried, reason, fix, err = try(t); err != nil {
				return nil, err
			}
		}
		if carried {
			c.Rung, c.NIC = rungOf(t), device
			if i == 0 {
				c.Reason, c.Fix = "", ""
			} // else why not the one before
			return c, nil
		}
		c.Reason, c.Fix = reason, fix
	}
	return c, nil
}

// directionOf tells that of an SA that asks for a device.
func directionOf(sa *netlinkx.SA) netlinkx.Dir {
	switch {
	case sa.Dir != netlinkx.DirUnset:
		return sa.Dir
	case sa.Offload != nil && sa.Offload.Flags&netlinkx.OffloadInbound != 0:
		return netlinkx.DirIn
	}
	return netlinkx.DirOut
}

// PathDevice returns the ifindex of the device that the outer packets of an SA
// leave through, by their route.
func (p *Placer) PathDevice(sa *netlinkx.SA) (int32, error) {
	peer := sa.Dst
	if sa.Dir == netlinkx.DirIn {
		peer = sa.Src
	}
	return RouteDevice(p.NetNS, peer, sa.OutputMark.Value)
}

// Request returns what asks the kernel to put an SA on a device.
func Request(t Type, dir netlinkx.Dir, index int32) *netlinkx.Offload {
	o := &netlinkx.Offload{IfIndex: index}
	if dir == netlinkx.DirIn {
		o.Flags |= netlinkx.OffloadInbound
	}
	if t == Packet {
		o.Flags |= netlinkx.OffloadPacket
	}
	return o
}

// Index returns the ifindex of a device.
func (p *Placer) Index(ctx context.Context, device string) (int32, error) {
	l, err := p.Links.Link(ctx, device)
	if err != nil {
		return 0, fmt.Errorf("device %s: %w", device, err)
	}
	return int32(l.Index), nil
}

// Name returns the name of the device with that ifindex.
func (p *Placer) Name(ctx context.Context, index int32) (string, error) {
	links, err := p.Links.Links(ctx)
	if err != nil {
		return "", err
	}
	for _, l := range links {
		if int32(l.Index) == index {
			return l.Name, nil
		}
	}
	return "", errors.New("the route's device is not in this network namespace")
}
