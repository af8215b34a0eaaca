package gsogro

import "slices"

// Below returns the devices that packets sent through a device end up on: down
// through XFRM interfaces, VLANs, macvlans and their like (IFLA_LINK), to the
// ports of a bond or bridge, and for a veth to its peer, when that is in the
// same namespace. The device itself comes first, then what is directly below,
// and so on; each once. Those at the end of the chain are Leaf. It is pure; all
// is what Conn.Links returned.
func Below(all []*Link, device string) []*Layer {
	i := slices.IndexFunc(all, func(l *Link) bool { return l.Name == device })
	if i < 0 {
		return nil
	}
	byIndex := make(map[int32]*Link, len(all))
	ports := map[int32][]*Link{}
	for _, l := range all {
		byIndex[l.Index] = l
		if l.Master != 0 {
			ports[l.Master] = append(ports[l.Master], l)
		}
	}
	out := []*Layer{{Link: all[i]}}
	seen := map[int32]bool{all[i].Index: true}
	for n := 0; n < len(out); n++ {
		layer := out[n]
		next := ports[layer.Link.Index]
		if lower := byIndex[layer.Link.Lower]; lower != nil && !layer.Link.PeerNSID.Valid && layer.Link.Lower != layer.Link.Index {
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
