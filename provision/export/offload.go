package export

import (
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/provision"
)

// carriage says which SAs of a tunnel a device carries, where a document can say
// it too: on the underlay, and all in one way.
type carriage struct {
	device  string // "" none
	packet  bool
	in, out bool
}

// carriage looks at what the kernel put on a device. What was asked for is not
// known, so documents prefer it.
func (w *writer) carriage(t *tunnel) (c carriage) {
	if w.o.Device == nil {
		return c
	}
	for _, sa := range []*netlinkx.SA{t.in, t.out} {
		if sa.Offload == nil {
			continue
		}
		device, packet := w.o.Device(sa.Offload.IfIndex), sa.Offload.Flags&netlinkx.OffloadPacket != 0
		if device == "" || c.device != "" && (device != c.device || packet != c.packet) {
			return carriage{}
		}
		c.device, c.packet = device, packet
		if sa == t.in {
			c.in = true
		} else {
			c.out = true
		}
	}
	if t.iface != nil && t.iface.Underlay != "" && t.iface.Underlay != c.device {
		return carriage{}
	}
	return c
}

// text writes the words of a document.
func (c *carriage) text(p *page, in string) {
	switch {
	case c.in && c.out:
		p.add(in + "offload: prefer # what was asked for is not known")
	case c.in:
		p.add(in + "offload: {in: prefer} # what was asked for is not known")
	case c.out:
		p.add(in + "offload: {out: prefer} # what was asked for is not known")
	}
	if c.packet {
		p.add(in + "offload_type: packet")
	}
}

// carried puts on devices what the words of tunnels put there: a document that is
// read without its keys leaves all in software.
func carried(wanted, there *provision.State, tunnels []*tunnel) {
	sas, packet := map[provision.ID]*netlinkx.Offload{}, false
	for _, t := range tunnels {
		if t.carriage.in {
			sas[saID(t.in)] = t.in.Offload
		}
		if t.carriage.out {
			sas[saID(t.out)] = t.out.Offload
		}
		packet = packet || t.carriage.packet
	}
	for _, sa := range wanted.SAs {
		sa.Offload = sas[saID(sa)]
	}
	if !packet {
		return
	}
	on := map[provision.ID]*netlinkx.Offload{} // policies, with their SAs
	for _, p := range there.Policies {
		if p.Offload != nil && p.Dir != netlinkx.PolicyFwd {
			on[provision.PolicyObject(p)] = p.Offload
		}
	}
	for _, p := range wanted.Policies {
		p.Offload = on[provision.PolicyObject(p)]
	}
}
