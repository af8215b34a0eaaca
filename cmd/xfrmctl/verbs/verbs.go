// Package verbs is what commands like `xfrmctl offload` and `xfrmctl gro` have
// in common: a table of the words that may come next, their help, and what is
// said of a word that is none of them. It runs nothing by itself.
package verbs

import (
	"fmt"
	"io"
	"strings"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/ipxfrm"
)

// Verb is one word of a command.
type Verb[C any] struct {
	Name string
	Args string // what follows it, in the notation of usage texts
	Help string // in one line; "" is not shown in the manual
	// Run is called with the command's own context; nil for help.
	Run func(C) error
}

// Table is the words of one command. It is immutable.
type Table[C any] struct {
	Program string // "xfrmctl offload"
	Verbs   []Verb[C]
	Tail    string // what usage ends with: notation, or ""
}

// Error is a mistake in the words. Hint may be empty.
type Error struct{ Msg, Hint string }

// Error returns one line.
func (e *Error) Error() string { return e.Msg }

// Errorf makes an *Error without a hint.
func Errorf(format string, args ...any) error {
	return &Error{Msg: fmt.Sprintf(format, args...)}
}

// Choose takes the verb from the words of a command; without any it is the
// first of the table. For help it prints the usage and returns no verb.
func (t *Table[C]) Choose(words []string, help io.Writer) (*Verb[C], []string, error) {
	word := t.Verbs[0].Name
	if len(words) > 0 {
		word, words = words[0], words[1:]
	}
	v, err := t.Find(word)
	if err != nil {
		return nil, nil, err
	}
	if v.Run == nil {
		_, err := io.WriteString(help, t.Usage())
		return nil, nil, err
	}
	return v, words, nil
}

// Find returns the first verb that word begins, or an *Error with the one that
// is nearest.
func (t *Table[C]) Find(word string) (*Verb[C], error) {
	if i := t.find(word); i >= 0 {
		return &t.Verbs[i], nil
	}
	e := &Error{Msg: fmt.Sprintf("command %q is unknown, try \"%s help\"", word, t.Program)}
	if near := ipxfrm.Nearest(word, t.Names()); near != "" {
		e.Hint = fmt.Sprintf("did you mean %q?", near)
	}
	return nil, e
}

func (t *Table[C]) find(word string) int {
	for i := range t.Verbs {
		if word != "" && strings.HasPrefix(t.Verbs[i].Name, word) {
			return i
		}
	}
	return -1
}

// Is reports whether word is, or begins, the verb with that name and no verb
// before it.
func (t *Table[C]) Is(word, name string) bool {
	i := t.find(word)
	return i >= 0 && t.Verbs[i].Name == name
}

// Names returns the verbs.
func (t *Table[C]) Names() []string {
	names := make([]string, len(t.Verbs))
	for i := range t.Verbs {
		names[i] = t.Verbs[i].Name
	}
	return names
}

// Usage returns the words of all verbs, each with its help.
func (t *Table[C]) Usage() string {
	var b strings.Builder
	lead := "Usage: "
	for i := range t.Verbs {
		v := &t.Verbs[i]
		fmt.Fprintf(&b, "%s%s\n", lead, strings.TrimSpace(t.Program+" "+v.Name+" "+v.Args))
		for _, line := range wrap(v.Help, 100) {
			b.WriteString("           " + line + "\n")
		}
		lead = "       "
	}
	b.WriteString(t.Tail)
	return b.String()
}

// ManSection returns what the manual says of the command.
func (t *Table[C]) ManSection(title string) ipxfrm.ManSection {
	s := ipxfrm.ManSection{Title: title}
	for i := range t.Verbs {
		v := &t.Verbs[i]
		if v.Help == "" || v.Run == nil {
			continue
		}
		s.Terms = append(s.Terms, ipxfrm.ManTerm{Term: strings.TrimSpace(v.Name + " " + v.Args), Text: strings.ToUpper(v.Help[:1]) + v.Help[1:] + "."})
	}
	return s
}

// wrap breaks a text at blanks.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, w := range strings.Fields(text) {
		if line != "" && len(line)+1+len(w) > width {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimSpace(line + " " + w)
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}
