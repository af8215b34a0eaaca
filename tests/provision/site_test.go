package provision

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// bothEngines runs a test on the kernel and on the userspace engine; the short
// run is about other kernels, which the engine does not look at.
func bothEngines(t *testing.T, test func(t *testing.T, userspace bool)) {
	t.Run("kernel", func(t *testing.T) { test(t, false) })
	if testing.Short() {
		return
	}
	t.Run("userspace", func(t *testing.T) { test(t, true) })
}

func TestSiteToSite(t *testing.T) {
	bothEngines(t, func(t *testing.T, userspace bool) {
		east, west := ends(t, userspace)
		east.write(t, site)
		for _, e := range []*end{east, west} {
			if out := e.do(t, "apply"); !strings.Contains(out, firstApply(userspace)) {
				t.Errorf("%s: %s", e.name, out)
			}
			if out := e.do(t, "apply"); !strings.Contains(out, e.name+": 0 writes") {
				t.Errorf("%s, second apply: %s", e.name, out)
			}
			e.do(t, "verify")
		}
		if err := ping(east, 5); err != nil {
			t.Fatal(err)
		}
		rotate(t, east, west)
		if err := ping(east, 5); err != nil {
			t.Fatal(err)
		}
		remove(t, east)
	})
}

// rotate takes a new epoch in three steps that lose nothing: pings run all the
// time.
func rotate(t *testing.T, east, west *end) {
	t.Helper()
	east.write(t, strings.Replace(site, "epoch: 1", "epoch: 2", 1))
	cmd := make(chan string)
	go func() {
		out, err := east.ns.Run("ping", "-c", "150", "-i", "0.02", "-W", "2", "-I", "10.1.0.1", "10.2.0.1")
		if err != nil {
			out += err.Error()
		}
		cmd <- out
	}()
	for _, words := range [][]string{{"--inbound"}, nil, {"--prune"}} {
		for _, e := range []*end{east, west} {
			e.do(t, "apply", words...)
		}
	}
	if out := <-cmd; !strings.Contains(out, " 0% packet loss") {
		t.Errorf("a change of keys lost packets:\n%s", out)
	}
	east.write(t, site)
	out, err := east.try("apply")
	if east.engine == nil && (err == nil || !strings.Contains(out, "an outbound SA has had this key before")) {
		t.Errorf("the keys of the first epoch were taken again: %v\n%s", err, out)
	}
	east.write(t, strings.Replace(site, "epoch: 1", "epoch: 2", 1))
	east.do(t, "apply", "--prune")
	west.do(t, "verify", "--prune")
}

// remove looks at drift, and takes everything away.
func remove(t *testing.T, e *end) {
	t.Helper()
	e.ns.MustRun(t, sandbox.IP(), "link", "set", "ipsec0", "down")
	out, err := e.try("diff")
	if err == nil || !strings.Contains(out, "~ interface ipsec0: up") || !strings.Contains(out, "+ route 10.2.0.0/16") {
		t.Errorf("diff after drift: %v\n%s", err, out)
	}
	out, err = e.ns.Run(sandbox.IP(), "route", "get", "10.2.0.1")
	if err == nil || !strings.Contains(out, "No route to host") {
		t.Errorf("the guard does not hold without the interface: %v, %s", err, out)
	}
	e.do(t, "apply")
	if out := e.do(t, "delete"); !strings.Contains(out, "delete") {
		t.Error(out)
	}
	for _, words := range [][]string{{"state", "count"}, {"policy", "count"}} {
		cmd := e.command(words...)
		var b strings.Builder
		cmd.Stdout = &b
		if err := e.ns.Do(cmd.Run); err != nil || strings.ContainsAny(b.String(), "123456789") {
			t.Errorf("%v after delete: %v, %s", words, err, b.String())
		}
	}
	if out := e.ns.MustRun(t, sandbox.IP(), "route"); strings.Contains(out, "10.2.0.0") {
		t.Errorf("routes after delete: %s", out)
	}
}
