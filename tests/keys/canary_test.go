package keys_test

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
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

// TestFinderFinds: a piece of one of 1,000 keys is found in each form, and
// nothing where there is none.
func TestFinderFinds(t *testing.T) {
	keys := canaries(keysInAll)
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
		if got, _ := f.find("object " + text + " is unknown"); !strings.HasPrefix(got, "key 777 ") {
			t.Errorf("%s %q: found %q", name, text, got)
		}
	}
	if got, _ := f.find(hex.EncodeToString(k[:7]) + " state add src 10.0.0.1 dst 10.0.0.2 [1 2 3 4 5 6 7 8 9 10] 00112233445566778899aabbccddeeff"); got != "" {
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
