package keys_test

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// A finder looks for any eight bytes in a row of any key, whichever way they are
// written: raw, as hex, base64 or decimal numbers, with or without separators, from
// front or back. It goes over a text once, however many keys there are.
type finder struct {
	pieces map[uint64]string // eight bytes, and whose
	bits   []byte            // of pieces, to rule out most windows at once
}

func newFinder(keys []canary) *finder {
	f := &finder{pieces: map[uint64]string{}, bits: make([]byte, 1<<20)}
	for i, k := range keys {
		f.add(fmt.Sprintf("key %d", i), k[:])
	}
	return f
}

func (f *finder) add(name string, key []byte) {
	for range 2 { // also backwards, as a little-endian word shows it
		for i := 0; i+8 <= len(key); i++ {
			p := binary.BigEndian.Uint64(key[i:])
			f.pieces[p] = name
			at, bit := f.bit(p)
			f.bits[at] |= bit
		}
		key = slices.Clone(key)
		slices.Reverse(key)
	}
}

func (f *finder) bit(p uint64) (at uint64, bit byte) {
	h := p * 0x9e3779b97f4a7c15 >> 41 // the 23 bits that depend on all others
	return h >> 3, 1 << (h & 7)
}

// owner says whose eight bytes these are; "" nobody's.
func (f *finder) owner(p uint64) string {
	if at, bit := f.bit(p); f.bits[at]&bit == 0 {
		return ""
	}
	return f.pieces[p]
}

// A window holds the last bytes that were read in one way of reading a text.
type window struct {
	bits  uint64
	count int // of bytes, or of digits
}

func (w *window) push(b byte) {
	w.bits = w.bits<<8 | uint64(b)
	w.count++
}

// find says which key shows in a text, how, and where; "" none.
func (f *finder) find(text string) (found string, end int) {
	var raw, joined, escaped window
	plain := [...]*window{&raw, &joined, &escaped}
	hex, base64, decimal := &hexReader{f: f}, &base64Reader{f: f}, &decimalReader{f: f}
	skip := 0 // bytes of an escape that was read
	for i := 0; i < len(text); i++ {
		c := text[i]
		raw.push(c)
		if !separates(c) {
			joined.push(c)
		}
		if skip > 0 {
			skip--
		} else {
			b, size := unescape(text[i:])
			escaped.push(b)
			skip = size - 1
		}
		for way, w := range plain {
			if w.count < 8 {
				continue
			}
			if name := f.owner(w.bits); name != "" {
				return name + [...]string{" as raw", " as raw without separators", " as escapes"}[way], i + 1
			}
		}
		if name := hex.read(text, i); name != "" {
			return name + " as hex", i + 1
		}
		if name := base64.read(c); name != "" {
			return name + " as base64", i + 1
		}
		if name := decimal.read(c); name != "" {
			return name + " as decimal", i + 1
		}
	}
	if name := decimal.read(' '); name != "" { // the last number ends with the text
		return name + " as decimal", len(text)
	}
	return "", 0
}

// separates reports whether a byte may stand between those of a key.
func separates(c byte) bool {
	switch c {
	case ' ', '\n', '\t', ':', ',', '-', ';', '"':
		return true
	}
	return false
}

// unescape reads one byte, which may be written as \x and two digits.
func unescape(text string) (b byte, size int) {
	if len(text) >= 4 && text[0] == '\\' && text[1] == 'x' {
		high, low := hexDigit(text[2]), hexDigit(text[3])
		if high >= 0 && low >= 0 {
			return byte(high<<4 | low), 4
		}
	}
	return text[0], 1
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// A hexReader reads digits, from any of them on, and passes over separators, 0x
// and \x.
type hexReader struct {
	f *finder
	window
}

func (r *hexReader) read(text string, i int) string {
	c := text[i]
	d := hexDigit(c)
	switch {
	case d >= 0:
		r.bits = r.bits<<4 | uint64(d)
		r.count++
	case c == 'x' && i > 0 && text[i-1] == '0' && r.count > 0:
		r.bits >>= 4 // the 0 was none of the digits
		r.count = min(r.count, 16) - 1
		return ""
	case separates(c), c == '\\', c == 'x' && i > 0 && text[i-1] == '\\':
		return ""
	default:
		r.count = 0
	}
	if r.count < 16 {
		return ""
	}
	if name := r.f.owner(r.bits); name != "" {
		return name
	}
	const low = 0x0f0f0f0f0f0f0f0f
	return r.f.owner(r.bits&low<<4 | r.bits>>4&low) // the text is backwards
}

// A base64Reader reads six bits at a time, in the order of the text and in the
// opposite one, and looks at each eight bytes that may begin in any of them.
type base64Reader struct {
	f        *finder
	high     uint64 // what is above low
	low      uint64
	backHigh uint64 // the lowest eight bits: the newest six, and two of the one before
	backLow  uint64
	count    int
}

func (r *base64Reader) read(c byte) string {
	v, ok := base64Digit(c)
	switch {
	case ok:
	case separates(c):
		return ""
	default:
		r.count = 0
		return ""
	}
	r.high, r.low = r.high<<6|r.low>>58, r.low<<6|v
	r.backHigh, r.backLow = r.backHigh>>6|v<<2, r.backLow>>6|r.backHigh<<58
	r.count++
	// sixty-four bits may end 0, 2 or 4 bits before the last digit does
	for s := uint(0); s <= 4 && uint(6*r.count) >= 64+s; s += 2 {
		if name := r.f.owner(r.low>>s | r.high<<(64-s)); name != "" {
			return name
		}
		if name := r.f.owner(r.backLow>>(8-s) | r.backHigh<<(56+s)); name != "" {
			return name
		}
	}
	return ""
}

// base64Digit reads the digits of both alphabets.
func base64Digit(c byte) (v uint64, ok bool) {
	switch {
	case c >= 'A' && c <= 'Z':
		return uint64(c - 'A'), true
	case c >= 'a' && c <= 'z':
		return uint64(c-'a') + 26, true
	case c >= '0' && c <= '9':
		return uint64(c-'0') + 52, true
	case c == '+' || c == '-':
		return 62, true
	case c == '/' || c == '_':
		return 63, true
	}
	return 0, false
}

// A decimalReader reads bytes as numbers with spaces, commas or brackets between.
type decimalReader struct {
	f                     *finder
	window                // of numbers
	back                  uint64
	number, turned, digit int // the one that is being read, the same from its back, and its digits
}

func (r *decimalReader) read(c byte) string {
	if c >= '0' && c <= '9' {
		d, unit := int(c-'0'), 1
		for range min(r.digit, 3) {
			unit *= 10
		}
		r.number, r.turned = r.number%1000*10+d, r.turned%1000+d*unit
		r.digit++
		return ""
	}
	if r.digit > 3 {
		r.count = 0
	} else if r.digit > 0 {
		r.push(byte(r.number))
		r.back = r.back<<8 | uint64(byte(r.turned))
	}
	r.number, r.turned, r.digit = 0, 0, 0
	found := ""
	if r.count >= 8 {
		if found = r.f.owner(r.bits); found == "" {
			found = r.f.owner(r.back)
		}
	}
	if c != ' ' && c != ',' && c != '[' && c != ']' {
		r.count = 0
	}
	return found
}
