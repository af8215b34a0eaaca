package provision

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// with returns the site with more words for its tunnel.
func with(words string) string {
	return strings.Replace(site, "    interface", words+"\n    interface", 1)
}

// atEast returns a document with more words for its node east.
func atEast(text, words string) string {
	return strings.Replace(text, "underlay: wire0, boot_id", "underlay: wire0, "+words+", boot_id", 1)
}

// named makes a namespace that has a name, for as long as the test runs, and
// returns what runs programs there.
func named(t *testing.T) (name string, run func(name string, args ...string) (string, error)) {
	t.Helper()
	name = fmt.Sprintf("xfrmctl-test-%08x", rand.Uint32())
	host := sandbox.New(t) // any will do: `ip netns` needs only the mount
	host.MustRun(t, sandbox.IP(), "netns", "add", name)
	t.Cleanup(func() { host.MustRun(t, sandbox.IP(), "netns", "delete", name) })
	return name, func(cmd string, args ...string) (string, error) {
		return host.Run(sandbox.IP(), append([]string{"netns", "exec", name, cmd}, args...)...)
	}
}

// eventually waits for pings from one namespace to pass.
func eventually(run func(string, ...string) (string, error), words ...string) (out string, err error) {
	sandbox.Await(func() bool {
		out, err = run("ping", append([]string{"-c", "3", "-i", "0.02", "-W", "1"}, words...)...)
		return err == nil
	})
	return out, err
}

// TestNamespace: an interface lives in another namespace, which has no SAs, no
// policies and no keys; another interface of its name is no conflict; guards are
// where it lives; and it comes back.
func TestNamespace(t *testing.T) {
	bothEngines(t, func(t *testing.T, userspace bool) {
		east, west := ends(t, userspace)
		name, run := named(t)
		east.ns.MustRun(t, sandbox.IP(), "link", "add", "ipsec0", "type", "veth", "peer", "name", "peer0")
		text := with("    namespace: {east: " + name + "}")
		west.write(t, text)
		west.do(t, "apply")
		if out := east.do(t, "apply"); !strings.Contains(out, "create") {
			t.Error(out)
		}
		if out := east.do(t, "apply"); !strings.Contains(out, "east: 0 writes") {
			t.Errorf("second apply: %s", out)
		}
		if out, err := eventually(run, "-I", "10.1.0.1", "10.2.0.1"); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if out := east.ns.MustRun(t, sandbox.IP(), "link", "show", "ipsec0"); !strings.Contains(out, "BROADCAST") {
			t.Errorf("another's interface of that name: %s", out)
		}
		if out, err := run(sandbox.IP(), "route", "show", "10.2.0.0/16"); err != nil || !strings.Contains(out, "unreachable") || !strings.Contains(out, "dev ipsec0") {
			t.Errorf("routes there: %v %s", err, out)
		}
		east.ns.MustRun(t, sandbox.IP(), "link", "del", "ipsec0")
		west.write(t, site)
		east.do(t, "apply")
		if err := ping(east, 3); err != nil {
			t.Errorf("back again: %v", err)
		}
		if out, err := run(sandbox.IP(), "route", "show", "10.2.0.0/16"); err != nil || out != "" {
			t.Errorf("routes left there: %v %s", err, out)
		}
		east.do(t, "delete")
	})
}

// TestNamespaceKilled: what a killed run leaves of an interface that was to be
// moved is cleared away, and the next run completes it.
func TestNamespaceKilled(t *testing.T) {
	bothEngines(t, func(t *testing.T, userspace bool) {
		east, _ := ends(t, userspace)
		name, run := named(t)
		east.write(t, with("    namespace: {east: "+name+"}"))
		rounds := 3
		if testing.Short() {
			rounds = 1
		}
		for n := range rounds {
			cmd := east.command("apply", east.dir+"/office.yaml", "--as", "east", "--state-dir", east.dir+"/east")
			if err := east.ns.Do(cmd.Start); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(rand.IntN(40)) * time.Millisecond)
			cmd.Process.Kill() //nolint:errcheck // it may have ended
			cmd.Wait()         //nolint:errcheck // ended by a signal
			east.do(t, "apply")
			if out := east.do(t, "apply"); !strings.Contains(out, "east: 0 writes") {
				t.Errorf("round %d: %s", n, out)
			}
			if out := east.ns.MustRun(t, sandbox.IP(), "link"); strings.Contains(out, "xfrmctl") {
				t.Errorf("round %d: left behind: %s", n, out)
			}
			if out, err := run(sandbox.IP(), "addr", "show", "ipsec0"); err != nil || !strings.Contains(out, "10.1.0.1") {
				t.Errorf("round %d: %v %s", n, err, out)
			}
			east.do(t, "delete")
			east.write(t, strings.Replace(with("    namespace: {east: "+name+"}"), "epoch: 1", fmt.Sprintf("epoch: %d", n+2), 1))
		}
	})
}
