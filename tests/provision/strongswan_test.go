package provision

import (
	"math/rand/v2"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/provision"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
	"github.com/xfrmctl/xfrmctl/tests/strongswan"
)

// TestStrongswan: an IKE daemon has a tunnel between the same two addresses.
// Applies, killed ones among them, and the deletion of everything of ours leave
// its SAs and policies as they are, and its tunnel carries packets before and
// after.
func TestStrongswan(t *testing.T) {
	root, version, err := strongswan.Fetch() // in a guest it is there already
	if err != nil {
		t.Skipf("needs Debian's strongSwan, to be had by apt: %v; nothing of this test ran", err)
	}
	if testing.Short() {
		t.Skip("not in short mode: whether an IKE daemon's objects stay was not looked at")
	}
	e, peer := ends(t, false)
	const insideA, insideB = "172.30.1.1", "172.30.2.1"
	strongswan.Start(t, peer.ns, root, &strongswan.Config{Kernel: "kernel-netlink", Local: sandbox.B4, Remote: sandbox.A4, Inner: "172.30.2.0/24", Other: "172.30.1.0/24"})
	charon := strongswan.Start(t, e.ns, root, &strongswan.Config{Kernel: "kernel-netlink", Local: sandbox.A4, Remote: sandbox.B4, Inner: "172.30.1.0/24", Other: "172.30.2.0/24"})
	e.ns.MustRun(t, sandbox.IP(), "addr", "add", insideA+"/32", "dev", "lo")
	peer.ns.MustRun(t, sandbox.IP(), "addr", "add", insideB+"/32", "dev", "lo")
	if out, err := charon.Swanctl("--initiate", "--child", "c"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	carries := func(when string) {
		t.Helper()
		var out string
		if !sandbox.Await(func() bool {
			out, err = e.ns.Run("ping", "-c", "3", "-i", "0.1", "-W", "1", "-I", insideA, insideB)
			return err == nil
		}) {
			t.Fatalf("%s: %v\n%s", when, err, out)
		}
	}
	carries("before")
	x := newTrials(t, e, manyTunnels)
	x.theirs.sa = func(sa *netlinkx.SA) bool { return sa.ReqID < 10000 || sa.ReqID > 19999 }
	x.theirs.policy = func(p *netlinkx.Policy) bool {
		if len(p.Templates) == 0 { // of sockets, or a guard of ours
			return p.Priority < provision.GuardPriority
		}
		return p.Templates[0].ReqID < 10000 || p.Templates[0].ReqID > 19999
	}
	x.theirs.count = x.countTheirs(t)
	x.foreign = x.others(t)
	r := rand.New(rand.NewPCG(5, uint64(count("XFRMCTL_PAIRS_SEED", 1))))
	trials := count("XFRMCTL_STRONGSWAN", 12)
	for range trials {
		x.kill(t, randomDocument(r, r.Float64(), x.most, false), 1+r.IntN(120), 0)
	}
	x.reachNothing(t)
	carries("after")
	t.Logf("strongSwan %s, %d objects: %d applies, %d of them killed", version, x.theirs.count, trials, x.killed)
}

// countTheirs counts the foreign objects: charon has at least a pair of SAs and
// three policies.
func (x *trials) countTheirs(t *testing.T) int {
	t.Helper()
	c, err := netlinkx.Dial(&netlinkx.Config{NetNS: x.apply.ns})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	n := 0
	for sa, err := range c.SAs(t.Context(), nil) {
		if err == nil && x.theirs.sa(sa) {
			n++
		}
	}
	if n != 2 {
		t.Fatalf("charon has %d SAs", n)
	}
	for p, err := range c.Policies(t.Context()) {
		if err == nil && x.theirs.policy(p) {
			n++
		}
	}
	if n < 5 {
		t.Fatalf("charon has %d SAs and policies", n)
	}
	return n
}
