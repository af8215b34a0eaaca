package offload

import (
	"context"
	"fmt"

	"github.com/xfrmctl/xfrmctl/gsogro"
)

// Device is a network device, as far as it matters to offload.
type Device struct {
	Link *gsogro.Link
	// NICs are the devices at the end of its stack, where SAs can be put.
	NICs []*NIC
	// Features are the device's own, not those of its NICs: the three of ESP and
	// rx-gro.
	Features gsogro.FeatureSet
}

// Inventory finds the devices of a namespace and the NICs below each. It reads
// links and features in one dump each, and drivers where hardware is. Names
// choose devices; none means all.
func Inventory(ctx context.Context, c *gsogro.Conn, names ...string) ([]*Device, error) {
	links, err := c.Links(ctx)
	if err != nil {
		return nil, err
	}
	features, err := c.AllFeatures(ctx, gsogro.ESPHW, gsogro.ESPTxChecksum, gsogro.TxESP, gsogro.RxGRO)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		for _, l := range links {
			names = append(names, l.Name)
		}
	}
	topology := gsogro.NewTopology(links)
	drivers := map[string]string{}
	var out []*Device
	for _, name := range names {
		stack := topology.Below(name)
		if len(stack) == 0 {
			_, err := c.Link(ctx, name) // says that it does not exist
			return nil, err
		}
		d := &Device{Link: stack[0].Link, Features: features[name]}
		for _, layer := range stack {
			if !layer.Leaf {
				continue
			}
			if _, known := drivers[layer.Link.Name]; !known {
				if drivers[layer.Link.Name], err = driverOf(c, layer.Link); err != nil {
					return nil, err
				}
			}
			d.NICs = append(d.NICs, newNIC(stack, layer, drivers[layer.Link.Name], features[layer.Link.Name]))
		}
		out = append(out, d)
	}
	return out, nil
}

// driverOf returns the driver of hardware, and the kind of what is none.
func driverOf(c *gsogro.Conn, l *gsogro.Link) (string, error) {
	if l.Kind != "" {
		return l.Kind, nil
	}
	return c.Driver(l.Name)
}

func newNIC(stack []*gsogro.Layer, at *gsogro.Layer, driver string, f gsogro.FeatureSet) *NIC {
	n := &NIC{Name: at.Link.Name, Driver: driver, Bus: at.Link.Bus, Slot: at.Link.Slot, HWState: "unknown to this kernel"}
	if hw, ok := f[gsogro.ESPHW]; ok {
		n.HW = hw.Active || !hw.Fixed
		n.HWState = hw.String()
	}
	if at.Link.Kind == "bond" { // its bits say nothing without ports
		n.HW, n.HWState = false, "that of its ports, and it has none"
	}
	above := map[string]string{}
	kinds := map[string]string{}
	for _, l := range stack {
		above[l.Link.Name], kinds[l.Link.Name] = l.Above, l.Link.Kind
	}
	for name := above[n.Name]; name != ""; name = above[name] {
		n.Via = append([]string{name}, n.Via...)
		switch kinds[name] {
		case "bond":
			n.Bond = true
		case "xfrm": // its SAs name the device below
		default:
			n.Blocked = fmt.Sprintf("%s passes no SAs on to what is below it (%s): packets that leave through it are encrypted in software", name, kinds[name])
		}
	}
	return n
}

// String says where the NIC is: "eth0 (mlx5_core) below bond0".
func (n *NIC) String() string {
	s := fmt.Sprintf("%s (%s)", n.Name, n.Driver)
	for i := len(n.Via) - 1; i >= 0; i-- {
		s += " below " + n.Via[i]
	}
	return s
}
