package main

import "regexp"

// A longRun runs a few test packages alone, at full length.
type longRun struct {
	packages *regexp.Regexp
	kernels  string // where XFRMCTL_TEST_KERNEL does not say; "" is all
	env      []string
	live     bool // show all output as it comes
	mem      int  // MiB of a guest
}

// longRuns are the commands of that kind. Speed and crashes of the userspace
// engine are looked at on this machine's kernel, where processors are what
// users have; User Mode Linux is the steadiest kernel for ratios of netlink
// work, and the one that has ESP of its own to speak with.
func longRuns() map[string][]longRun {
	one := func(pattern, kernels string, env ...string) longRun {
		return longRun{packages: regexp.MustCompile("/(" + pattern + ")$"), kernels: kernels, env: env, live: true, mem: guestMemory}
	}
	bench := one("bench", "native uml", "XFRMCTL_BENCH=1")
	bench.mem = benchMemory
	differential := longRun{packages: differentialPackage, mem: guestMemory, env: []string{"XFRMCTL_DIFF_N=" + fromEnv("XFRMCTL_DIFF_N", "3000")}}
	return map[string][]longRun{
		"differential": {differential},
		"bench":        {bench, one("enginebench", "native", "XFRMCTL_BENCH=1")},
		"enginebench":  {one("enginebench", "native", "XFRMCTL_BENCH=1")},
		"interop":      {one("interop", "native uml", "XFRMCTL_INTEROP=1", "XFRMCTL_REKEYS="+fromEnv("XFRMCTL_REKEYS", "1000"))},
		"hostile":      {one("hostile", "native", "XFRMCTL_HOSTILE="+fromEnv("XFRMCTL_HOSTILE", "10000000"))},
		"crash":        {one("crash", "native", "XFRMCTL_CRASHES="+fromEnv("XFRMCTL_CRASHES", "1000"))},
		"canaries":     {one("keys", "native uml", "XFRMCTL_CANARIES="+fromEnv("XFRMCTL_CANARIES", "1000"))},
		"rotate":       {one("rotation", "native uml", "XFRMCTL_ROTATIONS="+fromEnv("XFRMCTL_ROTATIONS", "1000"), "XFRMCTL_KILLS="+fromEnv("XFRMCTL_KILLS", "25"), "XFRMCTL_WINDOW=4096")},
		"provision":    {one("provision", "native uml", "XFRMCTL_PAIRS="+fromEnv("XFRMCTL_PAIRS", "500"), "XFRMCTL_PAIRS_RANDOM="+fromEnv("XFRMCTL_PAIRS_RANDOM", "4500"), "XFRMCTL_PAIRS_SEED="+fromEnv("XFRMCTL_PAIRS_SEED", "1"), "XFRMCTL_MANY="+fromEnv("XFRMCTL_MANY", "10000"))},
		"scale":        {one("scale", "native", "XFRMCTL_SCALE=1")},
	}
}

// long carries out one of them.
func (s *session) long(runs []longRun) {
	for _, r := range runs {
		all := s.wanted(fromEnv("XFRMCTL_TEST_KERNEL", r.kernels))
		s.prepare(names(all)...)
		s.reference()
		l := s.startLab(all)
		bins := s.build(r.packages.MatchString)
		p := plan{timeout: longLimit, mem: r.mem, live: r.live, env: r.env}
		s.onKernels(all, l, bins, p, p)
	}
}
