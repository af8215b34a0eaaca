package ipxfrm

import (
	"strings"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// algoNameLen is how much of a name the kernel's structures hold.
const algoNameLen = 63

// maxKey is the longest key in bytes that ip takes.
const maxKey = 512

// algo takes name, key and, if length names it, the length of the ICV.
func (p *parser) algo(length string) (name string, key netlinkx.Key, icv uint32, err error) {
	kind := p.last()
	if name, err = p.algoName(kind); err != nil {
		return name, key, icv, err
	}
	p.expect("@", "env:")
	word, err := p.item("ALGO-KEYMAT")
	if err != nil {
		return name, key, icv, err
	}
	if length != "" {
		if p.completing {
			p.expect(icvLengths[length]...)
		}
		w, err := p.item(length)
		if err != nil {
			return name, key, icv, err
		}
		v, ok := parse32(w)
		if !ok {
			return name, key, icv, &Error{Code: codeWords, Text: "Error: argument \"" + p.shownLength(w) + "\" is wrong: " + length + " value is invalid"}
		}
		icv = v
	}
	key, err = p.key(kind, word)
	p.keyEnd = p.pos
	return name, key, icv, err
}

// algoName takes the name of an algorithm of a kind.
func (p *parser) algoName(kind string) (string, error) {
	if p.completing && !p.more() {
		p.expect(netlinkx.AlgorithmNames(algoAttrs[kind])...)
	}
	name, err := p.item("ALGO-NAME")
	return name[:min(len(name), algoNameLen)], err
}

// algoAttrs tells the attribute of a kind of algorithm.
var algoAttrs = map[string]netlinkx.AttrType{
	"enc": netlinkx.AttrAlgCrypt, "auth": netlinkx.AttrAlgAuth, "auth-trunc": netlinkx.AttrAlgAuthTrunc,
	"aead": netlinkx.AttrAlgAEAD, "comp": netlinkx.AttrAlgComp,
}

// icvLengths are the lengths to offer: those of RFCs 4106, 4868 and 8221.
var icvLengths = map[string][]string{
	"ALGO-ICV-LEN":   {"64", "96", "128"},
	"ALGO-TRUNC-LEN": {"96", "128", "192", "256"},
}

// shownLength hides a word in the place of a length that is neither like a
// number nor a keyword: it may be the key, one place off.
func (p *parser) shownLength(w string) string {
	number := len(w) <= 10 && (w == "" || digit(w[0]) < 10 || w[0] == '-' || w[0] == '+')
	if looksSecret(w) || !number && !resembles(w, p.command.words()) {
		return hidden
	}
	return w
}

// onlyOne refuses an algorithm that others stand against.
func (p *parser) onlyOne(taken ...bool) error {
	for _, t := range taken {
		if t {
			return p.duplicate("ALGO-TYPE")
		}
	}
	return nil
}

func (p *parser) encAlgo() error {
	sa := p.out.SA
	if err := p.onlyOne(sa.Crypt != nil, sa.AEAD != nil); err != nil {
		return err
	}
	name, key, _, err := p.algo("")
	p.slot.crypt = netlinkx.Algo{Name: name, Key: key}
	sa.Crypt = &p.slot.crypt
	return err
}

func (p *parser) authAlgo() error {
	sa := p.out.SA
	if err := p.onlyOne(sa.Auth != nil, sa.AuthTrunc != nil, sa.AEAD != nil); err != nil {
		return err
	}
	name, key, _, err := p.algo("")
	sa.Auth = &netlinkx.Algo{Name: name, Key: key}
	return err
}

func (p *parser) authTruncAlgo() error {
	sa := p.out.SA
	if err := p.onlyOne(sa.Auth != nil, sa.AuthTrunc != nil, sa.AEAD != nil); err != nil {
		return err
	}
	name, key, icv, err := p.algo("ALGO-TRUNC-LEN")
	p.slot.authTrunc = netlinkx.AuthTrunc{Name: name, Key: key, ICVBits: icv}
	sa.AuthTrunc = &p.slot.authTrunc
	return err
}

func (p *parser) aeadAlgo() error {
	sa := p.out.SA
	if err := p.onlyOne(sa.Crypt != nil, sa.Auth != nil, sa.AuthTrunc != nil, sa.AEAD != nil); err != nil {
		return err
	}
	name, key, icv, err := p.algo("ALGO-ICV-LEN")
	p.slot.aead = netlinkx.AEAD{Name: name, Key: key, ICVBits: icv}
	sa.AEAD = &p.slot.aead
	return err
}

func (p *parser) compAlgo() error {
	sa := p.out.SA
	if err := p.onlyOne(sa.Comp != nil); err != nil {
		return err
	}
	name, err := p.algoName("comp")
	sa.Comp = &netlinkx.Algo{Name: name}
	return err
}

// key returns the key that a word is or stands for.
func (p *parser) key(kind, word string) (netlinkx.Key, error) {
	if strings.HasPrefix(word, "@") || strings.HasPrefix(word, "env:") {
		return p.keyFrom(word)
	}
	p.out.KeyOnArgv = p.out.KeyOnArgv || word != ""
	p.state.keys = append(p.state.keys, keyWord{kind, oddKey(word)})
	b, msg := keyBytes(p.scratch[:0], word)
	defer clear(b)
	p.scratch = b
	if msg != "" {
		return netlinkx.Key{}, &Error{Code: codeWords, Text: "Error: argument \"" + hidden + "\" is wrong: " + msg}
	}
	return netlinkx.NewKey(b), nil
}

// keyFrom reads a key from where the word says it is.
func (p *parser) keyFrom(word string) (netlinkx.Key, error) {
	if p.ctx.Key == nil {
		return netlinkx.Key{}, p.fail(codeCheck, "Error: argument \"%s\" is wrong: keys cannot be read from elsewhere here", word)
	}
	b, err := p.ctx.Key(word)
	if err != nil {
		return netlinkx.Key{}, &Error{Code: codeCheck, Text: "Error: " + err.Error()}
	}
	if len(b) > maxKey {
		return netlinkx.Key{}, p.fail(codeWords, "Error: argument \"%s\" is wrong: "+longKey, word)
	}
	return netlinkx.NewKey(b), nil
}

const longKey = "ALGO-KEYMAT value makes buffer overflow\n"

// keyBytes appends the key that a word is: 0x and hex digits, with a zero put in front of an
// odd number of them, or else the bytes of the word. Each pair of digits is
// read like any C number, so that blanks and signs pass, as they do in ip.
func keyBytes(b []byte, word string) (_ []byte, msg string) {
	digits, isHex := strings.CutPrefix(word, "0x")
	if !isHex || digits == "" {
		if len(word) > maxKey {
			return nil, longKey
		}
		return append(b, word...), ""
	}
	if len(digits)%2 == 1 {
		digits = "0" + digits
	}
	if len(digits)/2 > maxKey {
		return nil, longKey
	}
	for ; digits != ""; digits = digits[2:] {
		if hi, lo := digit(digits[0]), digit(digits[1]); hi < 16 && lo < 16 {
			b = append(b, byte(hi<<4|lo))
			continue
		}
		v, ok := parseNumber(digits[:2], 16, 0xff)
		if !ok {
			return nil, "ALGO-KEYMAT value is invalid"
		}
		b = append(b, byte(v))
	}
	return b, ""
}
