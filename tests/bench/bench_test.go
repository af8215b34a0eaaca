// Package bench_test compares the speed of xfrmctl with that of `ip` and of
// ready-made netlink messages, as ratios within one run on one kernel: each
// figure is the median of runs that take turns, each run in a namespace of
// its own. It runs with XFRMCTL_BENCH=1 only; `make bench` sets that.
package bench_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	nlx "github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/tests/sandbox"
)

// full reports whether speed is measured and judged: in `make bench`, where
// nothing else runs. Without it the same is done once with a hundredth of the
// objects, and only that it is done is judged.
func full() bool { return os.Getenv("XFRMCTL_BENCH") != "" }

// some is how many objects, times how many runs.
func some(n int) int {
	if full() {
		return n
	}
	return n / 100
}

func times(n int) int {
	if full() {
		return n
	}
	return 1
}

// need skips on this machine's own kernel, and returns the program under test.
func need(t *testing.T) (xfrmctl string) {
	t.Helper()
	xfrmctl = program(t)
	if os.Getenv("XFRMCTL_KERNEL") == "native" {
		t.Skip("needs User Mode Linux, where ratios of netlink work are steady; this speed was not measured here")
	}
	return xfrmctl
}

// needNative is need for what is measured on this machine's own kernel.
func needNative(t *testing.T) (xfrmctl string) {
	t.Helper()
	xfrmctl = program(t)
	if os.Getenv("XFRMCTL_KERNEL") != "native" {
		t.Skip("needs this machine's own kernel, where a page of memory costs what it does elsewhere; this speed was not measured here")
	}
	return xfrmctl
}

func program(t *testing.T) (xfrmctl string) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a kernel that is not emulated; what make bench does was not tried on this one")
	}
	if xfrmctl = os.Getenv("XFRMCTL_BIN"); xfrmctl == "" {
		t.Fatal("XFRMCTL_BIN names no xfrmctl")
	}
	return xfrmctl
}

// timing is what one kind of run took.
type timing struct {
	name string
	runs []time.Duration
}

func (x *timing) median() time.Duration {
	s := slices.Sorted(slices.Values(x.runs))
	return s[len(s)/2]
}

func (x *timing) best() time.Duration { return slices.Min(x.runs) }

// row prints the median, the spread and the cost of one object.
func (x *timing) row(t *testing.T, objects int) {
	t.Helper()
	m := x.median()
	t.Logf("%-34s %7d objects  median %9.1f ms  (%.1f .. %.1f, %d runs)  %8.2f us each", x.name, objects, ms(m), ms(slices.Min(x.runs)), ms(slices.Max(x.runs)), len(x.runs), us(m)/float64(objects))
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
func us(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// ratio logs how much longer a takes than b, as the median of pairs of runs that
// were neighbours in time, and in `make bench` checks it for their best runs: other
// work of the machine makes a run longer, never shorter.
func ratio(t *testing.T, what string, a, b *timing, atLeast, atMost float64) {
	t.Helper()
	rs := make([]float64, len(a.runs))
	for i := range rs {
		rs[i] = float64(a.runs[i]) / float64(b.runs[i])
	}
	slices.Sort(rs)
	r := float64(a.best()) / float64(b.best())
	t.Logf("%s: %s / %s = %.2f (%.2f .. %.2f), best runs %.2f", what, a.name, b.name, rs[len(rs)/2], rs[0], rs[len(rs)-1], r)
	if !full() {
		return
	}
	if atLeast > 0 && r < atLeast {
		t.Errorf("%s: ratio %.2f, at least %.1f promised", what, r, atLeast)
	}
	if atMost > 0 && r > atMost {
		t.Errorf("%s: ratio %.2f, at most %.1f promised", what, r, atMost)
	}
}

// command runs a program in ns with its output thrown away and files how long
// it took.
func (x *timing) command(t *testing.T, ns *sandbox.NS, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	var said strings.Builder
	cmd.Stderr = &said
	var took time.Duration
	err := ns.Do(func() error {
		start := time.Now()
		err := cmd.Run()
		took = time.Since(start)
		return err
	})
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, said.String())
	}
	x.runs = append(x.runs, took)
}

// memory runs a program in ns and returns the most that it had resident, in
// KiB. Its status is read while it runs: what wait reports is never below
// the size of the process that started it.
func memory(t *testing.T, ns *sandbox.NS, name string, args ...string) (peak int64) {
	t.Helper()
	cmd := exec.Command(name, args...)
	if err := ns.Do(cmd.Start); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case err := <-done:
			if err != nil || peak == 0 {
				t.Fatalf("%s %q: %v, %d KiB seen", name, args, err, peak)
			}
			return peak
		case <-time.After(time.Millisecond):
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
			if _, after, ok := strings.Cut(string(status), "VmHWM:"); ok && err == nil {
				var kib int64
				if _, err := fmt.Sscan(after, &kib); err == nil {
					peak = max(peak, kib)
				}
			}
		}
	}
}

// stateLine and policyLine are the nth line of a batch file. One reqid for all:
// reqids that count up in step with addresses put every SA into one hash chain.
func stateLine(n int) string {
	return fmt.Sprintf("xfrm state add src 10.0.0.1 dst 10.%d.%d.%d proto esp spi %#x reqid 1 mode tunnel replay-window 32 aead rfc4106(gcm(aes)) 0x%040x 128", 16+n>>16, n>>8&0xff, n&0xff, 0x1000+n, n)
}

func policyLine(n int) string {
	return fmt.Sprintf("xfrm policy add src 10.%d.%d.%d/32 dst 10.128.0.1/32 dir out priority 10 tmpl src 192.0.2.1 dst 192.0.2.2 proto esp reqid 1 mode tunnel", 16+n>>16, n>>8&0xff, n&0xff)
}

func batchFile(t *testing.T, n int, line func(int) string) string {
	t.Helper()
	var b []byte
	for i := range n {
		b = append(append(b, line(i)...), '\n')
	}
	path := filepath.Join(t.TempDir(), "batch")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// conn connects to ns.
func conn(t *testing.T, ns *sandbox.NS) *nlx.Conn {
	t.Helper()
	c, err := nlx.Dial(&nlx.Config{NetNS: nlx.NetNSFD(ns.FD())})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// settle empties ns and waits until the kernel is done with it in the
// background, so that a run does not pay for the one before: the timers of new
// SAs go off after a second, and what was deleted is freed by a worker.
func settle(t *testing.T, ns *sandbox.NS) {
	t.Helper()
	c := conn(t, ns)
	for _, r := range []nlx.Request{nlx.FlushSAs(0), nlx.FlushPolicies(nlx.Opt[nlx.PolicyType]{})} {
		if err := c.Do(t.Context(), r); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	if full() {
		time.Sleep(time.Second)
	}
}

// expect fails when the namespace does not hold n SAs and n policies.
func expect(t *testing.T, ns *sandbox.NS, sas, policies int) {
	t.Helper()
	c := conn(t, ns)
	sad, err := c.SADInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	spd, err := c.SPDInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if int(sad.Count) != sas || int(spd.Counts.Out) != policies {
		t.Fatalf("%d SAs and %d policies, want %d and %d", sad.Count, spd.Counts.Out, sas, policies)
	}
}

// TestBatchAgainstIP: `xfrmctl -b` against `ip -batch` on the same file, that of
// this system and the newest.
func TestBatchAgainstIP(t *testing.T) {
	bin := need(t)
	for _, tc := range []struct {
		what string
		n    int
		runs int
		line func(int) string
		pol  bool
	}{
		{"state add", some(10_000), times(5), stateLine, false},
		{"state add", some(100_000), times(3), stateLine, false},
		{"policy add", some(10_000), times(5), policyLine, true},
	} {
		t.Run(fmt.Sprintf("%s/%d", tc.what, tc.n), func(t *testing.T) {
			file := batchFile(t, tc.n, tc.line)
			system, newest, own := &timing{name: "ip -batch (system's)"}, &timing{name: "ip -batch (newest)"}, &timing{name: "xfrmctl -b"}
			for range tc.runs {
				for _, x := range []*timing{system, newest, own} {
					ns := sandbox.New(t)
					switch x {
					case system:
						x.command(t, ns, "ip", "-batch", file)
					case newest:
						x.command(t, ns, sandbox.IP(), "-batch", file)
					default:
						x.command(t, ns, bin, "--quiet", "-b", file)
					}
					if tc.pol {
						expect(t, ns, 0, tc.n)
					} else {
						expect(t, ns, tc.n, 0)
					}
					settle(t, ns)
				}
			}
			system.row(t, tc.n)
			newest.row(t, tc.n)
			own.row(t, tc.n)
			what := fmt.Sprintf("%s of %d", tc.what, tc.n)
			ratio(t, what, system, own, 10, 0)
			ratio(t, what, newest, own, 10, 0)
		})
	}
}

// TestList: `xfrmctl state list` against `ip xfrm state list`, and the memory
// of the former at a tenth of the SAs.
func TestList(t *testing.T) {
	bin := need(t)
	n := some(100_000)
	big, small := sandbox.New(t), sandbox.New(t)
	fill(t, big, n)
	fill(t, small, n/10)
	system, newest := &timing{name: "ip xfrm state list (system's)"}, &timing{name: "ip xfrm state list (newest)"}
	own, tenth := &timing{name: "xfrmctl state list"}, &timing{name: "xfrmctl state list"}
	for range times(9) {
		system.command(t, big, "ip", "xfrm", "state", "list")
		newest.command(t, big, sandbox.IP(), "xfrm", "state", "list")
		own.command(t, big, bin, "--show-keys", "state", "list")
		tenth.command(t, small, bin, "--show-keys", "state", "list")
	}
	system.row(t, n)
	newest.row(t, n)
	own.row(t, n)
	tenth.row(t, n/10)
	ratio(t, fmt.Sprintf("state list of %d", n), system, own, 3, 0)
	ratio(t, fmt.Sprintf("state list of %d", n), newest, own, 3, 0)
	if !full() {
		return
	}
	a := memory(t, big, bin, "--show-keys", "state", "list")
	b := memory(t, small, bin, "--show-keys", "state", "list")
	t.Logf("memory of xfrmctl state list: %d KiB at %d SAs, %d KiB at %d", a, n, b, n/10)
	if float64(a) > 1.25*float64(b) {
		t.Errorf("memory grows with the number of SAs: %d KiB against %d KiB", a, b)
	}
}

// TestDeleteAll: at any size. There is nothing to compare with: `ip` fails from
// 138 SAs on.
func TestDeleteAll(t *testing.T) {
	bin := need(t)
	n := some(100_000)
	ns := sandbox.New(t)
	fill(t, ns, n)
	states := &timing{name: "xfrmctl state deleteall"}
	states.command(t, ns, bin, "state", "deleteall")
	states.row(t, n)
	expect(t, ns, 0, 0)
	own := &timing{name: "xfrmctl -b"}
	own.command(t, ns, bin, "--quiet", "-b", batchFile(t, n/10, policyLine))
	policies := &timing{name: "xfrmctl policy deleteall"}
	policies.command(t, ns, bin, "policy", "deleteall")
	policies.row(t, n/10)
	expect(t, ns, 0, 0)
}
