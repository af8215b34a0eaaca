package ipxfrm

import "testing"

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
	} {
		if got := HideKeys(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
