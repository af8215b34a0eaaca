package main

import (
	"fmt"
	"strings"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/gro"
	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/ipxfrm"
	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/nicoffload"
	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/vticmd"
)

// man prints the man page: options and objects from their tables, the words of
// commands from their grammars, or else as their help prints them, the rest from
// mantext.go.
func (e *env) man([]string) error {
	var b strings.Builder
	b.WriteString(manHead)
	b.WriteString(".SH OPTIONS\n")
	for i := range optionTable {
		if o := &optionTable[i]; o.usage != "" && o.name != "v" {
			writeTerm(&b, optionTerm(o), upperFirst(strings.ReplaceAll(o.usage, "`", ""))+".")
		}
	}
	b.WriteString(".SH OBJECTS\n")
	for _, c := range commands() {
		if !c.hidden {
			name := c.name
			if c.alias != "" {
				name += ", " + c.alias
			}
			writeTerm(&b, strings.TrimSpace(name+" "+c.args), upperFirst(c.usage)+".")
		}
	}
	for _, s := range append(append(ipxfrm.ManSections(), ifaceManSections()...), nicoffload.ManSection(), gro.ManSection(), vticmd.ManSection()) {
		writeSection(&b, &s)
	}
	for _, c := range commands() {
		if c.usageInMan {
			writeUsage(&b, c.name, c.help())
		}
	}
	b.WriteString(manTail)
	_, err := e.stdout.WriteString(b.String())
	return err
}

// optionTerm returns an option as the page names it.
func optionTerm(o *option) string {
	term := "-" + o.name
	if short := shortOptions()[o.name]; short != "" {
		term = "-" + short + ", " + term
	}
	return strings.TrimSpace(term + " " + o.arg)
}

// writeSection writes a section of a grammar as roff.
func writeSection(b *strings.Builder, s *ipxfrm.ManSection) {
	fmt.Fprintf(b, ".SH %s\n", strings.ToUpper(roff(s.Title)))
	for i, t := range s.Text {
		if i > 0 {
			b.WriteString(".PP\n")
		}
		b.WriteString(roff(t) + "\n")
	}
	for _, t := range s.Terms {
		writeTerm(b, t.Term, t.Text)
	}
}

// writeUsage writes the help of a command as it is.
func writeUsage(b *strings.Builder, title, usage string) {
	fmt.Fprintf(b, ".SH %s\n.nf\n", strings.ToUpper(roff(title)))
	for line := range strings.Lines(usage) {
		for _, lead := range []string{"Usage: ", "       "} {
			if rest, ok := strings.CutPrefix(line, lead); ok && strings.HasPrefix(rest, "xfrmctl ") {
				line = rest
			}
		}
		b.WriteString(roff(line))
	}
	b.WriteString(".fi\n")
}

func writeTerm(b *strings.Builder, term, text string) {
	fmt.Fprintf(b, ".TP\n\\fB%s\\fP\n%s\n", roff(term), roff(text))
}

// roff escapes what means something to roff.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}

func upperFirst(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
