package datapath

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/offload/userspace/datapath/tun"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

func create(t *testing.T, ns *sandbox.NS, c tun.Config) *tun.Device {
	t.Helper()
	var d *tun.Device
	err := ns.Do(func() (err error) {
		d, err = tun.Create(c)
		return err
	})
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		t.Skip("needs TUN devices (CONFIG_TUN); nothing of this test ran")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func show(t *testing.T, ns *sandbox.NS, name string) string {
	t.Helper()
	out, _ := ns.Run(sandbox.IP(), "link", "show", name)
	return out
}

// TestLife makes a device, changes it, moves it to another namespace and ends
// it.
func TestLife(t *testing.T) {
	home, away := sandbox.New(t), sandbox.New(t)
	d := create(t, home, tun.Config{Name: "life0", Queues: 2})
	if n := len(d.Queues()); n != 2 {
		t.Errorf("%d queues, want 2", n)
	}
	if o := d.Offloads(); !o.TSO || !o.Checksum {
		t.Errorf("offloads %+v, want TSO at least", o)
	}
	if err := d.Set(tun.Change{MTU: 1400, Up: true, GSOMaxSize: 60000, GSOMaxSegs: 64}); err != nil {
		t.Fatal(err)
	}
	if out := show(t, home, "life0"); !strings.Contains(out, "mtu 1400") || !strings.Contains(out, "UP") {
		t.Errorf("after a change: %s", out)
	}
	if err := d.Set(tun.Change{Down: true}); err != nil {
		t.Fatal(err)
	}
	if err := d.Set(tun.Change{Name: "other0", Namespace: away.FD()}); err != nil {
		t.Fatal(err)
	}
	if show(t, home, "other0") != "" && !strings.Contains(show(t, home, "other0"), "does not exist") {
		t.Error("still where it was")
	}
	if name, err := d.Name(); err != nil || name != "other0" {
		t.Errorf("its name is %q (%v), want other0", name, err)
	}
	if err := d.Set(tun.Change{MTU: 1300, Up: true}); err != nil {
		t.Fatalf("change in another namespace: %v", err)
	}
	if out := show(t, away, "other0"); !strings.Contains(out, "mtu 1300") {
		t.Errorf("in the other namespace: %s", out)
	}
	away.MustRun(t, sandbox.IP(), "addr", "add", "10.1.0.1/24", "dev", "other0")
	away.Run("ping", "-c", "1", "-W", "1", "10.1.0.2") // nobody answers
	buf := make([]byte, tun.MaxPacket)
	seen := false
	for _, q := range d.Queues() {
		for {
			n, err := q.Read(buf)
			if err != nil {
				break
			}
			seen = seen || n > tun.HeaderLen && buf[tun.HeaderLen]>>4 == 4
		}
	}
	if !seen {
		t.Error("no packet came through the queues after the move")
	}
}

// TestTaken: a second device of a name is refused, one that persists adopted.
func TestTaken(t *testing.T) {
	ns := sandbox.New(t)
	first := create(t, ns, tun.Config{Name: "taken0"})
	err := ns.Do(func() error {
		_, err := tun.Create(tun.Config{Name: "taken0"})
		return err
	})
	if !errors.Is(err, fs.ErrExist) {
		t.Errorf("a name that is taken: %v, want one that is fs.ErrExist", err)
	}
	_ = first
	kept := create(t, ns, tun.Config{Name: "kept0", Persist: true})
	if err := kept.Close(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(show(t, ns, "kept0"), "kept0") {
		t.Fatal("a device that was to persist is gone")
	}
	again := create(t, ns, tun.Config{Name: "kept0", Persist: true})
	if err := again.Forget(); err != nil {
		t.Fatal(err)
	}
	again.Close()
	if out := show(t, ns, "kept0"); strings.Contains(out, "mtu") {
		t.Errorf("a device that was forgotten is still there: %s", out)
	}
}
