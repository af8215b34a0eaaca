package provision

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// randomDocument is a document of up to most tunnels beside the one that all have,
// which protects what 10.1.0.0/16 and 10.2.0.0/16 send each other, and what two
// networks of IPv6 do: 5 objects with size 0,
// 200 with size 1, twice as many for each fifth. Names and numbers come from small pools, so that two
// documents share tunnels, and have interfaces change hands. @EPOCH@ is for keys
// of counter-mode ciphers, which are new each time.
func randomDocument(r *rand.Rand, size float64, most int, userspace bool) string {
	head, _, _ := strings.Cut(site, "tunnels:")
	var b strings.Builder
	b.WriteString(head + "tunnels:\n")
	devices := make([]int, 24)
	if r.IntN(6) == 0 {
		devices = r.Perm(24) // interfaces change hands: all of them go and come, which takes long
	} else {
		for k := range devices {
			devices[k] = k
		}
	}
	const fewest, each = 5, 10 // objects of a document, and of a tunnel
	objects := fewest * math.Exp(size*math.Log(200/fewest))
	extra := min(int(objects/each), most)
	for _, name := range append([]int{-1}, r.Perm(20)[:extra]...) {
		b.WriteString(randomTunnel(r, name, devices[name+1], userspace))
	}
	return b.String()
}

// sixes is the traffic of IPv6 that all documents protect.
const sixes = "      - {east: \"2001:db8:a::/48\", west: \"2001:db8:b::/48\"}\n"

// randomTunnel is one tunnel; number -1 is the one that all documents have.
func randomTunnel(r *rand.Rand, number, device int, userspace bool) string {
	some := func(one int, text string, args ...any) string {
		if r.IntN(one) > 0 {
			return ""
		}
		return "    " + fmt.Sprintf(text, args...) + "\n"
	}
	name, east, west := fmt.Sprintf("t%d", number), fmt.Sprintf("10.%d.0.0/16", 20+number), fmt.Sprintf("10.%d.0.0/16", 60+number)
	if number < 0 {
		name, east, west = "main", "10.1.0.0/16", "10.2.0.0/16"
	}
	cipher, epoch := "aes-gcm-128", "@EPOCH@"
	switch r.IntN(4) {
	case 0:
		cipher, epoch = "aes-cbc-128-sha256", "1"
	case 1:
		cipher = "aes-gcm-256"
	case 2:
		cipher, epoch = "aes-cbc-256-sha512", fmt.Sprint(1+r.IntN(2))
	}
	withInterface := userspace || r.IntN(8) > 0
	if !withInterface {
		epoch = "@EPOCH@" // an SA cannot lose its if_id, so it is another one
	}
	s := fmt.Sprintf("  - name: %s\n    between: [east, west]\n    cipher: %s\n    keys: {derive: \"file:@ROOT@\", epoch: %s}\n", name, cipher, epoch)
	s += some(3, "lifetime: {hard_seconds: %d}", 3600+r.IntN(2))
	s += some(3, "replay_window: %d", 64<<r.IntN(4))
	s += some(4, "endpoints: {east: %q, west: %q}", sandbox.A6, sandbox.B6)
	if withInterface {
		s += fmt.Sprintf("    interface: ipsec%d\n", device)
		s += some(3, "mtu: %d", 1300+r.IntN(3))
		s += some(4, "if_id: %d", 20000+max(number, 0)+100*r.IntN(2)+1000*min(number+1, 1))
		s += some(2, "addresses: {east: [172.16.%d.%d/32], west: [172.17.0.1/32]}", r.IntN(3), 1+device)
	}
	s += fmt.Sprintf("    traffic:\n      - {east: %s, west: %s}\n", east, west)
	if number < 0 {
		s += sixes
	} else if r.IntN(3) == 0 {
		s += fmt.Sprintf("      - {east: 10.%d.0.0/16, west: 10.%d.0.0/16}\n", 20+number, 130+number)
	}
	return s
}
