package netlinkx

import (
	"encoding/base64"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestHideKeys(t *testing.T) {
	const key = "00112233445566778899aabbccddeeff"
	for in, want := range map[string]string{
		"":                              "",
		"spi 0x00000100 to 2001:db8::1": "spi 0x00000100 to 2001:db8::1",
		"0123456789abcdef":              "0123456789abcdef", // 16 digits: two SPIs, a mark and a mask
		"0x" + key:                      "<hidden>",
		"object \"0x" + key + "\" is":   "object \"<hidden>\" is",
		key + " and 0X" + key:           "<hidden> and 0X<hidden>",
		"x" + key + "y 0x1 z":           "x<hidden>y 0x1 z",
		"aes-cbc-256-sha256-and-chacha20-poly1305":                           "",
		"open /home/Jane/Documents/IPsec/branch-office-2/Key4East.yaml: no":  "",
		"/run/xfrmctl/esp-4026531840.sock, Headquarters-Frankfurt-to-MUC-03": "",
		"no engine is running at /tmp/TestNoCoreFiles3268869614/001/sock":    "",
		"SA esp spi 0x3bf2c9a1 to 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff":    "",
		"key xYTgvrIQyVLD92DxJivMdn9Yo0o= is":                                "key <hidden> is",
		"key /Xo//xf+OGGcjDkAIRux7jez+qo= is":                                "key <hidden> is", // as a path may begin
	} {
		if want == "" {
			want = in
		}
		if got := HideKeys(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// TestHideBase64: of random keys in base64 nearly none gets through.
func TestHideBase64(t *testing.T) {
	src := rand.NewChaCha8([32]byte{1})
	shown := 0
	for i := range 10000 {
		b := make([]byte, 16+i%3*16)
		src.Read(b) //nolint:errcheck // never fails
		s := []*base64.Encoding{base64.StdEncoding, base64.RawURLEncoding}[i%2].EncodeToString(b)
		if got := HideKeys("derive: " + s); strings.Contains(got, s[:8]) {
			shown++
		}
	}
	if shown > 5 {
		t.Errorf("%d of 10,000 show", shown)
	}
}
