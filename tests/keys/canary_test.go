package keys_test

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A canary is a key that is looked for: its first bytes are the key of whatever
// algorithm.
type canary [64]byte

// canaries returns n of them, the same ones each time.
func canaries(n int) []canary {
	src := rand.NewChaCha8([32]byte{'c', 'a', 'n', 'a', 'r', 'y'})
	all := make([]canary, n)
	for i := range all {
		src.Read(all[i][:]) //nolint:errcheck // never fails
	}
	return all
}

// A finder looks for any eight bytes in a row of any key, whichever way they are
// written: raw, as hex, base64 or decimal numbers, with or without separators, from
// front or back.
type finder struct {
	pieces map[uint64]string // eight bytes, and whose
	bits   [1 << 17]byte     // of pieces, to rule out most windows at once
}

func newFinder(keys []canary) *finder {
	f := &finder{pieces: map[uint64]string{}}
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
			f.bits[p>>3%uint64(len(f.bits))] |= 1 << (p & 7)
		}
		key = slices.Clone(key)
		slices.Reverse(key)
	}
}

func (f *finder) scan(b []byte) string {
	for i := 0; i+8 <= len(b); i++ {
		p := binary.BigEndian.Uint64(b[i:])
		if f.bits[p>>3%uint64(len(f.bits))]&(1<<(p&7)) == 0 {
			continue
		}
		if name, ok := f.pieces[p]; ok {
			return name
		}
	}
	return ""
}

var (
	separators = strings.NewReplacer("0x", "", `\x`, "", " ", "", "\n", "", "\t", "", ":", "", ",", "", "-", "", ";", "", `"`, "")
	hexRun     = regexp.MustCompile(`[0-9A-Fa-f]{16,}`)
	base64Run  = regexp.MustCompile(`[0-9A-Za-z+/_-]{11,}`)
	decimalRun = regexp.MustCompile(`(\b\d{1,3}\b[ ,\[\]]*){8,}`)
	decimal    = regexp.MustCompile(`\d+`)
	escape     = regexp.MustCompile(`\\x[0-9a-f]{2}`)
	fromURL    = strings.NewReplacer("-", "+", "_", "/")
)

// find says which key shows in a text, and how; "" none.
func (f *finder) find(text string) string {
	back := []byte(text)
	slices.Reverse(back)
	for _, form := range []struct{ name, text string }{
		{"", text}, {" without separators", separators.Replace(text)}, {" backwards", string(back)},
	} {
		for _, kind := range []struct {
			name string
			find func(string) string
		}{
			{"raw", func(s string) string { return f.scan([]byte(s)) }},
			{"escapes", func(s string) string { return f.scan(unescaped(s)) }}, {"hex", f.hex}, {"base64", f.base64}, {"decimal", f.decimal},
		} {
			if name := kind.find(form.text); name != "" {
				return name + " as " + kind.name + form.name
			}
		}
	}
	return ""
}

func unescaped(text string) []byte {
	return escape.ReplaceAllFunc([]byte(text), func(e []byte) []byte {
		b, _ := hex.DecodeString(string(e[2:])) // hex digits
		return b
	})
}

func (f *finder) hex(text string) string {
	for _, run := range hexRun.FindAllString(text, -1) {
		for range 2 {
			b, err := hex.DecodeString(run[:len(run)&^1])
			if err != nil {
				return ""
			}
			if name := f.scan(b); name != "" {
				return name
			}
			run = run[1:]
		}
	}
	return ""
}

func (f *finder) base64(text string) string {
	for _, run := range base64Run.FindAllString(text, -1) {
		run = fromURL.Replace(run)
		for i := 0; i < 4 && i < len(run); i++ {
			s := run[i:]
			if len(s)%4 == 1 {
				s = s[:len(s)-1]
			}
			b, _ := base64.RawStdEncoding.DecodeString(s) // what could be decoded
			if name := f.scan(b); name != "" {
				return name
			}
		}
	}
	return ""
}

func (f *finder) decimal(text string) string {
	for _, run := range decimalRun.FindAllString(text, -1) {
		var b []byte
		for _, s := range decimal.FindAllString(run, -1) {
			n, _ := strconv.Atoi(s) // digits
			b = append(b, byte(n))
		}
		if name := f.scan(b); name != "" {
			return name
		}
	}
	return ""
}

// TestFinderFinds: a piece of one of 1,000 keys is found in each form, and
// nothing where there is none.
func TestFinderFinds(t *testing.T) {
	keys := canaries(1000)
	f := newFinder(keys)
	k := keys[777][5:16] // eleven bytes in the middle of one
	turned := slices.Clone(k)
	slices.Reverse(turned)
	spaced := fmt.Sprintf("% x", k)
	for name, text := range map[string]string{
		"raw": string(k), "hex": hex.EncodeToString(k), "upper": strings.ToUpper(hex.EncodeToString(k)), "odd": "f" + hex.EncodeToString(k),
		"base64": base64.StdEncoding.EncodeToString(k), "shifted": base64.StdEncoding.EncodeToString(append([]byte("x"), k...)),
		"url": base64.URLEncoding.EncodeToString(append([]byte("xy"), k...)), "no padding": base64.RawStdEncoding.EncodeToString(k),
		"turned": string(turned), "turned hex": hex.EncodeToString(turned), "turned base64": base64.StdEncoding.EncodeToString(turned),
		"dump": spaced, "colons": strings.ReplaceAll(spaced, " ", ":"), "two lines": spaced[:16] + "\n" + spaced[16:],
		"numbers": fmt.Sprint(k), "go": fmt.Sprintf("%#v", k), "quoted": quoted(k), "word": fmt.Sprintf("f(%#x, 0x1)", binary.LittleEndian.Uint64(k)),
		"text backwards": backwards(hex.EncodeToString(k)), "base64 backwards": backwards(base64.StdEncoding.EncodeToString(k)),
	} {
		if got := f.find("object " + text + " is unknown"); !strings.HasPrefix(got, "key 777 ") {
			t.Errorf("%s %q: found %q", name, text, got)
		}
	}
	if got := f.find(hex.EncodeToString(k[:7]) + " state add src 10.0.0.1 dst 10.0.0.2 [1 2 3 4 5 6 7 8 9 10] 00112233445566778899aabbccddeeff"); got != "" {
		t.Errorf("found %s where there is none", got)
	}
}

// quoted writes what is no ASCII text as escapes.
func quoted(k []byte) string {
	var b strings.Builder
	for _, c := range k {
		if c < ' ' || c > '~' {
			fmt.Fprintf(&b, `\x%02x`, c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func backwards(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}
