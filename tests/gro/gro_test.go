// Package gro_test checks `xfrmctl gro` on a running kernel: what it sets is
// set, what is refused leaves no trace, and it has an effect on packets.
package gro_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// pair is two namespaces joined by a veth pair: v0 with 10.99.0.1 and v1 with
// 10.99.0.2.
type pair struct{ left, right *sandbox.NS }

func newPair(t testing.TB) *pair {
	t.Helper()
	if os.Getenv("XFRMCTL_BIN") == "" {
		t.Skip("needs XFRMCTL_BIN, the xfrmctl to test (make test sets it); nothing of this test ran")
	}
	p := &pair{sandbox.New(t), sandbox.New(t)}
	ip := sandbox.IP()
	p.left.MustRun(t, ip, "link", "add", "v0", "type", "veth", "peer", "name", "v1")
	p.left.MustRun(t, ip, "link", "set", "v1", "netns", p.right.Path())
	for _, side := range []struct {
		ns        *sandbox.NS
		dev, addr string
	}{{p.left, "v0", "10.99.0.1/24"}, {p.right, "v1", "10.99.0.2/24"}} {
		side.ns.MustRun(t, ip, "address", "add", side.addr, "dev", side.dev)
		side.ns.MustRun(t, ip, "link", "set", side.dev, "up")
	}
	return p
}

func gro(t testing.TB, ns *sandbox.NS, words string) (string, int) {
	t.Helper()
	out, err := ns.Run(os.Getenv("XFRMCTL_BIN"), append([]string{"gro"}, strings.Fields(words)...)...)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if exit != nil {
		return out, exit.ExitCode()
	}
	return out, 0
}

// state is the device as `ethtool`-like JSON of ours shows it.
func state(t testing.TB, ns *sandbox.NS, dev string) string {
	t.Helper()
	out, code := gro(t, ns, "snapshot "+dev)
	if code != 0 || !json.Valid([]byte(out)) {
		t.Fatalf("snapshot: exit code %d: %s", code, out)
	}
	return out
}

func TestSetRestore(t *testing.T) {
	p := newPair(t)
	before := state(t, p.left, "v0")
	file := t.TempDir() + "/snapshot"
	if err := os.WriteFile(file, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		words string
		code  int
		says  string
	}{
		{"set v0 rx-gro on", 0, ""},
		{"set v0 tx-scatter-gather off", 0, "tx-generic-segmentation is now off: needs tx-scatter-gather, which is off"},
		{"set v0 tx-tcp-segmentation on", 2, "needs tx-scatter-gather, which is off"},
		{"set v0 esp-hw-offload on rx-gro off", 2, "it is fixed on this device; nothing is changed"},
		{"set v0 gso_max_size 9999999 rx-gro off", 2, "gso_max_size"},
		{"set v0 gso_max_size 30000 gro_max_size 20000", 0, ""},
		{"set v0 no-such-feature on", 2, "this kernel has no such feature"},
		{"set v9 rx-gro on", 2, "no such device"},
		{"set v0 rx-gro perhaps", 255, "on or off"},
	} {
		was := state(t, p.left, "v0")
		out, code := gro(t, p.left, tt.words)
		if code != tt.code || !strings.Contains(out, tt.says) {
			t.Errorf("%s: exit code %d, want %d: %s", tt.words, code, tt.code, out)
		}
		if now := state(t, p.left, "v0"); tt.code != 0 && now != was {
			t.Errorf("%s: refused, and changed\n%s\nto\n%s", tt.words, was, now)
		} else if tt.code == 0 && now == was {
			t.Errorf("%s: nothing changed", tt.words)
		}
	}
	if out, code := gro(t, p.left, "restore "+file); code != 0 {
		t.Fatalf("restore: exit code %d: %s", code, out)
	}
	if after := state(t, p.left, "v0"); after != before {
		t.Errorf("restored to\n%s\nwant\n%s", after, before)
	}
}

// TestRecursive: the devices below change too, and when one refuses none does.
func TestRecursive(t *testing.T) {
	p := newPair(t)
	if out, err := p.left.Run(sandbox.IP(), "link", "add", "link", "v0", "name", "v0.7", "type", "vlan", "id", "7"); err != nil {
		t.Skipf("needs VLAN devices (CONFIG_VLAN_8021Q); devices below others were not set: %s", out)
	}
	if out, code := gro(t, p.left, "set v0.7 rx-gro on recursive"); code != 0 {
		t.Fatalf("exit code %d: %s", code, out)
	}
	out, code := gro(t, p.left, "show v0.7 recursive")
	if code != 0 || !strings.Contains(out, "v0.7 (vlan") || !strings.Contains(out, "v0 (veth") || strings.Contains(out, "rx-gro                        off") {
		t.Errorf("exit code %d: %s", code, out)
	}
}
