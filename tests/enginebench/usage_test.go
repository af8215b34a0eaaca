package enginebench_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// ticks is what the kernel counts processor time in: USER_HZ.
const ticks = 100

// usage is processor time in seconds, ever since.
type usage struct{ processes, machine float64 }

func (u usage) since(before usage) usage {
	return usage{u.processes - before.processes, u.machine - before.machine}
}

// used asks the kernel about the processes, all their threads, and about the
// machine as a whole: work in soft interrupts is in the second only.
func used(t *testing.T, pids []int) usage {
	t.Helper()
	var u usage
	for _, pid := range pids {
		f := fields(t, fmt.Sprintf("/proc/%d/stat", pid), ")")
		u.processes += number(t, f[11]) + number(t, f[12]) // utime, stime
	}
	f := fields(t, "/proc/stat", "cpu ")
	for _, i := range []int{0, 1, 2, 5, 6} { // user, nice, system, irq, softirq
		u.machine += number(t, f[i])
	}
	return usage{u.processes / ticks, u.machine / ticks}
}

// fields returns the words of the first line of a file, after a marker.
func fields(t *testing.T, path, after string) []string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	_, line, ok := strings.Cut(line, after)
	if !ok {
		t.Fatalf("%s: no %q", path, after)
	}
	return strings.Fields(line)
}

func number(t *testing.T, s string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// peak is the most memory the processes have had, in MiB, each.
func peak(t *testing.T, pids []int) float64 {
	t.Helper()
	most := 0.0
	for _, pid := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(b), "VmHWM:")
		most = max(most, number(t, strings.Fields(rest)[0])/1024)
	}
	return most
}
