// Package enginebench_test measures how fast the userspace engine carries
// packets, side by side with what else one would use: wireguard-go,
// strongSwan's kernel-libipsec, and no tunnel at all. Each has two network
// namespaces of its own, joined by veth with an MTU of 1500; all use the same
// two processors and take turns. It runs with XFRMCTL_BENCH=1 only, which
// `make bench` sets, and writes its part of docs/benchmarks.md.
//
// Streams use Linux's default congestion control, cubic, whatever the machine's
// is, or what XFRMCTL_BENCH_CONGESTION names: with BBR, TCP holds itself back
// where processors are still idle.
//
// XFRMCTL_BENCH_RUNS, XFRMCTL_BENCH_SECONDS and XFRMCTL_BENCH_PEERS (words in
// the names of peers, separated by commas) make a quick look possible; the
// document is written by a full run only.
package enginebench_test

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xfrmctl/xfrmctl/tests/traffic"
)

// processors is how many processors all peers and their users share.
const processors = 2

func TestMain(m *testing.M) {
	traffic.Main()
	os.Exit(m.Run())
}

// setting reads a number from the environment.
func setting(t *testing.T, name string, other int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return other
	}
	v, err := strconv.Atoi(text)
	if err != nil || v < 1 {
		t.Fatalf("%s: not a number above 0: %q", name, text)
	}
	return v
}

// restrict leaves this process and its children two processors.
func restrict(t *testing.T) {
	t.Helper()
	var now, two unix.CPUSet
	if err := unix.SchedGetaffinity(0, &now); err != nil {
		t.Fatal(err)
	}
	for cpu := 0; two.Count() < processors && cpu < 1024; cpu++ {
		if now.IsSet(cpu) {
			two.Set(cpu)
		}
	}
	if two.Count() < processors {
		t.Skipf("needs %d processors; nothing was measured", processors)
	}
	// every thread of this process, those to come inherit it
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		tid, err := strconv.Atoi(thread.Name())
		if err == nil {
			err = unix.SchedSetaffinity(tid, &two)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// congestion is what the streams use; the machine's if it has no other.
func congestion() string {
	wanted := os.Getenv("XFRMCTL_BENCH_CONGESTION")
	if wanted != "" {
		return wanted
	}
	if have := kernelText("", "/proc/sys/net/ipv4/tcp_available_congestion_control"); slices.Contains(strings.Fields(have), "cubic") {
		return "cubic"
	}
	return kernelText("", "/proc/sys/net/ipv4/tcp_congestion_control")
}

// recipes is what there is to measure.
func recipes() []recipe {
	return []recipe{{"engine-udp", engineUDP}, {"engine-copy", engineCopy}, {"relay", relay}, {"engine-plain", enginePlain},
		{"wireguard-go", wireguard}, {"kernel-libipsec", libipsec}, {"kernel-libipsec-few", libipsecFew}, {"veth", wire}}
}

func TestSideBySide(t *testing.T) {
	if os.Getenv("XFRMCTL_BENCH") == "" {
		t.Skip("needs XFRMCTL_BENCH=1, which make bench and make enginebench set; speed was not measured")
	}
	restrict(t)
	runs, seconds := setting(t, "XFRMCTL_BENCH_RUNS", 5), time.Duration(setting(t, "XFRMCTL_BENCH_SECONDS", 2))*time.Second
	only := os.Getenv("XFRMCTL_BENCH_PEERS")
	var peers []*peer
	for _, r := range recipes() {
		if only == "" || slices.ContainsFunc(strings.Split(only, ","), func(w string) bool { return strings.Contains(r.name, w) }) {
			peers = append(peers, r.make(t))
		}
	}
	r, w := results{}, &watch{repeats: runs * len(peers)}
	for i := range runs {
		r.round(t, peers, seconds, w)
		t.Logf("run %d of %d done", i+1, runs)
	}
	verdicts := r.judge(t)
	section := r.section(peers, runs, seconds, w, verdicts)
	t.Log("\n" + section)
	if only != "" || os.Getenv("XFRMCTL_BENCH_RUNS") != "" || os.Getenv("XFRMCTL_BENCH_SECONDS") != "" || os.Getenv("XFRMCTL_BENCH_CONGESTION") != "" {
		return
	}
	if err := publish(section); err != nil {
		t.Error(err)
	}
}
