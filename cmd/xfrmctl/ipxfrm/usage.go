package ipxfrm

import (
	"slices"
	"strings"
)

// usageWidth is where lines of usage end.
const usageWidth = 78

// Usage returns how the commands of an object are written: "state", "policy",
// "monitor", or "" for the objects.
func Usage(object string) string {
	list := commands(object)
	if list == nil {
		return "Usage: xfrmctl OBJECT { COMMAND | help }\n" +
			"OBJECT := state | policy | monitor\n"
	}
	var b strings.Builder
	for _, c := range mergeAlike(list) {
		if c.name() == "help" {
			continue
		}
		b.WriteString(wrap("Usage: xfrmctl "+c.object, "        ", commandTerms(&c)))
	}
	for _, g := range groupsOf(object) {
		b.WriteString(wrap(g.meta+" :=", "        ", g.terms))
	}
	if hasExtensions(object) {
		b.WriteString("Words with a + are not words of ip: leave out the +.\n")
	}
	return b.String()
}

// mergeAlike puts neighbours with the same words into one, their names
// joined: add and update take the same.
func mergeAlike(list []command) []command {
	var out []command
	for _, c := range list {
		i := slices.IndexFunc(out, func(o command) bool { return alike(&o, &c) })
		if i < 0 {
			c.names = slices.Clone(c.names)
			out = append(out, c)
			continue
		}
		out[i].names = append(out[i].names, c.names...)
	}
	return out
}

func alike(a, b *command) bool {
	return a.needs == b.needs && a.ext == b.ext && !a.anything && !b.anything && a.needs != "" &&
		slices.Equal(keywordNames(a.keywords), keywordNames(b.keywords))
}

// commandTerms returns the parts of a command that a line is not broken in.
func commandTerms(c *command) []string {
	var terms []string
	switch names := shownNames(c); len(names) {
	case 0:
	case 1:
		terms = append(terms, names[0])
	default:
		terms = append(terms, "{ "+strings.Join(names, " | ")+" }")
	}
	if c.needs != "" {
		terms = append(terms, c.needs)
	}
	for i := range c.keywords {
		k := &c.keywords[i]
		if k.name == "dir" && strings.HasSuffix(c.needs, k.values) || k.name == "index" && strings.Contains(c.needs, "index") {
			continue // shown as a need
		}
		terms = append(terms, "[ "+keywordUsage(k, !c.ext)+" ]")
	}
	if c.otherWords != nil && findKeyword(c.otherWords(), "enc") != nil {
		terms = append(terms, "[ ALGO-LIST ]")
	}
	return terms
}

// shownNames returns the names that usage shows: each command's first.
func shownNames(c *command) []string {
	var names []string
	for _, n := range c.names {
		if n == "delall" || n == "show" || n == "lst" {
			continue
		}
		if c.ext {
			n = "+" + n
		}
		names = append(names, n)
	}
	return names
}

// keywordUsage returns a keyword with its values; mark shows that it is an
// extension.
func keywordUsage(k *keyword, mark bool) string {
	s := k.name
	if k.ext && mark {
		s = "+" + s
	}
	if k.values != "" {
		s += " " + k.values
	}
	return s
}

func hasExtensions(object string) bool {
	return slices.ContainsFunc(commands(object), func(c command) bool {
		return c.ext || slices.ContainsFunc(c.keywords, func(k keyword) bool { return k.ext })
	})
}

// usageGroup is a name in the usage and what it stands for.
type usageGroup struct {
	meta  string
	terms []string
	list  []keyword // the keywords of it, for the manual
}

// groupsOf returns the groups and kinds that the commands of an object use, in
// the order in which they come up.
func groupsOf(object string) []usageGroup {
	var out []usageGroup
	seen := map[string]bool{}
	var visit func(text string)
	visit = func(text string) {
		for _, meta := range strings.Fields(text) {
			if seen[meta] || meta != strings.ToUpper(meta) {
				continue
			}
			seen[meta] = true
			g, ok := usageGroupOf(meta)
			if !ok {
				continue
			}
			out = append(out, g)
			for _, t := range g.terms {
				visit(t)
			}
		}
	}
	for _, c := range commands(object) {
		for _, t := range commandTerms(&c) {
			visit(t)
		}
	}
	return out
}

// usageGroupOf returns what a name stands for, if that is a list of words.
func usageGroupOf(meta string) (usageGroup, bool) {
	g := usageGroup{meta: meta}
	optional := func(list []keyword) {
		g.list = list
		for i := range list {
			g.terms = append(g.terms, "[ "+keywordUsage(&list[i], true)+" ]")
		}
	}
	either := func(list []keyword) {
		g.list = list
		for i := range list {
			g.terms = append(g.terms, keywordUsage(&list[i], true))
		}
		addBars(g.terms)
	}
	switch meta {
	case "ID":
		optional(idKeywords)
	case "SELECTOR":
		optional(selectorKeywords)
		g.terms = append(g.terms, "[ UPSPEC ]")
	case "UPSPEC":
		optional(upspecKeywords)
	case "TMPL":
		optional(templateKeywords)
		g.terms = append([]string{"ID"}, g.terms...)
	case "LIMIT":
		either(limitKeywords)
	case "ALGO":
		either(algoKeywords)
	case "IPTFS-LIST":
		optional(iptfsKeywords)
	case "ALGO-LIST":
		g.terms = []string{"[ ALGO-LIST ]", "ALGO"}
	default:
		return kindGroup(meta)
	}
	return g, true
}

// kindGroup returns the words of a kind of value, or of a list of them.
func kindGroup(meta string) (usageGroup, bool) {
	g := usageGroup{meta: meta}
	if one, isList := strings.CutSuffix(meta, "-LIST"); isList {
		g.terms = []string{"[ " + meta + " ]", one}
		return g, true
	}
	k := kinds[meta]
	if k == nil || len(k.words) == 0 {
		return g, false
	}
	for _, c := range k.words {
		if c.quiet {
			continue
		}
		name := c.name
		if c.ext {
			name = "+" + name
		}
		g.terms = append(g.terms, name)
	}
	addBars(g.terms)
	return g, true
}

// addBars puts a bar behind all terms but the last.
func addBars(terms []string) {
	for i := range len(terms) - 1 {
		terms[i] += " |"
	}
}

// wrap joins terms to lines, the later ones indented.
func wrap(first, indent string, terms []string) string {
	var b strings.Builder
	line := first
	for _, t := range terms {
		if len(line)+1+len(t) > usageWidth && line != indent {
			b.WriteString(line + "\n")
			line = indent + t
			continue
		}
		line += " " + t
	}
	b.WriteString(line + "\n")
	return b.String()
}
