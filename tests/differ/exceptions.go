package differ

import (
	"slices"
	"strings"
)

// exception is a difference on purpose. It excuses one observation only if
// both the words and what came of them fit. Each has cases of its own in
// testdata/exceptions.rows or a test in exceptions_test.go, which must show
// it; docs/differences.md has the same list in prose.
type exception struct {
	name    string
	reason  string
	excuses func(c command, o outcome) bool
}

// exceptions is asked in order; the first that fits is the one.
func exceptions() []exception {
	return []exception{
		{"key from elsewhere", "keys on a command line can be seen by every user", keyFromElsewhere},
		{"words of xfrmctl alone", "ip refuses them; they say what ip cannot", extensionWord},
		{"options of xfrmctl alone", "ip refuses them", extensionOption},
		{"long security context", "ip writes behind its buffer", longContext},
		{"more than 2 KiB of attributes", "ip leaves out what does not fit", manyAttributes},
		{"odd device name", "ip reads if1x as if1", oddDevice},
		{"MPLS label as address", "there are no such SAs", mplsLabel},
		{"json", "ip has no JSON for XFRM and prints text", jsonOutput},
		{"nokeys of monitor", "in ip it has no effect", noKeysInMonitor},
		{"no protocols file", "small systems have none; ip then refuses every name", withoutProtocols},
		{"deleteall of states", "ip stops at the first that it cannot delete, and at 138", deleteAllStates},
		{"deleteall of policies", "ip stops at the first of type sub", deleteAllPolicies},
	}
}

// excuse returns the name of the exception that covers a difference, or "".
func excuse(c command, o outcome) string {
	for _, e := range exceptions() {
		if e.excuses(c, o) {
			return e.name
		}
	}
	return ""
}

// refused reports whether ip took the command for a mistake.
func refused(o outcome) bool { return o.left.code == 255 || o.left.code == 1 }

func keyFromElsewhere(c command, _ outcome) bool {
	for i, w := range c.words {
		if slices.Contains([]string{"enc", "auth", "auth-trunc", "aead"}, w) && i+2 < len(c.words) {
			if key := c.words[i+2]; strings.HasPrefix(key, "@") || strings.HasPrefix(key, "env:") {
				return true
			}
		}
	}
	return false
}

// extensionWords are the words that only xfrmctl has, by verb.
var extensionWords = map[string][]string{
	"state add":        {"iptfs", "nat-keepalive", "mapping-thresh", "replay-thresh", "etimer-thresh"},
	"state update":     {"iptfs", "nat-keepalive", "mapping-thresh", "replay-thresh", "etimer-thresh"},
	"state allocspi":   {"if_id"},
	"state list":       {"if_id", "mark", "dir", "offload"},
	"state deleteall":  {"if_id", "mark", "dir", "offload"},
	"policy add":       {"iptfs", "cpu-acquire", "share", "enc-mask", "auth-mask", "comp-mask"},
	"policy update":    {"iptfs", "cpu-acquire", "share", "enc-mask", "auth-mask", "comp-mask"},
	"policy list":      {"if_id", "mark", "offload", "cpu-acquire"},
	"policy deleteall": {"if_id", "mark", "offload", "cpu-acquire"},
	"state":            {"migrate", "ae"},
	"policy":           {"migrate"},
	"monitor":          {"migrate", "mapping"},
}

func extensionWord(c command, o outcome) bool {
	verb := c.verb()
	if strings.HasPrefix(verb, "monitor") {
		verb = "monitor"
	}
	return refused(o) && o.right.code != 255 && c.has(extensionWords[verb]...)
}

// extensionOption is true for options that ip does not know at all.
func extensionOption(c command, o outcome) bool {
	return o.left.code == 255 && strings.HasPrefix(o.left.err, "Option ") && slices.ContainsFunc(c.options, func(w string) bool {
		name := strings.TrimLeft(w, "-")
		if name, _, ok := strings.Cut(name, "="); ok { // -family=inet, --engine=kernel
			return slices.Contains([]string{"family", "engine", "netns", "batch", "rcvbuf", "loops"}, name)
		}
		return slices.Contains([]string{"show-keys", "show", "quiet", "q", "dry-run", "dry", "v", "verbose", "version", "engine"}, name)
	})
}

func longContext(c command, _ outcome) bool {
	for i, w := range c.words {
		if w == "ctx" && i+1 < len(c.words) && len(c.words[i+1]) > 247 {
			return true
		}
	}
	return false
}

func manyAttributes(_ command, o outcome) bool {
	return strings.Contains(o.left.err, "addattr_l ERROR")
}

func oddDevice(c command, _ outcome) bool {
	for i, w := range c.words {
		if w != "dev" || i+1 >= len(c.words) {
			continue
		}
		if digits, ok := strings.CutPrefix(c.words[i+1], "if"); ok && digits != "" && (digits[0] == '-' || digits[0] >= '0' && digits[0] <= '9') &&
			strings.Trim(digits, "0123456789") != "" {
			return true
		}
	}
	return false
}

func mplsLabel(c command, o outcome) bool {
	return slices.Contains(c.options, "-M") && o.left.code != 1 && o.right.code == 1
}

func jsonOutput(c command, o outcome) bool {
	return o.kind == differText && slices.ContainsFunc(c.options, func(w string) bool { return w == "-j" || w == "-json" || w == "-p" })
}

func noKeysInMonitor(c command, o outcome) bool {
	return c.verb() == "monitor" && c.has("nokeys") && o.kind == differText && strings.Contains(o.right.out, "<<Keys hidden>>")
}

// withoutProtocols needs a system that has no /etc/protocols, which only its
// own test makes: there ip refuses tcp.
func withoutProtocols(c command, o outcome) bool {
	return o.left.code == 255 && o.right.code == 0 && strings.Contains(o.left.err, "PROTO value is invalid") && follows(c, "proto", "tcp")
}

// follows reports whether a keyword is there with this value.
func follows(c command, key, value string) bool {
	for i, w := range c.words {
		if w == key && i+1 < len(c.words) && c.words[i+1] == value {
			return true
		}
	}
	return false
}

func deleteAllStates(c command, o outcome) bool {
	return c.verb() == "state deleteall" && o.left.code == 1 && o.tables != ""
}

func deleteAllPolicies(c command, o outcome) bool {
	return c.verb() == "policy deleteall" && o.left.code == 1 && o.right.code == 0
}
