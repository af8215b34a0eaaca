package provision

import (
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// spoof makes west send packets of its prefix in clear, and reports whether east
// takes them: whether it answers.
func spoof(t *testing.T, west *end) bool {
	t.Helper()
	_, err := west.ns.Run("ping", "-c", "2", "-i", "0.05", "-W", "1", "-I", "10.2.0.1", "10.1.0.1")
	return err == nil
}

// TestGuardPolicies: with guards, packets of the peer's prefix are not taken in
// clear, and packets to it leave by no other way, also when interface and routes
// are gone; without them, they are and do.
func TestGuardPolicies(t *testing.T) {
	east, west := ends(t, false)
	all := []string{"", "guard: routes", "guard: policies"}
	if testing.Short() {
		all = all[:2]
	}
	for _, words := range all {
		guarded := words != "guard: routes"
		t.Run("guards "+words, func(t *testing.T) {
			east.write(t, with("    "+words))
			east.do(t, "apply", "--prune")
			west.do(t, "apply", "--prune")
			if err := ping(east, 3); err != nil {
				t.Fatal(err)
			}
			// west sends in clear; east's answers go through the tunnel, which west still has
			west.ns.MustRun(t, sandbox.IP(), "route", "add", "10.1.0.0/16", "via", sandbox.A4, "metric", "5")
			if spoof(t, west) == guarded {
				t.Errorf("clear text of the peer's prefix: guarded %v", guarded)
			}
			west.ns.MustRun(t, sandbox.IP(), "route", "del", "10.1.0.0/16", "via", sandbox.A4, "metric", "5")
			w := watch(t, west.ns)
			east.ns.MustRun(t, sandbox.IP(), "route", "add", "10.2.0.0/17", "via", sandbox.B4)
			_, err := east.ns.Run("ping", "-c", "2", "-i", "0.05", "-W", "1", "-I", "10.1.0.1", "10.2.0.1")
			if left := w.more(0, !guarded); left == guarded {
				t.Errorf("a better route led packets out in clear: %v, guarded %v (%v)", left, guarded, err)
			}
			east.ns.MustRun(t, sandbox.IP(), "link", "del", "ipsec0")
			east.ns.MustRun(t, sandbox.IP(), "addr", "add", "10.1.0.1/32", "dev", "lo")
			before := w.clear.Load()
			east.ns.Run("ping", "-c", "2", "-i", "0.05", "-W", "1", "-I", "10.1.0.1", "10.2.0.1") //nolint:errcheck // nothing answers
			if left := w.more(before, !guarded); left == guarded {
				t.Errorf("without interface packets leave in clear: %v, guarded %v", left, guarded)
			}
			east.ns.MustRun(t, sandbox.IP(), "addr", "del", "10.1.0.1/32", "dev", "lo")
			east.ns.MustRun(t, sandbox.IP(), "route", "del", "10.2.0.0/17", "via", sandbox.B4)
		})
	}
}

// TestGuardLocal: hosts of a prefix that the other end's has within it reach each
// other in clear, and endpoints within guarded prefixes too.
func TestGuardLocal(t *testing.T) {
	east, west := ends(t, false)
	text := strings.NewReplacer("10.2.0.0/16", "0.0.0.0/0", "    interface", "    routes: false\n    guard: true\n    interface", "10.1.0.0/16", "192.0.2.0/24", "10.1.0.1/32", "192.0.2.77/32").Replace(site)
	east.write(t, text)
	east.do(t, "apply")
	if out, err := east.ns.Run("ping", "-c", "2", "-i", "0.05", "-W", "1", sandbox.B4); err != nil {
		t.Errorf("a neighbour, and the other endpoint: %v\n%s", err, out)
	}
	if _, err := west.ns.Run("ping", "-c", "2", "-i", "0.05", "-W", "1", sandbox.A4); err != nil {
		t.Errorf("from there: %v", err)
	}
	west.ns.MustRun(t, sandbox.IP(), "addr", "add", "203.0.113.5/32", "dev", "lo")
	east.ns.MustRun(t, sandbox.IP(), "route", "add", "203.0.113.0/24", "via", sandbox.B4)
	if _, err := east.ns.Run("ping", "-c", "1", "-W", "1", "203.0.113.5"); err == nil {
		t.Error("what is not within is not guarded")
	}
}

// TestDefaultPolicy: what no policy allows is dropped, in and out; tunnels go on;
// a plan says what it means for the machine; delete puts back what was there.
func TestDefaultPolicy(t *testing.T) {
	east, west := ends(t, false)
	east.ns.MustRun(t, sandbox.IP(), "xfrm", "policy", "setdefault", "fwd", "block")
	east.write(t, atEast(site, "default_policy: {in: block, fwd: accept, out: block}"))
	out := east.do(t, "plan")
	if !strings.Contains(out, "change   default policy (in block, out block); loss: what no policy allows") || !strings.Contains(out, "note: default policy in block") || !strings.Contains(out, "change   default policy (fwd accept)") {
		t.Error(out)
	}
	east.do(t, "apply")
	if out := east.do(t, "apply"); !strings.Contains(out, "east: 0 writes") {
		t.Error(out)
	}
	west.do(t, "apply")
	if err := ping(east, 3); err != nil {
		t.Errorf("through the tunnel: %v", err)
	}
	if _, err := east.ns.Run("ping", "-c", "1", "-W", "1", sandbox.B4); err == nil {
		t.Error("packets that no policy allows leave")
	}
	if _, err := west.ns.Run("ping", "-c", "1", "-W", "1", sandbox.A4); err == nil {
		t.Error("packets that no policy allows are taken")
	}
	east.write(t, site)
	if out := east.do(t, "apply"); !strings.Contains(out, "2 objects of ours are not in the document and stay") {
		t.Error(out)
	}
	east.do(t, "apply", "--prune")
	if err := ping(east, 3); err != nil {
		t.Errorf("with guards again: %v", err)
	}
	east.do(t, "delete")
	if out := east.ns.MustRun(t, sandbox.IP(), "xfrm", "policy", "getdefault"); strings.Count(out, "accept") != 2 || !strings.Contains(out, "fwd: block") {
		t.Errorf("after delete: %s", out)
	}
}

// TestDefaultPolicyForwards: a machine that drops what no policy allows goes on
// forwarding between a host behind it and its tunnel, with and without interface,
// and nothing else.
func TestDefaultPolicyForwards(t *testing.T) {
	const device = "    interface: ipsec0\n    addresses: {east: [10.1.0.1/32], west: [10.2.0.1/32]}\n"
	for name, text := range map[string]string{"interface": site, "no interface": strings.Replace(site, device, "", 1)} {
		t.Run(name, func(t *testing.T) {
			east, west := ends(t, false)
			host := east.hostBehind(t)
			if text != site {
				west.batch(t, west.ns, "addr add 10.2.0.1/32 dev lo", "route add default via "+sandbox.A4)
				east.batch(t, east.ns, "route add default via "+sandbox.B4)
			}
			west.batch(t, west.ns, "addr add 198.51.100.1/32 dev lo", "route replace 10.1.9.0/24 via "+sandbox.A4+" table 77", "rule add from 198.51.100.1 table 77")
			east.batch(t, east.ns, "route add 198.51.100.0/24 via "+sandbox.B4)
			east.write(t, text)
			west.do(t, "apply")
			reaches := func(ns *sandbox.NS, from, to string) bool {
				_, err := ns.Run("ping", "-c", "1", "-W", "1", "-I", from, to)
				return err == nil
			}
			reach := func(when string, ns *sandbox.NS, from, to string) {
				t.Helper()
				if !sandbox.Await(func() bool { return reaches(ns, from, to) }) {
					t.Fatalf("{%s}: %s does not reach %s", when, from, to)
				}
			}
			all := []string{"in: block", "fwd: block", "out: block", "in: block, fwd: block, out: block"}
			if testing.Short() {
				all = all[3:]
			}
			for _, blocked := range all {
				east.write(t, atEast(text, "default_policy: {"+blocked+"}"))
				east.do(t, "apply", "--prune")
				reach(blocked, host, "10.1.9.2", "10.2.0.1")
				reach(blocked, west.ns, "10.2.0.1", "10.1.9.2")
				if blocked == "in: block" {
					reach(blocked, host, "10.1.9.2", "198.51.100.1")
				} else if reaches(host, "10.1.9.2", "198.51.100.1") {
					t.Errorf("{%s}: what no tunnel protects is forwarded", blocked)
				}
			}
		})
	}
}
