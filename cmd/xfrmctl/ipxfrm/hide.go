package ipxfrm

import "strings"

// HideKeys replaces what looks like a key in a message by <hidden>: runs of
// more than 16 hex digits, with a 0x in front. Texts that may repeat words of
// the command line go through it, because a key may stand where none belongs.
func HideKeys(text string) string {
	if !looksSecret(text) {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		n := 0
		for i+n < len(text) && digit(text[i+n]) < 16 {
			n++
		}
		switch {
		case n > 16:
			s := strings.TrimSuffix(b.String(), "0x")
			b.Reset()
			b.WriteString(s)
			b.WriteString(hidden)
		case n > 0:
			b.WriteString(text[i : i+n])
		default:
			b.WriteByte(text[i])
			n = 1
		}
		i += n
	}
	return b.String()
}
