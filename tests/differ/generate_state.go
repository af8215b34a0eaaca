package differ

import (
	"fmt"
	"slices"
	"strings"
)

// key returns a key of n bytes.
func (g *generator) key(n int) string {
	if g.chance(6) {
		return strings.Repeat("k", n) // as ASCII
	}
	var b strings.Builder
	b.WriteString("0x")
	for range n {
		fmt.Fprintf(&b, g.pick("%02x", "%02x", "%02X"), g.r.IntN(256))
	}
	return b.String()
}

// cipher returns the algorithms of an ESP SA.
func (g *generator) cipher() [][]string {
	switch g.r.IntN(9) {
	case 0, 1, 2:
		return [][]string{{"aead", "rfc4106(gcm(aes))", g.key([]int{20, 28, 36}[g.r.IntN(3)]), g.pick("64", "96", "128", "0x80")}}
	case 3:
		return [][]string{{"aead", "rfc4309(ccm(aes))", g.key(19), g.pick("64", "96", "128")}}
	case 4:
		return [][]string{{"aead", "rfc7539esp(chacha20,poly1305)", g.key(36), "128"}}
	case 5:
		return [][]string{{"enc", g.pick("ecb(cipher_null)", "cipher_null"), ""}, g.authentication()}
	case 6:
		return [][]string{{"enc", "rfc3686(ctr(aes))", g.key(20)}, g.authentication()}
	}
	return [][]string{{"enc", g.pick("cbc(aes)", "cbc(aes)", "aes"), g.key([]int{16, 24, 32}[g.r.IntN(3)])}, g.authentication()}
}

// authentication returns an auth or auth-trunc.
func (g *generator) authentication() []string {
	switch g.r.IntN(6) {
	case 0:
		return []string{"auth", g.pick("hmac(sha1)", "sha1"), g.key(20)}
	case 1:
		return []string{"auth", g.pick("hmac(sha256)", "sha256"), g.key(32)}
	case 2:
		return []string{"auth-trunc", "hmac(sha256)", g.key(32), g.pick("128", "96", "0", "256")}
	case 3:
		return []string{"auth-trunc", "hmac(sha512)", g.key(64), g.pick("256", "0x100", "0400")}
	case 4:
		return []string{"auth", g.pick("cmac(aes)", "xcbc(aes)", "hmac(md5)", "md5"), g.key(16)}
	}
	return []string{"auth-trunc", "hmac(sha384)", g.key(48), "192"}
}

// id returns the contiguous words that name an SA.
func (g *generator) id(family int, proto string, spi bool) []string {
	parts := [][]string{{"src", g.address(family)}, {"dst", g.address(family)}, {"proto", proto}}
	if g.chance(4) {
		parts = parts[1:]
	}
	if spi && proto != "route2" && proto != "hao" {
		parts = append(parts, []string{"spi", g.pick("0x100", "256", "0x101", "0400", "0x1000", "4096", "0x102", "4097")})
	}
	if g.chance(70) {
		return slices.Concat(parts...)
	}
	return g.shuffled(parts...)
}

func (g *generator) proto() string {
	if g.chance(12) {
		return g.pick("route2", "hao", "ipsec-any", "comp")
	}
	return g.pick("esp", "esp", "esp", "esp", "ah", "comp")
}

// body returns the fragments that an SA of the protocol needs.
func (g *generator) body(family int, proto string) [][]string {
	mode := []string{"mode", g.pick("tunnel", "tunnel", "transport", "beet", "tu", "t", "b", "tun")}
	switch proto {
	case "esp":
		parts := g.cipher()
		if g.chance(80) {
			parts = append(parts, mode)
		}
		return parts
	case "ah":
		parts := [][]string{g.authentication()}
		if g.chance(60) {
			parts = append(parts, []string{"mode", g.pick("transport", "tunnel", "tr", "beet")})
		}
		return parts
	case "comp":
		return [][]string{{"comp", g.pick("deflate", "deflate", "lzs")}, {"mode", g.pick("transport", "transport", "tunnel")}}
	case "route2", "hao":
		return [][]string{{"mode", g.pick("ro", "r", "in_trigger", "in", "i")}, {"coa", g.address(family)}}
	}
	return [][]string{mode}
}

// stateOption returns one of the optional fragments.
func (g *generator) stateOption(family int) []string {
	switch g.r.IntN(22) {
	case 0, 1, 2:
		return []string{"reqid", g.u32()}
	case 3:
		return []string{"seq", g.u32()}
	case 4, 5:
		return []string{"replay-window", g.pick("0", "1", "32", "33", "64", "128", "4096", "0x20", "040", "5")}
	case 6:
		return append([]string{"flag"}, g.flags("noecn", "decap-dscp", "nopmtudisc", "wildrecv", "icmp", "af-unspec", "align4", "esn")...)
	case 7:
		return append([]string{"extra-flag"}, g.flags("dont-encap-dscp", "oseq-may-wrap")...)
	case 8, 9:
		return g.mark()
	case 10, 11:
		return append([]string{"sel"}, g.selector(family)...)
	case 12:
		return g.limit()
	case 13:
		return []string{"encap", g.pick("espinudp", "espinudp", "espinudp-nonike", "espintcp"), g.pick("4500", "0x1194", "0"), g.pick("4500", "4501"), g.address(family)}
	case 14:
		words := []string{"output-mark", g.pick("0", "7", "0x10", g.u32())}
		if g.chance(50) {
			words = append(words, "mask", g.pick("0", "0xff", "0xffffffff"))
		}
		return words
	case 15, 16:
		return []string{"if_id", g.pick("0", "1", "7", "0x10", g.u32())}
	case 17:
		return []string{"tfcpad", g.pick("0", "100", "0x100", g.u32())}
	case 18:
		return []string{"dir", g.pick("in", "out")}
	case 19:
		return g.pick2([]string{"dir", "in", "pcpu-num", g.pick("0", "1", "0xffffffff", "9999")}, []string{"pcpu-num", g.u32()})
	case 20:
		return []string{g.pick("replay-seq", "replay-oseq", "replay-seq-hi", "replay-oseq-hi"), g.u32()}
	}
	return g.pick2([]string{"ctx", g.pick("system_u:object_r:ipsec_spd_t:s0", "x")},
		[]string{"offload", g.pick("packet", "crypto"), "dev", g.pick("d0", "d1", "lo", "alternative-name-of-d0", "if1", "if99", "nope"), "dir", g.pick("in", "out")},
		[]string{"offload", "dev", g.pick("d0", "lo"), "dir", g.pick("in", "out")})
}

func (g *generator) pick2(lists ...[]string) []string { return lists[g.r.IntN(len(lists))] }

// flags returns some of the names, or a hexadecimal number.
func (g *generator) flags(names ...string) []string {
	if g.chance(15) {
		return []string{g.pick("0x1", "0x0", "0x41", "0xff", "0x80", "0x100", "0x3")}
	}
	g.r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	return names[:1+g.r.IntN(2)]
}

func (g *generator) stateAdd() []string {
	family, proto := g.family(), g.proto()
	id := g.id(family, proto, true)
	words := g.stateWords(family, proto, id)
	g.newSA = slices.Concat(id, identifying(words, "mark"))
	return append(g.verbWords("state", "add", "a", "ad"), words...)
}

// stateWords returns the words after add or update: mostly few options, which
// the kernel then accepts, sometimes many.
func (g *generator) stateWords(family int, proto string, id []string) []string {
	parts := append([][]string{id}, g.body(family, proto)...)
	n := g.r.IntN(4)
	if g.chance(15) {
		n += g.r.IntN(8)
	}
	for range n {
		parts = append(parts, g.stateOption(family))
	}
	if g.chance(60) {
		return slices.Concat(parts...)
	}
	return g.shuffled(parts...)
}

// known returns the name of an SA from before, mostly, and its protocol.
func (g *generator) known() (id []string, proto string) {
	if len(g.sas) > 0 && g.chance(85) {
		id = slices.Clone(g.sas[g.r.IntN(len(g.sas))])
	} else {
		id = g.id(g.family(), g.proto(), true)
	}
	if i := slices.Index(id, "proto"); i >= 0 {
		proto = id[i+1]
	}
	return id, proto
}

func (g *generator) stateUpdate() []string {
	id, proto := g.known()
	family := 4
	if strings.ContainsRune(strings.Join(id, " "), ':') {
		family = 6
	}
	return append(g.verbWords("state", "update", "u", "upd"), g.stateWords(family, proto, id)...)
}

func (g *generator) stateDelete() []string {
	id, _ := g.known()
	words := append(g.verbWords("state", "delete", "d", "del", "de"), id...)
	if g.chance(8) {
		words = append(words, g.mark()...)
	}
	return words
}

func (g *generator) stateGet() []string {
	id, _ := g.known()
	words := append(g.verbWords("state", "get", "g", "ge"), id...)
	if g.chance(8) {
		words = append(words, g.mark()...)
	}
	return words
}

func (g *generator) stateAllocSPI() []string {
	family, proto := g.family(), g.pick("esp", "esp", "esp", "esp", "ah", "comp", "comp", "route2")
	id := g.id(family, proto, g.chance(3))
	parts := [][]string{id}
	for range g.r.IntN(5) {
		switch g.r.IntN(7) {
		case 0:
			parts = append(parts, []string{"mode", g.pick("tunnel", "transport", "beet", "ro")})
		case 1:
			parts = append(parts, g.mark())
		case 2:
			parts = append(parts, []string{"reqid", g.u32()})
		case 3:
			parts = append(parts, []string{"seq", g.u32()})
		case 4:
			parts = append(parts, []string{"dir", g.pick("in", "out")})
		case 5:
			parts = append(parts, []string{"dir", "in", "pcpu-num", g.pick("0", "0xffffffff", "99999")})
		}
	}
	if g.chance(25) {
		parts = append(parts, []string{"min", g.pick("0x1000", "1", "0x10000", "500"), "max", g.pick("0x1000", "0xffff", "0x1fffffff", "400")})
	} else if g.chance(60) {
		spi := g.pick("0x200", "0x201", "0x202", "515")
		parts = append(parts, []string{"min", spi, "max", spi})
		g.newSA = append(slices.Clone(id), "spi", spi)
	}
	return append(g.verbWords("state", "allocspi", "al", "alloc"), g.shuffled(parts...)...)
}

// stateFilter returns what list and deleteall take.
func (g *generator) stateFilter() []string {
	var parts [][]string
	for range g.r.IntN(3) {
		switch g.r.IntN(6) {
		case 0, 1:
			id, _ := g.known()
			id = id[:min(8, len(id))]
			parts = append(parts, id[:2*(1+g.r.IntN(len(id)/2))])
		case 2:
			family := g.family()
			parts = append(parts, g.pick2([]string{"src", g.prefix(family)}, []string{"dst", g.prefix(family)}, []string{"proto", g.proto()}))
		case 3:
			parts = append(parts, []string{"mode", g.pick("tunnel", "transport", "beet", "ro", "t", "tu")})
		case 4:
			parts = append(parts, []string{"reqid", g.pick("0", "1", "2", g.u32())})
		case 5:
			parts = append(parts, append([]string{"flag"}, g.flags("noecn", "af-unspec", "esn", "icmp")...))
		}
	}
	return slices.Concat(parts...)
}

func (g *generator) stateList() []string {
	words := append(g.verbWords("state", "list", "show", "lst", "l", "ls", "s", "sh"), g.stateFilter()...)
	if g.chance(10) {
		words = append(words, "nokeys")
	}
	return words
}

func (g *generator) stateDeleteAll() []string {
	filter := g.stateFilter()
	for len(filter) == 0 && !g.chance(20) {
		filter = g.stateFilter()
	}
	return append(g.verbWords("state", "deleteall", "delall", "deletea", "dela"), filter...)
}

func (g *generator) stateFlush() []string {
	words := g.verbWords("state", "flush", "f")
	if g.chance(90) {
		words = append(words, "proto", g.pick("comp", "ah", "hao", g.proto()))
	}
	return words
}

func (g *generator) stateCount() []string {
	words := g.verbWords("state", "count", "c")
	if g.chance(20) {
		words = append(words, "more")
	}
	return words
}
