package differ

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// generator makes random commands. It remembers what it named, so that later
// commands meet earlier objects about half the time. Addresses, SPIs and
// selectors come from small pools for the same reason.
type generator struct {
	r *rand.Rand
	// what earlier commands made, as words that name it
	sas, policies [][]string
	// the same of the command at hand, until it is known to be accepted
	newSA, newPolicy []string
	noESP            bool // this kernel has no ESP: fewer states, more policies
}

func newGenerator(seed uint64) *generator {
	return &generator{r: rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))}
}

// chance is true in n of 100 cases.
func (g *generator) chance(n int) bool { return g.r.IntN(100) < n }

// pick returns one of several words.
func (g *generator) pick(words ...string) string { return words[g.r.IntN(len(words))] }

// shuffled concatenates fragments in random order.
func (g *generator) shuffled(fragments ...[]string) []string {
	g.r.Shuffle(len(fragments), func(i, j int) { fragments[i], fragments[j] = fragments[j], fragments[i] })
	return slices.Concat(fragments...)
}

// forget drops what was named, for a fresh pair of namespaces.
func (g *generator) forget() { g.sas, g.policies = nil, nil }

// learn tells the generator what came of its last command.
func (g *generator) learn(accepted bool) {
	if accepted && g.newSA != nil {
		g.sas = append(g.sas, g.newSA)
	}
	if accepted && g.newPolicy != nil {
		g.policies = append(g.policies, g.newPolicy)
	}
}

// weighted is a maker of commands with how often it is chosen.
type weighted struct {
	weight int
	make   func(*generator) []string
}

// makers is in no particular order.
func makers() []weighted {
	return []weighted{
		{30, (*generator).stateAdd}, {7, (*generator).stateUpdate}, {8, (*generator).stateAllocSPI},
		{7, (*generator).stateDelete}, {6, (*generator).stateGet}, {6, (*generator).stateList},
		{3, (*generator).stateDeleteAll}, {2, (*generator).stateFlush}, {2, (*generator).stateCount},
		{20, (*generator).policyAdd}, {6, (*generator).policyUpdate}, {6, (*generator).policyDelete},
		{6, (*generator).policyGet}, {6, (*generator).policyList}, {2, (*generator).policyDeleteAll},
		{2, (*generator).policyFlush}, {2, (*generator).policyCount}, {2, (*generator).policySet},
		{2, (*generator).policySetDefault}, {1, (*generator).policyGetDefault}, {2, (*generator).odd},
	}
}

// invalidShare is how many of 100 commands are spoilt. Of the others a good
// part fails as well: objects that exist or do not.
const invalidShare = 32

// next makes a command.
func (g *generator) next() command {
	all := makers()
	total := 0
	for _, m := range all {
		total += m.weight
	}
	n := g.r.IntN(total)
	g.newSA, g.newPolicy = nil, nil
	var words []string
	for _, m := range all {
		if n -= m.weight; n < 0 {
			words = m.make(g)
			if g.early(words) {
				words = g.add()
			}
			break
		}
	}
	if g.noESP && (command{words: words}).verb() == "state add" && g.chance(70) {
		words = g.policyAdd()
	}
	if g.chance(invalidShare) {
		words = g.spoil(words)
	}
	c := command{options: g.options(), words: words, long: g.chance(20)}
	c.words = g.tame(c.words)
	return c
}

func (g *generator) add() []string {
	if g.chance(50) {
		return g.stateAdd()
	}
	return g.policyAdd()
}

// early is true, mostly, for a command about earlier objects when there are
// none yet.
func (g *generator) early(words []string) bool {
	if len(words) < 3 || g.chance(30) {
		return false
	}
	made := g.sas
	if strings.HasPrefix("policy", words[0]) {
		made = g.policies
	}
	return len(made) == 0 && slices.Contains([]string{"get", "delete", "update"}, words[1])
}

// options returns global options, mostly none.
func (g *generator) options() []string {
	if !g.chance(18) {
		return nil
	}
	var list []string
	for range 1 + g.r.IntN(2) {
		switch g.r.IntN(16) {
		case 0, 1, 2:
			list = append(list, "-4")
		case 3, 4:
			list = append(list, "-6")
		case 5:
			list = append(list, "-f", g.pick("inet", "inet6"))
		case 6:
			list = append(list, g.pick("-0", "-B", "-M", "-d", "-N", "-r", "-h", "-iec", "-br"))
		case 7, 8, 9:
			list = append(list, g.pick("-s", "-stats", "--stat", "-statistics"))
		case 10, 11, 12:
			list = append(list, g.pick("-o", "-oneline", "--one"))
		case 13:
			list = append(list, "-s", "-o")
		case 14:
			list = append(list, "-s", "-s")
		case 15:
			list = append(list, g.pick("-z", "-f", "-force", "-c", "-a", "-S", "-4x", "-stats=1"))
		}
	}
	return list
}

// odd makes commands that name no proper object or command.
func (g *generator) odd() []string {
	all := [][]string{
		{"help"}, {"state", "help"}, {"policy", "help"}, {"monitor", "help"}, {"monitor", "bogus"}, {"bogus"},
		{"state", "bogus"}, {"policy", "bogus"}, {"policy", "set", "help"}, {"state"}, {"policy"}, {"s"}, {"p"}, {"sa"},
		{"state", "x", "y"}, {"state", "get"}, {"state", "delete"}, {"policy", "get"}, {"policy", "delete"}, {"state", "add"},
		{"policy", "add"}, {"state", "allocspi"}, {"policy", "setdefault"}, {"state", ""}, {"policy", ""},
	}
	return slices.Clone(all[g.r.IntN(len(all))])
}

// verbWords returns an object and a command word, some abbreviated.
func (g *generator) verbWords(object string, forms ...string) []string {
	if object == "state" && g.chance(10) {
		object = "sa"
	} else if g.chance(4) {
		object = object[:1+g.r.IntN(len(object))]
	}
	form := forms[0]
	if g.chance(12) {
		form = g.pick(forms...)
	}
	return []string{object, form}
}

// address returns an address of a family, 4 or 6.
func (g *generator) address(family int) string {
	if family == 6 {
		return g.pick("fd00::1", "fd00::2", "fd00::2", "2001:db8::5", "2001:db8::", "::1", "::")
	}
	return g.pick("10.0.0.1", "10.0.0.2", "10.0.0.2", "10.0.1.1", "10.1", "192.0.2.7", "0x0a.0.010.1", "0.0.0.0", "255.255.255.255")
}

// prefix returns an address with a prefix length.
func (g *generator) prefix(family int) string {
	if family == 6 {
		if g.chance(8) {
			return g.pick("any", "default", "all")
		}
		return g.pick("fd00::/64", "fd00:1::/48", "2001:db8::/32", "fd00::1", "fd00::1/128", "::/0", "fd00::5/60")
	}
	if g.chance(8) {
		return g.pick("any", "default", "all")
	}
	return g.pick("10.1.0.0/24", "10.2.0.0/16", "10.0.0.0/8", "10.1.2.3", "10.1.2.3/32", "10.1.2.3/24", "0.0.0.0/0", "10.1.0.0/255.255.0.0",
		"10.2/16", "192.0.2.0/0x18")
}

func (g *generator) family() int {
	if g.chance(28) {
		return 6
	}
	return 4
}

// u32 returns a number as one may write it.
func (g *generator) u32() string {
	n := g.r.Uint32() >> g.r.IntN(32)
	switch g.r.IntN(8) {
	case 0:
		return fmt.Sprintf("0x%x", n)
	case 1:
		return fmt.Sprintf("0X%X", n)
	case 2:
		return fmt.Sprintf("0%o", n)
	case 3:
		return g.pick("0", "1", "4294967295", "0xffffffff", "2", "3", "5", "256")
	}
	return fmt.Sprint(n)
}

func (g *generator) mark() []string {
	words := []string{"mark", g.pick("0", "1", "5", "0x10", "0xffffffff", g.u32())}
	if g.chance(50) {
		words = append(words, "mask", g.pick("0", "0xff", "0xffffffff", "15", g.u32()))
	}
	return words
}

func (g *generator) limit() []string {
	which := g.pick("time-soft", "time-hard", "time-use-soft", "time-use-hard", "byte-soft", "byte-hard", "packet-soft", "packet-hard")
	return []string{"limit", which, g.pick("0", "3600", "100000", "0x10000", "07777777", "2000000000", "18446744073709551615", "4294967296", "-1")}
}
