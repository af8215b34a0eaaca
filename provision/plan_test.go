package provision

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

var pairs = flag.Int("pairs", 60, "pairs of random states to plan between")

var testOwner = Owner{Name: "test", ReqID: Range{200, 299}, IfID: Range{100, 199}}

// universe are the destinations of random states, some within others.
var universe = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("10.1.1.0/24"),
	netip.MustParsePrefix("10.1.2.0/24"), netip.MustParsePrefix("10.2.0.0/16"), netip.MustParsePrefix("10.2.9.0/24"), netip.MustParsePrefix("10.3.3.3/32"),
}

func probes() (all []probe) {
	addrs := []netip.Addr{netip.MustParseAddr("10.3.3.3"), netip.MustParseAddr("10.200.0.1")}
	for _, p := range universe {
		addrs = append(addrs, p.Addr().Next())
	}
	for _, netns := range namespaces {
		for _, a := range addrs {
			all = append(all, probe{netns, a})
		}
	}
	return all
}

// namespaces are where interfaces of random states live.
var namespaces = []string{"", "blue"}

// randomState makes a state of tunnels through interfaces and without, with
// guards and settings.
func randomState(r *rand.Rand) *State {
	s := &State{}
	names, ids := r.Perm(5), r.Perm(6)
	for n, k := range r.Perm(len(universe))[:r.IntN(len(universe)+1)] {
		dst := universe[k]
		ifID, dev := uint32(0), ""
		if n < len(names) && r.IntN(3) > 0 {
			i := randomInterface(r, names[n], ids[n])
			ifID, dev = i.IfID, i.Name
			s.Interfaces = append(s.Interfaces, i)
			s.Routes = append(s.Routes, &Route{Dst: dst, Dev: dev, Metric: RouteMetric, NetNS: i.NetNS})
			if r.IntN(2) == 0 {
				s.Routes = append(s.Routes, &Route{Dst: dst, Metric: GuardMetric, NetNS: i.NetNS})
			}
			addGuards(r, s, i, dst)
		}
		addTunnel(r, s, k, dst, ifID)
	}
	addSettings(r, s)
	return s
}

// addGuards adds guard policies for a tunnel through an interface, and
// exceptions from them.
func addGuards(r *rand.Rand, s *State, i *Interface, dst netip.Prefix) {
	i.NoXFRM = i.NetNS == "" && r.IntN(2) == 0
	for _, dir := range []netlinkx.PolicyDir{netlinkx.PolicyIn, netlinkx.PolicyFwd, netlinkx.PolicyOut} {
		if r.IntN(2) == 0 || dir == netlinkx.PolicyOut && i.NetNS == "" && !i.NoXFRM {
			continue
		}
		p := netlinkx.NewPolicy()
		p.Dir, p.Action, p.Priority = dir, netlinkx.ActionBlock, GuardPriority+1000+uint32(2*r.IntN(50))
		if r.IntN(4) == 0 {
			p.Action, p.Priority = netlinkx.ActionAllow, GuardPriority+uint32(2*r.IntN(50)+1)
		}
		p.Selector = netlinkx.Selector{Family: netlinkx.FamilyIPv4, Src: netip.MustParsePrefix("10.8.0.0/16"), Dst: dst}
		s.Policies = append(s.Policies, p)
	}
}

func addSettings(r *rand.Rand, s *State) {
	for _, st := range []*Settings{{Values: map[string]uint64{}}, {Device: "eth0", Values: map[string]uint64{}}} {
		names := []string{"rx-gro", "tx-udp-segmentation"}
		if st.Device == "" {
			names = []string{"in", "out"}
		}
		for _, name := range names {
			if r.IntN(3) == 0 {
				st.Values[name] = uint64(r.IntN(2)) + (1 - uint64(min(len(st.Device), 1)))
			}
		}
		if len(st.Values) > 0 {
			s.Settings = append(s.Settings, st)
		}
	}
}

func randomInterface(r *rand.Rand, name, id int) *Interface {
	i := &Interface{Name: fmt.Sprintf("ipsec%d", name), IfID: 100 + uint32(id), MTU: 1400 + uint32(r.IntN(3)), Underlay: []string{"", "eth0", "eth0", "eth0"}[r.IntN(4)],
		NetNS: []string{"", "", namespaces[1]}[r.IntN(3)]}
	for _, k := range r.Perm(4)[:r.IntN(3)] {
		i.Addresses = append(i.Addresses, netip.MustParsePrefix(fmt.Sprintf("192.168.%d.%d/24", k/2, k+1)))
	}
	return i
}

func addTunnel(r *rand.Rand, s *State, k int, dst netip.Prefix, ifID uint32) {
	reqID, version := 200+uint32(k*3+r.IntN(2)), byte(r.IntN(3))
	ends := [2]netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}
	for n, dir := range []netlinkx.Dir{netlinkx.DirIn, netlinkx.DirOut} {
		sa := netlinkx.NewSA()
		sa.Src, sa.Dst, sa.Dir, sa.Proto, sa.Mode = ends[1-n], ends[n], dir, netlinkx.ProtoESP, netlinkx.ModeTunnel
		sa.ReqID, sa.IfID, sa.Limits.HardAdd = reqID, ifID, uint64(r.IntN(2))
		sa.SPI = netlinkx.SPI(0x1000 + reqID<<8 + uint32(version)<<1 + uint32(n) + ifID<<20)
		sa.AEAD = &netlinkx.AEAD{Name: "rfc4106(gcm(aes))", ICVBits: 128, Key: netlinkx.NewKey([]byte(sa.SPI.String()))}
		s.SAs = append(s.SAs, sa)
	}
	for _, dir := range []netlinkx.PolicyDir{netlinkx.PolicyIn, netlinkx.PolicyFwd, netlinkx.PolicyOut} {
		p := netlinkx.NewPolicy()
		p.Selector = netlinkx.Selector{Family: netlinkx.FamilyIPv4, Src: netip.MustParsePrefix("10.9.0.0/16"), Dst: dst}
		p.Dir, p.IfID, p.Priority = dir, ifID, uint32(2*(50-dst.Bits())+200*r.IntN(2))
		if ifID == 0 {
			p.Priority = uint32(2 * r.IntN(20)) // in any order with those that let out
		}
		t := netlinkx.NewTemplate()
		t.Src, t.Dst, t.Proto, t.Mode, t.ReqID = ends[0], ends[1], netlinkx.ProtoESP, netlinkx.ModeTunnel, reqID
		p.Templates = []netlinkx.Template{t}
		s.Policies = append(s.Policies, p)
	}
	if r.IntN(3) == 0 {
		p := netlinkx.NewPolicy()
		p.Selector = netlinkx.Selector{Family: netlinkx.FamilyIPv4, Src: netip.MustParsePrefix("10.0.0.0/8"), Dst: universe[r.IntN(len(universe))]}
		p.Dir, p.Priority = netlinkx.PolicyOut, uint32(2*r.IntN(40)+1)
		if r.IntN(2) == 0 {
			p.Action = netlinkx.ActionBlock
		}
		for _, other := range s.Policies {
			if policyID(other) == policyID(p) {
				return
			}
		}
		s.Policies = append(s.Policies, p)
	}
}

// foreign objects share addresses with ours, and nothing else.
func addForeign(m *model) {
	sa := netlinkx.NewSA()
	sa.Src, sa.Dst, sa.Proto, sa.SPI, sa.ReqID = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netlinkx.ProtoESP, 0x77, 201
	m.sas[saID(sa)] = sa
	p := netlinkx.NewPolicy()
	p.Selector = netlinkx.Selector{Family: netlinkx.FamilyIPv4, Src: netip.MustParsePrefix("172.16.0.0/12"), Dst: netip.MustParsePrefix("172.16.0.0/12")}
	p.Index = 9
	m.policies[policyID(p)] = p
	i := &Interface{Name: "foreign0", IfID: 150, Up: true}
	m.ifaces[i.id()] = i
	r := &Route{Dst: netip.MustParsePrefix("172.16.0.0/12"), Dev: "foreign0", Metric: 7}
	m.routes[routeID(r)] = r
}

// TestPlanLaws plans between random states, begun from what an interrupted
// plan left behind as often as from a reached one.
func TestPlanLaws(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	refused := 0
	for n := range *pairs {
		m := newModel()
		addForeign(m)
		before := fmt.Sprint(foreignText(m))
		for range 2 {
			if !goTo(t, m, randomState(r), n, r) {
				refused++
			}
		}
		if after := fmt.Sprint(foreignText(m)); after != before {
			t.Fatalf("pair %d: foreign objects were %s, are %s", n, before, after)
		}
	}
	if refused > *pairs/20 {
		t.Errorf("%d of %d plans were refused", refused, 2**pairs)
	}
}

func foreignText(m *model) []any {
	s := []any{*m.ifaces[interfaceID("", "foreign0")]}
	for id, o := range m.sas {
		if !strings.Contains(string(id), "0x00000077") {
			continue
		}
		s = append(s, o)
	}
	for id, o := range m.policies {
		if strings.Contains(string(id), "172.16") {
			s = append(s, *o)
		}
	}
	for id, o := range m.routes {
		if strings.Contains(string(id), "172.16") {
			s = append(s, *o)
		}
	}
	return s
}

func goTo(t *testing.T, m *model, want *State, n int, r *rand.Rand) bool {
	t.Helper()
	reached := newModel()
	addForeign(reached)
	follow(t, reached, want, Options{Prune: true}, n, nil, -1)
	if r.IntN(2) == 0 { // killed on the way, then without pruning
		if !follow(t, m, want, Options{Prune: r.IntN(2) == 0}, n, reached, r.IntN(30)) {
			return false
		}
		if !follow(t, m, want, Options{}, n, reached, -1) {
			return false
		}
		again, err := Plan(want, m.state(), &testOwner, m.ledger, Options{})
		if err != nil || len(again.Steps) > 0 {
			t.Fatalf("pair %d: second plan without pruning: %v, %v", n, err, again)
		}
	}
	if !follow(t, m, want, Options{Prune: true}, n, reached, -1) {
		return false
	}
	again, err := Plan(want, m.state(), &testOwner, m.ledger, Options{Prune: true})
	if err != nil || len(again.Steps) > 0 || len(again.Left) > 0 {
		t.Fatalf("pair %d: second plan: %v, %v", n, err, again)
	}
	if got, want := m.census(), reached.census(); got != want {
		t.Fatalf("pair %d: reached %s, wanted %s", n, got, want)
	}
	return true
}

// census tells what there is, by identity and by what a second plan compares.
func (m *model) census() string {
	var b strings.Builder
	s := m.state()
	for _, i := range s.Interfaces {
		fmt.Fprintln(&b, i.id(), i.IfID, i.Underlay, i.MTU, len(i.Addresses), i.Up, i.NoXFRM)
	}
	for _, sa := range s.SAs {
		fmt.Fprintln(&b, sa, sa.ReqID, sa.IfID, sa.Limits)
	}
	for _, p := range s.Policies {
		fmt.Fprintln(&b, policyID(p), p.Priority, p.Action, p.Templates)
	}
	for _, x := range s.Routes {
		fmt.Fprintln(&b, *x)
	}
	for _, x := range s.Settings {
		fmt.Fprintln(&b, *x)
	}
	return b.String()
}

// follow carries out a plan, or its first limit steps, and looks at every
// prefix. reached is nil when there was nothing before.
func follow(t *testing.T, m *model, want *State, opts Options, n int, reached *model, limit int) bool {
	t.Helper()
	res, err := Plan(want, m.state(), &testOwner, m.ledger, opts)
	var refused *RefusedError
	if errors.As(err, &refused) {
		return false
	}
	laws := lawsOf(m, reached)
	for _, s := range res.Steps {
		m.intend(s)
	}
	for k, s := range res.Steps {
		if k == limit {
			m.half(s)
			return true
		}
		if err := m.do(s); err != nil {
			t.Fatalf("pair %d, step %d of\n%s%v", n, k, planText(res), err)
		}
		if broken := laws.broken(m); broken != "" {
			t.Fatalf("pair %d: %s after step %d of\n%s", n, broken, k, planText(res))
		}
	}
	m.settle()
	return true
}

// laws are what holds after every step: packets that both states protect never
// leave in clear, and those that both refuse in clear are never taken.
type laws struct{ protected, refused []probe }

func lawsOf(m, reached *model) (l laws) {
	if reached == nil {
		return l
	}
	for _, x := range probes() {
		if m.send(x) == fateProtected && reached.send(x) == fateProtected {
			l.protected = append(l.protected, x)
		}
		if x.netns == "" && !m.takes(x.addr) && !reached.takes(x.addr) {
			l.refused = append(l.refused, x)
		}
	}
	return l
}

func (l laws) broken(m *model) string {
	for _, x := range l.protected {
		if m.send(x) == fateClear {
			return fmt.Sprintf("a packet to %s leaves%s in clear", x.addr, within(x.netns))
		}
	}
	for _, x := range l.refused {
		if m.takes(x.addr) {
			return fmt.Sprintf("a packet of %s is taken in clear", x.addr)
		}
	}
	return ""
}

func planText(res *Result) string {
	var b strings.Builder
	for k, s := range res.Steps {
		fmt.Fprintf(&b, "%d %s\n", k, s)
	}
	return b.String()
}

// TestBatchesEndWithStages: what goes out together does not rely on each other.
func TestBatchesEndWithStages(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		m := newModel()
		follow(t, m, randomState(r), Options{Prune: true}, 0, nil, -1)
		res, err := Plan(randomState(r), m.state(), &testOwner, m.ledger, Options{Prune: true})
		if err != nil {
			continue
		}
		for steps := res.Steps; len(steps) > 0; {
			n := max(together(steps), 1)
			for _, s := range steps[:n] {
				if (s.Verb == Delete) != (steps[0].Verb == Delete) || s.SA != nil && steps[0].Policy != nil || s.SA != nil && s.SA.Dir != steps[0].SA.Dir {
					t.Fatalf("together:\n%s\n%s", steps[0], s)
				}
				if p, q := s.Policy, steps[0].Policy; p != nil && q != nil && open(p) != open(q) {
					t.Fatalf("together:\n%s\n%s", q, p)
				}
			}
			steps = steps[n:]
		}
	}
}
