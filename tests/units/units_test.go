package units

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/tests/engine"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

const office = `version: 1
owner: {name: office, reqid: 10000-19999, if_id: 10000-19999}
nodes:
  east: {endpoint: 192.0.2.1, underlay: wire0}
  west: {endpoint: 192.0.2.2, underlay: wire0}
tunnels:
  - name: office
    between: [east, west]
    keys: {derive: "credential:office.root", epoch: 1}
    interface: ipsec0
    addresses: {east: [10.1.0.1/32], west: [10.2.0.1/32]}
    traffic: [{east: 10.1.0.0/16, west: 10.2.0.0/16}]
`

const document = "etc/xfrmctl/office.yaml"

// secret is what both ends derive their keys from.
var secret = strings.Repeat("secret! ", 8)

// site is east, which boots systemd, and west beside it.
type site struct {
	*machine
	west *sandbox.NS
}

// build applies the document at west, and boots east with units that are
// started. On the userspace engine east's is one of them.
func build(t *testing.T, userspace bool, text string, start ...string) *site {
	t.Helper()
	needs(t)
	pair := sandbox.NewPair(t)
	boots := func(other string) string { return "--boot-id " + other + "=" + sandbox.BootID(t) }
	dir := t.TempDir()
	for name, text := range map[string]string{"office.yaml": office, "office.root": secret} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	words := append([]string{"apply", dir + "/office.yaml", "--as", "west", "--state-dir", dir + "/state"}, strings.Fields(boots("east"))...)
	var west *exec.Cmd
	if userspace {
		west = engine.Start(t, pair.B).Command(words...)
		start = append([]string{espUnit}, start...)
	} else {
		pair.A.NeedDirection(t, "the unit files did not run")
		west = engine.Prepare(engine.Binary(t), nil, words...)
	}
	west.Env = append(west.Environ(), "CREDENTIALS_DIRECTORY="+dir)
	var out bytes.Buffer
	west.Stdout, west.Stderr = &out, &out
	if err := pair.B.Do(west.Run); err != nil {
		t.Fatalf("west: %v\n%s", err, out.String())
	}
	return &site{west: pair.B, machine: boot(t, pair.A, map[string]string{
		"etc/hostname": "east\n", document: text, "etc/xfrmctl/office.env": "XFRMCTL_OPTIONS=" + boots("west") + "\n", "etc/credstore/office.root": secret,
	}, start...)}
}

// bothEngines runs a test on the kernel and on the userspace engine.
func bothEngines(t *testing.T, test func(t *testing.T, userspace bool)) {
	t.Run("kernel", func(t *testing.T) { test(t, false) })
	t.Run("userspace", func(t *testing.T) { test(t, true) })
}

// edit writes the document anew, as an editor does that renames.
func (s *site) edit(t *testing.T, text string) {
	t.Helper()
	s.must(t, "sh", "-c", `printf %s "$1" >/`+document+`.new && mv /`+document+`.new /`+document, "sh", text)
}

// connected waits until a ping goes through the tunnel.
func (s *site) connected(t *testing.T) {
	t.Helper()
	var out string
	s.until(t, "west answers through the tunnel", func() (ok bool) {
		var err error
		out, err = s.ns.Run("ping", "-c", "1", "-W", "1", "-I", "10.1.0.1", "10.2.0.1")
		return err == nil
	})
	if !strings.Contains(out, " 0% packet loss") {
		t.Error(out)
	}
}

// hasMTU reports whether the tunnel's interface has an MTU.
func (s *site) hasMTU(mtu string) bool {
	out, _ := s.ns.Run(sandbox.IP(), "link", "show", "dev", "ipsec0") // it may not be there yet
	return strings.Contains(out, " mtu "+mtu+" ")
}

func withMTU(mtu string) string {
	return strings.Replace(office, "    interface:", "    mtu: "+mtu+"\n    interface:", 1)
}

// active fails unless a unit is active, and complains of one that is not.
func (s *site) active(t *testing.T, units ...string) {
	t.Helper()
	for _, unit := range units {
		if state := s.show(unit, "ActiveState"); state != "active" {
			t.Fatalf("%s is %s", unit, state)
		}
	}
}

// TestApplyAtBoot: the tunnel is there before the network counts as up, a
// reload brings what the document says then, and stopping leaves it.
func TestApplyAtBoot(t *testing.T) {
	bothEngines(t, func(t *testing.T, userspace bool) {
		s := build(t, userspace, office, applyUnit, "network-online.target")
		s.active(t, applyUnit, "network-online.target")
		applied, online := s.show(applyUnit, "ActiveEnterTimestampMonotonic"), s.show("network-online.target", "ActiveEnterTimestampMonotonic")
		if len(applied) > len(online) || len(applied) == len(online) && applied > online {
			t.Errorf("the tunnel is there at %s µs, the network is online at %s", applied, online)
		}
		s.connected(t)
		s.edit(t, withMTU("1300"))
		s.must(t, "systemctl", "reload", applyUnit)
		if !s.hasMTU("1300") {
			t.Error("a reload does not bring the new MTU")
		}
		s.must(t, "systemctl", "stop", applyUnit)
		s.connected(t)
		if n := s.show(applyUnit, "NRestarts"); n != "0" {
			t.Errorf("apply was tried again %s times", n)
		}
	})
}

// TestEngineEnds: an engine that was killed is started again by systemd, and
// has its tunnels again, as each of the two units can keep them.
func TestEngineEnds(t *testing.T) {
	for _, unit := range []string{applyUnit, watchUnit} {
		t.Run(strings.TrimSuffix(unit, "@office.service"), func(t *testing.T) {
			s := build(t, true, office, unit)
			s.active(t, espUnit, unit)
			s.connected(t)
			first := s.show(espUnit, "MainPID")
			s.must(t, "kill", "-KILL", first)
			s.until(t, "systemd starts the engine again", func() bool {
				pid := s.show(espUnit, "MainPID")
				return pid != first && pid != "0" && s.show(espUnit, "ActiveState") == "active"
			})
			s.connected(t)
		})
	}
}

// TestDeviceComesLater: apply is tried until the device below the tunnel is
// there.
func TestDeviceComesLater(t *testing.T) {
	s := build(t, true, strings.Replace(office, "east: {endpoint: 192.0.2.1, underlay: wire0}", "east: {endpoint: 192.0.2.1, underlay: late0}", 1), applyUnit)
	s.until(t, "apply is tried again", func() bool { n := s.show(applyUnit, "NRestarts"); return n != "" && n != "0" })
	s.ns.MustRun(t, sandbox.IP(), "link", "set", "wire0", "down")
	s.ns.MustRun(t, sandbox.IP(), "link", "set", "wire0", "name", "late0", "up")
	s.until(t, "apply succeeds", func() bool { return s.show(applyUnit, "ActiveState") == "active" })
	s.connected(t)
}

// TestMistake: a reload with a mistake in the document fails and names its line,
// the tunnels stay, and a start succeeds as soon as it is mended.
func TestMistake(t *testing.T) {
	s := build(t, true, office, applyUnit)
	s.edit(t, strings.Replace(office, "epoch: 1", "epoch: never", 1))
	if out, err := s.run("systemctl", "reload", applyUnit); err == nil {
		t.Errorf("a reload with a mistake succeeds: %s", out)
	}
	if out, _ := s.run("journalctl", "--no-pager", "-o", "cat", "-u", reloadUnit); !strings.Contains(out, "office.yaml:9:") || strings.Contains(out, "secret!") {
		t.Errorf("the journal has\n%s", out)
	}
	s.active(t, applyUnit)
	s.connected(t)
	if out, err := s.run("systemctl", "restart", applyUnit); err == nil {
		t.Errorf("a restart with a mistake succeeds: %s", out)
	}
	s.connected(t)
	s.edit(t, withMTU("1300"))
	s.until(t, "apply succeeds", func() bool { return s.show(applyUnit, "ActiveState") == "active" })
	if !s.hasMTU("1300") {
		t.Error("the mended document does not count")
	}
}

// TestWatch: what another takes away comes back, a new document is followed,
// and stopping leaves everything.
func TestWatch(t *testing.T) {
	bothEngines(t, func(t *testing.T, userspace bool) {
		s := build(t, userspace, office, watchUnit)
		s.active(t, watchUnit)
		s.connected(t)
		s.must(t, "/usr/local/sbin/xfrmctl", "policy", "flush")
		s.until(t, "the policies are there again", func() bool {
			out, err := s.run("/usr/local/sbin/xfrmctl", "policy", "count")
			return err == nil && strings.Contains(out, "OUT ") && !strings.Contains(out, "OUT 0")
		})
		s.connected(t)
		s.edit(t, withMTU("1300"))
		s.until(t, "the new MTU", func() bool { return s.hasMTU("1300") })
		if status := s.show(watchUnit, "StatusText"); !strings.Contains(status, "east") {
			t.Errorf("its status is %q", status)
		}
		s.must(t, "systemctl", "reload", watchUnit)
		s.must(t, "systemctl", "stop", watchUnit)
		if r := s.show(watchUnit, "Result"); r != "success" {
			t.Errorf("it ended with %s", r)
		}
		s.connected(t)
	})
}
