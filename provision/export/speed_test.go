package export

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// BenchmarkExport writes down 1,000 tunnels with interfaces to as many peers.
func BenchmarkExport(b *testing.B) {
	const n = 1000
	var nodes, tunnels strings.Builder
	for k := range n {
		fmt.Fprintf(&nodes, "  p%d: {endpoint: 198.18.%d.%d}\n", k, k>>8, k&0xff)
		fmt.Fprintf(&tunnels, "  - name: t%d\n    between: [east, p%d]\n    keys: {derive: \"env:ROOT\"}\n    interface: ipsec%d\n    traffic: [{east: 10.1.0.0/16, p%d: 10.%d.%d.0/24}]\n", k, k, k, k, 128+k>>8, k&0xff)
	}
	text := "version: 1\nowner: {name: office, reqid: 10000-19999, if_id: 20000-29999}\nnodes:\n  east: {endpoint: 192.0.2.1}\n" + nodes.String() + "tunnels:\n" + tunnels.String()
	there := has(b, text, "east")
	for b.Loop() {
		res, err := Export(context.Background(), there, options())
		if err != nil || len(res.Lost) > 0 {
			b.Fatalf("%v, %q", err, res.Lost)
		}
	}
}
