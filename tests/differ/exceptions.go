package differ

import (
	"slices"
	"strings"
)

// exception is a difference on purpose. It excuses one observation only if
// both the words and what came of them fit. Each has cases of its own in
// testdata/exceptions.rows that must show it, on every kernel; docs/differences.md
// is the same list in prose.
type exception struct {
	name    string
	reason  string
	excuses func(c command, o outcome) bool
}

func (o outcome) codes(left, right int) bool {
	return o.left.code == left && o.right.code == right
}

// exceptions is asked in order; the first that fits is the one.
func exceptions() []exception {
	return []exception{}
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

// follows reports whether one of the keywords is there with a value that fits.
func follows(c command, fits func(string) bool, keys ...string) bool {
	for i, w := range c.words {
		if slices.Contains(keys, w) && i+1 < len(c.words) && fits(c.words[i+1]) {
			return true
		}
	}
	return false
}

func hasPrefix(prefix string) func(string) bool {
	return func(s string) bool { return strings.HasPrefix(s, prefix) }
}
