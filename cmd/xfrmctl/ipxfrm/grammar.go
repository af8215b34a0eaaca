package ipxfrm

import "strings"

// The grammar is one table: objects have commands, commands have keywords,
// keywords have values of a kind. Parsing, usage, suggestions, completion and
// the manual page read it. Words marked ext are extensions: ip refuses them.

// keyword is a word with what follows it.
type keyword struct {
	name string
	// values is what follows, as usage shows it: words in upper case name a
	// kind or a group.
	values string
	help   string // a clause for the manual; empty for words of groups shown elsewhere
	ext    bool
	// abbrev allows any beginning of the name, the first in the table wins.
	abbrev bool
	// parse takes what follows; the word itself is taken already.
	parse func(*parser) error
}

// command is what may follow an object.
type command struct {
	object string
	names  []string // the first one names it, the others are synonyms
	help   string
	ext    bool
	// needs is what the usage shows in front of the keywords.
	needs    string
	keywords []keyword
	// other parses words that are no keywords, with the words it knows; nil
	// when there are none.
	other      func(*parser) error
	otherWords func() []keyword
	start      func(*parser)
	finish     func(*parser) error
	// anything ignores what follows.
	anything bool
}

// name returns the command's full name.
func (c *command) name() string {
	if len(c.names) == 0 {
		return ""
	}
	return c.names[0]
}

// words returns all words that can begin something in the command.
func (c *command) words() []string {
	if c == nil {
		return nil
	}
	names := keywordNames(c.keywords)
	if c.otherWords != nil {
		names = append(names, keywordNames(c.otherWords())...)
	}
	return names
}

func keywordNames(list []keyword) []string {
	names := make([]string, 0, len(list)+8)
	for i := range list {
		names = append(names, list[i].name)
	}
	return names
}

func findKeyword(list []keyword, word string) *keyword {
	for i := range list {
		k := &list[i]
		if k.name == word || k.abbrev && abbreviates(word, k.name) {
			return k
		}
	}
	return nil
}

// abbreviates reports whether word is a beginning of name, and not empty.
func abbreviates(word, name string) bool { return word != "" && strings.HasPrefix(name, word) }

// objects are in the order in which ip compares. A synonym has the name that
// it stands for.
var objects = []struct{ word, object string }{
	{"state", "state"}, {"sa", "state"}, {"policy", "policy"}, {"monitor", "monitor"}, {"help", "help"},
}

func findObject(word string) string {
	for _, o := range objects {
		if abbreviates(word, o.word) {
			return o.object
		}
	}
	return ""
}

// commands returns the commands of an object in the order in which ip
// compares them, extensions last.
func commands(object string) []command {
	switch object {
	case "state":
		return stateCommands
	case "policy":
		return policyCommands
	case "monitor":
		return monitorCommands
	}
	return nil
}

// findCommand returns the command that the words begin with and how many of
// them name it. Extensions must be spelled out.
func findCommand(object string, words []string) (*command, int) {
	list := commands(object)
	for i := range list {
		c := &list[i]
		for _, name := range c.names {
			if !c.ext {
				if abbreviates(words[0], name) {
					return c, 1
				}
			} else if parts := strings.Fields(name); beginWith(words, parts) {
				return c, len(parts)
			}
		}
	}
	return nil, 0
}

func beginWith(words, parts []string) bool {
	if len(words) < len(parts) {
		return false
	}
	for i, w := range parts {
		if words[i] != w {
			return false
		}
	}
	return true
}
