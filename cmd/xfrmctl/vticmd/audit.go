package vticmd

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/verbs"
	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/provision/vti"
)

// vtiJSON is a VTI as scripts see it. Fields are only ever added.
type vtiJSON struct {
	Name      string   `json:"name"`
	IfIndex   int32    `json:"ifindex"`
	Kind      string   `json:"kind"`
	Local     string   `json:"local"`
	Remote    string   `json:"remote"`
	IKey      uint32   `json:"ikey"`
	OKey      uint32   `json:"okey"`
	FwMark    uint32   `json:"fwmark,omitempty"`
	Dev       string   `json:"dev,omitempty"`
	Up        bool     `json:"up"`
	MTU       uint32   `json:"mtu"`
	Addresses []string `json:"addresses"`
}

func jsonVTI(v *ifaces.VTI) vtiJSON {
	j := vtiJSON{
		Name: v.Name, IfIndex: v.Index, Kind: v.Kind, Local: anyText(v.Local), Remote: anyText(v.Remote), IKey: v.IKey, OKey: v.OKey,
		FwMark: v.FwMark, Dev: v.UnderlayName, Up: v.Up, MTU: v.MTU, Addresses: []string{},
	}
	for _, a := range v.Addresses {
		j.Addresses = append(j.Addresses, a.Prefix.String())
	}
	return j
}

func anyText(a netip.Addr) string {
	if !a.IsValid() {
		return "any"
	}
	return a.String()
}

func state(up bool) string {
	if up {
		return "up"
	}
	return "down"
}

// list prints the VTIs.
func (c *command) list() error {
	links, err := c.env.Links()
	if err != nil {
		return err
	}
	defer func() { _ = links.Close() }() // nothing was written
	all, err := links.ListVTIs(c.env.Ctx)
	if err != nil {
		return err
	}
	if all, err = c.named(all); err != nil {
		return err
	}
	if c.env.JSON {
		out := []vtiJSON{}
		for _, v := range all {
			out = append(out, jsonVTI(v))
		}
		return c.env.Encode(out)
	}
	if len(all) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(c.env.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tKIND\tLOCAL\tREMOTE\tIKEY\tOKEY\tDEV\tSTATE\tMTU\tADDRESSES")
	for _, v := range all {
		j := jsonVTI(v)
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\t%d\t%s\n", j.Name, j.Kind, j.Local, j.Remote, j.IKey, j.OKey, orDash(j.Dev), state(j.Up), j.MTU, orDash(strings.Join(j.Addresses, " ")))
	}
	return w.Flush()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// named picks the VTIs that the words name, all without words.
func (c *command) named(all []*ifaces.VTI) (out []*ifaces.VTI, err error) {
	if len(c.devs) == 0 {
		return all, nil
	}
	for _, n := range c.devs {
		i := slices.IndexFunc(all, func(v *ifaces.VTI) bool { return v.Name == n })
		if i < 0 {
			return nil, verbs.Errorf("there is no vti %q", n)
		}
		out = append(out, all[i])
	}
	return out, nil
}

// auditJSON is what an audit found about one VTI.
type auditJSON struct {
	vtiJSON
	Policies  []string          `json:"policies"`
	SAs       []string          `json:"sas"`
	Orphans   []string          `json:"orphan_sas,omitempty"`
	Routes    []string          `json:"routes"`
	Settings  map[string]string `json:"settings"`
	Faults    []string          `json:"faults"`
	Notes     []string          `json:"notes"`
	Obstacles []string          `json:"obstacles"` // to a conversion
	IfID      uint32            `json:"if_id,omitempty"`
	Converted bool              `json:"converted,omitempty"`
}

func (c *command) audit() error {
	var report *vti.Report
	err := c.session(false, func(s *vti.Session) (err error) {
		report, err = s.Audit(c.env.Ctx)
		return err
	})
	if err != nil {
		return err
	}
	faults, shown := 0, 0
	if err := c.missing(report); err != nil {
		return err
	}
	for _, d := range report.Devices {
		if len(c.devs) > 0 && !slices.Contains(c.devs, d.Name) {
			continue
		}
		shown++
		j := jsonAudit(d)
		faults += len(j.Faults)
		if c.env.JSON {
			err = c.env.Encode(j)
		} else {
			err = j.print(c.env.Stdout)
		}
		if err != nil {
			return err
		}
	}
	if err := c.rest(report, shown); err != nil {
		return err
	}
	if faults > 0 {
		return &FaultsError{faults}
	}
	return nil
}

// missing looks for names of VTIs that are not there.
func (c *command) missing(r *vti.Report) error {
	for _, n := range c.devs {
		if !slices.ContainsFunc(r.Devices, func(d *vti.Device) bool { return d.Name == n }) {
			return verbs.Errorf("there is no vti %q", n)
		}
	}
	return nil
}

// rest prints what belongs to no VTI.
func (c *command) rest(r *vti.Report, shown int) error {
	if c.env.JSON || len(c.devs) > 0 {
		return nil
	}
	if shown == 0 {
		_, err := fmt.Fprintln(c.env.Stdout, "there are no VTIs")
		return err
	}
	for _, f := range r.Findings {
		if _, err := fmt.Fprintf(c.env.Stdout, "note: %s\n", f.Text); err != nil {
			return err
		}
	}
	return nil
}

func jsonAudit(d *vti.Device) *auditJSON {
	j := &auditJSON{
		vtiJSON: jsonVTI(d.VTI), Policies: []string{}, SAs: []string{}, Routes: []string{}, Settings: d.Settings,
		Faults: []string{}, Notes: []string{}, Obstacles: append([]string{}, d.Obstacles...), IfID: d.IfID, Converted: d.Moved,
	}
	for _, p := range slices.Concat(d.Bound.Out, d.Bound.In) {
		j.Policies = append(j.Policies, p.String())
	}
	sa := func(dir string, list []*netlinkx.SA) (out []string) {
		for _, s := range list {
			out = append(out, fmt.Sprintf("%s %s reqid %d", dir, s, s.ReqID))
		}
		return out
	}
	j.SAs = append(append(j.SAs, sa("out", d.Bound.OutSAs)...), sa("in", d.Bound.InSAs)...) // never null
	j.Orphans = sa("", d.Bound.Orphans)
	for _, r := range d.Routes {
		j.Routes = append(j.Routes, r.String())
	}
	for _, f := range d.Findings {
		if f.Fault {
			j.Faults = append(j.Faults, f.Text)
		} else {
			j.Notes = append(j.Notes, f.Text)
		}
	}
	return j
}

func (j *auditJSON) print(w io.Writer) error {
	var b strings.Builder
	key := fmt.Sprintf("key %d", j.OKey)
	if j.IKey != j.OKey {
		key = fmt.Sprintf("ikey %d okey %d", j.IKey, j.OKey)
	}
	fmt.Fprintf(&b, "%s: %s %s, local %s, remote %s, %s, mtu %d\n", j.Name, j.Kind, key, j.Local, j.Remote, state(j.Up), j.MTU)
	line := func(word string, list []string) {
		for _, x := range list {
			fmt.Fprintf(&b, "  %-8s %s\n", word, x)
		}
	}
	line("address", j.Addresses)
	line("route", j.Routes)
	line("policy", j.Policies)
	line("sa", j.SAs)
	line("fault", j.Faults)
	line("note", j.Notes)
	switch {
	case j.Converted:
	case len(j.Obstacles) > 0:
		line("obstacle", j.Obstacles)
	default:
		fmt.Fprintf(&b, "  %-8s can become an XFRM interface with if_id %#x: xfrmctl vti convert %s\n", "convert", j.IfID, j.Name)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
