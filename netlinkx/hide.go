package netlinkx

import "strings"

// hidden stands in a message for what looks like a key.
const hidden = "<hidden>"

// HideKeys replaces what looks like a key in a message by <hidden>: runs of
// more than 16 hex digits, with a 0x in front, and what looks like 15 or more
// random bytes in base64. Texts that may repeat words of the command line or lines
// of files go through it, because a key may stand where none belongs. Keys that
// are words of a language are not recognised.
func HideKeys(text string) string {
	return replaceRuns(replaceRuns(text, hexDigit, longHex), base64Digit, randomBase64)
}

// replaceRuns replaces the runs of bytes of a kind that are secret.
func replaceRuns(text string, kind func(byte) bool, secret func(string) bool) string {
	var b strings.Builder
	done := 0
	for i := 0; i < len(text); {
		end := i
		for end < len(text) && kind(text[end]) {
			end++
		}
		if secret(text[i:end]) {
			b.WriteString(strings.TrimSuffix(text[done:i], "0x"))
			b.WriteString(hidden)
			done = end
		}
		i = max(end, i+1)
	}
	if done == 0 {
		return text
	}
	return b.String() + text[done:]
}

func hexDigit(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f'
}

func longHex(run string) bool { return len(run) > 16 }

func base64Digit(c byte) bool { return class(c) != 0 || strings.IndexByte("+/-_=", c) >= 0 }

// class tells capital letters, small ones and digits apart; 0 is none of them.
func class(c byte) byte {
	switch {
	case c >= 'A' && c <= 'Z':
		return 'A'
	case c >= 'a' && c <= 'z':
		return 'a'
	case c >= '0' && c <= '9':
		return '0'
	}
	return 0
}

// randomBase64 tells random bytes from names and paths by how often the class of
// characters changes: two times of three, where names do it once or twice in a word.
func randomBase64(run string) bool {
	if len(run) < 20 {
		return false
	}
	changes, last := 0, byte(0)
	for i := range len(run) {
		if c := class(run[i]); c != 0 {
			if c != last && last != 0 {
				changes++
			}
			last = c
		}
	}
	if run[0] == '/' && !strings.ContainsAny(run, "+=") { // paths have words of many kinds
		return changes*3 >= len(run)
	}
	return changes*4 >= len(run)
}
