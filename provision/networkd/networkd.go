// Package networkd writes the part of a document that systemd-networkd can
// carry: XFRM interfaces with their addresses and routes. It is pure. SAs,
// policies and guards stay for `xfrmctl apply`, which takes interfaces and
// routes of another that are exactly as wanted.
package networkd

import (
	"fmt"
	"strings"

	"github.com/xfrmctl/xfrmctl/provision"
)

// Prefix begins the names of files. Networkd sorts them among its others.
const Prefix = "50-xfrmctl-"

// File is a file for /etc/systemd/network.
type File struct{ Name, Text string }

// Result is what networkd can carry, and what it cannot.
type Result struct {
	Files []File
	// Underlay are settings for files that are there already: for each device
	// those that its .network file needs in section [Network].
	Underlay map[string][]string
	// Left are lines about what is not in the files.
	Left []string
}

// Snippets returns the files for what a node shall have (systemd.netdev(5),
// systemd.network(5); systemd 250 and later).
func Snippets(wanted *provision.State) *Result {
	res := &Result{Underlay: map[string][]string{}}
	routes := map[string][]*provision.Route{}
	guards, shared := 0, 0
	for _, r := range wanted.Routes {
		switch {
		case r.Guard():
			guards++
		case len(r.More) > 0:
			shared++
		default:
			routes[r.Dev] = append(routes[r.Dev], r)
		}
	}
	for _, i := range wanted.Interfaces {
		if i.NetNS != "" {
			res.Left = append(res.Left, fmt.Sprintf("interface %s: it lives in namespace %s", i.Name, i.NetNS))
			continue
		}
		res.Files = append(res.Files, File{Prefix + i.Name + ".netdev", netdev(i)}, File{Prefix + i.Name + ".network", network(i, routes[i.Name])})
		if i.Underlay != "" {
			res.Underlay[i.Underlay] = append(res.Underlay[i.Underlay], "Xfrm="+i.Name)
		}
	}
	left := func(n int, what string) {
		if n > 0 {
			res.Left = append(res.Left, fmt.Sprintf("%d %s", n, what))
		}
	}
	left(len(wanted.SAs), "SAs: networkd has none")
	left(len(wanted.Policies), "policies: networkd has none")
	left(guards, "guard routes: networkd would remove them with the interface, when they are needed")
	left(shared, "routes to several interfaces: networkd wants a gateway in each hop")
	return res
}

func netdev(i *provision.Interface) string {
	independent := "no"
	if i.Underlay == "" {
		independent = "yes"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "[NetDev]\nName=%s\nKind=xfrm\n", i.Name)
	if i.MTU != 0 {
		fmt.Fprintf(&b, "MTUBytes=%d\n", i.MTU)
	}
	fmt.Fprintf(&b, "\n[Xfrm]\nInterfaceId=%d\nIndependent=%s\n", i.IfID, independent)
	return b.String()
}

func network(i *provision.Interface, routes []*provision.Route) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[Match]\nName=%s\n\n[Link]\n", i.Name)
	if i.MTU != 0 {
		fmt.Fprintf(&b, "MTUBytes=%d\n", i.MTU)
	}
	b.WriteString("RequiredForOnline=no\n\n[Network]\nIPv6AcceptRA=no\nConfigureWithoutCarrier=yes\n")
	for _, a := range i.Addresses {
		fmt.Fprintf(&b, "Address=%s\n", a)
	}
	for _, r := range routes {
		fmt.Fprintf(&b, "\n[Route]\nDestination=%s\nMetric=%d\n", r.Dst, r.Metric)
		if r.Dst.Addr().Is4() {
			b.WriteString("Scope=link\n")
		}
	}
	return b.String()
}
