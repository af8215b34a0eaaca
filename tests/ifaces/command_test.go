package ifaces_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// run runs a program in the namespace and returns its exit code.
func (p *place) run(t *testing.T, name string, args ...string) (int, string) {
	t.Helper()
	out, err := p.ns.Run(name, args...)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s %q: %v", name, args, err)
	}
	if exit != nil {
		return exit.ExitCode(), out
	}
	return 0, out
}

// state is what `ip` says of the XFRM interfaces, without what differs between
// two namespaces.
func (p *place) state(t *testing.T) string {
	t.Helper()
	links := ipLinks(t, p.ns)
	for name, l := range links {
		l.Index = 0
		links[name] = l
	}
	b, err := json.Marshal(links)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestCommandAgainstIP runs the same words through `ip link` and `xfrmctl
// iface` in two namespaces: exit codes and what is there afterwards agree.
func TestCommandAgainstIP(t *testing.T) {
	bin := os.Getenv("XFRMCTL_BIN")
	if bin == "" {
		t.Skip("needs XFRMCTL_BIN, the xfrmctl to test (make test sets it); nothing of this test ran")
	}
	ours, theirs := newPlace(t), newPlace(t)
	for _, words := range []string{
		"add x5 type xfrm dev u0 if_id 5",
		"add x6 type xfrm if_id 0x6",
		"add x7 mtu 1400 type xfrm d u1 if 07",
		"add dev x8 type xfrm if_id 4294967295",
		"add ext type xfrm external",
		"add ext2 type xfrm external",
		"add x5 type xfrm if_id 50",
		"add y type xfrm if_id 5",
		"add y type xfrm if_id 0",
		"add y type xfrm if_id -1",
		"add y type xfrm if_id 4294967296",
		"add y type xfrm if_id five",
		"add y type xfrm dev u0",
		"add y type xfrm",
		"add y type xfrm external if_id 5",
		"add y type xfrm external dev u0",
		"add y type xfrm dev nope if_id 9",
		"add y type xfrm if_id 9 bogus",
		"add y type xfrm if_id",
		"add y mtu 60 type xfrm if_id 9",
		"add y mtu 70000 type xfrm if_id 9",
		"set x5 type xfrm dev u0 if_id 15",
		"set x5 type xfrm dev u1 if_id 16",
		"set x5 type xfrm dev u0 if_id 6",
		"set x6 mtu 1300",
		"set x6 mtu 20",
		"set x6 up",
		"set x6 alias hello",
		"set x6 down",
		"set nope up",
		"set ext type xfrm if_id 5",
		"set ext up",
		"set x6 netns nope",
		"delete x8",
		"del nope",
	} {
		// what `ip` calls a warning of the type's options is one of ours too
		theirCode, theirOut := theirs.run(t, sandbox.IP(), append([]string{"link"}, strings.Fields(words)...)...)
		ourCode, ourOut := ours.run(t, bin, append([]string{"--quiet", "iface"}, strings.Fields(words)...)...)
		if ourCode != theirCode {
			t.Errorf("%s: exit %d\n%sby ip %d\n%s", words, ourCode, ourOut, theirCode, theirOut)
		}
		if our, their := ours.state(t), theirs.state(t); our != their {
			t.Fatalf("after %s:\n%s\nby ip:\n%s", words, our, their)
		}
	}
	// ours only: `ip` would delete it
	if code, out := ours.run(t, bin, "iface", "delete", "u0"); code != 1 || !strings.Contains(out, "veth") {
		t.Errorf("delete of a veth: exit %d, %s", code, out)
	}
}

// TestCommandOutput: the list as text and as JSON.
func TestCommandOutput(t *testing.T) {
	bin := os.Getenv("XFRMCTL_BIN")
	if bin == "" {
		t.Skip("needs XFRMCTL_BIN, the xfrmctl to test (make test sets it); nothing of this test ran")
	}
	p, blue := newPlace(t), uniqueName("blue")
	named(t, blue)
	for _, words := range []string{
		"add x5 dev u0 if_id 5 mtu auto cipher rfc4106(gcm(aes)) encap espinudp addr 10.9.0.1/24 up",
		"add x6 netns " + blue + " type xfrm dev u0 if_id 6",
		"add x7 if_id 7",
		"move x7 " + blue,
		"adopt x5 dev u0 if_id 5",
	} {
		if code, out := p.run(t, bin, append([]string{"iface"}, strings.Fields(words)...)...); code != 0 {
			t.Fatalf("%s: exit %d, %s", words, code, out)
		}
	}
	_, out := p.run(t, bin, "iface")
	if lines := strings.Split(strings.TrimSpace(out), "\n"); len(lines) != 2 || !strings.HasPrefix(lines[1], "x5    0x5    u0   up     1438  -") {
		t.Errorf("list:\n%s", out)
	}
	var list []struct {
		Name string `json:"name"`
		IfID uint32 `json:"if_id"`
		NSID *int32 `json:"context_netnsid"`
	}
	_, out = p.run(t, bin, "-j", "-n", blue, "iface")
	if err := json.Unmarshal([]byte(out), &list); err != nil || len(list) != 2 {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, l := range list {
		if l.NSID == nil || l.Name == "x5" || l.IfID == 0 {
			t.Errorf("in %s: %s", blue, out)
		}
	}
	if _, out := p.run(t, bin, "--dry-run", "iface", "delete", "x5"); out != "would delete interface x5 (if_id 0x5)\n" {
		t.Errorf("dry run: %s", out)
	}
	if _, err := p.Get(background(t), "x5"); err != nil {
		t.Error(err)
	}
	if code, out := p.run(t, bin, "iface", "adopt", "x5", "if_id", "6"); code != 1 || !strings.Contains(out, "if_id is 0x5, not 0x6") {
		t.Errorf("adopt of another: exit %d, %s", code, out)
	}
}
