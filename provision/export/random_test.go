package export

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestRandomRoundTrip: whatever a document makes is written down as a document
// that makes it again, with nothing that cannot be said.
func TestRandomRoundTrip(t *testing.T) {
	n := 200
	if testing.Short() {
		n = 20
	}
	for seed := range uint64(n) {
		text := randomDocument(rand.New(rand.NewPCG(seed, 1)))
		there := has(t, text, "east")
		o := options()
		o.Names = nil
		res, err := Export(context.Background(), there, o)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, text)
		}
		if len(res.Lost) > 0 {
			t.Errorf("seed %d: lost %q of\n%s\nin\n%s", seed, res.Lost, text, res.Document)
		}
		sameButKeys(t, there, string(res.Document))
		if t.Failed() {
			t.Fatalf("seed %d\n%s", seed, text)
		}
	}
}

// randomDocument has one to five tunnels from east to one or two peers.
func randomDocument(r *rand.Rand) string {
	var b strings.Builder
	maybe := func(format string, args ...any) {
		if r.IntN(3) == 0 {
			fmt.Fprintf(&b, format, args...)
		}
	}
	pick := func(all ...string) string { return all[r.IntN(len(all))] }
	underlay := pick("", ", underlay: eth0")
	fmt.Fprintf(&b, "version: 1\nowner: {name: office, reqid: 10000-10999, if_id: 20000-20999}\nnodes:\n  east: {endpoint: 192.0.2.1%s}\n  west: {endpoint: 192.0.2.2}\n  south: {endpoint: 192.0.2.3}\ntunnels:\n", underlay)
	for k := range 1 + r.IntN(5) {
		peer := pick("west", "south")
		fmt.Fprintf(&b, "  - name: t%d\n    between: [%s]\n    keys: {derive: \"env:ROOT\"}\n", k, pick("east, "+peer, peer+", east"))
		maybe("    cipher: %s\n", pick("aes-gcm-128", "aes-gcm-256", "chacha20-poly1305", "aes-cbc-128-sha256", "aes-cbc-256-sha512"))
		maybe("    esn: false\n")
		maybe("    replay_window: %d\n", 1+r.IntN(4096))
		maybe("    tfc_pad: %d\n", 1+r.IntN(1400))
		maybe("    lifetime: {soft_packets: %d, hard_packets: 2000, hard_seconds: 60}\n", 1+r.IntN(1000))
		maybe("    mark: {in: %#x/0xff, out: 0x%x/0xf0}\n", 1+r.IntN(255), r.IntN(16)<<4)
		maybe("    output_mark: %#x\n", 1+r.IntN(1<<16))
		if r.IntN(4) > 0 {
			fmt.Fprintf(&b, "    interface: ipsec%d\n", k)
			maybe("    mtu: %d\n", 1280+r.IntN(200))
			maybe("    addresses: {east: [10.255.%d.1/30, \"fd00:%d::1/64\"]}\n", k, k)
			guards := []string{"policies", "false", "routes"}
			if r.IntN(3) == 0 {
				b.WriteString("    routes: false\n")
				guards = guards[:2]
			}
			maybe("    guard: %s\n", pick(guards...))
		}
		b.WriteString("    traffic:\n")
		for x := range 1 + r.IntN(3) {
			fmt.Fprintf(&b, "      - {east: 10.%d.0.0/16, %s: 10.%d.0.0/16}\n", 100+3*k+x, peer, 200+3*k+x)
		}
		maybe("      - {east: 2001:db8:%d::/48, %s: 2001:db8:%d::/48}\n", 100+k, peer, 200+k)
	}
	return b.String()
}
