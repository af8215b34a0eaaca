package provision

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// short is what apply says, with --verbose, when all is as the last one left it.
const short = "the document and its keys were not looked at"

// applied runs apply with --verbose and returns how many writes it says there
// were, and whether it took the short way.
func (e *end) applied(t *testing.T, binary string, words ...string) (writes string, quick bool) {
	t.Helper()
	run := *e
	run.binary = binary
	args := append([]string{"-v", "apply", filepath.Join(e.dir, "office.yaml"), "--as", e.name, "--state-dir", filepath.Join(e.dir, e.name)}, words...)
	cmd := run.command(args...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := e.ns.Do(cmd.Run); err != nil {
		t.Fatalf("apply: %v\n%s", err, out.String())
	}
	for line := range strings.Lines(out.String()) {
		if rest, ok := strings.CutPrefix(line, e.name+": "); ok {
			writes = strings.TrimSpace(rest)
		}
	}
	return writes, strings.Contains(out.String(), short)
}

// stamped applies until the short way is taken: the kernel is not done with new
// interfaces at once.
func (e *end) stamped(t *testing.T) {
	t.Helper()
	var writes string
	if !sandbox.Await(func() (quick bool) {
		writes, quick = e.applied(t, e.binary)
		return quick
	}) {
		t.Fatalf("apply never takes the short way; it says %q", writes)
	}
	if writes != "0 writes" {
		t.Fatalf("the short way says %q", writes)
	}
}

// TestUnchanged: apply takes the short way while nothing but counters differs, and
// the long one, which reaches what is wanted, whenever something does.
func TestUnchanged(t *testing.T) {
	east, west := ends(t, false)
	text := with("    cipher: aes-cbc-128-sha256") // SAs that may come again with their keys
	for _, e := range []*end{east, west} {
		e.write(t, text)
		e.do(t, "apply")
	}
	if !sandbox.Await(func() (carried bool) {
		east.stamped(t)
		if err := ping(east, 20); err != nil {
			t.Fatal(err)
		}
		_, carried = east.applied(t, east.binary)
		return carried
	}) {
		t.Error("traffic is a difference")
	}
	for _, tc := range unchangedCases(east, text) {
		t.Run(tc.what, func(t *testing.T) {
			east.stamped(t)
			tc.change(t)
			writes, quick := east.applied(t, east.binary)
			if quick || (writes != "0 writes") != tc.writes {
				t.Fatalf("%q, the short way: %v", writes, quick)
			}
			east.do(t, "verify")
		})
	}
	east.stamped(t)
	if _, quick := east.applied(t, east.binary, "--prune"); quick {
		t.Error("--prune takes the short way of an apply without it")
	}
	if _, quick := east.applied(t, copied(t, east.binary)); quick {
		t.Error("another program takes the short way of this one")
	}
}

type unchangedCase struct {
	what   string
	change func(t *testing.T)
	writes bool // the long way has something to do
}

func unchangedCases(east *end, text string) []unchangedCase {
	run := func(words ...string) func(*testing.T) {
		return func(t *testing.T) { east.ns.MustRun(t, words[0], words[1:]...) }
	}
	ip := func(words ...string) func(*testing.T) { return run(append([]string{sandbox.IP()}, words...)...) }
	state := filepath.Join(east.dir, east.name)
	return []unchangedCase{
		{"an SA that is gone", ip("xfrm", "state", "deleteall", "src", "192.0.2.1", "proto", "esp"), true},
		{"a policy that is gone", ip("xfrm", "policy", "delete", "src", "10.2.0.0/16", "dst", "10.1.0.0/16", "dir", "fwd"), true},
		{"a policy with another priority", ip("xfrm", "policy", "update", "src", "10.1.0.0/16", "dst", "10.2.0.0/16", "dir", "out", "priority", "4278191200", "action", "block"), true},
		{"a foreign policy", ip("xfrm", "policy", "add", "src", "10.77.0.0/16", "dst", "10.78.0.0/16", "dir", "out", "action", "block"), false},
		{"an address that is gone", ip("addr", "del", "10.1.0.1/32", "dev", "ipsec0"), true},
		{"an address more", ip("addr", "add", "10.9.0.1/32", "dev", "ipsec0"), false},
		{"an interface that is down", ip("link", "set", "ipsec0", "down"), true},
		{"another MTU", ip("link", "set", "ipsec0", "mtu", "1300"), true},
		{"disable_xfrm", run("sh", "-c", "echo 0 >/proc/sys/net/ipv4/conf/ipsec0/disable_xfrm"), true},
		{"a route that is gone", ip("route", "del", "10.2.0.0/16", "dev", "ipsec0"), true},
		{"a guard that is gone", ip("route", "del", "unreachable", "10.2.0.0/16", "metric", "4294967040"), true},
		{"an underlay with another name", func(t *testing.T) {
			for _, words := range []string{"link set wire0 down", "link set wire0 name wire9", "link set wire9 up", "link add wire0 type dummy", "link set wire0 up"} {
				ip(strings.Fields(words)...)(t)
			}
		}, true},
		{"an underlay with another MTU", ip("link", "set", "wire0", "mtu", "1400"), true},
		{"a document with a comment", func(t *testing.T) { east.write(t, text+"# more\n") }, false},
		{"a key file with another key", func(t *testing.T) { rewrite(t, filepath.Join(east.dir, "root"), []byte(strings.Repeat("secret? ", 5))) }, true},
		{"a ledger of other bytes", func(t *testing.T) { extend(t, state, "office.east-kernel-*.json", "\n") }, false},
		{"a file more beside the ledger", func(t *testing.T) {
			rewrite(t, filepath.Join(state, "keys"), []byte("free "+strings.Repeat("0", 64)+"\n"))
		}, false},
	}
}

// copied is the same program in another file.
func copied(t *testing.T, binary string) string {
	t.Helper()
	b, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "xfrmctl")
	if err := os.WriteFile(path, b, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func rewrite(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// extend appends to the one file of a pattern.
func extend(t *testing.T, dir, pattern, text string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(paths) != 1 {
		t.Fatal(paths, err)
	}
	b, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	rewrite(t, paths[0], append(b, text...))
}
