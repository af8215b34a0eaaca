// Package esp_test runs `xfrmctl esp` as a service manager and an operator do:
// how it starts, what it may do while it runs, how it fails and how it ends.
//
// XFRMCTL_BIN names the xfrmctl to test.
package esp_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// binary returns the path of xfrmctl.
func binary(t *testing.T) string {
	t.Helper()
	path := os.Getenv("XFRMCTL_BIN")
	if path == "" {
		t.Skip("needs XFRMCTL_BIN, the xfrmctl to test (make test sets it); nothing of this test ran")
	}
	if f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0); err != nil {
		t.Skipf("needs TUN devices: %v; nothing of the engine ran", err)
	} else {
		f.Close()
	}
	return path
}

// service is an engine that was started as systemd does.
type service struct {
	ns     *sandbox.NS
	dir    string
	cmd    *exec.Cmd
	stderr bytes.Buffer
	notify *net.UnixConn
	ended  chan struct{}
}

func (s *service) socket() string { return filepath.Join(s.dir, "esp.sock") }

// start starts an engine in ns and waits until it says that it is ready.
func start(t *testing.T, ns *sandbox.NS, dir string, args ...string) *service {
	t.Helper()
	s := &service{ns: ns, dir: dir, ended: make(chan struct{})}
	path := filepath.Join(t.TempDir(), "notify")
	var err error
	if s.notify, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.notify.Close() })
	args = append([]string{"esp", "--socket", s.socket(), "--state-dir", filepath.Join(dir, "state")}, args...)
	s.cmd = exec.Command(binary(t), args...)
	s.cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=400000", "RUNTIME_DIRECTORY="+filepath.Join(dir, "run"))
	s.cmd.Stderr = &s.stderr
	if err := ns.Do(s.cmd.Start); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = s.cmd.Wait() // the state tells
		close(s.ended)
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill() // has ended already if all is well
		<-s.ended
	})
	s.hear(t, "READY=1")
	return s
}

// hear waits for an assignment.
func (s *service) hear(t *testing.T, want string) (rest string) {
	t.Helper()
	buf := make([]byte, 4096)
	if err := s.notify.SetReadDeadline(time.Now().Add(sandbox.Patience)); err != nil {
		t.Fatal(err)
	}
	for {
		n, err := s.notify.Read(buf)
		if err != nil {
			t.Fatalf("it does not say %s: %v", want, err)
		}
		if strings.Contains(string(buf[:n]), want) {
			return string(buf[:n])
		}
	}
}

// stop sends a signal and returns the exit code.
func (s *service) stop(t *testing.T, sig os.Signal) int {
	t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.ended:
	case <-time.After(sandbox.Patience):
		t.Fatal("it does not end")
	}
	return s.cmd.ProcessState.ExitCode()
}

// run runs xfrmctl in the engine's namespace, on it.
func (s *service) run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := s.try(t, args...)
	if err != nil {
		t.Fatalf("xfrmctl %q: %v: %s", args, err, out)
	}
	return out
}

func (s *service) try(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return s.ns.Run(binary(t), append([]string{"--socket", s.socket(), "--quiet"}, args...)...)
}

var addSA = strings.Fields("--engine userspace state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x100 mode tunnel dir out aead rfc4106(gcm(aes)) 0x" +
	strings.Repeat("5a", 20) + " 128")

func TestTellsServiceManager(t *testing.T) {
	s := start(t, sandbox.New(t), t.TempDir())
	if got := s.hear(t, "WATCHDOG=1"); !strings.Contains(got, "STATUS=0 SAs, 0 policies, 0 interfaces") {
		t.Errorf("it says %q", got)
	}
	if code := s.stop(t, syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d: %s", code, s.stderr.String())
	}
	s.hear(t, "STOPPING=1")
	if _, err := os.Stat(s.socket()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
}

func TestInterruptEndsIt(t *testing.T) {
	s := start(t, sandbox.New(t), t.TempDir())
	s.run(t, "--engine", "userspace", "iface", "add", "vpn0", "if_id", "7", "up")
	if code := s.stop(t, syscall.SIGINT); code != 0 {
		t.Errorf("exit code %d: %s", code, s.stderr.String())
	}
	if out, err := s.ns.Run(sandbox.IP(), "link", "show", "vpn0"); err == nil {
		t.Errorf("the interface is left: %s", out)
	}
}

// Every thread has the filter; packet threads have no capability, the others
// the two that new interfaces and sockets take.
func TestThreadsAreConfined(t *testing.T) {
	s := start(t, sandbox.New(t), t.TempDir(), "--queues", "3")
	s.run(t, "--engine", "userspace", "iface", "add", "vpn0", "if_id", "7", "dev", "lo", "up")
	s.run(t, addSA...)
	bare := 0
	if !sandbox.Await(func() bool { // packet threads give theirs up when they begin to run
		bare = s.bareThreads(t)
		return bare == 3 || t.Failed()
	}) {
		t.Errorf("%d threads without capabilities, want 3", bare)
	}
	var status struct {
		Confined struct {
			Seccomp bool     `json:"seccomp"`
			Missing []string `json:"missing"`
		} `json:"confined"`
	}
	if err := json.Unmarshal([]byte(s.run(t, "esp", "status", "-j")), &status); err != nil || !status.Confined.Seccomp || len(status.Confined.Missing) > 0 {
		t.Errorf("%+v, %v", status, err)
	}
}

// bareThreads returns how many threads have no capability, and looks at what all
// have.
func (s *service) bareThreads(t *testing.T) (bare int) {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", s.cmd.Process.Pid))
	if err != nil || len(tasks) < 5 {
		t.Fatalf("%d threads, %v", len(tasks), err)
	}
	for _, f := range tasks {
		b, err := os.ReadFile(f)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // it has just ended
		}
		if err != nil {
			t.Fatal(err)
		}
		eff := field(t, b, "CapEff")
		if eff == "0000000000000000" {
			bare++
		} else if eff != "0000000000003000" { // CAP_NET_ADMIN, CAP_NET_RAW
			t.Errorf("%s: effective capabilities %s", f, eff)
		}
		if field(t, b, "NoNewPrivs") != "1" || field(t, b, "Seccomp") != "2" || field(t, b, "CapPrm") != eff {
			t.Errorf("%s: %s", f, b)
		}
	}
	return bare
}

func field(t *testing.T, status []byte, name string) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + name + `:\s*(\S+)`).FindSubmatch(status)
	if m == nil {
		t.Fatalf("no %s in %s", name, status)
	}
	return string(m[1])
}

// fails runs an engine that shall not start, and returns what it says.
func fails(t *testing.T, cmd *exec.Cmd, ns *sandbox.NS) string {
	t.Helper()
	var errs bytes.Buffer
	cmd.Stderr = &errs
	timer := time.AfterFunc(sandbox.Patience, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	_ = ns.Do(cmd.Run) // the state tells
	if code := cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
	lines := strings.Split(strings.TrimSpace(errs.String()), "\n")
	if len(lines) > 2 || len(lines) == 2 && !strings.HasPrefix(lines[1], "hint: ") {
		t.Errorf("more than a line: %q", errs.String())
	}
	return lines[0]
}

func TestFailsEarly(t *testing.T) {
	ns := sandbox.New(t)
	running := start(t, ns, t.TempDir())
	dir := t.TempDir()
	own := []string{"esp", "--socket", filepath.Join(dir, "esp.sock"), "--state-dir"}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	bin := binary(t)
	for _, tt := range []struct {
		name string
		cmd  *exec.Cmd
		want string
	}{
		{"socket in use", exec.Command(bin, "esp", "--socket", running.socket(), "--state-dir", dir), "another engine is running"},
		{"no directory", exec.Command(bin, append(own, file+"/state")...), "not a directory"},
		{"no right to make devices", exec.Command("setpriv", append([]string{"--bounding-set=-net_admin", bin}, append(own, dir)...)...), "CAP_NET_ADMIN"},
		{"no right to raw sockets", exec.Command("setpriv", append([]string{"--bounding-set=-net_raw", bin}, append(own, dir)...)...), "CAP_NET_RAW"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := fails(t, tt.cmd, ns); !strings.Contains(got, tt.want) {
				t.Errorf("it says %q, want %q in it", got, tt.want)
			}
		})
	}
	running.run(t, "--engine", "userspace", "state", "count") // it is still there
}

// An engine that was killed leaves its socket and its leases: the next one
// replaces the one and goes on behind the others.
func TestAfterKill(t *testing.T) {
	ns, dir := sandbox.New(t), t.TempDir()
	s := start(t, ns, dir)
	s.run(t, addSA...)
	s.awaitLease(t)
	if code := s.stop(t, syscall.SIGKILL); code != -1 {
		t.Errorf("exit code %d", code)
	}
	if _, err := os.Stat(s.socket()); err != nil {
		t.Fatalf("it was to leave its socket: %v", err)
	}
	s = start(t, ns, dir)
	s.run(t, addSA...)
	var sa []struct {
		Replay struct {
			OSeq uint64 `json:"oseq"`
		} `json:"replay"`
		Headroom struct {
			Used  uint64 `json:"used"`
			Limit uint64 `json:"limit"`
		} `json:"headroom"`
	}
	if err := json.Unmarshal([]byte(s.run(t, "-j", "--engine", "userspace", "state", "list")), &sa); err != nil || len(sa) != 1 {
		t.Fatalf("%v, %+v", err, sa)
	}
	if h := sa[0].Headroom; sa[0].Replay.OSeq == 0 || h.Used != sa[0].Replay.OSeq || h.Limit != 1<<32-1 {
		t.Errorf("%+v: it does not go on above the lease of the one that was killed", sa[0])
	}
}

// awaitLease waits until the SA's key has its first lease, which is written in
// the background: before, nothing can have been sent with it.
func (s *service) awaitLease(t *testing.T) {
	t.Helper()
	if !sandbox.Await(func() bool {
		var status struct {
			Journal struct {
				Leases int `json:"leases"`
			} `json:"journal"`
		}
		if err := json.Unmarshal([]byte(s.run(t, "esp", "status", "-j")), &status); err != nil {
			t.Fatal(err)
		}
		return status.Journal.Leases > 0
	}) {
		t.Fatal("no lease is written")
	}
}

// A journal that is put back, or gone, is noticed, and said with what to do.
func TestLostJournal(t *testing.T) {
	ns, dir := sandbox.New(t), t.TempDir()
	s := start(t, ns, dir)
	s.run(t, addSA...)
	s.stop(t, syscall.SIGTERM)
	if err := os.RemoveAll(filepath.Join(dir, "state", "keys")); err != nil {
		t.Fatal(err)
	}
	s = start(t, ns, dir)
	out, err := s.try(t, addSA...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.Contains(out, "files are gone") || !strings.Contains(out, "--new-journal") {
		t.Errorf("%v: %s", err, out)
	}
	if out := s.run(t, "esp", "status"); !strings.Contains(out, "keys: REFUSED: ") {
		t.Errorf("status: %s", out)
	}
	s.stop(t, syscall.SIGTERM)
	s = start(t, ns, dir, "--new-journal")
	s.run(t, addSA...)
}

// With -n the engine works in that namespace, socket and all.
func TestOtherNamespace(t *testing.T) {
	ns, outside := sandbox.New(t), sandbox.New(t)
	dir := t.TempDir()
	socket := filepath.Join(dir, "esp.sock")
	cmd := exec.Command(binary(t), "-n", ns.Path(), "esp", "--socket", socket, "--state-dir", dir)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	cmd.Env = append(os.Environ(), "RUNTIME_DIRECTORY="+dir)
	if err := outside.Do(cmd.Start); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // the state tells
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %s", err, errs.String())
		}
	}()
	s := &service{ns: outside, dir: dir}
	sandbox.Await(func() bool {
		_, err := s.try(t, "--engine", "userspace", "state", "count")
		return err == nil
	})
	if out, err := ns.Run(binary(t), "--socket", socket, "--engine", "userspace", "iface", "add", "vpn0", "if_id", "7"); err != nil {
		t.Fatal(out)
	}
	ns.MustRun(t, sandbox.IP(), "link", "show", "vpn0")
	if out, err := outside.Run(sandbox.IP(), "link", "show", "vpn0"); err == nil {
		t.Errorf("the interface is outside: %s", out)
	}
}

// Without a word about it, commands go to the kernel where that does ESP, else
// to the engine, and -v says so.
func TestAutoFollowsTheKernel(t *testing.T) {
	s := start(t, sandbox.New(t), t.TempDir())
	add := append([]string{"--engine", "kernel"}, addSA[2:]...)
	add = slices.DeleteFunc(add, func(w string) bool { return w == "dir" || w == "out" }) // which old kernels do not know
	_, err := s.try(t, add...)
	kernel := err == nil
	want := "xfrmctl: engine: userspace: this kernel does no ESP"
	if kernel {
		want = "xfrmctl: engine: kernel: it does ESP; the engine at " + s.socket()
	}
	before, err := s.ns.Run(sandbox.IP(), "-o", "link")
	if err != nil {
		t.Fatal(before)
	}
	for _, words := range []string{"state list", "policy list", "iface list"} {
		out := s.run(t, append([]string{"-v"}, strings.Fields(words)...)...)
		if !strings.Contains(out, want) && !(kernel && strings.Contains(out, "engine: kernel: it has XFRM interfaces")) {
			t.Errorf("%s: %s", words, out)
		}
	}
	// asking has changed nothing
	if after := s.ns.MustRun(t, sandbox.IP(), "-o", "link"); after != before {
		t.Errorf("links before: %s after: %s", before, after)
	}
	left := s.run(t, "--engine", "kernel", "-s", "state", "count")
	if n := map[bool]string{true: "SAD count 1", false: "SAD count 0"}[kernel]; !strings.Contains(left, n) {
		t.Errorf("SAs of the kernel: %s, want %s", left, n)
	}
}
