package gsogro

// Topology is the devices of a namespace and how they stand on each other. It
// is immutable: safe for concurrent use.
type Topology struct {
	byName  map[string]*Link
	byIndex map[int32]*Link
	ports   map[int32][]*Link
}

// NewTopology indexes what Conn.Links returned, once for all devices: with a
// thousand of them, to look for each among all takes longer than the kernel's
// dump. The links are borrowed for the life of the result.
func NewTopology(all []*Link) *Topology {
	t := &Topology{byName: make(map[string]*Link, len(all)), byIndex: make(map[int32]*Link, len(all)), ports: map[int32][]*Link{}}
	for _, l := range all {
		t.byName[l.Name], t.byIndex[l.Index] = l, l
		if l.Master != 0 {
			t.ports[l.Master] = append(t.ports[l.Master], l)
		}
	}
	return t
}

// Below returns the devices that packets sent through a device end up on: down
// through XFRM interfaces, VLANs, macvlans and their like (IFLA_LINK), to the
// ports of a bond or bridge, and for a veth to its peer, when that is in the
// same namespace. The device itself comes first, then what is directly below,
// and so on; each once. Those at the end of the chain are Leaf. nil when there
// is no such device.
func (t *Topology) Below(device string) []*Layer {
	top := t.byName[device]
	if top == nil {
		return nil
	}
	out := []*Layer{{Link: top}}
	seen := map[int32]bool{top.Index: true}
	for n := 0; n < len(out); n++ {
		layer := out[n]
		next := t.ports[layer.Link.Index]
		if lower := t.byIndex[layer.Link.Lower]; lower != nil && !layer.Link.PeerNSID.Valid && layer.Link.Lower != layer.Link.Index {
			next = append([]*Link{lower}, next...)
		}
		layer.Leaf = true
		for _, l := range next {
			layer.Leaf = layer.Leaf && seen[l.Index]
			if !seen[l.Index] {
				seen[l.Index] = true
				out = append(out, &Layer{Link: l, Above: layer.Link.Name})
			}
		}
	}
	return out
}

// Layer is a device in the stack of another.
type Layer struct {
	Link  *Link
	Above string // name of the device directly above, "" for the first
	// Leaf: nothing is known below it. It is hardware when it has a Slot.
	Leaf bool
}
