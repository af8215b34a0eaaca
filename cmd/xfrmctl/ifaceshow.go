package main

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/xfrmctl/xfrmctl/ifaces"
	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// ifaceShow lists the interfaces, or the one that is named.
func (e *env) ifaceShow(c *ifaces.Conn, r *ifaceRequest) error {
	links, err := ifaceLinks(e, c, r)
	if errors.Is(err, netlinkx.ErrDumpInterrupted) {
		e.warnf("%v", netlinkx.ErrDumpInterrupted)
	} else if err != nil {
		return err
	}
	shown := links[:0]
	for _, l := range links {
		if r.filter.match(l) {
			shown = append(shown, l)
		}
	}
	names := map[int32]string{}
	for _, l := range shown {
		if l.ContextID.Valid {
			if names, err = c.NamespaceNames(e.ctx); err != nil {
				return err
			}
			break
		}
	}
	if !e.opts.json {
		return e.printIfaces(shown, names)
	}
	out := &list{e: e}
	for _, l := range shown {
		if err := out.item(nil, func() any { return jsonIface(l, names) }); err != nil {
			return err
		}
	}
	return out.end()
}

func ifaceLinks(e *env, c *ifaces.Conn, r *ifaceRequest) ([]*ifaces.Link, error) {
	if r.spec.Name == "" {
		links, err := c.List(e.ctx)
		if links == nil {
			return nil, dumpError(err)
		}
		return links, err
	}
	l, err := c.Get(e.ctx, r.spec.Name)
	if l == nil {
		return nil, err
	}
	return []*ifaces.Link{l}, err
}

func (f *ifaceFilter) match(l *ifaces.Link) bool {
	return (!f.up || l.Up) && (!f.ifID.Valid || f.ifID.V == l.IfID)
}

// printIfaces prints a line per interface, and nothing for none.
func (e *env) printIfaces(links []*ifaces.Link, names map[int32]string) error {
	if len(links) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tIF_ID\tDEV\tSTATE\tMTU\tCONTEXT\tADDRESSES")
	for _, l := range links {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n", l.Name, ifIDText(l), ifaceDev(l), state(l.Up), l.MTU, contextText(l, names), addressText(l))
	}
	return w.Flush()
}

func ifIDText(l *ifaces.Link) string {
	if l.External {
		return "external"
	}
	return fmt.Sprintf("%#x", l.IfID)
}

// ifaceDev names the underlying device, or gives its number when it is gone or
// in another namespace.
func ifaceDev(l *ifaces.Link) string {
	if l.UnderlayName == "" && l.Underlay != 0 {
		return fmt.Sprintf("if%d", l.Underlay)
	}
	return orNone(l.UnderlayName)
}

func orNone(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func state(up bool) string {
	if up {
		return "up"
	}
	return "down"
}

// contextText names the namespace whose SAs and policies the interface uses,
// when that is another one.
func contextText(l *ifaces.Link, names map[int32]string) string {
	if !l.ContextID.Valid {
		return "-"
	}
	if n := names[l.ContextID.V]; n != "" {
		return n
	}
	return fmt.Sprintf("nsid:%d", l.ContextID.V)
}

func addressText(l *ifaces.Link) string {
	var words []string
	for _, a := range l.Addresses {
		w := a.Prefix.String()
		if a.Peer.IsValid() {
			w = fmt.Sprintf("%s>%s/%d", a.Prefix.Addr(), a.Peer, a.Prefix.Bits())
		}
		words = append(words, w)
	}
	return orNone(strings.Join(words, " "))
}

// ifaceJSON is an interface in JSON. Fields are only ever added.
type ifaceJSON struct {
	Name      string        `json:"name"`
	IfIndex   int32         `json:"ifindex"`
	IfID      uint32        `json:"if_id"`
	External  bool          `json:"external"`
	Dev       string        `json:"dev,omitempty"`
	DevIndex  int32         `json:"dev_index,omitempty"`
	NetNSID   *int32        `json:"context_netnsid,omitempty"` // of the namespace it was made in
	NetNS     string        `json:"context_netns,omitempty"`
	Up        bool          `json:"up"`
	OperState string        `json:"operstate"`
	MTU       uint32        `json:"mtu"`
	Alias     string        `json:"alias,omitempty"`
	AltNames  []string      `json:"altnames,omitempty"`
	Addresses []addressJSON `json:"addresses"`
}

type addressJSON struct {
	Address   string  `json:"address"`
	PrefixLen int     `json:"prefixlen"`
	Peer      string  `json:"peer,omitempty"`
	Label     string  `json:"label,omitempty"`
	Metric    uint32  `json:"metric,omitempty"`
	Valid     *uint32 `json:"valid_seconds,omitempty"` // absent: for ever
	Preferred *uint32 `json:"preferred_seconds,omitempty"`
}

func jsonIface(l *ifaces.Link, names map[int32]string) ifaceJSON {
	j := ifaceJSON{
		Name: l.Name, IfIndex: l.Index, IfID: l.IfID, External: l.External, Dev: l.UnderlayName, DevIndex: l.Underlay,
		Up: l.Up, OperState: l.OperState, MTU: l.MTU, Alias: l.Alias, AltNames: l.AltNames, Addresses: []addressJSON{},
	}
	if l.ContextID.Valid {
		j.NetNSID, j.NetNS = &l.ContextID.V, names[l.ContextID.V]
	}
	for i := range l.Addresses {
		j.Addresses = append(j.Addresses, jsonAddress(&l.Addresses[i]))
	}
	return j
}

func jsonAddress(a *ifaces.Address) addressJSON {
	j := addressJSON{Address: a.Prefix.Addr().String(), PrefixLen: a.Prefix.Bits(), Label: a.Label, Metric: a.Metric}
	if a.Peer.IsValid() {
		j.Peer = a.Peer.String()
	}
	if a.Valid != ifaces.Forever {
		j.Valid = &a.Valid
	}
	if a.Preferred != ifaces.Forever {
		j.Preferred = &a.Preferred
	}
	return j
}
