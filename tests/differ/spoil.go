package differ

import (
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// What the spoiler puts in place of good words.
var (
	oddNumbers = []string{"", "0", "00", "08", "077", "0x", "0X1f", "0xg", "-1", "-0", "-5", "+3", " 7", "7 ", "\t9", "0b1", "0o17", "1_000", "0x_1", "1K", "1h",
		"10s", "1e3", "1.5", "255", "256", "257", "65535", "65536", "4294967295", "4294967296", "18446744073709551615", "18446744073709551616",
		"99999999999999999999", "0xffffffffffffffff", "-4294967295", "٣", "four", "- 1", "0x 1", "--1", "4096", "4097", "2147483648"}
	oddAddresses = []string{"", "10", "10.1.2", "10.1.2.", "256.1.1.1", "1.2.3.4.5", "10.0.0.1/24", "10.0.0.1/33", "10.0.0.0/255.255.255.0",
		"10.0.0.0/255.0.255.0", "10.0.0.0/0", "10.0.0.1/", "/24", "1.2.3.4/0x18", "1.2.3.4/-1", "1.2.3.4/030", "fd00::1/64", "fd00::/129", "fd00::1%lo", "::ffff:10.0.0.1",
		"any", "default", "all", "any/8", "ANY", "10..1", "a.b.c.d", "localhost", "-1", "10.0.0.-1", "08.0.0.1", "0x.1", "1.2.3.4 ", " 1.2.3.4", "fe80::1:::2", ":", "::", "fd00::g",
		"1.2.3.4/255.255.255.255", "1.2.3.4/0.0.0.0", "fd00::/ffff::", "0", "167772161", "0x0a000001", "10.0.0.1/32/32", "::1/0x40", "1.2.3.4/255.255.256.0", "+1.2.3.4", "010.020.030.040"}
	oddWords = []string{"bogus", "", "-", "--", "help", "SRC", "esp", "any", "tmpl", "sel", "dir", "out", "in", "fwd", "src", "dst", "proto", "spi", "mode", "mask", "tunnel",
		"state", "0x1", "flag", "esn", "nokeys", "nosock", "index", "level", "required", "dev", "lo", "enc", "auth", "comp", "deflate", "min", "max", "limit", "time-soft", "byte-hard",
		"encap", "espinudp", "4500", "coa", "10.0.0.9", "fd00::9", "block", "allow", "accept", "main", "sub", "ptype", "hthresh4", "none", "packet", "crypto", "unspec", "Mark", "dIr"}
	oddKeys = []string{"0x", "0X00112233445566778899aabbccddeeff", "0x0", "0x1", "0x123", "0xzz", "0x1 2", "0x+1", "0x-1", "00112233445566778899aabbccddeeff", "", "k", "0x00112233445566778899aabbccddeeff",
		"0x" + strings.Repeat("ab", 512), "0x" + strings.Repeat("ab", 513), strings.Repeat("k", 512), strings.Repeat("k", 513), "0x0x", "0x12\n", "0x1\t2 3"}
	oddNames = []string{"cbc(aes)", "cbc(bogus)", "", "hmac(sha256)", "rfc4106(gcm(aes))", "AES", strings.Repeat("n", 63), strings.Repeat("n", 64), strings.Repeat("n", 100), "deflate", "digest_null", "sha512", "des3_ede"}
	// words whose value is of a kind
	numberKeys  = []string{"spi", "reqid", "seq", "mark", "mask", "replay-window", "replay-seq", "replay-oseq", "replay-seq-hi", "replay-oseq-hi", "if_id", "tfcpad", "pcpu-num", "output-mark", "priority", "index", "sport", "dport", "type", "code", "key", "min", "max", "time-soft", "time-hard", "time-use-soft", "time-use-hard", "byte-soft", "byte-hard", "packet-soft", "packet-hard", "hthresh4", "hthresh6", "flag", "extra-flag", "espinudp", "espintcp"}
	addressKeys = []string{"src", "dst", "coa"}
	algorithms  = []string{"enc", "auth", "auth-trunc", "aead", "comp"}
)

// spoil makes a command wrong, or odd, in one to three places.
func (g *generator) spoil(words []string) []string {
	words = slices.Clone(words)
	for range 1 + g.r.IntN(10)/5 {
		words = g.spoilOnce(words)
	}
	if len(words) == 0 {
		return []string{"state"}
	}
	return words
}

func (g *generator) spoilOnce(words []string) []string {
	if len(words) < 3 {
		return append(words, g.pick(oddWords...))
	}
	// The object and command words are left alone, mostly.
	first := 2
	if g.chance(6) {
		first = 0
	}
	i := first + g.r.IntN(len(words)-first)
	switch g.r.IntN(16) {
	case 0, 1:
		return slices.Delete(words, i, i+1)
	case 2:
		return slices.Insert(words, i, words[i])
	case 3:
		return append(words, words[i:min(i+2, len(words))]...)
	case 4:
		if i+1 < len(words) {
			words[i], words[i+1] = words[i+1], words[i]
		}
		return words
	case 5:
		moved := words[i]
		words = slices.Delete(words, i, i+1)
		return slices.Insert(words, first+g.r.IntN(len(words)-first+1), moved)
	case 6, 7, 8, 9, 10:
		return g.spoilValue(words)
	case 11:
		words[i] = shorter(words[i], g.r.IntN(3)+1)
		return words
	case 12:
		words[i] = g.pick(oddWords...)
		return words
	case 13:
		return slices.Insert(words, i, g.pick(oddWords...))
	case 14:
		return words[:i]
	}
	return append(words, g.foreign()...)
}

// shorter abbreviates, misspells, or changes the case of a word.
func shorter(w string, how int) string {
	switch {
	case len(w) < 2:
		return w + "x"
	case how == 1:
		return w[:len(w)-1]
	case how == 2:
		return strings.ToUpper(w)
	}
	return w[:1] + w[2:]
}

// spoilValue replaces the value of a keyword by an odd one of its kind.
func (g *generator) spoilValue(words []string) []string {
	var places []int
	for i := 2; i+1 < len(words); i++ {
		if slices.Contains(numberKeys, words[i]) || slices.Contains(addressKeys, words[i]) || slices.Contains(algorithms, words[i]) ||
			slices.Contains([]string{"mode", "proto", "dir", "action", "ptype", "level", "encap", "limit", "dev", "offload"}, words[i]) {
			places = append(places, i)
		}
	}
	if len(places) == 0 {
		return append(words, g.pick(oddWords...))
	}
	i := places[g.r.IntN(len(places))]
	switch key := words[i]; {
	case slices.Contains(numberKeys, key):
		words[i+1] = g.pick(oddNumbers...)
	case slices.Contains(addressKeys, key):
		words[i+1] = g.pick(oddAddresses...)
	case slices.Contains(algorithms, key):
		switch n := g.r.IntN(3); {
		case n == 0:
			words[i+1] = g.pick(oddNames...)
		case n == 1 && i+2 < len(words):
			words[i+2] = g.pick(oddKeys...)
		case i+3 < len(words):
			words[i+3] = g.pick(oddNumbers...)
		}
	default:
		words[i+1] = g.pick(g.pick(oddWords...), g.oddValue(key))
	}
	return words
}

// oddValue returns a value that a keyword nearly takes, or a rare one that it
// does.
func (g *generator) oddValue(key string) string {
	switch key {
	case "mode":
		return g.pick("transport", "tunnel", "ro", "in_trigger", "beet", "tr", "in", "tunnels", "iptfs-", "T", "5", "esp")
	case "proto":
		return g.pick("esp", "ah", "comp", "route2", "hao", "ipsec-any", "50", "es", "ESP", "tcp", "any", "256", "-1", "0x32", "ipsec")
	case "dir":
		return g.pick("in", "out", "fwd", "ou", "i", "IN", "0", "both")
	case "action", "ptype", "level":
		return g.pick("allow", "block", "accept", "main", "sub", "any", "required", "use", "unique", "al", "0")
	case "encap":
		return g.pick("espinudp", "espinudp-nonike", "espintcp", "udp", "2", "esp")
	case "limit":
		return g.pick("time", "bytes-soft", "time-sof", "soft", "packet-hard")
	case "offload":
		return g.pick("crypto", "packet", "dev", "dir", "full")
	}
	return g.pick("lo", "d0", "none", "if1", "if0", "1", "", "d0@d1", "nope")
}

// foreign returns a fragment that belongs to some command, perhaps to this one.
func (g *generator) foreign() []string {
	family := g.family()
	switch g.r.IntN(6) {
	case 0, 1:
		return g.stateOption(family)
	case 2, 3:
		return g.policyOption(g.pick(directions...))
	case 4:
		return g.template(family)
	}
	return g.id(family, g.proto(), true)
}

// tame changes what would make the outcome depend on time or on other
// namespaces: time limits that run out during the test, and indexes below
// explicitIndex that the kernel may also give out by itself.
func (g *generator) tame(words []string) []string {
	for i := 0; i+1 < len(words); i++ {
		value, ok := number(words[i+1])
		if !ok {
			continue
		}
		switch words[i] {
		case "time-hard", "time-use-hard":
			if value.Sign() < 0 || value.BitLen() > 31 || value.Sign() > 0 && value.Int64() < 3000 {
				words[i+1] = "86400"
			}
		case "time-soft", "time-use-soft":
			if value.Sign() > 0 && value.IsInt64() && value.Int64() < 3000 {
				words[i+1] = "86400"
			}
		case "index":
			if value.Sign() > 0 && value.IsInt64() && value.Int64() < explicitIndex {
				words[i+1] = strconv.FormatInt(explicitIndex+value.Int64()&7, 10)
			}
		}
	}
	return words
}

// number reads a number as C's strtoul does.
func number(word string) (*big.Int, bool) {
	word = strings.TrimLeft(word, " \t\n")
	negative := strings.HasPrefix(word, "-")
	word = strings.TrimPrefix(strings.TrimPrefix(word, "-"), "+")
	base := 10
	switch {
	case strings.HasPrefix(word, "0x"), strings.HasPrefix(word, "0X"):
		base, word = 16, word[2:]
	case strings.HasPrefix(word, "0") && len(word) > 1:
		base, word = 8, word[1:]
	}
	if strings.Contains(word, "_") {
		return nil, false
	}
	n, ok := new(big.Int).SetString(word, base)
	if ok && negative {
		n.Neg(n)
	}
	return n, ok
}
