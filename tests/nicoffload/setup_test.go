// Package nicoffload_test checks `xfrmctl offload` and `state add … offload
// auto|prefer|require` on a running kernel: with netdevsim where it is built
// in, and on devices without offload everywhere.
package nicoffload_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// key is 160 bits: AES-128 and its salt.
const key = "0x000102030405060708090a0b0c0d0e0f10111213"

// place is a namespace with a netdevsim device, or without.
type place struct {
	*sandbox.NS
	id  int    // of the simulated device, 0 none
	dev string // its name
}

// xfrmctl runs the program under test and returns both outputs and its exit
// code.
func (p *place) xfrmctl(t testing.TB, words ...string) (string, int) {
	t.Helper()
	out, err := p.Run(os.Getenv("XFRMCTL_BIN"), append([]string{"--quiet", "--engine", "kernel"}, words...)...)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if exit != nil {
		return out, exit.ExitCode()
	}
	return out, 0
}

// add adds an SA with the words behind its algorithm's name.
func (p *place) add(t testing.TB, spi int, words string) (string, int) {
	t.Helper()
	line := fmt.Sprintf("-j state add src 192.0.2.1 dst 192.0.2.2 proto esp spi %d mode transport aead rfc4106(gcm(aes)) %s", spi, words)
	return p.xfrmctl(t, strings.Fields(line)...)
}

func newPlace(t testing.TB) *place {
	t.Helper()
	if os.Getenv("XFRMCTL_BIN") == "" {
		t.Skip("needs XFRMCTL_BIN, the xfrmctl to test (make test sets it); nothing of this test ran")
	}
	return &place{NS: sandbox.New(t)}
}

// needESP skips where the kernel has none; what is tested then is nothing.
func needESP(t testing.TB, p *place) {
	t.Helper()
	if out, code := p.add(t, 1, key+" 128"); code != 0 {
		if os.Getenv("XFRMCTL_KERNEL") == "native" {
			t.Skip("needs ESP in the kernel (CONFIG_INET_ESP); offload was not asked for")
		}
		t.Fatalf("add an SA: exit code %d: %s", code, out)
	}
	p.MustRun(t, sandbox.IP(), "xfrm", "state", "flush")
}

// newSimulated adds a netdevsim device, up and with an address.
func newSimulated(t testing.TB) *place {
	t.Helper()
	p := newPlace(t)
	if _, err := os.Stat("/sys/bus/netdevsim/new_device"); err != nil {
		t.Skip("needs netdevsim (CONFIG_NETDEVSIM); no device that takes SAs was tried")
	}
	p.id = 1000 + rand.IntN(1<<20)
	if err := p.Do(func() error {
		return os.WriteFile("/sys/bus/netdevsim/new_device", fmt.Appendf(nil, "%d 1", p.id), 0)
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.remove)
	for _, l := range p.links(t) {
		if strings.Contains(l.Parent, fmt.Sprintf("netdevsim%d", p.id)) {
			p.dev = l.Name
		}
	}
	if p.dev == "" {
		t.Fatalf("no link of netdevsim%d among %+v", p.id, p.links(t))
	}
	p.MustRun(t, sandbox.IP(), "address", "add", "192.0.2.1/24", "dev", p.dev)
	p.MustRun(t, sandbox.IP(), "link", "set", p.dev, "up")
	return p
}

// remove takes the simulated device out.
func (p *place) remove() {
	if p.id != 0 {
		_ = os.WriteFile("/sys/bus/netdevsim/del_device", fmt.Append(nil, p.id), 0) // gone already in one test
	}
}

type link struct {
	Name   string `json:"ifname"`
	Parent string `json:"parentdev"`
}

func (p *place) links(t testing.TB) []link {
	t.Helper()
	var out []link
	if err := json.Unmarshal([]byte(p.MustRun(t, sandbox.IP(), "-d", "-j", "link")), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// carried is what the device itself says: lines of its debugfs file.
func (p *place) carried(t testing.TB) string {
	t.Helper()
	dir := "/sys/kernel/debug"
	if _, err := os.Stat(filepath.Join(dir, "netdevsim")); err != nil {
		if out, err := exec.Command("mount", "-t", "debugfs", "none", dir).CombinedOutput(); err != nil {
			t.Fatalf("mount debugfs: %v: %s", err, out)
		}
	}
	b, err := os.ReadFile(fmt.Sprintf("%s/netdevsim/netdevsim%d/ports/0/ipsec", dir, p.id))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// count is the number of SAs of the namespace.
func (p *place) count(t testing.TB) int {
	t.Helper()
	return strings.Count(p.MustRun(t, sandbox.IP(), "-o", "xfrm", "state"), "proto esp")
}
