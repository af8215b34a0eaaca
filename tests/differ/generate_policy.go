package differ

import (
	"fmt"
	"slices"
)

// selector returns the contiguous words of a selector.
func (g *generator) selector(family int) []string {
	var parts [][]string
	if g.chance(85) {
		parts = append(parts, []string{"src", g.prefix(family)})
	}
	if g.chance(75) {
		parts = append(parts, []string{"dst", g.prefix(family)})
	}
	if g.chance(12) {
		parts = append(parts, []string{"dev", g.pick("d0", "d1", "lo", "none", "nope", "alternative-name-of-d0")})
	}
	if g.chance(35) {
		parts = append(parts, g.upper())
	}
	if len(parts) == 0 {
		return []string{"src", g.prefix(family)}
	}
	// Words like "any" need a family that an earlier word set.
	if g.chance(85) {
		return slices.Concat(parts...)
	}
	return g.shuffled(parts...)
}

// upper returns the part of a selector about the protocol inside.
func (g *generator) upper() []string {
	switch g.r.IntN(8) {
	case 0, 1, 2:
		words := []string{"proto", g.pick("tcp", "udp", "sctp", "dccp", "17", "6", "UDP")}
		if g.chance(60) {
			words = append(words, "sport", g.pick("0", "80", "0x50", "65535"))
		}
		if g.chance(60) {
			words = append(words, "dport", g.pick("0", "443", "0777"))
		}
		return words
	case 3:
		return []string{"proto", g.pick("icmp", "ipv6-icmp", "1", "58", "mobility-header"), "type", g.pick("0", "8", "255"), "code", g.pick("0", "1", "255")}
	case 4:
		return []string{"proto", g.pick("gre", "47"), "key", g.pick("0", "5", "10.0.0.1", "0xffffffff", "70000")}
	case 5:
		return []string{"proto", g.pick("any", "0", "255", "esp", "ah", "ospf", "132", "50", "ipip", "4", "41", "254")}
	case 6:
		return []string{"sport", g.pick("80", "0"), "dport", g.pick("1", "2")}
	}
	return []string{"proto", g.pick("icmp", "tcp", "gre", "esp"), g.pick("sport", "type", "code", "key", "dport"), g.pick("1", "5")}
}

// template returns the words of a template.
func (g *generator) template(family int) []string {
	if g.chance(6) {
		family = 10 - family
	}
	var parts [][]string
	if g.chance(97) {
		id := []string{"proto", g.templateProto()}
		if g.chance(85) {
			id = slices.Concat([]string{"src", g.address(family), "dst", g.address(family)}, id)
		}
		if g.chance(15) {
			id = append(id, "spi", g.pick("0", "0x100", "0x10000"))
		}
		parts = append(parts, id)
	}
	if g.chance(85) {
		parts = append(parts, []string{"mode", g.pick("tunnel", "tunnel", "transport", "beet", "ro", "in_trigger", "t", "tu")})
	}
	if g.chance(55) {
		parts = append(parts, []string{"reqid", g.pick("0", "1", "2", g.u32())})
	}
	if g.chance(15) {
		parts = append(parts, []string{"level", g.pick("required", "use")})
	}
	if g.chance(75) {
		return append([]string{"tmpl"}, slices.Concat(parts...)...)
	}
	return append([]string{"tmpl"}, g.shuffled(parts...)...)
}

func (g *generator) templateProto() string {
	if g.chance(12) {
		return g.pick("route2", "hao", "ipsec-any")
	}
	return g.pick("esp", "esp", "esp", "ah", "comp")
}

// directions and the low bits of an index in each.
var directions = []string{"in", "out", "fwd"}

// index returns a policy index, mostly one that fits the direction.
func (g *generator) index(dir string) []string {
	low := slices.Index(directions, dir)
	if low < 0 || g.chance(10) {
		low = g.r.IntN(8)
	}
	return []string{"index", fmt.Sprintf(g.pick("%d", "0x%x", "0%o"), explicitIndex+8*g.r.IntN(4)+low)}
}

// policyOption returns one of the optional fragments.
func (g *generator) policyOption(dir string) []string {
	switch g.r.IntN(13) {
	case 0, 1, 2:
		return []string{"priority", g.u32()}
	case 3:
		return []string{"action", g.pick("allow", "block")}
	case 4, 5:
		return []string{"if_id", g.pick("0", "1", "7", g.u32())}
	case 6:
		return []string{"ptype", g.pick("main", "sub")}
	case 7:
		return append([]string{"flag"}, g.flags("localok", "icmp")...)
	case 8, 9:
		return g.mark()
	case 10:
		return g.limit()
	case 11:
		return g.index(dir)
	}
	return g.pick2([]string{"ctx", "system_u:object_r:ipsec_spd_t:s0"}, []string{"offload", "packet", "dev", g.pick("d0", "lo", "nope")},
		[]string{"offload", "crypto", "dev", "d0"})
}

// policyWords returns the words after add or update.
func (g *generator) policyWords(family int, selector []string, dir string) []string {
	parts := [][]string{{"dir", dir}}
	if len(selector) > 0 {
		if g.chance(80) {
			parts = append([][]string{selector}, parts...)
		} else {
			parts = append(parts, selector)
		}
	}
	for range g.r.IntN(4) {
		parts = append(parts, g.policyOption(dir))
	}
	switch n := g.r.IntN(20); {
	case n == 0:
		for range 2 + g.r.IntN(6) {
			parts = append(parts, g.template(family))
		}
	case n < 14:
		parts = append(parts, g.template(family))
	}
	if g.chance(85) {
		return slices.Concat(parts...)
	}
	return g.shuffled(parts...)
}

func (g *generator) policyAdd() []string {
	family := g.family()
	var selector []string
	if g.chance(95) {
		selector = g.selector(family)
	}
	dir := directions[g.r.IntN(3)]
	words := g.policyWords(family, selector, dir)
	g.newPolicy = slices.Concat(selector, identifying(words, "mark", "dir", "if_id", "ptype"))
	return append(g.verbWords("policy", "add", "a", "ad"), words...)
}

// identifying returns those of the keywords that are among the words, with
// their values.
func identifying(words []string, keys ...string) []string {
	var id []string
	for i := 0; i+1 < len(words) && words[i] != "tmpl"; i++ {
		if !slices.Contains(keys, words[i]) || slices.Contains(id, words[i]) {
			continue
		}
		id = append(id, words[i], words[i+1])
		if words[i] == "mark" && i+3 < len(words) && words[i+2] == "mask" {
			id = append(id, "mask", words[i+3])
		}
	}
	return id
}

// knownPolicy returns words that name a policy from before, mostly.
func (g *generator) knownPolicy() []string {
	switch {
	case g.chance(15):
		dir := directions[g.r.IntN(3)]
		return append(g.index(dir), "dir", dir)
	case len(g.policies) > 0 && g.chance(90):
		return slices.Clone(g.policies[g.r.IntN(len(g.policies))])
	}
	return append(g.selector(g.family()), "dir", g.pick(directions...))
}

func (g *generator) policyUpdate() []string {
	known := g.knownPolicy()
	if slices.Contains(known, "index") {
		known = append(g.selector(4), known...)
	}
	for range g.r.IntN(3) {
		known = append(known, g.policyOption("out")...)
	}
	if g.chance(60) {
		known = append(known, g.template(4)...)
	}
	return append(g.verbWords("policy", "update", "u", "up"), known...)
}

func (g *generator) policyDelete() []string {
	return append(g.verbWords("policy", "delete", "d", "del"), g.knownPolicy()...)
}

func (g *generator) policyGet() []string {
	return append(g.verbWords("policy", "get", "g", "ge"), g.knownPolicy()...)
}

// policyFilter returns what list and deleteall take.
func (g *generator) policyFilter() []string {
	var parts [][]string
	for range g.r.IntN(3) {
		switch g.r.IntN(8) {
		case 0, 1, 2:
			parts = append(parts, g.selector(g.family()))
		case 3:
			parts = append(parts, []string{"dir", g.pick(directions...)})
		case 4:
			parts = append(parts, g.index(g.pick(directions...)))
		case 5:
			parts = append(parts, []string{"action", g.pick("allow", "block")}, []string{"ptype", g.pick("main", "sub")})
		case 6:
			parts = append(parts, []string{"priority", g.pick("0", "1", "5", g.u32())})
		case 7:
			parts = append(parts, append([]string{"flag"}, g.flags("localok", "icmp")...))
		}
	}
	return slices.Concat(parts...)
}

func (g *generator) policyList() []string {
	words := append(g.verbWords("policy", "list", "show", "lst", "l", "ls", "s", "sh"), g.policyFilter()...)
	if g.chance(10) {
		words = append(words, "nosock")
	}
	return words
}

func (g *generator) policyDeleteAll() []string {
	filter := g.policyFilter()
	for len(filter) == 0 && !g.chance(20) {
		filter = g.policyFilter()
	}
	return append(g.verbWords("policy", "deleteall", "delall", "deletea", "dela"), filter...)
}

func (g *generator) policyFlush() []string {
	words := g.verbWords("policy", "flush", "f")
	if g.chance(85) {
		words = append(words, "ptype", g.pick("main", "sub", "sub", "sub"))
	}
	return words
}

func (g *generator) policyCount() []string {
	words := g.verbWords("policy", "count", "c")
	if g.chance(20) {
		words = append(words, "more", "words")
	}
	return words
}

func (g *generator) policySet() []string {
	words := g.verbWords("policy", "set", "se")
	if g.chance(75) {
		words = append(words, "hthresh4", g.pick("24", "0", "32", "0x10", "33"), g.pick("16", "32", "040"))
	}
	if g.chance(60) {
		words = append(words, "hthresh6", g.pick("64", "128", "129"), g.pick("0", "0x40", "128"))
	}
	return words
}

func (g *generator) policySetDefault() []string {
	words := g.verbWords("policy", "setdefault", "setd")
	dirs := []string{"in", "fwd", "out"}
	g.r.Shuffle(3, func(i, j int) { dirs[i], dirs[j] = dirs[j], dirs[i] })
	for _, dir := range dirs[:1+g.r.IntN(3)] {
		words = append(words, dir, g.pick("block", "accept", "allow"))
	}
	return words
}

func (g *generator) policyGetDefault() []string {
	return g.verbWords("policy", "getdefault", "getd")
}
