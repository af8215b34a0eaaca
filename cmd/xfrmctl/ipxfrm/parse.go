package ipxfrm

import (
	"strings"

	"github.com/xfrmctl/xfrmctl/netlinkx"
)

// Parse parses the words after `ip xfrm`. The error is always an *Error, and
// the Command is nil then. Parse changes nothing and is safe for concurrent
// use if the functions of c are.
func Parse(args []string, c *Context) (*Command, error) {
	p := newParser(c)
	cmd, err := p.parse(args)
	if err != nil {
		return nil, err
	}
	return cmd, nil
}

func newParser(c *Context) *parser {
	if c == nil {
		c = &Context{}
	}
	p := &parser{}
	p.reset(c, &slot{})
	return p
}

// reset prepares the parser for a command in s, which is empty.
func (p *parser) reset(c *Context, s *slot) {
	*p = parser{ctx: c, slot: s, out: &s.cmd, family: c.Family, seen: p.seen[:0], scratch: p.scratch[:0], state: stateWords{keys: p.state.keys[:0]}}
}

// parse returns an untyped nil error on success.
func (p *parser) parse(args []string) (*Command, error) {
	if err := p.findCommand(args); err != nil {
		return nil, err
	}
	if err := p.body(); err != nil {
		return nil, err
	}
	return p.out, nil
}

// findCommand consumes object and command. Without a command it is list.
func (p *parser) findCommand(args []string) error {
	if len(args) == 0 {
		return usageError("", "")
	}
	object := findObject(args[0])
	if object == "" || object == "help" {
		return usageError("", args[0])
	}
	p.out.Object = object
	p.words = args[1:]
	if object == "monitor" {
		p.command = &monitorCommands[0]
		return nil
	}
	words := p.words
	if len(words) == 0 {
		words = []string{"list"}
	}
	c, n := findCommand(object, words)
	if c == nil {
		e := p.fail(codeWords, "Command \"%s\" is unknown, try \"xfrmctl "+object+" help\".", words[0])
		e.Suggest = nearestCommand(words[0], commandNames(object))
		return e
	}
	if c.name() == "help" {
		return usageError(object, "")
	}
	p.command = c
	p.out.Verb = c.name()
	p.pos = min(n, len(p.words))
	return nil
}

// usageError is the answer to help, and to an object that there is none of.
func usageError(object, word string) *Error {
	e := &Error{Code: codeWords, Text: strings.TrimSuffix(Usage(object), "\n")}
	if object == "" && word != "" && findObject(word) == "" {
		e.Suggest = Nearest(word, objectNames())
	}
	return e
}

func objectNames() []string {
	var names []string
	for _, o := range objects {
		names = append(names, o.word)
	}
	return names
}

func commandNames(object string) []string {
	var names []string
	for _, c := range commands(object) {
		names = append(names, c.names...)
	}
	return names
}

// nearestCommand suggests a command, also to who wrote half of one.
func nearestCommand(word string, names []string) string {
	for _, n := range names {
		if word != "" && strings.HasPrefix(n, word+" ") {
			return n
		}
	}
	return Nearest(word, names)
}

// body parses what follows the command.
func (p *parser) body() error {
	c := p.command
	if c.anything {
		return nil
	}
	if c.start != nil {
		c.start(p)
	}
	for p.more() {
		if k := p.acceptKeyword(c.keywords); k != nil {
			if err := k.parse(p); err != nil {
				return helpOr(err, c.object)
			}
			continue
		}
		if c.other == nil {
			return p.unknown()
		}
		if err := c.other(p); err != nil {
			return err
		}
	}
	if p.completing {
		p.expect(c.words()...)
	}
	if c.finish == nil {
		return nil
	}
	return c.finish(p)
}

// helpOr puts the usage in the place of the error that asks for it.
func helpOr(err error, object string) error {
	if err == errHelp {
		return usageError(object, "")
	}
	return err
}

// unknownSince reports the next word as a duplicate of what began before it.
func (p *parser) unknownSince() *Error {
	w := p.peek()
	p.pos++
	e := p.duplicate("unknown")
	e.Suggest = Nearest(w, p.command.words())
	return e
}

// orIPv4 is the family of what names no address.
func orIPv4(f netlinkx.Family) netlinkx.Family {
	if f == netlinkx.FamilyUnspec {
		return netlinkx.FamilyIPv4
	}
	return f
}
