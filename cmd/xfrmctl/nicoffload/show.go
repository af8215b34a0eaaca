package nicoffload

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/verbs"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload"
)

// nicJSON is a NIC in the output of show. Fields are only ever added.
type nicJSON struct {
	Device   string         `json:"device"`
	Kind     string         `json:"kind,omitempty"`
	NIC      string         `json:"nic"`
	Driver   string         `json:"driver"`
	Via      []string       `json:"via,omitempty"`
	ESPHW    string         `json:"esp_hw_offload"`
	Rungs    []offload.Rung `json:"rungs"`
	Verified string         `json:"rules_verified,omitempty"` // how the driver's rules are known
	Slots    map[string]int `json:"slots,omitempty"`
	// SAs is the number of SAs on the device, absent where the SAs may not be read.
	SAs *int `json:"sas,omitempty"`
}

func (c *command) show() error {
	if len(c.args) > 1 {
		return verbs.Errorf("show takes one device")
	}
	devices, err := offload.Inventory(c.env.Ctx, c.links, c.args...)
	if err != nil {
		return err
	}
	used, err := c.used()
	if err != nil {
		return err
	}
	out := []nicJSON{}
	for _, d := range devices {
		for _, n := range d.NICs {
			j := c.describe(d, n)
			if used != nil {
				count := used[d.Link.Index]
				j.SAs = &count
			}
			out = append(out, j)
		}
	}
	if c.env.JSON {
		return c.env.Encode(out)
	}
	return printNICs(c.env.Stdout, out)
}

// used counts the offloaded SAs by device, in one dump; nil where that is not
// allowed or there is no IPsec.
func (c *command) used() (map[int32]int, error) {
	conn, err := c.env.Conn()
	if err != nil {
		return nil, nil // without IPsec nothing is offloaded, and show is about devices
	}
	count := map[int32]int{}
	for sa, err := range conn.ScanSAs(c.env.Ctx, nil) {
		if errors.Is(err, fs.ErrPermission) {
			return nil, nil
		}
		if err != nil && !errors.Is(err, netlinkx.ErrDumpInterrupted) {
			return nil, err
		}
		if err == nil && sa.Offload != nil {
			count[sa.Offload.IfIndex]++
		}
	}
	return count, nil
}

func (c *command) describe(d *offload.Device, n *offload.NIC) nicJSON {
	j := nicJSON{Device: d.Link.Name, Kind: d.Link.Kind, NIC: n.Name, Driver: n.Driver, Via: n.Via, ESPHW: n.HWState, Rungs: []offload.Rung{}}
	pack := c.packs[n.Driver]
	if pack == nil {
		return j
	}
	j.Verified, j.Slots = pack.Verified, pack.Slots
	if !n.HW || n.Blocked != "" {
		return j
	}
	for _, t := range []struct {
		typ  offload.Type
		rung offload.Rung
	}{{offload.Packet, offload.RungPacket}, {offload.Crypto, offload.RungCrypto}} {
		if pack.Types[t.typ] != "" {
			j.Rungs = append(j.Rungs, t.rung)
		}
	}
	return j
}

func printNICs(w io.Writer, all []nicJSON) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "DEVICE\tKIND\tNIC\tDRIVER\tESP-HW\tCAN\tSAS\tSLOTS")
	for _, j := range all {
		nic := j.NIC
		if nic == j.Device {
			nic = "-"
		}
		sas := "?"
		if j.SAs != nil {
			sas = fmt.Sprint(*j.SAs)
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", j.Device, orNone(j.Kind), nic, orNone(j.Driver), j.ESPHW, rungText(j.Rungs), sas, slotText(j.Slots))
	}
	return tw.Flush()
}

func rungText(rungs []offload.Rung) string {
	if len(rungs) == 0 {
		return "software"
	}
	var words []string
	for _, r := range rungs {
		words = append(words, strings.TrimPrefix(string(r), "nic-"))
	}
	return strings.Join(words, ",")
}

func slotText(slots map[string]int) string {
	var words []string
	for name, n := range slots {
		words = append(words, fmt.Sprintf("%s:%d", name, n))
	}
	return orNone(sorted(words))
}

func sorted(words []string) string {
	slices.Sort(words)
	return strings.Join(words, " ")
}

func orNone(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
