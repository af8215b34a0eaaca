package nicoffload

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"text/tabwriter"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/verbs"
	"github.com/xfrmctl/xfrmctl/gsogro"
	"github.com/xfrmctl/xfrmctl/offload"
)

// capabilityJSON is a row of the table: something that IPsec can use, whether
// it is there, what its lack costs, and how to get it.
type capabilityJSON struct {
	Name string `json:"name"`
	// State is yes, no or unknown.
	State  string `json:"state"`
	Detail string `json:"detail,omitempty"`
	Costs  string `json:"costs,omitempty"`
	Get    string `json:"get,omitempty"`
}

// checkJSON is the output of `xfrmctl check -j`. It has no keys, no addresses
// and no names of devices other than those that `offload show` prints.
type checkJSON struct {
	Capabilities []capabilityJSON `json:"capabilities"`
	Devices      []nicJSON        `json:"devices"`
}

// CapabilitiesUsage returns the words of check.
func CapabilitiesUsage() string {
	return "Usage: xfrmctl check [ -j ]\nPrints what this kernel, user and the network devices can do for IPsec, what is missing, what that costs and how to\n" +
		"get it. Nothing is changed: what has to be tried is tried in a network namespace that is thrown away. There are no keys\nand no addresses in the output.\n"
}

// Capabilities runs `xfrmctl check`.
func Capabilities(env *Env, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "help":
			_, err := fmt.Fprint(env.Stdout, CapabilitiesUsage())
			return err
		case "-j", "-json", "--json":
			env.JSON = true
			return Capabilities(env, args[1:])
		}
		return verbs.Errorf("check takes no %q; to check SAs: xfrmctl offload check", args[0])
	}
	c, err := open(env, nil)
	if err != nil {
		return err
	}
	return errors.Join(c.capabilities(), c.links.Close())
}

func (c *command) capabilities() error {
	k, err := c.kernel(offload.KnownAlgorithms())
	if err != nil {
		return err
	}
	devices, err := offload.Inventory(c.env.Ctx, c.links)
	if err != nil {
		return err
	}
	out := checkJSON{Capabilities: c.kernelRows(k), Devices: []nicJSON{}}
	for _, d := range devices {
		for _, n := range d.NICs {
			if n.HW {
				out.Devices = append(out.Devices, c.describe(d, n))
			}
		}
	}
	out.Capabilities = append(out.Capabilities, deviceRow(out.Devices), c.engineRow(), groRow(devices))
	if c.env.JSON {
		return c.env.Encode(out)
	}
	return c.printCapabilities(&out)
}

func (c *command) kernelRows(k *offload.Kernel) []capabilityJSON {
	rows := []capabilityJSON{
		row("kernel IPsec (XFRM)", k.XFRM, "nothing of IPsec works in the kernel; the userspace engine does not need it"),
		row("ESP over IPv4", k.ESP4, "SAs need the userspace engine"),
		row("ESP over IPv6", k.ESP6, "SAs need the userspace engine"),
		row("XFRM interfaces", k.Interface, "tunnels need policies without an interface, or the userspace engine"),
		row("segmentation of ESP over IPv4 (esp4_offload)", k.Offload4, "each segment is encrypted by itself: about a third of the throughput; no NIC offload"),
		row("segmentation of ESP over IPv6 (esp6_offload)", k.Offload6, "each segment is encrypted by itself: about a third of the throughput; no NIC offload"),
	}
	for _, name := range offload.KnownAlgorithms() {
		rows = append(rows, row("algorithm "+name, k.Algorithms[name], "SAs with it are refused"))
	}
	return rows
}

func row(name string, o offload.Outcome, costs string) capabilityJSON {
	r := capabilityJSON{Name: name, State: "yes"}
	switch {
	case o.OK:
		return r
	case o.Known:
		r.State = "no"
	default:
		r.State = "unknown"
	}
	r.Detail, r.Costs, r.Get = o.Why, costs, o.Fix
	return r
}

func deviceRow(nics []nicJSON) capabilityJSON {
	if len(nics) > 0 {
		return capabilityJSON{Name: "a NIC that offloads ESP", State: "yes"}
	}
	return capabilityJSON{Name: "a NIC that offloads ESP", State: "no", Detail: "no device has or can have esp-hw-offload on",
		Costs: "the CPU encrypts", Get: "xfrmctl offload help; drivers are listed in docs/offload.md"}
}

func (c *command) engineRow() capabilityJSON {
	if c.env.Engine {
		return capabilityJSON{Name: "userspace engine", State: "yes"}
	}
	r := capabilityJSON{Name: "userspace engine", State: "no", Detail: "none is running in this network namespace", Costs: "nothing while the kernel can do ESP", Get: "xfrmctl esp"}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		r.Detail, r.Get = "none is running, and none could: there is no /dev/net/tun", "load module tun, or give the container the device"
	}
	return r
}

// groRow looks for devices whose GRO is off, which they can switch on.
func groRow(devices []*offload.Device) capabilityJSON {
	var off []string
	for _, d := range devices {
		if f, ok := d.Features[gsogro.RxGRO]; ok && !f.Active && !f.Fixed && d.Link.Up && d.Link.Kind != "" {
			off = append(off, d.Link.Name)
		}
	}
	if len(off) == 0 {
		return capabilityJSON{Name: "GRO on devices that are up", State: "yes"}
	}
	slices.Sort(off)
	return capabilityJSON{Name: "GRO on devices that are up", State: "no", Detail: fmt.Sprintf("off on %d, for example %s", len(off), off[0]),
		Costs: "packets go up the stack one by one", Get: fmt.Sprintf("xfrmctl gro set %s rx-gro on", off[0])}
}

func (c *command) printCapabilities(out *checkJSON) error {
	tw := tabwriter.NewWriter(c.env.Stdout, 0, 0, 2, ' ', 0)
	for _, r := range out.Capabilities {
		fmt.Fprintf(tw, "%s\t%s\t%s\n", r.Name, r.State, r.Detail)
		if r.State != "yes" && r.Costs != "" {
			fmt.Fprintf(tw, "  costs:\t\t%s\n", r.Costs)
		}
		if r.State != "yes" && r.Get != "" {
			fmt.Fprintf(tw, "  to get it:\t\t%s\n", r.Get)
		}
	}
	if err := tw.Flush(); err != nil || len(out.Devices) == 0 {
		return err
	}
	return printNICs(c.env.Stdout, out.Devices)
}
