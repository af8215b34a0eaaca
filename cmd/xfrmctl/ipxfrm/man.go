package ipxfrm

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// ManSection is a section of the manual: a title, paragraphs, and terms with
// what they mean. Texts are plain, without markup.
type ManSection struct {
	Title string
	Text  []string
	Terms []ManTerm
}

// ManTerm is a term, as it is written, and what it means.
type ManTerm struct {
	Term, Text string
}

// ManSections returns what the manual says of the grammar: for each object its
// commands and their words, then the words and kinds of values that several share.
func ManSections() []ManSection {
	var out []ManSection
	for _, object := range []string{"state", "policy", "monitor"} {
		for _, c := range mergeAlike(commands(object)) {
			if c.name() != "help" {
				out = append(out, manCommand(&c))
			}
		}
	}
	for _, meta := range []string{"ID", "SELECTOR", "UPSPEC", "ALGO", "LIMIT", "IPTFS-LIST", "TMPL"} {
		g, _ := usageGroupOf(meta)
		out = append(out, ManSection{Title: meta, Text: []string{meta + " := " + strings.Join(g.terms, " ")}, Terms: manKeywords(g.list)})
	}
	return append(out, manKinds())
}

func manCommand(c *command) ManSection {
	title := strings.TrimSpace(c.object + " " + strings.Join(plainNames(c), ", "))
	s := ManSection{Title: title, Terms: manKeywords(c.keywords)}
	for _, o := range commands(c.object) {
		if slices.Contains(c.names, o.name()) || o.name() == "" {
			s.Text = append(s.Text, manHelp(&o))
		}
	}
	return s
}

// plainNames returns all names of a command, without marks.
func plainNames(c *command) []string { return c.names }

func manHelp(c *command) string {
	text := strings.TrimSpace(c.object+" "+c.name()) + " " + c.help + "."
	if len(c.names) > 1 {
		text += " Also: " + strings.Join(c.names[1:], ", ") + "."
	}
	if c.ext {
		text += " " + extensionNote
	}
	return text
}

// extensionNote marks what ip refuses.
const extensionNote = "Extension; ip has no such word."

func manKeywords(list []keyword) []ManTerm {
	var terms []ManTerm
	for i := range list {
		k := &list[i]
		t := ManTerm{Term: k.name, Text: upperFirst(k.help)}
		if k.values != "" {
			t.Term += " " + k.values
		}
		if t.Text != "" {
			t.Text += "."
		}
		if k.ext {
			t.Text = strings.TrimSpace(t.Text + " " + extensionNote)
		}
		terms = append(terms, t)
	}
	return terms
}

// manKinds lists the kinds of values.
func manKinds() ManSection {
	s := ManSection{Title: "VALUES", Text: []string{
		"Numbers may be decimal, hexadecimal with 0x, octal with a leading 0, or binary with 0b.",
		"Objects, commands, MODE and most words of monitor may be abbreviated to any beginning; the first match in the order of ip wins. Other words, and all extensions, are spelled out.",
	}}
	for _, meta := range slices.Sorted(maps.Keys(kinds)) {
		k := kinds[meta]
		t := ManTerm{Term: meta, Text: upperFirst(k.help) + "."}
		if len(k.words) > 0 {
			t.Text = kindText(k)
		}
		s.Terms = append(s.Terms, t)
	}
	return s
}

func kindText(k *kind) string {
	var words []string
	for _, c := range k.words {
		switch {
		case c.quiet:
			words = append(words, fmt.Sprintf("%s (a synonym)", c.name))
		case c.ext:
			words = append(words, fmt.Sprintf("%s (extension)", c.name))
		default:
			words = append(words, c.name)
		}
	}
	return "One of: " + strings.Join(words, ", ") + "."
}

func upperFirst(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
