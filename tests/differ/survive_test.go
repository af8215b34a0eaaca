package differ

import (
	"slices"
	"strings"
	"testing"
)

// sparing are commands that remove many objects, but none of the markers.
var sparing = []string{
	"state deleteall src 10.0.0.1", "state deleteall dst 10.0.0.0/8", "state deleteall reqid 1", "state deleteall spi 0x100", "state deleteall src fd00::/16",
	"policy deleteall src 10.0.0.0/8", "policy deleteall src fd00::/16", "policy deleteall index 0x40000001", "policy deleteall priority 1", "policy flush ptype sub",
	"state list", "policy list", "-s -o state list", "-j state list", "--dry-run state flush", "--dry-run policy flush", "--dry-run state deleteall", "--dry-run policy deleteall",
	"state deleteall if_id 4000000000", "policy deleteall if_id 4000000000", "state deleteall mark 0x12345678", "policy deleteall mark 0x12345678",
}

// TestSurvival makes objects with ip, and some that ip has no words for, and
// runs xfrmctl commands that do not name them. They must list completely, and
// be the same afterwards, byte for byte.
func TestSurvival(t *testing.T) {
	b := setUp(t, true)
	p, err := newPair(b.ip, b.xfrmctl, b.ip)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	s := p.left
	made, refused := makeMarkers(t, s, b.ip)
	t.Logf("%d objects, %d refused by this kernel", made, refused)
	compareLists(t, s, b)
	before, err := objects(s)
	if err != nil {
		t.Fatal(err)
	}
	g := newGenerator(seed(t))
	g.noESP = !b.esp
	n := 500
	if testing.Short() {
		n = 60
	}
	accepted := 0
	for i := range n {
		c := g.next()
		if i%8 == 0 {
			c = newCommand(strings.Fields(g.pick(sparing...)))
			// an option of xfrmctl alone
			c.options = slices.DeleteFunc(c.options, func(w string) bool { return w == "" })
		} else if v := c.verb(); strings.Contains(v, "flush") || strings.Contains(v, "deleteall") || !strings.Contains(v, " ") {
			continue
		}
		r, err := s.run(b.xfrmctl, c.xfrmctl(), "")
		if err != nil {
			t.Fatal(err)
		}
		g.learn(r.code == 0)
		if r.code == 0 {
			accepted++
		}
		if i%10 != 9 && i != n-1 {
			continue
		}
		if lost := missing(t, s, before); len(lost) > 0 {
			t.Fatalf("after %v and commands before it (see the seed), %d of %d objects are gone or changed, first %s", c, len(lost), len(before), lost[0])
		}
	}
	t.Logf("%d commands, %d accepted", n, accepted)
	compareLists(t, s, b)
}

// missing returns those objects that are not there as they were.
func missing(t *testing.T, s *space, before []string) []string {
	t.Helper()
	now, err := objects(s)
	if err != nil {
		t.Fatal(err)
	}
	var lost []string
	for _, o := range before {
		if !slices.Contains(now, o) {
			lost = append(lost, o)
		}
	}
	return lost
}

// compareLists compares what both tools list in a namespace.
func compareLists(t *testing.T, s *space, b bench) {
	t.Helper()
	for _, options := range [][]string{nil, {"-s"}, {"-o"}, {"-s", "-o"}, {"-4"}, {"-6"}} {
		for _, words := range []string{"state list", "policy list", "state list nokeys", "state count", "policy count", "state list proto esp", "policy list dir out"} {
			c := command{options: options, words: strings.Fields(words)}
			theirs, err := s.run(b.ip, c.ip(), "")
			if err != nil {
				t.Fatal(err)
			}
			ours, err := s.run(b.xfrmctl, c.xfrmctl(), "")
			if err != nil {
				t.Fatal(err)
			}
			if empty := b.esp && theirs.out == ""; empty || theirs.code != 0 || theirs.code != ours.code || theirs.out != ours.out {
				t.Errorf("%v: exit %d and %d, %s", c, theirs.code, ours.code, textDifference(theirs.out, ours.out))
			}
		}
	}
}
