package ipxfrm

import (
	"reflect"
	"strings"
	"testing"
)

// TestParserReuse: what a Parser returns is what Parse returns, whatever it
// parsed before, and stays so until Reset.
func TestParserReuse(t *testing.T) {
	lines := []string{
		"state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 1 mode tunnel aead rfc4106(gcm(aes)) 0x000102030405060708090a0b0c0d0e0f10111213 128 replay-window 64 flag esn if_id 4 mark 3",
		"state add src fd00::1 dst fd00::2 proto esp spi 2 enc cbc(aes) 0x00112233445566778899aabbccddeeff auth-trunc hmac(sha256) 0x01 128 encap espinudp 1 2 ::",
		"state add dst 10.0.0.2 proto ah spi 3 auth hmac(sha1) 0x0102 sel src 10.0.0.0/8 proto tcp dport 5",
		"state delete dst 10.0.0.2 proto esp spi 4 mark 1 mask 2",
		"state add dst 10.0.0.2 proto bogus",
		"policy add src 10.0.0.0/8 dir out tmpl src 1.1.1.1 dst 2.2.2.2 proto esp mode tunnel tmpl proto ah level use priority 9",
		"policy add dst 10.0.0.0/8 dir in tmpl proto esp reqid 3",
		"policy add dir fwd action block",
		"policy delete index 9 dir out",
		"state list src 10.0.0.0/24 proto esp",
		"policy setdefault in block",
	}
	r := NewParser(&Context{})
	for round := range 3 {
		var got []*Command
		for i := range lines {
			cmd, err := r.Parse(strings.Fields(lines[(i*7+round)%len(lines)]))
			if err != nil {
				cmd = nil
			}
			got = append(got, cmd)
		}
		for i, cmd := range got {
			line := lines[(i*7+round)%len(lines)]
			want, _ := Parse(strings.Fields(line), &Context{})
			if !reflect.DeepEqual(want, cmd) {
				t.Errorf("%s:\n got %+v\nwant %+v", line, cmd, want)
			}
		}
		r.Reset()
	}
}
