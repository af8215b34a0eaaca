// Package document runs the documents of the manual on machines made of
// namespaces: applied at every node, with traffic through each tunnel.
package document

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/provision/document"
	"github.com/xfrmctl/xfrmctl/tests/engine"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// machine is a node of a document.
type machine struct {
	name   string
	ns     *sandbox.NS
	engine *engine.Engine // nil: the kernel
	binary string
	dir    string
}

// site is all nodes of a document, joined by a wire for each underlay.
type site struct {
	doc      *document.Document
	text     string
	machines map[string]*machine
	dir      string
}

// bothEngines runs a test on the kernel and on the userspace engine; in an
// emulated kernel, where everything is slow, on that kernel alone.
func bothEngines(t *testing.T, test func(t *testing.T, userspace bool)) {
	t.Run("kernel", func(t *testing.T) { test(t, false) })
	if !testing.Short() {
		t.Run("userspace", func(t *testing.T) { test(t, true) })
	}
}

// onlyFast leaves a test to kernels that are not emulated.
func onlyFast(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a kernel that is not emulated: it takes too long here")
	}
}

// secrets finds the files that a document refers to.
var secrets = regexp.MustCompile(`file:/etc/xfrmctl/([a-z.-]+)`)

// build makes machines for a document, and its secrets, in whose place it gets
// files of the test.
func build(t *testing.T, text string, userspace bool) *site {
	t.Helper()
	s := &site{machines: map[string]*machine{}, dir: t.TempDir()}
	for _, m := range secrets.FindAllStringSubmatch(text, -1) {
		if err := os.WriteFile(filepath.Join(s.dir, m[1]), bytes.Repeat([]byte("secret! "), 8), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.text = strings.ReplaceAll(text, "/etc/xfrmctl/", s.dir+"/")
	var err error
	if s.doc, err = document.Read("example", []byte(s.text)); err != nil {
		t.Fatal(err)
	}
	s.write(t, s.text)
	binary := engine.Binary(t)
	for name := range s.doc.Nodes {
		m := &machine{name: name, ns: sandbox.New(t), binary: binary, dir: s.dir}
		s.machines[name] = m
		m.ns.MustRun(t, sandbox.IP(), "link", "set", "lo", "up")
	}
	s.wire(t)
	for _, m := range s.machines {
		if userspace {
			m.engine = engine.Start(t, m.ns)
		} else {
			m.ns.NeedDirection(t, "the example was not run")
		}
	}
	return s
}

func (s *site) write(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, "doc.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// wire joins all machines by a switch for each name of an underlay. Endpoints
// are alone in their subnets; what is not there is looked for on the wire.
func (s *site) wire(t *testing.T) {
	t.Helper()
	switches := map[string]*sandbox.NS{}
	join := func(node, dev string, addr netip.Addr) {
		sw := switches[dev]
		if sw == nil {
			sw = sandbox.New(t)
			switches[dev] = sw
			sw.MustRun(t, sandbox.IP(), "link", "add", "sw0", "type", "bridge")
			sw.MustRun(t, sandbox.IP(), "link", "set", "sw0", "up")
		}
		ns := s.machines[node].ns
		if _, err := ns.Run(sandbox.IP(), "link", "show", dev); err != nil {
			port := fmt.Sprintf("to-%.10s", node)
			ns.MustRun(t, sandbox.IP(), "link", "add", dev, "type", "veth", "peer", "name", port, "netns", sw.Path())
			sw.MustRun(t, sandbox.IP(), "link", "set", port, "master", "sw0", "up")
			ns.MustRun(t, sandbox.IP(), "link", "set", dev, "up")
		}
		_, _ = ns.Run(sandbox.IP(), "addr", "add", netip.PrefixFrom(addr, addr.BitLen()).String(), "dev", dev, "nodad") // it may be there
		for other := range s.machines {
			if other != node {
				s.onWire(node, other, dev)
			}
		}
	}
	for name, n := range s.doc.Nodes {
		dev := n.Underlay.V
		if dev == "" {
			dev = "eth0"
		}
		join(name, dev, n.Endpoint.V)
	}
	for _, x := range s.doc.Tunnels {
		for node, v := range x.Endpoints {
			join(node, x.Underlays[node].V, v.V)
		}
	}
}

// onWire leads a machine's packets to another one's endpoints.
func (s *site) onWire(node, other, dev string) {
	add := func(a netip.Addr) {
		_, _ = s.machines[node].ns.Run(sandbox.IP(), "route", "add", netip.PrefixFrom(a, a.BitLen()).String(), "dev", dev) // it may be there
	}
	n := s.doc.Nodes[other]
	if n.Underlay.V == dev || n.Underlay.V == "" {
		add(n.Endpoint.V)
	}
	for _, x := range s.doc.Tunnels {
		if v, ok := x.Endpoints[other]; ok && x.Underlays[other].V == dev {
			add(v.V)
		}
	}
}

// run runs xfrmctl on a machine.
func (m *machine) run(words ...string) (string, error) {
	out, err := engine.Said(m.ns, engine.Prepare(m.binary, m.engine, words...))
	if strings.Contains(out, "secret!") {
		err = fmt.Errorf("the secret shows (%w)", err)
	}
	return out, err
}

// do runs a command that takes the document, and has to work.
func (m *machine) do(t *testing.T, verb string, words ...string) string {
	t.Helper()
	args := []string{verb, filepath.Join(m.dir, "doc.yaml"), "--as", m.name, "--state-dir", filepath.Join(m.dir, m.name)}
	out, err := m.run(append(args, words...)...)
	if err != nil {
		t.Fatalf("%s: %s: %v\n%s", m.name, verb, err, out)
	}
	return out
}

// boots are the options that name the other nodes' boot, which is this one.
func (s *site) boots(t *testing.T) (words []string) {
	t.Helper()
	for name := range s.doc.Nodes {
		words = append(words, "--boot-id", name+"="+sandbox.BootID(t))
	}
	return words
}

// apply applies the document everywhere, twice.
func (s *site) apply(t *testing.T) {
	t.Helper()
	for _, m := range s.machines {
		m.do(t, "apply", s.boots(t)...)
		if out := m.do(t, "apply", s.boots(t)...); !strings.Contains(out, "nothing to do") && !strings.Contains(out, ": 0 writes") {
			t.Errorf("%s: a second apply says\n%s", m.name, out)
		}
	}
}

// host returns the first address of a prefix.
func host(p netip.Prefix) netip.Addr {
	if p.IsSingleIP() {
		return p.Addr()
	}
	return p.Addr().Next()
}

// settle gives each node the first address of each network behind it.
func (s *site) settle(t *testing.T) {
	t.Helper()
	for _, x := range s.doc.Tunnels {
		for _, traffic := range x.Traffic {
			for node, v := range traffic.Prefix {
				a := host(v.V)
				if s.behind(node, v.V) {
					_, _ = s.machines[node].ns.Run(sandbox.IP(), "addr", "add", netip.PrefixFrom(a, a.BitLen()).String(), "dev", "lo", "nodad") // once
				}
			}
		}
	}
}

// behind reports whether a prefix is behind a node itself and not behind a
// tunnel that leads on.
func (s *site) behind(node string, p netip.Prefix) bool {
	for _, x := range s.doc.Tunnels {
		for _, traffic := range x.Traffic {
			for other, v := range traffic.Prefix {
				if x.Has(node) && other != node && v.V == p {
					return false
				}
			}
		}
	}
	return true
}

// ping sends from one address to another until they answer.
func (m *machine) ping(from, to netip.Addr) error {
	var out string
	var err error
	if sandbox.Await(func() bool {
		out, err = m.ns.Run("ping", "-c", "2", "-i", "0.02", "-W", "1", "-I", from.String(), to.String())
		return err == nil
	}) {
		return nil
	}
	return fmt.Errorf("%s: ping from %s to %s: %w\n%s", m.name, from, to, err, out)
}

// used returns how many outbound SAs of a machine have carried packets.
func (m *machine) used(t *testing.T) (n int) {
	t.Helper()
	cmd := exec.Command(m.binary, "--engine", "kernel", "-s", "state", "list")
	if m.engine != nil {
		cmd = m.engine.Command("-s", "state", "list")
	}
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := m.ns.Do(cmd.Run); err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split("\n"+out.String(), "\nsrc ")
	return len(slices.DeleteFunc(blocks, func(b string) bool {
		return !strings.Contains(b, "dir out") || strings.Contains(b, "0(bytes), 0(packets)") || b == ""
	}))
}
