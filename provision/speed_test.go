package provision

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// tunnels makes n tunnels with an interface each.
func tunnels(n int) *State {
	s := &State{}
	ends := [2]netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}
	for k := range n {
		dst := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(k >> 8), byte(k), 0}), 24)
		id := uint32(100_000 + k)
		dev := fmt.Sprintf("ipsec%d", k)
		s.Interfaces = append(s.Interfaces, &Interface{Name: dev, IfID: id, MTU: 1400, Up: true})
		s.Routes = append(s.Routes, &Route{Dst: dst, Dev: dev, Metric: RouteMetric}, &Route{Dst: dst, Metric: GuardMetric})
		for d, dir := range []netlinkx.Dir{netlinkx.DirIn, netlinkx.DirOut} {
			sa := netlinkx.NewSA()
			sa.Src, sa.Dst, sa.Dir, sa.Proto, sa.SPI, sa.ReqID, sa.IfID = ends[1-d], ends[d], dir, netlinkx.ProtoESP, netlinkx.SPI(0x10000+k), id, id
			sa.AEAD = &netlinkx.AEAD{Name: "rfc4106(gcm(aes))", ICVBits: 128, Key: netlinkx.NewKey(fmt.Append(nil, k, d))}
			s.SAs = append(s.SAs, sa)
		}
		for _, dir := range []netlinkx.PolicyDir{netlinkx.PolicyIn, netlinkx.PolicyFwd, netlinkx.PolicyOut} {
			p := netlinkx.NewPolicy()
			p.Dir, p.IfID, p.Selector = dir, id, netlinkx.Selector{Family: netlinkx.FamilyIPv4, Src: netip.MustParsePrefix("10.255.0.0/16"), Dst: dst}
			t := netlinkx.NewTemplate()
			t.Src, t.Dst, t.Proto, t.ReqID = ends[0], ends[1], netlinkx.ProtoESP, id
			p.Templates = []netlinkx.Template{t}
			s.Policies = append(s.Policies, p)
		}
	}
	return s
}

// TestPlanMemory plans 10,000 tunnels: from nothing, and once they are there. How
// long that takes is told, and judged where nothing else runs: see tests/bench.
func TestPlanMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a run without -short: what planning takes was not looked at")
	}
	const n = 10_000
	want := tunnels(n)
	owner := Owner{Name: "test", ReqID: Range{100_000, 200_000}, IfID: Range{100_000, 200_000}}
	known := newModel().ledger
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begun := time.Now()
	res, err := Plan(want, &State{}, &owner, known, Options{})
	took := time.Since(begun)
	runtime.ReadMemStats(&after)
	if err != nil || len(res.Steps) != 9*n {
		t.Fatal(err, len(res.Steps))
	}
	for _, s := range res.Steps {
		if !s.Up {
			fp := ""
			if s.SA != nil {
				fp = testFingerprint(s.SA)
			}
			known.Objects[s.ID] = fp
		}
	}
	begun = time.Now()
	again, err := Plan(want, want, &owner, known, Options{Prune: true})
	unchanged := time.Since(begun)
	if err != nil || len(again.Steps) > 0 {
		t.Fatal(err, again.Steps[0])
	}
	mem := (after.TotalAlloc - before.TotalAlloc) >> 20
	t.Logf("from nothing: %v, %d MB allocated; unchanged: %v", took, mem, unchanged)
	if mem > 150 {
		t.Errorf("planning %d tunnels took %d MB", n, mem)
	}
}
