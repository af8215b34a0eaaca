package differ

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// linkCommands make, change, move and delete interfaces, and try what must not
// be. $TARGET is another namespace.
var linkCommands = []string{
	"list",
	"add ipsec0 if_id 5",
	"add ipsec1 if_id 5",
	"add ipsec0 if_id 6",
	"add d0 if_id 6",
	"add none",
	"add ext0 external",
	"add ext1 external",
	"add ipsec2 if_id 0xffffffff mtu 1400 addr 10.9.0.1/24 addr 10.9.1.1/32 alias some-name up dev d0",
	"add low if_id 8 mtu 67",
	"add high if_id 8 mtu 65536",
	"add nodev if_id 8 dev nodev",
	"add auto if_id 9 dev d0 mtu auto cipher aes-gcm mode tunnel",
	"list", "show ipsec2", "show if_id 5", "show nope", "show d0",
	"set ipsec2 if_id 7", "set ipsec2 if_id 5", "set ipsec2 mtu 1300", "set ipsec2 mtu 60", "set ipsec2 mtu 70000",
	"set ipsec2 alias other", "set ipsec2 addr del 10.9.1.1/32", "set ipsec2 addr add 10.9.2.1/32", "set ipsec2 down", "set ipsec2 up",
	"set ext0 if_id 3", "set ipsec0 external", "set d0 mtu 1400", "set nope mtu 1400",
	"adopt ipsec2 if_id 7 dev d0", "adopt ipsec2 if_id 8", "adopt ipsec2 if_id 7", "adopt nope if_id 7", "adopt d0 if_id 7",
	"list",
	"move ipsec2 $TARGET", "list", "add again if_id 7", "add ipsec2 if_id 10", "move ipsec2 $TARGET",
	"delete ipsec2", "delete ipsec0", "delete ipsec0", "delete d0",
	"list", "delete ext0", "delete auto", "list",
}

var (
	ifindexes  = regexp.MustCompile(`(ifindex|index":) ?\d+`)
	namespaces = regexp.MustCompile(`differ-[lr]`)
)

// maskLink hides what two namespaces cannot have in common.
func maskLink(s string) string {
	return namespaces.ReplaceAllString(ifindexes.ReplaceAllString(s, "$1 N"), "differ-x")
}

// named gives a namespace a name, as `ip netns` does, until the test ends.
func (s *space) named(t *testing.T, name string) {
	t.Helper()
	path := filepath.Join("/run/netns", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o444); err != nil {
		t.Fatal(err)
	}
	var err error
	s.do(func() { err = unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, "") })
	if err != nil {
		t.Fatalf("name a namespace: %v", err)
	}
	t.Cleanup(func() {
		_ = unix.Unmount(path, unix.MNT_DETACH)
		_ = os.Remove(path)
	})
}

// quietIPv6 keeps addresses away that the kernel draws.
func (s *space) quietIPv6(t *testing.T) {
	t.Helper()
	s.do(func() {
		for _, name := range []string{"default", "all"} {
			if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+name+"/disable_ipv6", []byte("1"), 0); err != nil {
				t.Logf("IPv6: %v", err)
			}
		}
	})
}

// esp runs `xfrmctl esp` in a namespace until the test ends.
func esp(t *testing.T, s *space, p program) (socket string) {
	t.Helper()
	dir := t.TempDir()
	socket = filepath.Join(dir, "esp.sock")
	cmd := p.command([]string{"esp", "--socket", socket, "--state-dir", dir})
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.start(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	until(t, "the engine listens", func() bool { _, err := os.Stat(socket); return err == nil })
	return socket
}

// linkPair are two namespaces, and two more to move interfaces to.
type linkPair struct {
	*pair
	targets     [2]*space
	left, right []string // words in front of each command
	tool        program
}

// newLinkPair needs a kernel with XFRM interfaces and TUN devices.
func newLinkPair(t *testing.T, b bench) *linkPair {
	t.Helper()
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Skip("needs TUN devices (CONFIG_TUN, /dev/net/tun); links of the engine were not compared")
	}
	p, err := newPair(b.xfrmctl, b.xfrmctl, b.ip)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	l := &linkPair{pair: p, tool: b.xfrmctl, left: []string{"--engine", "kernel", "iface"}}
	for i := range l.targets {
		if l.targets[i], err = newSpace(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(l.targets[i].close)
	}
	for i, s := range []*space{p.left, p.right, l.targets[0], l.targets[1]} {
		s.quietIPv6(t)
		s.named(t, fmt.Sprintf("differ-%c%d", "lr"[i%2], i/2))
	}
	probe, err := p.left.run(b.ip, strings.Fields("link add probe type xfrm if_id 1"), "")
	if err != nil || probe.code != 0 {
		t.Skipf("needs XFRM interfaces (CONFIG_XFRM_INTERFACE); the engine's were not compared: %v %v", probe, err)
	}
	if r, err := p.left.run(b.ip, strings.Fields("link del probe"), ""); err != nil || r.code != 0 {
		t.Fatalf("%v %v", r, err)
	}
	l.right = []string{"--engine", "userspace", "--socket", esp(t, p.right, b.xfrmctl), "iface"}
	return l
}

// compare runs a command in two spaces, and compares what came of it.
func (l *linkPair) compare(t *testing.T, left, right *space, line string) result {
	t.Helper()
	run := func(s *space, before []string, target string) result {
		r, err := s.run(l.tool, append(before[:len(before):len(before)], strings.Fields(strings.ReplaceAll(line, "$TARGET", target))...), "")
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	a, b := run(left, l.left, "differ-l1"), run(right, l.right, "differ-r1")
	if a.code != b.code || maskLink(a.out) != maskLink(b.out) || maskLink(a.err) != maskLink(b.err) {
		t.Errorf("iface %s\n%v\n%v", line, a, b)
	}
	return a
}

// TestEngineLinks runs the same commands on XFRM interfaces of the kernel and
// of the engine: exit codes, lists and error texts are the same.
func TestEngineLinks(t *testing.T) {
	needModel(t)
	l := newLinkPair(t, setUp(t, true))
	for _, line := range linkCommands {
		if line != "delete ipsec2" {
			l.compare(t, l.pair.left, l.pair.right, line)
			continue
		}
		// It has moved.
		if r := l.compare(t, l.targets[0], l.targets[1], "list"); !strings.Contains(r.out, "ipsec2") {
			t.Errorf("moved, and not there: %v", r)
		}
		l.compare(t, l.targets[0], l.targets[1], "set ipsec2 if_id 11")
		l.compare(t, l.targets[0], l.targets[1], line)
		l.compare(t, l.pair.left, l.pair.right, line)
	}
}
