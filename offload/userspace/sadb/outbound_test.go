package sadb

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
	"github.com/xfrmctl/xfrmctl/offload/userspace/flow"
)

// decide is Outbound in words: "protect 1 2", "drop XfrmOutNoStates".
func decide(db *DB, f *flow.Flow) string {
	var d Decision
	db.Outbound(f, 0, &d)
	s := d.Verdict.String()
	for _, sa := range d.SAs[:d.N] {
		s += fmt.Sprintf(" %d", sa.SPI())
	}
	if d.Verdict == Drop {
		s += " " + d.Counter.String()
	}
	return s
}

// deaf makes the DB of a test one without key managers.
func deaf(c *Config) { c.Listener = nil }

type saChange = func(*netlinkx.SA)
type policyChange = func(*netlinkx.Policy)

func TestOutbound(t *testing.T) {
	inner := packet("10.1.0.1", "10.2.0.1")
	tmpl := func(c func(*netlinkx.Template)) policyChange {
		return func(p *netlinkx.Policy) { c(&p.Templates[0]) }
	}
	for _, tt := range []struct {
		name   string
		sas    []saChange
		policy policyChange
		want   string
	}{
		{"plain", []saChange{func(*netlinkx.SA) {}}, nil, "protect 1"},
		{"no SA", nil, nil, "drop XfrmOutNoStates"},
		{"block", nil, func(p *netlinkx.Policy) { p.Action = netlinkx.ActionBlock }, "drop XfrmOutPolBlock"},
		{"bypass", nil, func(p *netlinkx.Policy) { p.Templates = nil }, "bypass"},
		{"six templates", []saChange{func(*netlinkx.SA) {}}, func(p *netlinkx.Policy) {
			t := p.Templates[0]
			p.Templates = []netlinkx.Template{t, t, t, t, t, t}
		}, "drop XfrmOutPolError"},
		{"other mode", []saChange{func(s *netlinkx.SA) { s.Mode = netlinkx.ModeBEET }}, nil, "drop XfrmOutNoStates"},
		{"other reqid", []saChange{func(s *netlinkx.SA) { s.ReqID = 5 }}, nil, "drop XfrmOutNoStates"},
		{"other source", []saChange{func(s *netlinkx.SA) { s.Src = addr("192.0.2.9") }}, nil, "drop XfrmOutNoStates"},
		{"any source", []saChange{func(s *netlinkx.SA) { s.Src = addr("0.0.0.0") }}, nil, "protect 1"},
		{"other if_id", []saChange{func(s *netlinkx.SA) { s.IfID = 5 }}, nil, "drop XfrmOutNoStates"},
		{"direction in", []saChange{func(s *netlinkx.SA) { s.Dir = netlinkx.DirIn }}, nil, "drop XfrmOutStateDirError"},
		{"selector", []saChange{func(s *netlinkx.SA) { s.Selector.Dst = pfx("10.3.0.0/16") }}, nil, "drop XfrmOutNoStates"},
		{"selector of the other family", []saChange{func(s *netlinkx.SA) { s.Selector.Family = netlinkx.FamilyIPv6 }}, nil, "drop XfrmOutNoStates"},
		{"newest with the selector", []saChange{
			func(s *netlinkx.SA) { s.Selector.Dst = pfx("10.2.0.0/16") }, func(s *netlinkx.SA) { s.Selector.Dst = pfx("10.3.0.0/16") },
		}, nil, "protect 1"},
		{"wildrecv", []saChange{func(s *netlinkx.SA) { s.Flags = netlinkx.FlagWildRecv }}, nil, "drop XfrmOutNoStates"},
		{"template's SPI", []saChange{func(*netlinkx.SA) {}, func(*netlinkx.SA) {}}, tmpl(func(t *netlinkx.Template) { t.SPI = 1 }), "protect 1"},
		{"marked SA, policy without", []saChange{func(s *netlinkx.SA) { s.Mark = netlinkx.Mark{Value: 1, Mask: 0xff} }}, nil, "drop XfrmOutNoStates"},
		{"optional without SA", nil, func(p *netlinkx.Policy) {
			p.Templates[0].Mode, p.Templates[0].Optional = netlinkx.ModeTransport, true
		}, "bypass"},
		{"transport, host to host", []saChange{func(s *netlinkx.SA) {
			s.Mode, s.Src, s.Dst = netlinkx.ModeTransport, addr("10.1.0.1"), addr("10.2.0.1")
		}}, tmpl(func(t *netlinkx.Template) { t.Mode = netlinkx.ModeTransport }), "protect 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			db, _ := newDB(t, deaf)
			for i, c := range tt.sas {
				must(t, db.AddSA(Cause{}, testSA(netlinkx.SPI(i+1), c)))
			}
			p := testPolicy(netlinkx.PolicyOut)
			if tt.policy != nil {
				tt.policy(p)
			}
			must(t, db.AddPolicy(Cause{}, p))
			if got := decide(db, inner); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestNested: two templates, the first one's packet goes into the second.
func TestNested(t *testing.T) {
	db, _ := newDB(t, deaf)
	must(t, db.AddSA(Cause{}, testSA(1)))
	must(t, db.AddSA(Cause{}, testSA(2, func(s *netlinkx.SA) { s.Mode = netlinkx.ModeTransport })))
	must(t, db.AddPolicy(Cause{}, testPolicy(netlinkx.PolicyOut, func(p *netlinkx.Policy) {
		t := p.Templates[0]
		t.Mode, t.Dst, t.Src = netlinkx.ModeTransport, netip.Addr{}, netip.Addr{}
		p.Templates = append(p.Templates, t)
	})))
	if got := decide(db, packet("10.1.0.1", "10.2.0.1")); got != "protect 1 2" {
		t.Errorf("got %q", got)
	}
}

func TestDefaultsAndInterfaces(t *testing.T) {
	db, heard := newDB(t)
	f := packet("10.1.0.1", "10.2.0.1")
	must(t, db.AddPolicy(Cause{}, testPolicy(netlinkx.PolicyOut, func(p *netlinkx.Policy) { p.IfID, p.Templates = 7, nil })))
	if got := decide(db, f); got != "no policy" {
		t.Errorf("a policy of an interface, a packet of none: %q", got)
	}
	f.IfID = 7
	if got := decide(db, f); got != "bypass" {
		t.Errorf("packet of the interface: %q", got)
	}
	heard.take()
	db.SetDefaults(&netlinkx.Defaults{Out: netlinkx.DefaultBlock, In: 9})
	if d := db.Defaults(); d != (netlinkx.Defaults{In: netlinkx.DefaultAccept, Fwd: netlinkx.DefaultAccept, Out: netlinkx.DefaultBlock}) {
		t.Errorf("defaults %+v", d)
	}
	if n := heard.take(); len(n) != 1 || n[0].Cause != (Cause{}) {
		t.Errorf("events %+v", n)
	}
	f.IfID = 8
	if got := decide(db, f); got != "drop XfrmOutPolBlock" {
		t.Errorf("default block: %q", got)
	}
}

// TestSubPolicies: a sub policy comes first, and the main one applies too.
func TestSubPolicies(t *testing.T) {
	db, _ := newDB(t, deaf)
	must(t, db.AddSA(Cause{}, testSA(1)))
	sub := func(p *netlinkx.Policy) { p.Type = netlinkx.Some(netlinkx.PolicySub) }
	must(t, db.AddPolicy(Cause{}, testPolicy(netlinkx.PolicyOut, sub)))
	f := packet("10.1.0.1", "10.2.0.1")
	if got := decide(db, f); got != "protect 1" {
		t.Errorf("sub alone: %q", got)
	}
	must(t, db.AddPolicy(Cause{}, testPolicy(netlinkx.PolicyOut)))
	if got := decide(db, f); got != "protect 1 1" {
		t.Errorf("both: %q", got)
	}
	must(t, db.UpdatePolicy(Cause{}, testPolicy(netlinkx.PolicyOut, func(p *netlinkx.Policy) { p.Action = netlinkx.ActionBlock })))
	if got := decide(db, f); got != "drop XfrmOutPolBlock" {
		t.Errorf("main blocks: %q", got)
	}
	must(t, db.FlushPolicies(Cause{}, netlinkx.Opt[netlinkx.PolicyType]{}))
	if got := decide(db, f); got != "protect 1" {
		t.Errorf("after a flush of main: %q", got)
	}
}

func TestSourceByRoute(t *testing.T) {
	db, _ := newDB(t, deaf, func(c *Config) {
		c.SourceAddr = func(dst netip.Addr, mark uint32) (netip.Addr, bool) {
			return addr("192.0.2.1"), dst == addr("192.0.2.2") && mark == 3
		}
	})
	must(t, db.AddSA(Cause{}, testSA(1)))
	must(t, db.AddPolicy(Cause{}, testPolicy(netlinkx.PolicyOut, func(p *netlinkx.Policy) { p.Templates[0].Src = addr("0.0.0.0") })))
	f := packet("10.1.0.1", "10.2.0.1")
	if got := decide(db, f); got != "drop XfrmOutPolError" {
		t.Errorf("no route: %q", got)
	}
	f.Mark = 3
	if got := decide(db, f); got != "protect 1" {
		t.Errorf("got %q", got)
	}
}

// TestPerCPU: the CPU's own SA is preferred, one of another CPU never taken.
func TestPerCPU(t *testing.T) {
	db, _ := newDB(t, deaf)
	cpu := func(n uint32) saChange {
		return func(s *netlinkx.SA) { s.PCPU, s.Dir = netlinkx.Some(n), netlinkx.DirOut }
	}
	must(t, db.AddSA(Cause{}, testSA(1, cpu(1))))
	must(t, db.AddPolicy(Cause{}, testPolicy(netlinkx.PolicyOut)))
	f := packet("10.1.0.1", "10.2.0.1")
	try := func(n uint32, want netlinkx.SPI) {
		t.Helper()
		var d Decision
		if db.Outbound(f, n, &d); d.N == 0 && want != 0 || d.N == 1 && d.SAs[0].SPI() != want {
			t.Errorf("cpu %d: %v with %d SAs, want SA %d", n, d.Verdict, d.N, want)
		}
	}
	try(0, 0)
	try(1, 1)
	must(t, db.AddSA(Cause{}, testSA(2, func(s *netlinkx.SA) { s.Dir = netlinkx.DirOut })))
	try(0, 2)
	try(1, 1)
}

// TestChoiceAgainstModel: of random SAs, with ages set by hand, one dying now
// and then, the choice is that of a search through all in the kernel's order.
func TestChoiceAgainstModel(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 1))
		db, _ := newDB(t, deaf)
		must(t, db.AddPolicy(Cause{}, testPolicy(netlinkx.PolicyOut, func(p *netlinkx.Policy) { p.Templates[0].ReqID = 1 })))
		f := packet("10.1.0.1", "10.2.0.1")
		for spi := range netlinkx.SPI(30) {
			must(t, db.AddSA(Cause{}, testSA(spi+1, func(s *netlinkx.SA) {
				s.ReqID, s.IfID = uint32(rng.IntN(2)), uint32(rng.IntN(8)/7)
				s.Limits.SoftPackets = 1
				s.Selector.Dst = []netip.Prefix{pfx("0.0.0.0/0"), pfx("10.2.0.0/16"), pfx("10.3.0.0/16")}[rng.IntN(3)]
				if rng.IntN(3) == 0 && seed%2 == 0 {
					s.SetUsage = &netlinkx.Usage{AddTime: uint64(rng.IntN(5))}
				}
			})))
			if rng.IntN(3) == 0 {
				theSA(db).Reserve(2, 2) // the second packet meets the soft limit
			}
			if rng.IntN(8) == 0 {
				id := testSA(netlinkx.SPI(rng.IntN(30))).SA.ID()
				_ = db.DeleteSA(Cause{}, &id) // it may not be there
			}
			want := "drop XfrmOutNoStates"
			if sa := slowChoice(db, f); sa != nil {
				want = fmt.Sprint("protect ", uint32(sa.SPI()))
			}
			if got := decide(db, f); got != want {
				t.Fatalf("seed %d, %d SAs: got %q, want %q", seed, spi+1, got, want)
			}
		}
	}
}

// slowChoice is xfrm_state_look_at over all SAs, newest first.
func slowChoice(db *DB, f *flow.Flow) (best *SA) {
	for sa := range db.sas.All() {
		c := sa.Conf()
		if c.ReqID != 1 || c.IfID != 0 || !f.In(&c.Selector) {
			continue
		}
		old, young := best != nil && best.Dying() && !sa.Dying(), best != nil && best.Dying() == sa.Dying() && best.Report().Usage.AddTime < sa.Report().Usage.AddTime
		if best == nil || old || young {
			best = sa
		}
	}
	return best
}
