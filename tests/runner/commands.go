package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"sync"
	"time"
)

// Limits for all test binaries on one kernel. They are there to end a hanging
// kernel; runs take a fraction.
const (
	fullLimit   = 60 * time.Minute
	shortLimit  = 45 * time.Minute
	longLimit   = 2 * time.Hour
	guestMemory = 2048
	benchMemory = 6144
)

func withoutPeers(pkg string) bool { return !peersPackage.MatchString(pkg) }

// wanted returns the kernels of a list to use, and notes those that cannot be.
func (s *session) wanted(list string) []kernel {
	all := kernels(list)
	_, err := exec.LookPath("apt-get")
	return slices.DeleteFunc(all, func(k kernel) bool {
		why := ""
		switch {
		case (k.name == "native" || k.emulated) && !isRoot():
			why = "needs root"
		case k.name != "native" && err != nil && !k.named:
			why = "needs apt to fetch it; name kernels with XFRMCTL_TEST_KERNEL (docs/testing.md)"
		}
		switch {
		case why == "":
			return false
		case k.named:
			s.fail("kernel "+k.name, why)
		default:
			s.omit("kernel "+k.name, why)
		}
		return true
	})
}

// test is make test. Kernels are built while the tests of the host run.
func (s *session) test(fuzzTime time.Duration) {
	all := s.wanted(os.Getenv("XFRMCTL_TEST_KERNEL"))
	s.prepare(append(names(all), "unit")...)
	s.reference()
	l := s.startLab(all)
	s.lint(false)
	s.unit()
	s.fuzz(fuzzTime)
	bins := s.build(withoutPeers)
	full := plan{timeout: fullLimit, mem: guestMemory}
	short := plan{timeout: shortLimit, mem: guestMemory, flags: []string{"-test.short"}, env: []string{"XFRMCTL_TEST_SHORT=1"}}
	s.onKernels(all, l, bins, full, short)
}

// onKernels runs the binaries on all kernels: this machine's first; the others
// when the lab is ready, each with a processor for itself. What is shown as it
// comes has the machine for itself.
func (s *session) onKernels(all []kernel, l *lab, bins []binary, full, short plan) {
	var guests []kernel
	for _, k := range all {
		if k.name == "native" {
			s.runOn(k, release(), bins, full)
			continue
		}
		guests = append(guests, k)
	}
	if len(guests) > 0 {
		s.wait(l, all)
	}
	guests = slices.DeleteFunc(guests, func(k kernel) bool { return l.releases[k.name] == "" })
	atOnce := guestLanes(full.mem)
	if full.live {
		atOnce = 1
	}
	var mu sync.Mutex
	sessions := make([]*session, len(guests))
	inLanes(len(guests), atOnce, func(i int) {
		k, p := guests[i], full
		if k.emulated {
			p = short
		}
		sessions[i] = s.beside(fmt.Sprintf("%-8s ", k.name), &mu)
		sessions[i].runOn(k, l.releases[k.name], bins, p)
	})
	for _, b := range sessions {
		s.join(&b.report)
	}
	<-l.done
}

// fromEnv returns a variable of the environment, or else a default.
func fromEnv(name, other string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return other
}

// release names the running kernel.
func release() string {
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return ""
	}
	return string(b[:max(len(b)-1, 0)])
}
