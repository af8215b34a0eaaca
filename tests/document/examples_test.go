package document

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// manual is a page of the documentation.
func manual(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("../../docs/" + name)
	if err != nil {
		t.Skipf("needs the documentation beside the test: %v; its examples were not run", err)
	}
	return string(b)
}

// block returns the first block of a language below a heading.
func block(t *testing.T, text, heading, language string) string {
	t.Helper()
	_, text, found := strings.Cut(text, "\n## "+heading+"\n")
	section, _, _ := strings.Cut(text, "\n## ")
	_, inside, open := strings.Cut(section, "```"+language+"\n")
	inside, _, closed := strings.Cut(inside, "```")
	if !found || !open || !closed {
		t.Fatalf("the manual has no %s below %q", language, heading)
	}
	return inside
}

// TestExamples applies each example at all its nodes, sends through each
// tunnel, and looks at what it is an example of.
func TestExamples(t *testing.T) {
	for _, c := range []struct {
		heading string
		more    func(*testing.T, *site)
	}{
		{"Hub and spokes", spokesMeet},
		{"Two equal-cost tunnels", bothLinesCarry},
		{heading: "Two hosts"},
		{heading: "Ten lines"},
	} {
		if testing.Short() && c.heading != "Two equal-cost tunnels" {
			continue // that one asks most of an older kernel
		}
		t.Run(strings.ReplaceAll(c.heading, " ", "-"), func(t *testing.T) {
			bothEngines(t, func(t *testing.T, userspace bool) {
				text := block(t, manual(t, "examples.md"), c.heading, "yaml")
				if userspace && strings.Contains(text, "mode: transport") {
					t.Skip("needs the kernel: the userspace engine protects only what is routed to an interface; the example was not run on it")
				}
				s := build(t, text, userspace)
				s.settle(t)
				s.apply(t)
				s.carry(t)
				if c.more != nil {
					c.more(t, s)
				}
			})
		})
	}
}

// carry sends through each tunnel, both ways.
func (s *site) carry(t *testing.T) {
	t.Helper()
	for _, x := range s.doc.Tunnels {
		a, b := x.Between[0].V, x.Between[1].V
		if len(x.Traffic) == 0 {
			if err := s.machines[a].ping(s.doc.Nodes[a].Endpoint.V, s.doc.Nodes[b].Endpoint.V); err != nil {
				t.Error(err)
			}
		}
		for _, traffic := range x.Traffic {
			from, to := traffic.Prefix[a].V, traffic.Prefix[b].V
			if !s.behind(a, from) || !s.behind(b, to) {
				continue // it comes from further away
			}
			if err := s.machines[a].ping(host(from), host(to)); err != nil {
				t.Error(err)
			}
		}
	}
	for _, m := range s.machines {
		if !sandbox.Await(func() bool { return m.used(t) > 0 }) { // the engine counts behind the packets
			t.Errorf("no SA of %s carried anything", m.name)
		}
	}
}

// TestWorkload: what is in the namespace sends through the tunnel, and sees
// neither SAs nor policies. The example's namespace gets a name of its own.
func TestWorkload(t *testing.T) {
	onlyFast(t)
	bothEngines(t, func(t *testing.T, userspace bool) {
		name := fmt.Sprintf("xfrmctl-test-%d-%d", os.Getpid(), time.Now().UnixNano())
		text := block(t, manual(t, "examples.md"), "A workload without keys", "yaml")
		s := build(t, strings.Replace(text, "namespace: {east: work}", "namespace: {east: "+name+"}", 1), userspace)
		if out, err := exec.Command(sandbox.IP(), "netns", "add", name).CombinedOutput(); err != nil {
			t.Skipf("needs named network namespaces: %v: %s; the workload was not run", err, out)
		}
		t.Cleanup(func() {
			if out, err := exec.Command(sandbox.IP(), "netns", "del", name).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
		s.apply(t)
		west := s.machines["west"].ns
		west.MustRun(t, sandbox.IP(), "addr", "add", "10.2.0.1/32", "dev", "lo")
		inside := func(words ...string) (string, error) {
			out, err := exec.Command(sandbox.IP(), append([]string{"netns", "exec", name}, words...)...).CombinedOutput()
			return string(out), err
		}
		var out string
		var err error
		if !sandbox.Await(func() bool {
			out, err = inside("ping", "-c", "2", "-i", "0.02", "-W", "1", "10.2.0.1")
			return err == nil
		}) {
			t.Errorf("%v\n%s", err, out)
		}
		for _, object := range []string{"state", "policy"} {
			if out, err := inside(s.machines["east"].binary, "--engine", "kernel", "--show-keys", object, "list"); err != nil || out != "" {
				t.Errorf("inside, %s list: %v\n%s", object, err, out)
			}
		}
		doc := s.machines["east"].export(t, "--as", "east", "--name", "192.0.2.2=west", "--owner", "work")
		if strings.Contains(doc, "#!") || !strings.Contains(doc, "namespace: {east: "+name+"}") {
			t.Errorf("export prints\n%s", doc)
		}
	})
}

// spokesMeet: what one spoke sends to the other passes both tunnels.
func spokesMeet(t *testing.T, s *site) {
	s.machines["hub"].ns.MustRun(t, "sysctl", "-q", "net.ipv4.ip_forward=1")
	if err := s.machines["north"].ping(netip.MustParseAddr("10.1.0.1"), netip.MustParseAddr("10.2.0.1")); err != nil {
		t.Error(err)
	}
}

// bothLinesCarry: flows are spread over both tunnels, and all take one when the
// other is down.
func bothLinesCarry(t *testing.T, s *site) {
	east, west := s.machines["east"], s.machines["west"]
	from := netip.MustParseAddr("10.1.0.1")
	all := func() {
		t.Helper()
		for to := netip.MustParseAddr("10.2.0.2"); to.As4()[3] < 18; to = to.Next() {
			_, _ = west.ns.Run(sandbox.IP(), "addr", "add", to.String()+"/32", "dev", "lo") // once
			if err := east.ping(from, to); err != nil {
				t.Fatal(err)
			}
		}
	}
	all()
	if !sandbox.Await(func() bool { return east.used(t) == 2 }) {
		t.Errorf("%d of 2 SAs carried packets to 16 addresses", east.used(t))
	}
	for _, m := range s.machines {
		m.ns.MustRun(t, sandbox.IP(), "link", "set", "ipsec1", "down")
	}
	all()
	for _, m := range s.machines {
		m.do(t, "apply", s.boots(t)...)
		m.do(t, "verify", s.boots(t)...)
	}
}
