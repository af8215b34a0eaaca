package provision

import (
	"net/netip"
	"slices"
	"strings"
)

// accept takes an interface or a route of another for what is wanted when it is
// exactly that: systemd-networkd may make these. It stays the other's, is never
// changed or deleted, and is made by us when it is gone. SAs and policies of
// others are never taken: their keys and their fate are not known.
func (p *planner) accept(id ID, differs []string) {
	if len(differs) == 0 {
		return
	}
	p.refuse(id, "is there already and not ours: it was made by another, who may still need it; as it is it will not do: "+strings.Join(differs, ", "))
}

// lo is the device below the interfaces that networkd makes without one
// (Independent=yes).
const lo = "lo"

// interfaceInTheWay names what differs in an interface of another.
func interfaceInTheWay(want, got *Interface) []string {
	w, g := *want, *got
	if w.Underlay == "" && g.Underlay == lo {
		g.Underlay = ""
	}
	w.Addresses, g.Addresses = slices.SortedFunc(slices.Values(w.Addresses), netip.Prefix.Compare), slices.SortedFunc(slices.Values(g.Addresses), netip.Prefix.Compare)
	return interfaceDifferences(&w, &g)
}
