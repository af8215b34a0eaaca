// Package units runs the unit files of systemd/ under a systemd that boots in
// namespaces of its own, on the files of this machine: what is written there
// goes to memory.
//
// XFRMCTL_BIN names the xfrmctl to test.
package units

import (
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/xfrmctl/xfrmctl/tests/engine"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

//go:embed boot.sh
var bootScript string

// The names of the units, of one document and of one engine.
const (
	applyUnit  = "xfrmctl-apply@office.service"
	reloadUnit = "xfrmctl-reload@office.service"
	watchUnit  = "xfrmctl-watch@office.service"
	espUnit    = "xfrmctl-esp.service"
)

// machine is a systemd that runs in a network namespace.
type machine struct {
	ns  *sandbox.NS
	pid int // of systemd, outside
}

// needs skips where there is no systemd, or nothing to boot one with.
func needs(t *testing.T) {
	t.Helper()
	const lost = "; the unit files did not run"
	if testing.Short() {
		t.Skip("needs a kernel that is not emulated: a boot takes too long here" + lost)
	}
	if _, err := os.Stat("/lib/systemd/systemd"); err != nil {
		t.Skip("needs systemd (package systemd)" + lost)
	}
	if b, err := os.ReadFile("/proc/filesystems"); err != nil || !strings.Contains(string(b), "cgroup2") || !strings.Contains(string(b), "overlay") {
		t.Skip("needs cgroup2 and overlay (CONFIG_CGROUPS, CONFIG_OVERLAY_FS)" + lost)
	}
}

// boot boots systemd in ns, with the program, the unit files and files at given
// places, and starts the named units. It returns when they have been started,
// or have failed.
func boot(t *testing.T, ns *sandbox.NS, files map[string]string, start ...string) *machine {
	t.Helper()
	dir := t.TempDir()
	put := func(name, text string, mode os.FileMode) {
		path := filepath.Join(dir, "files", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	units, err := filepath.Glob("../../systemd/*.service")
	if err != nil || len(units) == 0 {
		t.Skip("needs the unit files beside the test; they did not run")
	}
	for _, path := range append(units, engine.Binary(t)) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(path, ".service") {
			put("etc/systemd/system/"+filepath.Base(path), string(b), 0o644)
		} else {
			put("usr/local/sbin/xfrmctl", string(b), 0o755)
		}
	}
	put("etc/systemd/system/default.target", "[Unit]\nRequires=basic.target\nAfter=basic.target\nWants="+strings.Join(start, " ")+"\nAfter="+strings.Join(start, " ")+"\nAllowIsolate=yes\n", 0o644)
	put("boot.sh", bootScript, 0o644)
	for name, text := range files {
		put(name, text, 0o600)
	}
	m := &machine{ns: ns}
	m.start(t, dir)
	m.until(t, "the boot has ended", func() bool { return m.show("default.target", "ActiveState") == "active" })
	return m
}

// start starts systemd as the first process of its namespaces, and ends it, and
// all that it has started, with the test.
func (m *machine) start(t *testing.T, dir string) {
	t.Helper()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	group := "xfrmctl-test-" + strconv.Itoa(os.Getpid())
	cmd := exec.Command("bash", filepath.Join(dir, "files/boot.sh"), dir, group)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC}
	if err := m.ns.Do(cmd.Start); err != nil {
		t.Fatal(err)
	}
	m.pid = cmd.Process.Pid
	t.Cleanup(func() {
		if t.Failed() {
			b, _ := os.ReadFile(log.Name()) // then there is nothing to show
			out, _ := m.run("journalctl", "--no-pager", "-o", "cat", "-n", "200")
			t.Logf("systemd printed\n%s\nits journal has\n%s", b, out)
		}
		_ = cmd.Process.Kill() // ends all of its namespace
		_ = cmd.Wait()         // killed
		var out []byte
		if !sandbox.Await(func() bool { // processes leave it a moment after they have ended
			out, err = exec.Command("unshare", "-m", "bash", "-c", `mount -t cgroup2 cgroup2 "$0" && find "$0/$1" -depth -type d -exec rmdir {} +`, dir, group).CombinedOutput()
			return err == nil
		}) {
			t.Errorf("the control group %s stays: %v: %s", group, err, out)
		}
	})
}

// run runs a program on the machine.
func (m *machine) run(words ...string) (string, error) {
	args := []string{"--target", strconv.Itoa(m.pid), "--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup", "--root", "--wd", "--"}
	out, err := exec.Command("nsenter", append(args, words...)...).CombinedOutput()
	return string(out), err
}

// must runs what has to work.
func (m *machine) must(t *testing.T, words ...string) string {
	t.Helper()
	out, err := m.run(words...)
	if err != nil {
		t.Fatalf("%q: %v\n%s", words, err, out)
	}
	return out
}

// show returns a property of a unit.
func (m *machine) show(unit, property string) string {
	out, err := m.run("systemctl", "show", "--value", "--property", property, unit)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(out)
}

// until waits for a condition.
func (m *machine) until(t *testing.T, what string, is func() bool) {
	t.Helper()
	if !sandbox.Await(is) {
		t.Fatalf("not after %v: %s", sandbox.Patience, what)
	}
}
