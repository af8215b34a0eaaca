package ipxfrm

import (
	"fmt"
	"slices"
	"strings"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// parser walks over the words of one command.
type parser struct {
	words   []string
	pos     int // of the next word
	ctx     *Context
	command *command
	out     *Command // in slot
	slot    *slot
	scratch []byte          // for the key being read
	family  netlinkx.Family // known so far, zero for none
	seen    []string        // keywords that may come once, and have
	keyEnd  int             // position behind the last algorithm, 0 for none
	// expected collects what may stand where the words end, if completing.
	expected   []string
	completing bool

	// What is being filled by keywords that appear in several commands.
	id       *idWords
	sel      *netlinkx.Selector
	limits   *netlinkx.Limits
	template *netlinkx.Template
	entry    *netlinkx.MigrateEntry
	iptfs    *netlinkx.IPTFS
	state    stateWords
	policy   policyWords
	ae       aeWords
}

// more reports whether words are left.
func (p *parser) more() bool { return p.pos < len(p.words) }

// peek returns the next word, or "" at the end.
func (p *parser) peek() string {
	if p.more() {
		return p.words[p.pos]
	}
	return ""
}

// last returns the word that was taken last.
func (p *parser) last() string { return p.words[p.pos-1] }

// expect notes what may come next, if this is where the words end.
func (p *parser) expect(words ...string) {
	if p.completing && !p.more() {
		p.expected = append(p.expected, words...)
	}
}

// expectKeywords is expect for the names of a list.
func (p *parser) expectKeywords(list []keyword) {
	if p.completing {
		p.expect(keywordNames(list)...)
	}
}

// value takes the next word, which a value of the kind meta must be.
func (p *parser) value(meta string) (string, error) {
	if !p.more() {
		if k, ok := kinds[meta]; ok && p.completing {
			p.expect(k.names()...)
		}
		return "", errIncomplete
	}
	p.pos++
	return p.last(), nil
}

// item takes the next word. Its lack is reported by name.
func (p *parser) item(meta string) (string, error) {
	w, err := p.value(meta)
	if err != nil {
		return "", missing(meta)
	}
	return w, nil
}

// accept takes the next word if it is the one given.
func (p *parser) accept(word string) bool {
	p.expect(word)
	if !p.more() || p.peek() != word {
		return false
	}
	p.pos++
	return true
}

// acceptKeyword takes the next word if it is in the list.
func (p *parser) acceptKeyword(list []keyword) *keyword {
	if !p.more() {
		p.expectKeywords(list)
		return nil
	}
	k := findKeyword(list, p.peek())
	if k != nil {
		p.pos++
	}
	return k
}

// keywords parses keywords of the list, with their values, as long as they come.
func (p *parser) keywords(list []keyword) error {
	for {
		k := p.acceptKeyword(list)
		if k == nil {
			return nil
		}
		if err := k.parse(p); err != nil {
			return err
		}
	}
}

// once reports a keyword that came before. Call it with the keyword just taken.
func (p *parser) once(key string) error {
	if p.has(key) {
		return p.duplicate(key)
	}
	p.seen = append(p.seen, key)
	return nil
}

// number32 takes a 32-bit number.
func (p *parser) number32(meta, msg string) (uint32, error) {
	w, err := p.value(meta)
	if err != nil {
		return 0, err
	}
	v, ok := parse32(w)
	if !ok {
		return 0, p.invalid(msg)
	}
	return v, nil
}

// into32 takes a 32-bit number into v.
func (p *parser) into32(v *uint32, meta, msg string) (err error) {
	*v, err = p.number32(meta, msg)
	return err
}

// choice takes one word of an enumeration.
func (p *parser) choice(meta, msg string) (uint32, error) {
	w, err := p.value(meta)
	if err != nil {
		return 0, err
	}
	k := kinds[meta]
	if v, ok := k.find(w); ok {
		return v, nil
	}
	e := p.invalid(msg)
	e.Suggest = Nearest(w, k.names())
	return 0, e
}

// flags takes names of flags as long as they come, or one number. Names add
// to what v holds, a number replaces it. Neither is no error: the word is
// then left for others, except at the end of the words.
func (p *parser) flags(meta, msg string, v, limit uint32) (uint32, error) {
	k := kinds[meta]
	if !p.more() {
		_, err := p.value(meta)
		return v, err
	}
	if w := p.peek(); len(w) > 2 && strings.HasPrefix(w, "0x") {
		p.pos++
		n, ok := parseNumber(w, 16, uint64(limit))
		if !ok {
			return v, p.invalid(msg)
		}
		return uint32(n), nil
	}
	for p.more() {
		bit, ok := k.find(p.peek())
		if !ok {
			return v, nil
		}
		v |= bit
		p.pos++
	}
	if p.completing {
		p.expect(k.names()...)
	}
	return v, nil
}

// device takes the name of a network device.
func (p *parser) device(msg string) (int32, error) {
	w, err := p.value("DEV")
	if err != nil {
		return 0, err
	}
	if p.ctx.Device == nil {
		return 0, p.invalid(msg)
	}
	index, err := p.ctx.Device(w)
	if err != nil || index <= 0 {
		return 0, p.invalid(msg)
	}
	return index, nil
}

// fail makes an error out of a text and words, those that may be keys hidden.
func (p *parser) fail(code int, format string, words ...string) *Error {
	shown := make([]any, len(words))
	for i, w := range words {
		shown[i] = p.shown(w)
	}
	return &Error{Code: code, Text: fmt.Sprintf(format, shown...)}
}

// invalid is about the word that was taken last.
func (p *parser) invalid(msg string) *Error {
	return p.fail(codeWords, "Error: argument \"%s\" is wrong: "+strings.ReplaceAll(msg, "%", "%%"), p.last())
}

// duplicate is about the word that was taken last, which repeats key.
func (p *parser) duplicate(key string) *Error {
	return p.fail(codeWords, "Error: duplicate \""+key+"\": \"%s\" is the second value.", p.last())
}

// unknown is about the next word, which means nothing here.
func (p *parser) unknown() *Error {
	w := p.peek()
	p.pos++
	e := p.invalid("unknown")
	e.Suggest = Nearest(w, p.command.words())
	return e
}

var errIncomplete = &Error{Code: codeWords, Text: "Command line is not complete. Try option \"help\""}

func missing(item string) *Error {
	return &Error{Code: codeWords, Text: "Error: argument \"" + item + "\" is required"}
}

func check(format string, args ...any) *Error {
	return &Error{Code: codeCheck, Text: fmt.Sprintf(format, args...)}
}

// hidden stands for a word that is or may be a key.
const hidden = "<hidden>"

// shown returns a word as errors may show it. What looks like a key is
// hidden, and so is a word next to an algorithm that no keyword resembles: the
// key of a command line whose words are one place off.
func (p *parser) shown(w string) string {
	if looksSecret(w) {
		return hidden
	}
	if p.keyEnd > 0 && p.pos == p.keyEnd+1 && w == p.last() && !resembles(w, p.command.words()) {
		return hidden
	}
	return w
}

// resembles reports whether w is one of the words or near to one.
func resembles(w string, words []string) bool {
	return slices.Contains(words, w) || Nearest(w, words) != ""
}

// looksSecret reports whether w has more than 16 hex digits in a row.
func looksSecret(w string) bool {
	run := 0
	for i := range len(w) {
		if digit(w[i]) >= 16 {
			run = 0
			continue
		}
		if run++; run > 16 {
			return true
		}
	}
	return false
}
