package ipxfrm

import (
	"math"
	"strings"
)

// parseUint reads the C form of a number: blanks, a sign, and for base 0 a
// prefix that tells the base (0x, 0b, or 0 for octal). It returns the number
// and how much of s it took; 0 taken means that there were no digits. Like
// strtoul it negates modulo 2^64 and sticks to the maximum on overflow.
func parseUint(s string, base int) (v uint64, taken int, overflow bool) {
	i := 0
	for i < len(s) && strings.IndexByte(" \t\n\v\f\r", s[i]) >= 0 {
		i++
	}
	neg := false
	if i < len(s) && (s[i] == '+' || s[i] == '-') {
		neg = s[i] == '-'
		i++
	}
	base, skip := numberBase(s[i:], base)
	i += skip
	start := i
	for ; i < len(s); i++ {
		d := digit(s[i])
		if d >= base {
			break
		}
		if v > (math.MaxUint64-uint64(d))/uint64(base) {
			overflow = true
			continue
		}
		v = v*uint64(base) + uint64(d)
	}
	switch {
	case i == start:
		return 0, 0, false
	case overflow:
		return math.MaxUint64, i, true
	case neg:
		v = -v
	}
	return v, i, false
}

// numberBase returns the base of the digits in s and the length of the prefix
// that names it. A prefix without a digit behind it is none: "0x" is a zero
// followed by an x.
func numberBase(s string, base int) (int, int) {
	prefixed := func(letter byte, b int) bool {
		return len(s) > 2 && s[0] == '0' && s[1]|0x20 == letter && digit(s[2]) < b
	}
	switch {
	case (base == 0 || base == 16) && prefixed('x', 16):
		return 16, 2
	case base == 0 && prefixed('b', 2):
		return 2, 2
	case base != 0:
		return base, 0
	case len(s) > 0 && s[0] == '0':
		return 8, 0
	}
	return 10, 0
}

func digit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'z':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'Z':
		return int(c-'A') + 10
	}
	return math.MaxInt
}

// parseNumber reads a whole word as a number up to limit. Negative numbers
// wrap, so that they are above any limit but the largest.
func parseNumber(s string, base int, limit uint64) (uint64, bool) {
	v, taken, overflow := parseUint(s, base)
	if taken == 0 || taken != len(s) || overflow || v > limit {
		return 0, false
	}
	return v, true
}

func parse8(s string) (uint8, bool) {
	v, ok := parseNumber(s, 0, math.MaxUint8)
	return uint8(v), ok
}

func parse16(s string) (uint16, bool) {
	v, ok := parseNumber(s, 0, math.MaxUint16)
	return uint16(v), ok
}

func parse32(s string) (uint32, bool) {
	v, ok := parseNumber(s, 0, math.MaxUint32)
	return uint32(v), ok
}

func parse64(s string) (uint64, bool) { return parseNumber(s, 0, math.MaxUint64) }
