package differ

import (
	"slices"
	"strings"
)

// lacking are the commands that ask for what the userspace engine does not
// have. They run on it alone, and must be refused there as by a kernel without
// the modules; docs/differences.md lists them.
func lacking(c command) (what string) {
	if verb := c.verb(); verb != "state add" && verb != "state update" {
		return ""
	}
	for _, p := range []string{"ah", "51", "comp", "108", "route2", "43", "hao", "60"} {
		if follows(c, "proto", p) {
			return "protocol " + p
		}
	}
	for i, w := range c.words {
		if i+1 < len(c.words) && slices.Contains([]string{"enc", "auth", "auth-trunc", "aead"}, w) && slices.Contains(lackingAlgorithms, c.words[i+1]) {
			return "algorithm " + c.words[i+1]
		}
	}
	if c.has("espintcp", "espinudp-nonike") {
		return "encapsulation other than UDP"
	}
	if slices.Contains(c.words, "iptfs") || follows(c, "mode", "iptfs") || follows(c, "mode", "5") {
		return "mode iptfs"
	}
	return ""
}

// lackingAlgorithms are those that Linux knows and the engine does not.
var lackingAlgorithms = []string{
	"rfc4309(ccm(aes))",
	"digest_null", "hmac(md5)", "md5", "hmac(rmd160)", "rmd160", "ripemd160", "xcbc(aes)", "cmac(aes)", "hmac(sm3)",
	"cbc(des)", "des", "cbc(des3_ede)", "des3_ede", "cbc(cast5)", "cast5", "cbc(blowfish)", "blowfish", "cbc(serpent)", "serpent",
	"cbc(camellia)", "camellia", "cbc(twofish)", "twofish", "rfc3686(ctr(sm4))", "cbc(sm4)",
}

// engineExceptions are the accepted differences between the kernel and the
// userspace engine in commands that both carry out or refuse. The list is that
// of docs/differences.md.
func engineExceptions() []exception {
	return []exception{
		{"update of what cannot change", "the kernel says yes and keeps the old key, mode and so on", updateRefused},
	}
}

// excuseEngine returns the name of the exception that covers a difference of
// the engines, or "".
func excuseEngine(c command, o outcome) string {
	for _, e := range engineExceptions() {
		if e.excuses(c, o) {
			return e.name
		}
	}
	return ""
}

func updateRefused(c command, o outcome) bool {
	return c.verb() == "state update" && o.left.code == 0 && o.right.code == 2 && strings.Contains(o.right.err, "can't change the")
}
