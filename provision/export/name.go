package export

import (
	"cmp"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// node is a machine of the document.
type node struct {
	name     string
	endpoint netip.Addr
	underlay string
}

// nameAll gives tunnels and nodes their names.
func (w *writer) nameAll() {
	w.nodes = []*node{{name: w.o.Node}}
	w.ownEnd()
	taken := map[string]bool{w.o.Node: true}
	for _, name := range w.o.Names {
		taken[name] = true
	}
	byAddr := map[netip.Addr]*node{}
	var far []netip.Addr
	for _, t := range w.tunnels {
		if !slices.Contains(far, t.far) {
			far = append(far, t.far)
		}
	}
	for _, a := range far {
		name := w.o.Names[a]
		if name == "" {
			name = free("peer", taken)
		}
		k := slices.IndexFunc(w.nodes, func(n *node) bool { return n.name == name })
		if k < 0 {
			k = len(w.nodes)
			w.nodes = append(w.nodes, &node{name: name, endpoint: a})
		}
		byAddr[a] = w.nodes[k]
	}
	names := map[string]bool{}
	for _, t := range w.tunnels {
		t.near, t.peer = w.nodes[0], byAddr[t.far]
		name := t.peer.name
		if t.iface != nil {
			name = strings.ReplaceAll(unnameable.ReplaceAllString(t.iface.Name, "_"), "-to-", "-")
		}
		t.name = free(name, names)
	}
}

// unnameable is what names of documents have not.
var unnameable = regexp.MustCompile(`^\.|[^A-Za-z0-9_.-]`)

// free returns a name that is not taken, and takes it.
func free(base string, taken map[string]bool) string {
	name := base
	for k := 2; taken[name]; k++ {
		name = fmt.Sprintf("%s-%d", base, k)
	}
	taken[name] = true
	return name
}

// ownEnd finds the endpoint and the underlay that most tunnels have; the others
// say their own. A tunnel cannot say that it has no underlay.
func (w *writer) ownEnd() {
	endpoints, underlays := map[netip.Addr]int{}, map[string]int{}
	for _, t := range w.tunnels {
		endpoints[t.local]++
		if t.iface != nil {
			underlays[t.iface.Underlay]++
		}
	}
	w.nodes[0].endpoint = most(endpoints, netip.Addr.Compare)
	if underlays[""] == 0 {
		w.nodes[0].underlay = most(underlays, strings.Compare)
	}
}

func most[T comparable](counts map[T]int, compare func(a, b T) int) (best T) {
	for v, n := range counts {
		if c := cmp.Compare(n, counts[best]); c > 0 || c == 0 && compare(v, best) < 0 {
			best = v
		}
	}
	return best
}
