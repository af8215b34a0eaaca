// Package demo_test runs `xfrmctl demo` on the kernel at hand: where that can,
// the demo must work; where it cannot, it must say what is missing, and be
// right. It also lets the demo fail, and ends it at bad moments.
//
// XFRMCTL_BIN names the xfrmctl to test. XFRMCTL_KERNEL, when set to anything
// but "native", says that this is a kernel that can.
package demo_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/demo"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

const (
	exitFailed      = 1
	exitUnsupported = 2
)

// binary returns the path of xfrmctl.
func binary(t *testing.T) string {
	t.Helper()
	path := os.Getenv("XFRMCTL_BIN")
	if path == "" {
		t.Skip("needs XFRMCTL_BIN, the xfrmctl to test (make test sets it); nothing of this test ran")
	}
	return path
}

// needRoot skips the test where the demo may not run.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to make network namespaces; nothing of this test ran")
	}
}

// run runs the demo to its end.
func run(t *testing.T, args ...string) (stdout, stderr string, exit int) {
	t.Helper()
	cmd := exec.Command(binary(t), append([]string{"demo"}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var status *exec.ExitError
	if err != nil && !errors.As(err, &status) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// report runs the demo with -j.
func report(t *testing.T, args ...string) (*demo.Report, int) {
	t.Helper()
	stdout, stderr, exit := run(t, append([]string{"-j"}, args...)...)
	r := &demo.Report{}
	dec := json.NewDecoder(strings.NewReader(stdout))
	dec.DisallowUnknownFields()
	if err := dec.Decode(r); err != nil {
		t.Fatalf("%v in %q; stderr %q", err, stdout, stderr)
	}
	if r.OK != (exit == 0) || r.OK != (r.Error == "") || r.OK != (stderr == "") {
		t.Errorf("exit code %d, ok %v, error %q, stderr %q", exit, r.OK, r.Error, stderr)
	}
	return r, exit
}

// kernelRelease is that of the running kernel, by another way than the demo's.
func kernelRelease(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// able reports whether this kernel must run the demo.
func able() bool {
	k := os.Getenv("XFRMCTL_KERNEL")
	return k != "" && k != "native"
}

// The kernel does the work where it can; where not, the demo says what it lacks.
func TestDemoOnTheKernel(t *testing.T) {
	needRoot(t)
	r, exit := report(t, "--engine", "kernel")
	if r.Engine != "kernel" || r.Kernel != kernelRelease(t) {
		t.Errorf("engine %q, kernel %q", r.Engine, r.Kernel)
	}
	if exit == exitUnsupported && !able() {
		t.Logf("this kernel cannot: %s", r.Error)
		checkMissing(t, r)
		return
	}
	if exit != 0 {
		t.Fatalf("exit code %d: %s", exit, r.Error)
	}
	checkTunnels(t, r)
}

// The userspace engine does the same on any kernel with TUN devices.
func TestDemoOnTheUserspaceEngine(t *testing.T) {
	needRoot(t)
	needTUN(t)
	r, exit := report(t, "--engine", "userspace")
	if r.Engine != "userspace" || exit != 0 {
		t.Fatalf("engine %q, exit code %d: %s", r.Engine, exit, r.Error)
	}
	checkTunnels(t, r)
}

// Without a word about it, the kernel comes first.
func TestDemoChoosesTheEngine(t *testing.T) {
	needRoot(t)
	needTUN(t)
	_, kernel := report(t, "--engine", "kernel")
	want := map[int]string{0: "kernel", exitUnsupported: "userspace"}[kernel]
	if r, exit := report(t); r.Engine != want || exit != 0 {
		t.Errorf("engine %q, want %q; exit code %d: %s", r.Engine, want, exit, r.Error)
	}
}

func needTUN(t *testing.T) {
	t.Helper()
	f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("needs TUN devices: %v; nothing of the userspace engine ran", err)
	}
	f.Close()
}

// checkTunnels checks the result of an engine that can.
func checkTunnels(t *testing.T, r *demo.Report) {
	t.Helper()
	type row struct{ Mode, Inner, Outer string }
	var got []row
	sent := 0
	for _, f := range r.Tunnels {
		got = append(got, row{f.Mode, f.Inner, f.Outer})
		sent += f.Sent
		if f.Sent < 3 || f.Received != f.Sent || f.ESPPackets != 2*f.Sent || f.ClearPackets != 0 {
			t.Errorf("%+v", f)
		}
		if f.Algorithm != "rfc4106(gcm(aes))" || !f.ESN || f.ReplayWindow != 1024 {
			t.Errorf("%+v", f)
		}
		// the kernel has no way through an interface for transport mode
		bare := f.Mode == "transport" && r.Engine == "kernel"
		if (f.Interface == "") != bare || (f.IfID == 0) != bare {
			t.Errorf("%s mode: interface %q, if_id %d", f.Mode, f.Interface, f.IfID)
		}
	}
	want := []row{
		{"tunnel", "ipv4", "ipv4"}, {"tunnel", "ipv6", "ipv4"}, {"tunnel", "ipv4", "ipv6"}, {"tunnel", "ipv6", "ipv6"},
		{"transport", "ipv4", "ipv4"}, {"transport", "ipv6", "ipv6"},
		{"beet", "ipv4", "ipv4"}, {"beet", "ipv6", "ipv4"}, {"beet", "ipv4", "ipv6"}, {"beet", "ipv6", "ipv6"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if tr := r.Transfer; tr == nil || tr.Bytes < 64<<10 || tr.ClearPackets != 0 || tr.Seconds <= 0 || tr.BitsPerSecond != float64(tr.Bytes)*8/tr.Seconds {
		t.Errorf("transfer %+v", tr)
	} else {
		t.Logf("TCP through %s: %d bytes, %.0f Mbit/s", tr.Interface, tr.Bytes, tr.BitsPerSecond/1e6)
	}
	if r.Wire.ESPPackets != 2*sent || r.Wire.ClearPackets != 0 || len(r.Missing) != 0 {
		t.Errorf("wire %+v, missing %+v", r.Wire, r.Missing)
	}
}

// checkMissing asks `ip` about each feature that is said to be missing.
func checkMissing(t *testing.T, r *demo.Report) {
	t.Helper()
	ns := sandbox.New(t)
	const esp = "proto esp spi 0x100 mode tunnel "
	cipher := " aead rfc4106(gcm(aes)) 0x" + strings.Repeat("5a", 20) + " 128"
	questions := map[string]string{
		"XFRM interface":              "link add probe0 type xfrm if_id 1",
		"ESP over IPv4":               "xfrm state add src 192.0.2.1 dst 192.0.2.2 " + esp + "enc ecb(cipher_null) 0x auth-trunc hmac(sha1) 0x" + strings.Repeat("5a", 20) + " 96",
		"ESP over IPv6":               "xfrm state add src 2001:db8::1 dst 2001:db8::2 " + esp + "enc ecb(cipher_null) 0x auth-trunc hmac(sha1) 0x" + strings.Repeat("5a", 20) + " 96",
		"algorithm rfc4106(gcm(aes))": "xfrm state add src 192.0.2.1 dst 192.0.2.2 " + esp + cipher,
	}
	if len(r.Missing) == 0 || len(r.Tunnels) != 0 {
		t.Errorf("missing %+v, tunnels %+v", r.Missing, r.Tunnels)
	}
	for _, f := range r.Missing {
		if f.Detail == "" || !strings.Contains(f.Option, "CONFIG_") {
			t.Errorf("%+v does not say how to get it", f)
		}
		if !strings.Contains(r.Error, f.Name) {
			t.Errorf("error %q does not name %s", r.Error, f.Name)
		}
		words, known := questions[f.Name]
		if !known {
			t.Errorf("%s: this test does not know how to ask ip", f.Name)
			continue
		}
		out, err := ns.Run(sandbox.IP(), strings.Fields(words)...)
		if err == nil {
			t.Errorf("%s: ip finds it", f.Name)
		}
		t.Logf("%s: demo: %s; ip: %s", f.Name, f.Detail, strings.TrimSpace(out))
	}
}

// The transcript ends in a line that says what ran, where and how it went.
func TestTranscript(t *testing.T) {
	needRoot(t)
	for _, engine := range []string{"kernel", "userspace"} {
		t.Run(engine, func(t *testing.T) {
			stdout, _, exit := run(t, "--engine", engine)
			lines := strings.Split(strings.TrimSpace(stdout), "\n")
			last := lines[len(lines)-1]
			word := map[int]string{0: "demo: ok on Linux ", exitUnsupported: "demo: FAILED on Linux "}[exit]
			if word == "" || !strings.HasPrefix(last, word+kernelRelease(t)+" ("+engine+" engine)") {
				t.Fatalf("exit code %d, last line %q", exit, last)
			}
			if exit != 0 {
				return
			}
			for _, want := range []string{"ipsec4", "0x00001001", "transport", "beet", "IPsec error counters: all zero", "bit/s"} {
				if !strings.Contains(stdout, want) {
					t.Errorf("the transcript does not show %s", want)
				}
			}
		})
	}
}

func TestUnprivileged(t *testing.T) {
	needRoot(t) // to become nobody
	cmd := exec.Command("setpriv", "--bounding-set=-sys_admin", binary(t), "demo")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run() // the exit code tells
	if code := cmd.ProcessState.ExitCode(); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	if out.Len() > 0 || strings.Count(errs.String(), "\n") != 1 || !strings.Contains(errs.String(), "needs root") {
		t.Errorf("stdout %q, stderr %q", out.String(), errs.String())
	}
}

func TestArguments(t *testing.T) {
	for _, args := range [][]string{{"bogus"}, {"-j", "bogus"}} {
		if _, stderr, exit := run(t, args...); exit != 255 || !strings.Contains(stderr, "bogus") {
			t.Errorf("demo %q: exit code %d, stderr %q", args, exit, stderr)
		}
	}
}
