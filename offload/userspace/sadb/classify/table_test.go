package classify

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// model is the slow and obvious classifier: it asks every rule.
type model []*Rule[int]

func (m model) lookup(in Bin, k *Key) *Rule[int] {
	var best *Rule[int]
	for _, r := range m {
		if r.Bin != in || !covers(&r.Dst, &k.Dst) || !covers(&r.Src, &k.Src) || !slowMatch(&r.Match, k) {
			continue
		}
		if best == nil || r.Priority < best.Priority || r.Priority == best.Priority && r.Pos < best.Pos {
			best = r
		}
	}
	return best
}

// covers compares bit by bit.
func covers(p *Prefix, a *[16]byte) bool {
	for i := range int(p.Bits) {
		if (p.Addr[i/8]^a[i/8])>>(7-i%8)&1 != 0 {
			return false
		}
	}
	return true
}

func slowMatch(m *Match, k *Key) bool {
	port := func(p netlinkx.PortMatch, v uint16) bool { return p.Port&p.Mask == v&p.Mask }
	return port(m.SrcPort, k.SrcPort) && port(m.DstPort, k.DstPort) && (m.Proto == 0 || m.Proto == k.Proto) &&
		(m.IfIndex == 0 || m.IfIndex == k.IfIndex) && k.Mark&m.Mark.Mask == m.Mark.Value
}

// generator makes rules and packets that meet each other often: addresses are
// of few bits at the front, the middle and the end.
type generator struct {
	*rand.Rand
	pos uint64
}

func (g *generator) addr(family netlinkx.Family) (a [16]byte) {
	n := family.Bits() / 8
	a[0], a[1], a[n/2], a[n-1] = byte(10+g.IntN(2)), byte(g.IntN(3)), byte(g.IntN(3)), byte(g.IntN(4))
	return a
}

func (g *generator) bin() Bin {
	return Bin{
		Dir: netlinkx.PolicyDir(g.IntN(2)), Type: netlinkx.PolicyType(g.IntN(2)), IfID: uint32(g.IntN(3)),
		Family: []netlinkx.Family{netlinkx.FamilyIPv4, netlinkx.FamilyIPv6}[g.IntN(2)],
	}
}

func (g *generator) rule() *Rule[int] {
	r := &Rule[int]{Bin: g.bin(), Priority: uint32(g.IntN(4))}
	bits := func() uint8 { return uint8(g.IntN(r.Bin.Family.Bits() + 1)) }
	r.Dst, r.Src = Prefix{g.addr(r.Bin.Family), bits()}, Prefix{g.addr(r.Bin.Family), bits()}
	if g.IntN(2) == 0 {
		r.Match.Proto = uint8(g.IntN(3))
		r.Match.DstPort = netlinkx.PortMatch{Port: uint16(g.IntN(3)), Mask: uint16([]int{0, 1, 0xffff}[g.IntN(3)])}
		r.Match.IfIndex = uint32(g.IntN(2))
		r.Match.Mark = netlinkx.Mark{Mask: uint32(g.IntN(4))}
		r.Match.Mark.Value = uint32(g.IntN(4)) & r.Match.Mark.Mask
	}
	g.pos++
	r.Pos = g.pos
	return r
}

func (g *generator) key(f netlinkx.Family) *Key {
	return &Key{
		Dst: g.addr(f), Src: g.addr(f), Proto: uint8(g.IntN(3)), SrcPort: uint16(g.IntN(3)), DstPort: uint16(g.IntN(3)),
		IfIndex: uint32(g.IntN(2)), Mark: uint32(g.IntN(4)),
	}
}

// TestAgainstModel: additions, removals and replacements in random order, with
// lookups in between, must find what the model finds.
func TestAgainstModel(t *testing.T) {
	for seed := range uint64(30) {
		g := &generator{Rand: rand.New(rand.NewPCG(seed, 7))}
		table := New[int]()
		var m model
		for range 500 {
			switch n := g.IntN(10); {
			case n < 3 && len(m) > 0:
				i := g.IntN(len(m))
				table.Remove(m[i])
				m = append(m[:i], m[i+1:]...)
			case n < 5 && len(m) > 0:
				i := g.IntN(len(m))
				r := *m[i]
				r.Priority = uint32(g.IntN(4))
				g.pos++
				// a replaced rule keeps its place beside rules of its own
				// prefixes, which the model does not know
				if !m.alone(m[i]) {
					continue
				}
				r.Pos = g.pos
				table.Insert(&r, m[i])
				m[i] = &r
			default:
				r := g.rule()
				table.Insert(r, nil)
				m = append(m, r)
			}
			for range 5 {
				bin := g.bin()
				k := g.key(bin.Family)
				if got, want := table.Lookup(bin, k), m.lookup(bin, k); got != want {
					t.Fatalf("seed %d, %d rules, %+v %+v:\ngot  %+v\nwant %+v", seed, len(m), bin, k, got, want)
				}
			}
		}
		for _, r := range m {
			table.Remove(r)
		}
		if table.Len() != 0 {
			t.Fatalf("seed %d: %d nodes left of an empty table", seed, table.Len())
		}
	}
}

// alone reports whether no other rule has r's bin and prefixes.
func (m model) alone(r *Rule[int]) bool {
	for _, o := range m {
		if o != r && o.Bin == r.Bin && o.Dst.Bits == r.Dst.Bits && o.Src.Bits == r.Src.Bits &&
			covers(&r.Dst, &o.Dst.Addr) && covers(&r.Src, &o.Src.Addr) {
			return false
		}
	}
	return true
}

// TestReplacedKeepsItsPlace: in the list of one pair of prefixes, a rule that
// replaces one of the same priority stays in front of younger ones, as in
// xfrm_policy_insert_list; with another priority it goes behind its equals.
func TestReplacedKeepsItsPlace(t *testing.T) {
	rule := func(prio uint32, pos uint64) *Rule[int] { return &Rule[int]{Priority: prio, Pos: pos} }
	table := New[int]()
	a, b := rule(5, 1), rule(5, 2)
	table.Insert(a, nil)
	table.Insert(b, nil)
	a2 := rule(5, 3)
	table.Insert(a2, a)
	if got := table.Lookup(Bin{}, &Key{}); got != a2 {
		t.Errorf("after an update with the same priority: got %+v", got)
	}
	a3 := rule(6, 4)
	table.Insert(a3, a2)
	if got := table.Lookup(Bin{}, &Key{}); got != b {
		t.Errorf("after an update to a worse priority: got %+v", got)
	}
}

// TestLookupsLeaveNothing: what packets ask for makes no table grow.
func TestLookupsLeaveNothing(t *testing.T) {
	g := &generator{Rand: rand.New(rand.NewPCG(3, 3))}
	table := New[int]()
	for range 100 {
		table.Insert(g.rule(), nil)
	}
	before := table.Len()
	for range 10_000 {
		table.Lookup(g.bin(), g.key(netlinkx.FamilyIPv6))
	}
	if table.Len() != before {
		t.Errorf("%d nodes, before the lookups %d", table.Len(), before)
	}
}

// TestReadersDuringChanges: a rule that stays, and is the best for a packet,
// is found whatever happens to others, and a rule that is replaced is never
// absent.
func TestReadersDuringChanges(t *testing.T) {
	g := &generator{Rand: rand.New(rand.NewPCG(5, 5))}
	table := New[int]()
	best := &Rule[int]{Dst: Prefix{Bits: 8}, Src: Prefix{Bits: 8}}
	best.Dst.Addr[0], best.Src.Addr[0] = 10, 10
	table.Insert(best, nil)
	k := &Key{}
	k.Dst[0], k.Src[0] = 10, 10
	var stop atomic.Bool
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for !stop.Load() {
				if r := table.Lookup(Bin{}, k); r == nil || r.Priority != 0 {
					t.Error("the rule was not found")
					return
				}
			}
		})
	}
	for range 300 {
		var passing []*Rule[int]
		for range 20 {
			r := g.rule()
			r.Bin = Bin{}
			r.Priority++
			table.Insert(r, nil)
			passing = append(passing, r)
		}
		next := *best
		table.Insert(&next, best)
		best = &next
		for _, r := range passing {
			table.Remove(r)
		}
	}
	stop.Store(true)
	readers.Wait()
}

func TestFirstBits(t *testing.T) {
	all := words{^uint64(0), ^uint64(0)}
	for n := range uint8(129) {
		got := all.first(n)
		want := words{}
		for i := range n {
			if i < 64 {
				want.hi |= 1 << (63 - i)
			} else {
				want.lo |= 1 << (127 - i)
			}
		}
		if got != want {
			t.Errorf("first %d bits: %x", n, got)
		}
	}
}
