package differ

import (
	"regexp"
	"strings"
)

// otherTexts begin error texts that are meant to differ: usages, which have
// xfrmctl's own words in them, and what lies outside the grammar.
var otherTexts = []string{"Usage:", "Option ", "Object ", "Failed to send delete-all", "Cannot open network namespace", "State buffer overflow", "addattr_l ERROR", "Command \"", "Argument \""}

// ipUnknown matches what ip says of a word that xfrmctl knows: what is wrong
// with it there is another matter.
var ipUnknown = regexp.MustCompile(`^Error: (argument|duplicate "unknown":) "(dir|mark|if_id|offload|iptfs|nat-keepalive|mapping-thresh|replay-thresh|etimer-thresh|share|enc-mask|auth-mask|comp-mask)" is (wrong: unknown|the second value\.)$`)

// errorDifference compares what the tools say about a mistake in the words.
// (About what the kernel refuses xfrmctl says more, on purpose.) xfrmctl may
// hide a word that could be a key, and append a hint.
func errorDifference(o outcome) string {
	if o.left.code != 255 && o.left.code != 1 || o.left.code != o.right.code {
		return ""
	}
	for _, begin := range otherTexts {
		if strings.HasPrefix(o.left.err, begin) {
			return ""
		}
	}
	if strings.HasPrefix(o.right.err, "xfrmctl: option ") { // outside the grammar, too
		return ""
	}
	ours, _, _ := strings.Cut(o.right.err, "hint: ")
	ours, theirs := strings.TrimSpace(ours), strings.TrimSpace(o.left.err)
	if ours == theirs || ipUnknown.MatchString(theirs) {
		return ""
	}
	pattern := strings.ReplaceAll(regexp.QuoteMeta(ours), "<hidden>", ".*")
	if strings.Contains(ours, "<hidden>") && regexp.MustCompile("(?s)^"+pattern+"$").MatchString(theirs) {
		return ""
	}
	return textDifference(theirs, ours)
}
