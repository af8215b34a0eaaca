package ipxfrm

import (
	"fmt"
	"strings"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// keyWord is what warnings need to know of a key word, without the key.
type keyWord struct {
	kind string // the keyword in front of it
	odd  string // what is odd about it, or ""
}

// oddKey tells what makes the key of a word another one than was probably meant.
func oddKey(word string) string {
	digits, isHex := strings.CutPrefix(word, "0x")
	switch {
	case isHex && len(digits)%2 == 1:
		return "has an odd number of hex digits; a zero is put in front of them"
	case word == "0x":
		return "is taken as the two letters 0x, not as empty; '' is the empty key"
	case strings.HasPrefix(word, "0X") && allHex(word[2:]):
		return "begins with 0X and is taken as text; hex digits follow 0x"
	case !isHex && len(word) >= 16 && allHex(word):
		return "is all hex digits but taken as text; put 0x in front if they are meant"
	}
	return ""
}

func allHex(s string) bool {
	for i := range len(s) {
		if digit(s[i]) >= 16 {
			return false
		}
	}
	return s != ""
}

// saWarnings says what about a new SA the kernel accepts but is hardly meant.
func (p *parser) saWarnings() []string {
	var list []string
	for _, k := range p.state.keys {
		if k.odd != "" {
			list = append(list, fmt.Sprintf("the key of %s %s", k.kind, k.odd))
		}
	}
	sa := p.out.SA
	if !sa.Proto.HasSPI() {
		return list
	}
	if a := sa.Auth; a != nil && (a.Name == "hmac(sha256)" || a.Name == "sha256") {
		list = append(list, "auth hmac(sha256) has an ICV of 96 bits; RFC 4868 and most peers want auth-trunc with 128")
	}
	if sa.Proto == netlinkx.ProtoESP && sa.Crypt != nil && sa.Auth == nil && sa.AuthTrunc == nil {
		list = append(list, "enc without auth: nothing detects forged or altered packets")
	}
	if p.out.Verb != "add" {
		return list
	}
	switch {
	case sa.SPI == 0:
		list = append(list, "spi 0 is no SPI; such an SA can be deleted by flush only")
	case sa.SPI < 256 && sa.Proto != netlinkx.ProtoComp:
		list = append(list, fmt.Sprintf("spi %s is reserved: 1 to 255 belong to IANA", sa.SPI))
	}
	if !p.state.hasWindow && sa.Dir != netlinkx.DirOut && sa.Proto != netlinkx.ProtoComp {
		list = append(list, "anti-replay is off: no replay-window (say dir out if the SA is outbound)")
	}
	return list
}
