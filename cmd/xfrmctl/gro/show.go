package gro

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/verbs"
	"github.com/xfrmctl/xfrmctl/gsogro"
)

// deviceJSON is a device in the output of show. Fields are only ever added.
type deviceJSON struct {
	Device   string            `json:"device"`
	Kind     string            `json:"kind,omitempty"`
	Driver   string            `json:"driver,omitempty"`
	Above    string            `json:"above,omitempty"`
	Up       bool              `json:"up"`
	MTU      uint32            `json:"mtu"`
	Features []featureJSON     `json:"features"`
	Settings map[string]uint64 `json:"settings"`
}

type featureJSON struct {
	Name      string `json:"name"`
	Active    bool   `json:"active"`
	Requested bool   `json:"requested"`
	Fixed     bool   `json:"fixed"`
	Role      string `json:"role,omitempty"`
	// Advice is what the fast path of ESP wants, when it is otherwise and can
	// be changed.
	Advice string `json:"advice,omitempty"`
}

func (c *command) show() error {
	deep := c.recursive()
	switch {
	case len(c.args) > 1:
		return verbs.Errorf("show takes one device, and the word recursive")
	case len(c.args) == 0:
		return c.showAll()
	}
	names, err := c.stack(c.args[0], deep)
	if err != nil {
		return err
	}
	out := []deviceJSON{}
	for i, name := range names {
		s, err := c.conn.State(c.env.Ctx, name)
		if err != nil {
			return err
		}
		d := describe(s)
		if i > 0 {
			d.Above = names[0]
		}
		out = append(out, d)
	}
	if c.env.JSON {
		return c.env.Encode(out)
	}
	for _, d := range out {
		if err := d.print(c.env.Stdout); err != nil {
			return err
		}
	}
	return nil
}

// showAll reads everything in two dumps, however many devices there are.
func (c *command) showAll() error {
	links, err := c.conn.Links(c.env.Ctx)
	if err != nil {
		return err
	}
	features, err := c.conn.AllFeatures(c.env.Ctx, relevant()...)
	if err != nil {
		return err
	}
	out := []deviceJSON{}
	for _, l := range links {
		s := &gsogro.State{Link: l, Features: features[l.Name], Numbers: map[string]uint64{}}
		for name, v := range l.Sizes {
			s.Numbers[name] = uint64(v)
		}
		out = append(out, describe(s))
	}
	if c.env.JSON {
		return c.env.Encode(out)
	}
	return printTable(c.env.Stdout, out)
}

// relevant are the names of the features that matter to ESP.
func relevant() []string {
	var names []string
	for _, f := range gsogro.RelevantFeatures() {
		names = append(names, f.Name)
	}
	return names
}

func describe(s *gsogro.State) deviceJSON {
	d := deviceJSON{Device: s.Link.Name, Kind: s.Link.Kind, Driver: s.Driver, Up: s.Link.Up, MTU: s.Link.MTU, Features: []featureJSON{}, Settings: s.Numbers}
	for _, r := range gsogro.RelevantFeatures() {
		f, ok := s.Features[r.Name]
		if !ok {
			continue
		}
		j := featureJSON{Name: f.Name, Active: f.Active, Requested: f.Wanted, Fixed: f.Fixed, Role: r.Role}
		if r.Fast != nil && *r.Fast != f.Active && !f.Fixed {
			j.Advice = onOff(*r.Fast)
		}
		d.Features = append(d.Features, j)
	}
	return d
}

func (d *deviceJSON) print(w io.Writer) error {
	kind := strings.TrimSpace(d.Kind + " " + d.Driver)
	if kind == "" {
		kind = "no kind"
	}
	fmt.Fprintf(w, "%s (%s, %s, mtu %d)\n", d.Device, kind, map[bool]string{true: "up", false: "down"}[d.Up], d.MTU)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range d.Features {
		fmt.Fprintf(tw, "  %s\t%s\t%s\n", f.Name, f.state(), f.Role)
	}
	names := make([]string, 0, len(d.Settings))
	for n := range d.Settings {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		fmt.Fprintf(tw, "  %s\t%d\t\n", n, d.Settings[n])
	}
	return tw.Flush()
}

// state is the state in ethtool's words.
func (f *featureJSON) state() string {
	s := gsogro.Feature{Active: f.Active, Wanted: f.Requested, Fixed: f.Fixed}.String()
	if f.Advice != "" {
		s += " (fast path: " + f.Advice + ")"
	}
	return s
}

// printTable prints a line per device.
func printTable(w io.Writer, all []deviceJSON) error {
	columns := []struct{ title, feature string }{
		{"GRO", gsogro.RxGRO}, {"SG", gsogro.TxScatterGather}, {"CSUM", gsogro.TxChecksumGeneric}, {"GSO", gsogro.TxGSO},
		{"TSO", gsogro.TxTSO}, {"TSO6", gsogro.TxTSO6}, {"USO", gsogro.TxUSO}, {"ESP-HW", gsogro.ESPHW}, {"ESP-CSUM", gsogro.ESPTxChecksum}, {"ESP-TSO", gsogro.TxESP},
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(tw, "DEVICE\tKIND")
	for _, c := range columns {
		fmt.Fprint(tw, "\t"+c.title)
	}
	fmt.Fprintln(tw, "\tGSO_MAX\tGRO_MAX")
	for i := range all {
		d := &all[i]
		kind := d.Kind
		if kind == "" {
			kind = "-"
		}
		fmt.Fprintf(tw, "%s\t%s", d.Device, kind)
		for _, c := range columns {
			fmt.Fprint(tw, "\t"+d.short(c.feature))
		}
		fmt.Fprintf(tw, "\t%d\t%d\n", d.Settings[gsogro.GSOMaxSize], d.Settings[gsogro.GROMaxSize])
	}
	return tw.Flush()
}

// short is on, off, or "-" for what can never be on.
func (d *deviceJSON) short(feature string) string {
	for _, f := range d.Features {
		if f.Name == feature {
			if f.Fixed && !f.Active {
				return "-"
			}
			return onOff(f.Active)
		}
	}
	return "?"
}

func onOff(v bool) string {
	if v {
		return "on"
	}
	return "off"
}
