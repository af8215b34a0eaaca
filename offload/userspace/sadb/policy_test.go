package sadb

import (
	"net/netip"
	"slices"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// source gives a policy another source, so that it is another policy.
func source(p string) policyChange { return func(q *netlinkx.Policy) { q.Selector.Src = pfx(p) } }

func TestPolicyAddGetDelete(t *testing.T) {
	db, heard := newDB(t)
	p := testPolicy(netlinkx.PolicyOut, func(p *netlinkx.Policy) {
		p.Share, p.Mark, p.IfID = 2, netlinkx.Mark{Value: 0x1ff, Mask: 0xff}, 3
	})
	must(t, db.AddPolicy(Cause{PortID: 1, Seq: 2}, p))
	id := netlinkx.PolicyID{Selector: p.Selector, Dir: p.Dir, Mark: netlinkx.Mark{Value: 0xff, Mask: 0xff}, IfID: 3}
	got, err := db.GetPolicy(&id)
	must(t, err)
	want := *p
	want.Share, want.Mark.Value, want.Index, want.Type = 0, 0xff, 1, netlinkx.Some(netlinkx.PolicyMain)
	want.Templates = append([]netlinkx.Template(nil), p.Templates...)
	want.Templates[0].Family = netlinkx.FamilyIPv4
	if d := cmp.Diff(&want, got, sameSA); d != "" {
		t.Errorf("GETPOLICY (-want +got):\n%s", d)
	}
	refuses(t, db.AddPolicy(Cause{}, p), syscall.EEXIST, "")
	for name, change := range map[string]func(*netlinkx.PolicyID){
		"no mark":         func(id *netlinkx.PolicyID) { id.Mark = netlinkx.Mark{} },
		"mark as given":   func(id *netlinkx.PolicyID) { id.Mark.Value = 0x1ff },
		"no if_id":        func(id *netlinkx.PolicyID) { id.IfID = 0 },
		"type":            func(id *netlinkx.PolicyID) { id.Type = netlinkx.Some(netlinkx.PolicySub) },
		"dir":             func(id *netlinkx.PolicyID) { id.Dir = netlinkx.PolicyIn },
		"host bits":       func(id *netlinkx.PolicyID) { id.Selector.Src = netip.MustParsePrefix("10.1.0.1/16") },
		"other index":     func(id *netlinkx.PolicyID) { id.Index = 9 },
		"index, no if_id": func(id *netlinkx.PolicyID) { id.Index, id.IfID = 1, 0 },
	} {
		other := id
		change(&other)
		if _, err := db.GetPolicy(&other); err == nil {
			t.Errorf("%s: found", name)
		}
	}
	byIndex := netlinkx.PolicyID{Index: 1, Dir: p.Dir, Mark: id.Mark, IfID: 3}
	heard.take()
	must(t, db.DeletePolicy(Cause{Seq: 7}, &byIndex))
	refuses(t, db.DeletePolicy(Cause{}, &id), syscall.ENOENT, "")
	n := heard.take()
	if e := n[0].Event.(*netlinkx.PolicyEvent); len(n) != 1 || e.Op != netlinkx.EventDelete || e.Deleted != byIndex || e.Policy.Index != 1 {
		t.Errorf("events %+v", n)
	}
	id.Dir = 3
	refuses(t, db.DeletePolicy(Cause{}, &id), syscall.EINVAL, "Invalid policy direction")
}

// TestPolicyIndexes: as a kernel gave them.
func TestPolicyIndexes(t *testing.T) {
	db, _ := newDB(t)
	const in, out, fwd = netlinkx.PolicyIn, netlinkx.PolicyOut, netlinkx.PolicyFwd
	add := func(dir netlinkx.PolicyDir, src string, asked, want uint32) {
		t.Helper()
		must(t, db.AddPolicy(Cause{}, testPolicy(dir, source(src), func(p *netlinkx.Policy) { p.Index = asked })))
		if got := newest(db.policies.All()).Conf().Index; got != want {
			t.Errorf("%s: index %d, want %d", src, got, want)
		}
	}
	add(out, "10.1.4.0/24", 0, 1)
	add(in, "10.1.5.0/24", 0, 8)
	add(fwd, "10.1.6.0/24", 0, 18)
	add(out, "10.1.7.0/24", 0, 25)
	add(out, "10.1.8.0/24", 0, 33)
	add(in, "10.1.9.0/24", 0, 40)
	add(out, "10.9.0.0/24", 17, 17)
	add(out, "10.9.1.0/24", 17, 49)
	add(out, "10.9.2.0/24", 1601, 1601)
	must(t, db.UpdatePolicy(Cause{}, testPolicy(out, source("10.1.4.0/24"), func(p *netlinkx.Policy) { p.Index = 4001 })))
	var got []uint32
	db.WalkPolicies(netlinkx.Opt[netlinkx.PolicyType]{}).Next(func(p *netlinkx.Policy) bool {
		got = append(got, p.Index)
		return true
	})
	if d := cmp.Diff([]uint32{1, 1601, 49, 17, 40, 33, 25, 18, 8}, got); d != "" {
		t.Errorf("listed (-want +got):\n%s", d)
	}
}

// TestSPDInfo: counts and sizes as a kernel gave them.
func TestSPDInfo(t *testing.T) {
	db, _ := newDB(t)
	n := 0
	var there [3]uint32
	add := func(dir netlinkx.PolicyDir, upTo uint32) {
		for ; there[dir] < upTo; there[dir]++ {
			n++
			must(t, db.AddPolicy(Cause{}, testPolicy(dir, func(p *netlinkx.Policy) {
				p.Selector.Src = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 8, byte(n), 0}), 24)
			})))
		}
	}
	add(netlinkx.PolicyIn, 2)
	add(netlinkx.PolicyOut, 7)
	for _, tt := range []struct{ fwd, buckets uint32 }{{7, 7}, {8, 15}, {11, 15}, {16, 31}, {18, 31}, {34, 63}, {71, 127}} {
		add(netlinkx.PolicyFwd, tt.fwd)
		i := db.SPDInfo()
		if i.HashCount != tt.buckets || i.Counts != (netlinkx.SPDCounts{In: 2, Out: 7, Fwd: tt.fwd}) {
			t.Errorf("got %+v, a kernel has %d buckets", i, tt.buckets)
		}
	}
	must(t, db.SetSPDInfo(&netlinkx.SPDInfo{IPv4: netlinkx.Some(netlinkx.HashThreshold{Local: 24, Remote: 16})}))
	if i := db.SPDInfo(); i.IPv4.V != (netlinkx.HashThreshold{Local: 24, Remote: 16}) || i.IPv6.V != (netlinkx.HashThreshold{Local: 128, Remote: 128}) {
		t.Errorf("thresholds %+v %+v", i.IPv4, i.IPv6)
	}
	refuses(t, db.SetSPDInfo(&netlinkx.SPDInfo{IPv4: netlinkx.Some(netlinkx.HashThreshold{Local: 33})}), syscall.EINVAL, "Invalid hash threshold (must be <= 32 for IPv4)")
}

// TestPolicyUpdateReplaces: new templates and priority, the same index, and
// the packet side sees it.
func TestPolicyUpdateReplaces(t *testing.T) {
	db, heard := newDB(t, func(c *Config) {})
	heard.deaf[netlinkx.GroupAcquire] = true
	out := netlinkx.PolicyOut
	must(t, db.UpdatePolicy(Cause{}, testPolicy(out))) // makes it
	must(t, db.AddPolicy(Cause{}, testPolicy(out, source("10.0.0.0/8"), func(p *netlinkx.Policy) { p.Priority, p.Action = 5, netlinkx.ActionBlock })))
	f := packet("10.1.0.1", "10.2.0.1")
	gen := db.Generation()
	must(t, db.UpdatePolicy(Cause{}, testPolicy(out, func(p *netlinkx.Policy) { p.Templates = nil })))
	if got := decide(db, f); got != "bypass" || db.Generation() == gen {
		t.Errorf("updated: %q, generation %d after %d", got, db.Generation(), gen)
	}
	must(t, db.UpdatePolicy(Cause{}, testPolicy(out, func(p *netlinkx.Policy) { p.Priority = 6 })))
	if got := decide(db, f); got != "drop XfrmOutPolBlock" {
		t.Errorf("with a worse priority: %q", got)
	}
	if c := db.SPDInfo().Counts; c.Out != 2 || len(slices.Collect(db.policies.All())) != 2 {
		t.Errorf("%d policies", c.Out)
	}
}

func TestPolicyExpireAndFlush(t *testing.T) {
	db, heard := newDB(t)
	p := testPolicy(netlinkx.PolicyIn)
	refuses(t, db.ExpirePolicy(Cause{}, &netlinkx.ExpirePolicy{Policy: *p}), syscall.ENOENT, "")
	must(t, db.AddPolicy(Cause{}, p))
	heard.take()
	must(t, db.ExpirePolicy(Cause{PortID: 4, Seq: 5}, &netlinkx.ExpirePolicy{Policy: *p}))
	must(t, db.ExpirePolicy(Cause{}, &netlinkx.ExpirePolicy{Policy: *p, Hard: true}))
	n := heard.take()
	if len(n) != 2 || n[0].Cause != (Cause{PortID: 4}) || !n[1].Event.(*netlinkx.PolicyExpireEvent).Hard || db.SPDInfo().Counts.In != 0 {
		t.Errorf("events %+v", n)
	}
	must(t, db.FlushPolicies(Cause{}, netlinkx.Opt[netlinkx.PolicyType]{}))
	if n := heard.take(); len(n) != 0 {
		t.Errorf("flush of nothing: %+v", n)
	}
	must(t, db.AddPolicy(Cause{}, p))
	must(t, db.AddPolicy(Cause{}, testPolicy(netlinkx.PolicyIn, func(p *netlinkx.Policy) { p.Type = netlinkx.Some(netlinkx.PolicySub) })))
	must(t, db.FlushPolicies(Cause{}, netlinkx.Some(netlinkx.PolicySub)))
	if c := db.SPDInfo().Counts; c.In != 1 {
		t.Errorf("%d policies after a flush of the sub policies", c.In)
	}
	refuses(t, db.FlushPolicies(Cause{}, netlinkx.Some[netlinkx.PolicyType](2)), syscall.EINVAL, "Invalid policy type")
}
