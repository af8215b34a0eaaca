package differ

import (
	"fmt"
	"slices"
	"strings"
)

// command is one command for both tools.
type command struct {
	options []string // before the object
	words   []string // after `ip xfrm`
	long    bool     // spell it `xfrmctl xfrm …` even if `xfrmctl …` would do
}

// ip returns the words after `ip`.
func (c command) ip() []string {
	return slices.Concat(c.options, []string{"xfrm"}, c.words)
}

// xfrmctl returns the words after `xfrmctl`. An object that is not spelled out
// could mean another of its objects, so that only `xfrmctl xfrm` compares.
func (c command) xfrmctl() []string {
	if !c.long && len(c.words) > 0 && slices.Contains([]string{"state", "sa", "policy", "monitor"}, c.words[0]) {
		return slices.Concat(c.options, c.words)
	}
	return slices.Concat(c.options, []string{"xfrm"}, c.words)
}

// String returns the command as one would type it.
func (c command) String() string {
	words := c.ip()
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = quote(w)
	}
	return strings.Join(quoted, " ")
}

func quote(w string) string {
	if w != "" && !strings.ContainsAny(w, " \t\n'\"()|&;<>$*?#\\!") {
		return w
	}
	return "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
}

// has reports whether one of the words is among those given.
func (c command) has(any ...string) bool {
	return slices.ContainsFunc(c.words, func(w string) bool { return slices.Contains(any, w) })
}

// words of the tables of COMMAND names, in the order that prefixes are tried.
var verbs = map[string][]string{
	"state":  {"add", "update", "allocspi", "delete", "deleteall", "delall", "list", "show", "lst", "get", "flush", "count", "help"},
	"policy": {"add", "update", "delete", "deleteall", "delall", "list", "show", "lst", "get", "flush", "count", "set", "setdefault", "getdefault", "help"},
}

// verb returns what the command is: "state add", "policy list", or "".
func (c command) verb() string {
	if len(c.words) == 0 {
		return ""
	}
	object := ""
	for _, o := range []string{"state", "sa", "policy", "monitor"} {
		if c.words[0] != "" && strings.HasPrefix(o, c.words[0]) {
			object = strings.Replace(o, "sa", "state", 1)
			break
		}
	}
	if len(c.words) == 1 {
		return object + " list"
	}
	for _, v := range verbs[object] {
		if c.words[1] != "" && strings.HasPrefix(v, c.words[1]) {
			switch v {
			case "show", "lst":
				v = "list"
			case "delall":
				v = "deleteall"
			}
			return object + " " + v
		}
	}
	return object
}

// reads reports whether the command changes nothing.
func (c command) reads() bool {
	switch c.verb() {
	case "state list", "state get", "state count", "policy list", "policy get", "policy count", "policy getdefault":
		return true
	}
	return false
}

// splitWords splits a line as a shell does: blanks and 'quotes'. A word $NAME
// stands for words from a table.
func splitWords(line string, names map[string]string) ([]string, error) {
	var words []string
	var word []byte
	begun, quoted, plain := false, false, true
	end := func() error {
		if !begun {
			return nil
		}
		name, isName := strings.CutPrefix(string(word), "$")
		if !isName || !plain {
			words = append(words, string(word))
		} else {
			text, ok := names[name]
			if !ok {
				return fmt.Errorf("no name $%s", name)
			}
			more, err := splitWords(text, names)
			if err != nil {
				return err
			}
			words = append(words, more...)
		}
		word, begun, plain = nil, false, true
		return nil
	}
	for i := range len(line) {
		switch c := line[i]; {
		case c == '\'':
			begun, quoted, plain = true, !quoted, false
		case (c == ' ' || c == '\t') && !quoted:
			if err := end(); err != nil {
				return nil, err
			}
		default:
			begun = true
			word = append(word, c)
		}
	}
	if quoted {
		return nil, fmt.Errorf("quote without end: %s", line)
	}
	return words, end()
}

// newCommand makes a command of all words, options first.
func newCommand(words []string) command {
	var c command
	for len(words) > 0 && strings.HasPrefix(words[0], "-") {
		n := 1
		switch words[0] {
		case "-f", "-family", "--family", "-fam", "-rc", "-rcvbuf", "-l", "-loops", "-n", "--engine":
			n = min(2, len(words))
		}
		c.options = append(c.options, words[:n]...)
		words = words[n:]
	}
	c.words = words
	return c
}
