package selftest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

// nic loses sizes.
func nic(lost func(n int, again bool) bool) window {
	seen := map[int]bool{}
	return func(_ context.Context, sizes []int, _ time.Duration) (map[int]bool, error) {
		got := map[int]bool{}
		for _, n := range sizes {
			if !lost(n, seen[n]) {
				got[n] = true
			}
			seen[n] = true
		}
		return got, nil
	}
}

func TestSweep(t *testing.T) {
	for _, tt := range []struct {
		name    string
		lost    func(int, bool) bool
		failed  string
		arrived int
	}{
		{"nothing lost", func(int, bool) bool { return false }, "[]", 1400},
		{"a range", func(n int, _ bool) bool { return n >= 1000 && n <= 1100 }, "[1000-1100]", 1299},
		{"first and last", func(n int, _ bool) bool { return n == 1 || n == 1400 }, "[1 1400]", 1398},
		{"every fourth of some", func(n int, _ bool) bool { return n < 10 && n%4 == 0 }, "[4 8]", 1398},
		{"everything", func(int, bool) bool { return true }, "[1-1400]", 0},
		{"once, by chance", func(n int, again bool) bool { return n == 77 && !again }, "[]", 1400},
	} {
		arrived, failed, err := sweep(t.Context(), Range{1, 1400}, nic(tt.lost))
		if err != nil || arrived != tt.arrived || fmt.Sprint(failed) != tt.failed {
			t.Errorf("%s: %d arrived, failed %v, %v; want %d and %s", tt.name, arrived, failed, err, tt.arrived, tt.failed)
		}
	}
	broken := errors.New("socket is gone")
	if _, _, err := sweep(t.Context(), Range{1, 10}, func(context.Context, []int, time.Duration) (map[int]bool, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
}

func TestPattern(t *testing.T) {
	a, b := make([]byte, 300), make([]byte, 301)
	fill(a)
	fill(b)
	if !whole(a) || !whole(b) || slices.Equal(a, b[:300]) || whole(b[:300]) || whole(nil) {
		t.Error("the patterns of two sizes are not told apart")
	}
	a[299] ^= 1
	if whole(a) {
		t.Error("a changed byte is not seen")
	}
}

func TestLargest(t *testing.T) {
	for _, tt := range []struct {
		mtu  uint32
		v6   bool
		want int
	}{{1500, false, 1438}, {1500, true, 1418}, {9000, false, 8938}} {
		if got := largest(tt.mtu, tt.v6); got != tt.want {
			t.Errorf("MTU %d, IPv6 %v: %d, want %d", tt.mtu, tt.v6, got, tt.want)
		}
	}
}

func TestFault(t *testing.T) {
	r := &Report{Legs: []Leg{{Dir: "out", By: "software", Arrived: 5}, {Dir: "out", By: "hardware", Skipped: "refused"}}}
	if f := r.Fault(); f != "" {
		t.Errorf("a leg that was not tried is a fault: %s", f)
	}
	r.Legs = append(r.Legs, Leg{Dir: "in", By: "hardware", Arrived: 5, Failed: []Range{{7, 9}, {20, 20}}})
	if f := r.Fault(); f != "hardware, in: sizes 7-9 do not arrive" {
		t.Errorf("fault %q", f)
	}
}
