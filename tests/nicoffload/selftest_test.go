package nicoffload_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// leg is a leg of a selftest's report.
type leg struct {
	Dir, By, Skipped string
	Arrived          int
	Failed           []struct{ First, Last int }
	Counters         map[string]int
}

// selftest runs it on dev against 192.0.2.2 in the other namespace, and checks
// that nothing is left behind.
func (p *place) selftest(t *testing.T, dev string, peer *sandbox.NS) (legs map[string]leg, out string, code int) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "report")
	out, code = p.xfrmctl(t, "offload", "selftest", dev, "to", "192.0.2.2", "netns", peer.Path(), "sizes", "1-300", "report", file)
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; exit code %d: %s", err, code, out)
	}
	if strings.Contains(string(b), "192.0.2") {
		t.Errorf("the report has addresses: %s", b)
	}
	var r struct{ Legs []leg }
	if err := json.Unmarshal(b, &r); err != nil || len(r.Legs) != 4 {
		t.Fatalf("%v: %s", err, b)
	}
	legs = map[string]leg{}
	for _, l := range r.Legs {
		legs[l.By+" "+l.Dir] = l
	}
	for _, ns := range []*sandbox.NS{p.NS, peer} {
		if left := ns.MustRun(t, sandbox.IP(), "xfrm", "state") + ns.MustRun(t, sandbox.IP(), "xfrm", "policy"); left != "" {
			t.Errorf("left behind: %s", left)
		}
	}
	return legs, out, code
}

// TestSelftestSoftware: without hardware the kernel's half passes, and nobody
// may take that for a proof of hardware.
func TestSelftestSoftware(t *testing.T) {
	p := newPlace(t)
	needESP(t, p)
	peer := sandbox.New(t)
	ip := sandbox.IP()
	p.MustRun(t, ip, "link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns", peer.Path())
	for ns, words := range map[*sandbox.NS][2]string{p.NS: {"192.0.2.1/24", "v0"}, peer: {"192.0.2.2/24", "v1"}} {
		ns.MustRun(t, ip, "address", "add", words[0], "dev", words[1])
		ns.MustRun(t, ip, "link", "set", words[1], "up")
	}
	legs, out, code := p.selftest(t, "v0", peer)
	if code != 1 || !strings.Contains(out, "no hardware was tested") {
		t.Errorf("exit code %d: %s", code, out)
	}
	for _, dir := range []string{"in", "out"} {
		if l := legs["software "+dir]; l.Arrived != 300 || len(l.Failed) != 0 {
			t.Errorf("software, %s: %+v", dir, l)
		}
		if l := legs["hardware "+dir]; l.Skipped == "" {
			t.Errorf("hardware, %s: %+v", dir, l)
		}
	}
}

// TestSelftestFinds: netdevsim takes SAs and encrypts nothing. The test must
// find that from the first size on.
func TestSelftestFinds(t *testing.T) {
	p := newSimulated(t)
	needESP(t, p)
	far := newSimulated(t)
	ip := sandbox.IP()
	far.MustRun(t, ip, "address", "flush", "dev", far.dev)
	far.MustRun(t, ip, "address", "add", "192.0.2.2/24", "dev", far.dev)
	if _, err := os.Stat("/sys/bus/netdevsim/link_device"); err != nil {
		t.Skip("needs netdevsim whose devices can be linked (Linux 6.9); the selftest did not run on a device")
	}
	if err := join(t, p, far); err != nil {
		t.Fatal(err)
	}
	legs, out, code := p.selftest(t, p.dev, far.NS)
	if code != 1 || !strings.Contains(out, "hardware, out: sizes 1-300 do not arrive") || !strings.Contains(out, "netdevsim") {
		t.Errorf("exit code %d: %s", code, out)
	}
	if l := legs["software out"]; l.Arrived != 300 {
		t.Errorf("software, out: %+v", l)
	}
	l := legs["hardware out"]
	if l.Arrived != 0 || len(l.Failed) != 1 || l.Failed[0].First != 1 || l.Failed[0].Last != 300 || l.Counters["XfrmInStateProtoError"] < 300 {
		t.Errorf("hardware, out: %+v", l)
	}
	if l := legs["hardware in"]; l.Skipped != "" || l.Arrived != 300 { // software decrypts what the device does not
		t.Errorf("hardware, in: %+v", l)
	}
}

// join puts a wire between two simulated devices.
func join(t *testing.T, a, b *place) error {
	t.Helper()
	index := func(p *place) string {
		i, _, _ := strings.Cut(p.MustRun(t, sandbox.IP(), "-o", "link", "show", p.dev), ":")
		return i
	}
	return os.WriteFile("/sys/bus/netdevsim/link_device", fmt.Appendf(nil, "%d:%s %d:%s", a.FD(), index(a), b.FD(), index(b)), 0)
}

// TestDemo shows the ladder: rungs that differ, each with its reason.
func TestDemo(t *testing.T) {
	p := newSimulated(t)
	needESP(t, p)
	out, code := p.xfrmctl(t, "-j", "demo", "--offload", p.dev)
	var steps []struct{ What, Rung, NIC, Reason, Fix string }
	if err := json.Unmarshal([]byte(out), &steps); err != nil || code != 0 || len(steps) < 8 {
		t.Fatalf("exit code %d, %v: %s", code, err, out)
	}
	rungs := map[string]int{}
	for _, s := range steps {
		rungs[s.Rung]++
		if s.Rung == "kernel" && (s.Reason == "" || s.Fix == "") {
			t.Errorf("%s is in software and nothing says why: %+v", s.What, s)
		}
	}
	if rungs["nic-crypto"] < 4 || rungs["kernel"] < 3 || steps[0].NIC != p.dev {
		t.Errorf("rungs %v: %s", rungs, out)
	}
	if n := p.count(t); n != 0 {
		t.Errorf("%d SAs are left", n)
	}
}
