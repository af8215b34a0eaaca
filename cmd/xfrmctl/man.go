package main

import (
	"fmt"
	"strings"

	"github.com/xfrmctl/xfrmctl/cmd/xfrmctl/ipxfrm"
)

// man prints the man page: options and objects from the command tree, the
// words of state, policy and monitor from the grammar, exit codes and files
// from here.
func (e *env) man([]string) error {
	app := e.app(e.stdout)
	app.Description = manDescription
	page, err := app.ToManWithSection(8)
	if err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString(page)
	for _, sec := range append(ipxfrm.ManSections(), ifaceManSections()...) {
		writeSection(&b, &sec)
	}
	b.WriteString(manTail)
	_, err = e.stdout.WriteString(b.String())
	return err
}

// writeSection writes a section of the grammar as roff.
func writeSection(b *strings.Builder, s *ipxfrm.ManSection) {
	fmt.Fprintf(b, ".SH %s\n", strings.ToUpper(roff(s.Title)))
	for i, t := range s.Text {
		if i > 0 {
			b.WriteString(".PP\n")
		}
		b.WriteString(roff(t) + "\n")
	}
	for _, t := range s.Terms {
		fmt.Fprintf(b, ".TP\n\\fB%s\\fP\n%s\n", roff(t.Term), roff(t.Text))
	}
}

// roff escapes what means something to roff.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}
