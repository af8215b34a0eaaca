package document

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

const networkd = "/lib/systemd/systemd-networkd"

// behindMounts runs networkd with a /run of its own, and a /sys in which it sees
// that there is no udev to wait for.
const behindMounts = `set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/network /run/systemd/netif/links
cp "$1"/* /run/systemd/network
umount -l /sys
mount -t sysfs -o ro sysfs /sys
exec ` + networkd

// startNetworkd runs networkd on a machine with the files of a folder.
func (m *machine) startNetworkd(t *testing.T, dir string) (stop func()) {
	t.Helper()
	cmd := exec.Command("unshare", "--mount", "sh", "-c", behindMounts, "sh", dir)
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := m.ns.Do(cmd.Start); err != nil {
		t.Fatal(err)
	}
	ended := false
	stop = func() {
		if ended {
			return
		}
		ended = true
		cmd.Process.Signal(syscall.SIGTERM) //nolint:errcheck // Wait tells
		_ = cmd.Wait()                      // it ends by a signal
		log.Close()
		if t.Failed() {
			b, _ := os.ReadFile(log.Name()) // for people
			t.Logf("networkd said\n%s", b)
		}
	}
	t.Cleanup(stop)
	return stop
}

// until waits for a machine to show something.
func (m *machine) until(t *testing.T, want string, words ...string) {
	t.Helper()
	out := ""
	if !sandbox.Await(func() bool {
		out, _ = m.ns.Run(sandbox.IP(), words...) // it may not be there yet
		return strings.Contains(out, want)
	}) {
		t.Fatalf("ip %s never shows %q, but\n%s", strings.Join(words, " "), want, out)
	}
}

// TestNetworkd lets systemd-networkd itself take the files: apply takes what it
// made, adds the rest, and leaves it in the end.
func TestNetworkd(t *testing.T) {
	onlyFast(t)
	if _, err := os.Stat(networkd); err != nil {
		t.Skipf("needs systemd-networkd: %v; whether it takes the files was not seen", err)
	}
	text := block(t, manual(t, "examples.md"), "Ten lines", "yaml")
	t.Run("independent", func(t *testing.T) { besideNetworkd(t, strings.ReplaceAll(text, ", underlay: eth0", ""), "") })
	t.Run("underlay", func(t *testing.T) {
		besideNetworkd(t, text, "[Match]\nName=eth0\n\n[Network]\nAddress=192.0.2.1/32\n%s\n\n[Route]\nDestination=192.0.2.2/32\nScope=link\n")
	})
}

// besideNetworkd gives networkd the files of a document, and one for the
// underlay.
func besideNetworkd(t *testing.T, text, underlay string) {
	s := build(t, text, false)
	east, dir := s.machines["east"], t.TempDir()
	out, err := east.run("networkd", filepath.Join(s.dir, "doc.yaml"), "--as", "east", "--to", dir)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if underlay != "" {
		_, needs, _ := strings.Cut(out, "the .network file of eth0 needs in section [Network]: ")
		needs, _, _ = strings.Cut(needs, "\n")
		if err := os.WriteFile(filepath.Join(dir, "10-eth0.network"), fmt.Appendf(nil, underlay, needs), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	stop := east.startNetworkd(t, dir)
	east.until(t, "10.2.0.0/16 dev ipsec0", "route")
	east.until(t, "10.9.0.1/30", "addr", "show", "ipsec0")
	east.until(t, "mtu 1446", "link", "show", "ipsec0")
	plan := east.do(t, "plan", s.boots(t)...)
	if strings.Contains(plan, "create   interface") || strings.Contains(plan, "create   route") || !strings.Contains(plan, "create   guard route") {
		t.Errorf("apply would make what is there, or not what is not: %s", plan)
	}
	east.do(t, "apply", s.boots(t)...)
	s.machines["west"].do(t, "apply", s.boots(t)...)
	s.settle(t)
	s.carry(t)
	stop()
	east.startNetworkd(t, dir)
	time.Sleep(time.Second) // whatever it does, it does at the beginning
	east.do(t, "verify", s.boots(t)...)
	east.do(t, "delete", s.boots(t)...)
	east.until(t, "10.9.0.1/30", "addr", "show", "ipsec0")
	east.until(t, "10.2.0.0/16 dev ipsec0", "route")
}
